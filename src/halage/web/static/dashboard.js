// The grid of a dashboard: widgets are placed, and (with the right to it) moved, sized, edited and saved.
"use strict";

(() => {
  const { address, ask, beginGraph, change, dashboard, endGraph, make, say, tellUser } = window.halage;
  const board = document.getElementById("board");
  const COLUMNS = 12;
  const HIGHEST = 20;
  const widgets = new Map();

  // --- places ---------------------------------------------------------------------------------------

  function place(widget) {
    for (const name of ["x", "y", "width", "height"]) {
      widget.element.style.setProperty(`--${name}`, String(widget[name] + (name === "x" || name === "y" ? 1 : 0)));
    }
  }

  const meet = (a, b) => a !== b && a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;
  const byRow = (a, b) => a.y - b.y || a.x - b.x;

  // What lies under the one that was moved gives way downwards; then everything rises as far as it can.
  function settle(fixed) {
    const all = [...widgets.values()];
    const queue = fixed ? [fixed] : [];
    while (queue.length) {
      const upper = queue.shift();
      for (const other of all.filter((each) => each !== fixed && meet(upper, each))) {
        other.y = upper.y + upper.height;
        queue.push(other);
      }
    }
    for (const widget of all.sort(byRow)) {
      while (widget.y > 0 && !all.some((other) => meet({ ...widget, y: widget.y - 1, id: null }, other) && other !== widget)) {
        widget.y -= 1;
      }
    }
    all.forEach(place);
  }

  // The order of the page is the order for the keyboard and for narrow screens.
  function order() {
    const focused = document.activeElement;
    const sorted = [...widgets.values()].sort(byRow);
    for (const widget of sorted) board.append(widget.element);
    if (board.contains(focused)) focused.focus();
  }

  function move(widget, x, y) {
    widget.x = Math.max(0, Math.min(COLUMNS - widget.width, x));
    widget.y = Math.max(0, Math.min(1000, y));
    settle(widget);
  }

  function size(widget, width, height) {
    widget.width = Math.max(2, Math.min(COLUMNS - widget.x, width));
    widget.height = Math.max(1, Math.min(HIGHEST, height));
    settle(widget);
  }

  function tellPlace(widget, key) {
    tellUser(say(key, {
      title: titleOf(widget), column: widget.x + 1, row: widget.y + 1, width: widget.width, height: widget.height,
    }));
  }

  const titleOf = (widget) => widget.element.querySelector(".widget-title").textContent;

  function adopt(element) {
    const widget = { ...JSON.parse(element.dataset.widget), element };
    widgets.set(widget.id, widget);
    return widget;
  }

  for (const element of board.querySelectorAll("[data-widget]")) adopt(element);
  for (const widget of widgets.values()) place(widget);
  board.classList.add("is-placed");

  const start = document.getElementById("edit");
  if (start === null) return;

  // --- editing --------------------------------------------------------------------------------------

  const bar = document.getElementById("edit-bar");
  const dialog = document.getElementById("widget-dialog");
  const form = dialog.querySelector("form");
  const template = document.getElementById("widget-template");
  let version = Number(dashboard.version);
  let isChanged = false;
  let edited = null;

  function touch() {
    isChanged = true;
    document.getElementById("save").disabled = false;
  }

  function setEditing(is) {
    document.body.classList.toggle("is-editing", is);
    bar.hidden = !is;
    start.hidden = is;
    document.getElementById("empty-board")?.toggleAttribute("hidden", is);
  }

  start.addEventListener("click", () => {
    setEditing(true);
    document.getElementById("add-widget").focus();
    tellUser(say("editing"));
  });
  document.getElementById("cancel-edit").addEventListener("click", () => {
    isChanged = false;
    location.reload();
  });
  window.addEventListener("beforeunload", (event) => {
    if (isChanged) event.preventDefault();
  });

  board.addEventListener("keydown", (event) => {
    const handle = event.target.closest("[data-move]");
    if (!handle || event.ctrlKey || event.metaKey || event.altKey) return;
    const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (!step) return;
    event.preventDefault();
    const widget = widgets.get(handle.closest("[data-widget]").dataset.id);
    if (event.shiftKey) {
      size(widget, widget.width + step[0], widget.height + step[1]);
      tellPlace(widget, "sized");
    } else {
      moveBy(widget, step);
      tellPlace(widget, "moved");
    }
    order();
    touch();
  });

  // Up and down by the keyboard go past the neighbour: by one row it would only be pulled back.
  function moveBy(widget, [dx, dy]) {
    const others = [...widgets.values()].filter((each) => each !== widget && each.x < widget.x + widget.width && widget.x < each.x + each.width);
    if (dy > 0) {
      const below = others.filter((each) => each.y >= widget.y + widget.height).sort(byRow)[0];
      if (below) {
        const was = widget.y;
        widget.y = was + below.height;
        for (const each of others.filter((other) => other.y === below.y)) each.y = was;
      }
      settle(widget);
    } else if (dy < 0) {
      const above = others.filter((each) => each.y + each.height <= widget.y).sort((a, b) => byRow(b, a))[0];
      move(widget, widget.x, above ? above.y : 0);
    } else move(widget, widget.x + dx, widget.y);
  }

  // --- by pointer -----------------------------------------------------------------------------------

  function cell() {
    const style = getComputedStyle(board);
    const gap = parseFloat(style.columnGap);
    return { width: (board.clientWidth + gap) / COLUMNS, height: parseFloat(style.gridAutoRows) + parseFloat(style.rowGap) };
  }

  board.addEventListener("pointerdown", (event) => {
    const isSize = event.target.closest("[data-size]") !== null;
    const isMove = event.target.closest("[data-move]") !== null;
    if ((!isSize && !isMove) || event.button !== 0 || !document.body.classList.contains("is-editing")) return;
    event.preventDefault();
    const element = event.target.closest("[data-widget]");
    const widget = widgets.get(element.dataset.id);
    const before = new Map([...widgets.values()].map((each) => [each.id, { x: each.x, y: each.y }]));
    const from = { ...widget };
    const { width, height } = cell();
    const handle = event.target.closest("[data-move], [data-size]");
    handle.setPointerCapture(event.pointerId);
    handle.focus();
    element.classList.add("is-held");
    const follow = (moved) => {
      const dx = Math.round((moved.clientX - event.clientX) / width);
      const dy = Math.round((moved.clientY - event.clientY) / height);
      // From where all lay at first: what gave way comes back once the pointer has gone by.
      for (const each of widgets.values()) Object.assign(each, before.get(each.id));
      if (isSize) size(widget, from.width + dx, from.height + dy);
      else move(widget, from.x + dx, from.y + dy);
    };
    const stop = () => {
      handle.removeEventListener("pointermove", follow);
      element.classList.remove("is-held");
      order();
      touch();
      tellPlace(widget, isSize ? "sized" : "moved");
    };
    handle.addEventListener("pointermove", follow);
    handle.addEventListener("lostpointercapture", stop, { once: true });
  });

  // --- the dialog -----------------------------------------------------------------------------------

  const rows = { lines: document.getElementById("line-rows"), thresholds: document.getElementById("threshold-rows") };

  function addRow(name, values = {}) {
    const row = document.getElementById(`${name}-row`).content.firstElementChild.cloneNode(true);
    for (const input of row.querySelectorAll("[data-field]")) {
      const id = `${name}-${input.dataset.field}-${crypto.getRandomValues(new Uint32Array(1))[0]}`;
      input.value = values[input.dataset.field] ?? "";
      input.id = id;
      input.previousElementSibling.htmlFor = id;
    }
    rows[name].append(row);
    return row;
  }

  function readRows(name) {
    return [...rows[name].children].map((row) => Object.fromEntries(
      [...row.querySelectorAll("[data-field]")].map((input) => [input.dataset.field, input.type === "number" ? input.valueAsNumber : input.value.trim()]),
    ));
  }

  function fit() {
    const kind = form.elements.kind.value;
    for (const part of form.querySelectorAll("[data-for]")) {
      const is = part.dataset.for.split(" ").includes(kind);
      part.hidden = !is;
      for (const field of part.querySelectorAll("input, select, textarea, button")) field.disabled = !is;
    }
    // Which alarms: asked for a graph once it is to show their thresholds.
    const alarms = form.querySelector("[data-alarms]");
    if (alarms && kind !== "alarm" && !form.elements.shows_alarm_thresholds.checked) alarms.hidden = true;
  }

  const EMPTY = { kind: "line", lines: [{}], thresholds: [], unit: "none", alarms: [] };

  let opening = 0;
  let reading = null;

  function open(widget, first = EMPTY) {
    opening += 1;
    edited = widget;
    const values = widget || first;
    form.reset();
    for (const name of ["kind", "unit", "text"]) form.elements[name].value = values[name] || form.elements[name].value;
    for (const name of ["minimum", "maximum", "period_s"]) form.elements[name].value = values[name] ?? "";
    form.elements.title.value = widget ? titleOf(widget) : "";
    form.elements.shows_alarm_thresholds.checked = Boolean(values.shows_alarm_thresholds);
    form.elements.shows_week_before.checked = Boolean(values.shows_week_before);
    if (form.elements.shows_deployments) form.elements.shows_deployments.checked = Boolean(values.shows_deployments);
    for (const box of form.querySelectorAll("[name=alarms]")) box.checked = values.alarms.includes(Number(box.value));
    for (const name of ["lines", "thresholds"]) {
      rows[name].replaceChildren();
      values[name].forEach((row) => addRow(name, row));
    }
    if (!values.lines.length) addRow("lines");
    document.getElementById("dialog-title").textContent = say(widget ? "edit_title" : "add_title");
    fit();
    dialog.showModal();
    form.elements.title.focus();
  }

  function read() {
    const { elements } = form;
    const kind = elements.kind.value;
    const number = (field) => (field.disabled || field.value === "" ? null : field.valueAsNumber);
    const isTold = kind === "text" || kind === "alarm";
    const showsLevels = !isTold && kind !== "table" && elements.shows_alarm_thresholds.checked;
    return {
      kind,
      title: elements.title.value.trim(),
      lines: isTold ? [] : readRows("lines").filter((line) => line.expression),
      thresholds: isTold ? [] : readRows("thresholds").filter((threshold) => Number.isFinite(threshold.value)),
      unit: elements.unit.value,
      minimum: number(elements.minimum),
      maximum: number(elements.maximum),
      period_s: number(elements.period_s),
      shows_week_before: kind === "line" && elements.shows_week_before.checked,
      shows_deployments: !isTold && Boolean(elements.shows_deployments?.checked),
      text: kind === "text" ? elements.text.value : "",
      shows_alarm_thresholds: showsLevels,
      alarms: kind === "alarm" || showsLevels ? [...form.querySelectorAll("[name=alarms]:checked")].map((box) => Number(box.value)) : [],
    };
  }

  // A widget is made anew from the page's template, in its old place.
  function build(values) {
    const element = template.content.firstElementChild.cloneNode(true);
    const { element: _, ...plain } = values;
    element.dataset.widget = JSON.stringify(plain);
    element.dataset.id = values.id;
    element.id = `widget-${values.id}`;
    element.classList.add(`is-${values.kind}`);
    const hasLines = values.kind !== "text" && values.kind !== "alarm";
    element.classList.toggle("has-lines", hasLines);
    const title = element.querySelector(".widget-title");
    title.textContent = values.title;
    title.id = `title-${values.id}`;
    element.setAttribute("aria-labelledby", title.id);
    for (const each of element.querySelectorAll("[data-named]")) each.setAttribute("aria-label", each.dataset.named.replace("{title}", values.title));
    const plot = element.querySelector(".plot");
    const isDrawn = ["line", "stacked", "bar"].includes(values.kind);
    element.querySelector(".widget-summary").id = `summary-${values.id}`;
    plot.setAttribute("role", isDrawn ? "application" : "group");
    plot.setAttribute("aria-labelledby", title.id);
    plot.setAttribute("aria-describedby", `summary-${values.id}${isDrawn ? " graph-keys" : ""}`);
    element.querySelector(".numbers").id = `numbers-${values.id}`;
    element.querySelector("[data-numbers]").setAttribute("aria-controls", `numbers-${values.id}`);
    if (!hasLines) {
      element.querySelector("[data-numbers]").remove();
      const words = make("p", { class: "widget-text", tabindex: "0" }, values.kind === "text" ? values.text : say("after_saving"));
      element.querySelector(".widget-body").replaceChildren(words);
    }
    return element;
  }

  function put(values) {
    const old = widgets.get(values.id);
    const element = build(values);
    if (old) {
      endGraph(old.element);
      old.element.replaceWith(element);
    } else board.append(element);
    const widget = adopt(element);
    place(widget);
    if (element.classList.contains("has-lines")) beginGraph(element);
    return widget;
  }

  function newId() {
    let number = widgets.size + 1;
    while (widgets.has(`w${number}`)) number += 1;
    return `w${number}`;
  }

  // Whether the server can read every expression; what it cannot is said below it.
  async function checkLines() {
    const now = Math.floor(Date.now() / 1000);
    const fields = [...rows.lines.querySelectorAll("[data-field=expression]")].filter((field) => !field.disabled && field.value.trim());
    const refused = await Promise.all(fields.map(async (field) => {
      const mistake = field.closest("[data-row]").querySelector(".mistake");
      mistake.hidden = true;
      field.removeAttribute("aria-invalid");
      try {
        await ask(address(field.value.trim(), { from: now - 60, to: now }));
      } catch (error) {
        if (error.status !== 422) return null; // no mistake of the expression: saving will tell
        const [words, ...place] = error.message.split("\n");
        mistake.replaceChildren(make("p", {}, words), ...(place.length ? [make("pre", {}, place.join("\n"))] : []));
        mistake.hidden = false;
        field.setAttribute("aria-invalid", "true");
        return field;
      }
      return null;
    }));
    const first = refused.find((field) => field);
    if (first) first.focus();
    return !first;
  }

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const values = read();
    if (!["text", "alarm"].includes(values.kind) && !values.lines.length) {
      const first = rows.lines.querySelector("[data-field=expression]") || addRow("lines").querySelector("[data-field=expression]");
      first.setCustomValidity(say("expression_needed"));
      form.reportValidity();
      first.addEventListener("input", () => first.setCustomValidity(""), { once: true });
      return;
    }
    // While the server reads, a second click adds nothing, and who closes the dialog has thought better of it.
    if (reading === opening) return;
    const mine = (reading = opening);
    const isGood = await checkLines();
    if (reading === mine) reading = null;
    if (!isGood || mine !== opening || !dialog.open) return;
    const lowest = Math.max(0, ...[...widgets.values()].map((each) => each.y + each.height));
    const isSmall = ["number", "gauge", "alarm"].includes(values.kind);
    const spot = edited
      ? { id: edited.id, x: edited.x, y: edited.y, width: edited.width, height: edited.height }
      : { id: newId(), x: 0, y: lowest, width: isSmall ? 3 : 6, height: isSmall ? 2 : 4 };
    const widget = put({ ...spot, ...values });
    settle(widget);
    order();
    touch();
    dialog.close();
    widget.element.scrollIntoView({ block: "nearest" });
    widget.element.querySelector("[data-move]").focus();
    tellPlace(widget, edited ? "changed" : "added");
  });
  form.addEventListener("click", (event) => {
    const add = event.target.closest("[data-add-row]");
    if (add) addRow(add.dataset.addRow).querySelector("[data-field]").focus();
    const remove = event.target.closest("[data-remove-row]");
    if (remove) {
      remove.closest("fieldset").querySelector("[data-add-row]").focus();
      remove.closest("[data-row]").remove();
    }
    if (event.target.closest("[data-close]")) dialog.close();
  });
  form.elements.kind.addEventListener("change", fit);
  form.elements.shows_alarm_thresholds.addEventListener("change", fit);
  document.getElementById("add-widget").addEventListener("click", () => open(null));

  board.addEventListener("click", (event) => {
    const element = event.target.closest("[data-widget]");
    if (event.target.closest("[data-edit]")) open(widgets.get(element.dataset.id));
    if (event.target.closest("[data-delete]")) {
      const widget = widgets.get(element.dataset.id);
      const title = titleOf(widget);
      endGraph(element);
      element.remove();
      widgets.delete(widget.id);
      settle(null);
      touch();
      tellUser(say("removed", { title }));
      (board.querySelector("[data-move]") || document.getElementById("add-widget")).focus();
    }
  });

  // --- saving ---------------------------------------------------------------------------------------

  const problem = document.getElementById("save-problem");

  function layout() {
    const plain = [...widgets.values()].sort(byRow).map(({ element, ...widget }) => ({
      ...widget, title: titleOf({ element }),
    }));
    return {
      name: document.getElementById("dashboard-name").value.trim(),
      environment: dashboard.environment || null,
      range_s: window.halage.range.seconds,
      widgets: plain,
    };
  }

  function refuse(error) {
    problem.querySelector("span").textContent = error.message;
    const isConflict = error.status === 409 && error.facts.version !== undefined;
    problem.querySelector("[data-over]").hidden = !isConflict;
    problem.querySelector("[data-theirs]").hidden = !isConflict;
    problem.hidden = false;
    problem.focus();
    if (isConflict) problem.dataset.version = error.facts.version;
  }

  let isSaving = false;
  async function save() {
    if (isSaving) return; // a second click would find the version of the first one
    isSaving = true;
    problem.hidden = true;
    try {
      await change("PUT", `/api/v1/dashboards/${dashboard.id}`, { ...layout(), version });
    } catch (error) {
      isSaving = false;
      refuse(error);
      return;
    }
    isChanged = false;
    const address = new URL(location.href);
    address.searchParams.delete("edit");
    address.searchParams.set("saved", "yes");
    location.assign(address);
  }

  document.getElementById("save").addEventListener("click", save);
  document.getElementById("dashboard-name").addEventListener("input", touch);
  problem.querySelector("[data-over]").addEventListener("click", () => {
    version = Number(problem.dataset.version);
    save();
  });
  problem.querySelector("[data-theirs]").addEventListener("click", () => {
    isChanged = false;
    location.reload();
  });

  const asked = new URL(location.href);
  if (asked.searchParams.has("saved")) {
    asked.searchParams.delete("saved");
    history.replaceState(null, "", asked);
    tellUser(say("saved"));
  }
  if (asked.searchParams.has("edit")) setEditing(true);
  // A graph that comes from the page of metrics.
  const brought = asked.searchParams.get("expression");
  if (brought) {
    const { kind, unit } = Object.fromEntries(asked.searchParams);
    for (const name of ["expression", "kind", "unit"]) asked.searchParams.delete(name);
    history.replaceState(null, "", asked);
    open(null, { ...EMPTY, kind: kind || "line", unit: unit || "none", lines: [{ expression: brought }] });
  }
})();
