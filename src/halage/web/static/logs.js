// The page of logs beyond what it can do without a script: local times, pause, the way back to the end,
// a time chosen with the mouse, marks where the text was found.
"use strict";

(() => {
  const list = document.getElementById("log-lines");
  const form = document.getElementById("log-search");
  const HELD_AT_MOST = 200;
  const MARKS_AT_MOST = 20000;
  const two = (number) => String(number).padStart(2, "0");

  function local(at, digits) {
    const day = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
    const time = `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
    return [day, digits ? `${time}.${String(at.getMilliseconds()).padStart(3, "0")}` : time];
  }

  // Times in the reader's zone. The texts are of the same shape as the server's.
  function localise(root) {
    for (const time of root.querySelectorAll("time[data-clock]")) {
      const text = local(new Date(time.dateTime), false).join(" ");
      if (time.textContent !== text) time.textContent = text;
    }
  }

  // Streams of one page get different colours as long as there are some: by the order in which they come.
  const colours = new Map();
  function colour(line) {
    const from = line.querySelector(".from");
    if (from === null) return;
    if (!colours.has(from.title)) colours.set(from.title, (colours.size % 8) + 1);
    from.className = `from stream-${colours.get(from.title)}`;
  }
  function localiseLine(line) {
    colour(line);
    const time = line.querySelector("time.at");
    if (time === null) return;
    const [day, clock] = local(new Date(time.dateTime), true);
    time.firstElementChild.textContent = `${day} `;
    time.lastChild.textContent = clock;
  }
  localise(document);
  document.addEventListener("htmx:sseMessage", (event) => event.target.id !== "log-lines" && localise(document));

  // The form takes moments as people see them; the address has them in UTC, and nothing that is empty.
  if (form) {
    for (const span of form.querySelectorAll("[data-utc]")) span.hidden = true;
    for (const name of ["from", "to"]) {
      const input = form.elements[name];
      if (input.dataset.at) input.value = local(new Date(input.dataset.at), false).join("T");
    }
    form.addEventListener("formdata", ({ formData }) => {
      for (const name of ["from", "to"]) {
        const typed = formData.get(name);
        if (typed) formData.set(name, new Date(typed).toISOString().replace(/\.\d+Z$/, "Z"));
      }
      if (formData.get("from") && !formData.get("to")) {
        formData.set("to", new Date().toISOString().replace(/\.\d+Z$/, "Z"));
      }
      for (const name of [...formData.keys()]) {
        const kept = formData.getAll(name).filter((value) => value !== "");
        formData.delete(name);
        // Without a place the page chooses one: the server's own log is chosen by an empty one.
        if (name === "place" && kept.length === 0) formData.append(name, "");
        for (const value of kept) formData.append(name, value);
      }
    });
  }

  // A range of time by the mouse over the bars; a click on a bar is a link and needs no script.
  const counts = document.getElementById("log-counts");
  let drag = null;
  function place(event) {
    const box = drag.bars.getBoundingClientRect();
    return Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
  }
  counts?.addEventListener("pointerdown", (event) => {
    const bars = event.target.closest(".log-bars");
    if (bars === null || event.button !== 0 || event.pointerType === "touch") return;
    event.preventDefault();
    drag = { bars, at: event.clientX, start: Number(bars.dataset.start), end: Number(bars.dataset.end) };
    drag.from = place(event);
    drag.shade = document.createElement("div");
    drag.shade.className = "log-range";
  });
  window.addEventListener("pointermove", (event) => {
    if (drag === null || Math.abs(event.clientX - drag.at) < 5) return;
    const box = drag.bars.isConnected ? drag.bars.getBoundingClientRect() : null;
    if (box === null) return stopDragging();
    const outer = counts.getBoundingClientRect();
    const [left, right] = [drag.from, place(event)].sort((one, other) => one - other);
    Object.assign(drag.shade.style, {
      left: `${box.left - outer.left + left * box.width}px`,
      width: `${(right - left) * box.width}px`,
      top: `${box.top - outer.top}px`,
      height: `${box.height}px`,
    });
    if (!drag.shade.isConnected) counts.append(drag.shade);
  });
  function stopDragging() {
    drag?.shade.remove();
    drag = null;
  }
  let isZoomed = false;
  window.addEventListener("pointerup", (event) => {
    if (drag === null) return;
    if (drag.shade.isConnected) {
      const moment = (part) => drag.start + part * (drag.end - drag.start);
      const [from, to] = [moment(drag.from), moment(place(event))].sort((one, other) => one - other);
      isZoomed = true;
      window.setTimeout(() => { isZoomed = false; }, 0);
      between(Math.floor(from), Math.max(Math.ceil(to), Math.floor(from) + 1));
    }
    stopDragging();
  });
  counts?.addEventListener("click", (event) => isZoomed && event.preventDefault(), true);
  document.addEventListener("keydown", (event) => event.key === "Escape" && stopDragging());

  const iso = (seconds) => new Date(seconds * 1000).toISOString().replace(/\.\d+Z$/, "Z");
  function addressBetween(from, to) {
    const address = new URL(location.href);
    for (const name of ["before", "trail", "range"]) address.searchParams.delete(name);
    address.searchParams.set("from", iso(from));
    address.searchParams.set("to", iso(to));
    return address;
  }
  function between(from, to) {
    location.assign(addressBetween(from, to));
  }

  // A link for others shows them these very lines, so it says from when to when.
  const share = document.getElementById("share-lines");
  if (share && navigator.clipboard) {
    share.hidden = false;
    share.addEventListener("click", async () => {
      const query = new URLSearchParams(location.search);
      const now = Math.ceil(Date.now() / 1000);
      const isFixed = query.has("from") || query.has("before");
      const address = isFixed ? location.href : addressBetween(now - Number(share.dataset.range), now).href;
      await navigator.clipboard.writeText(address);
      share.textContent = share.dataset.done;
    });
  }

  if (list === null) return;

  // Where the text was found, without touching the lines.
  const sought = list.dataset.text.toLowerCase();
  const marks = sought && window.CSS?.highlights ? new Highlight() : null;
  if (marks) CSS.highlights.set("sought", marks);
  function mark(line) {
    if (marks === null) return;
    if (marks.size > MARKS_AT_MOST) marks.clear(); // those of lines that are gone are not let go otherwise
    const walker = document.createTreeWalker(line, NodeFilter.SHOW_TEXT);
    for (let node = walker.nextNode(); node; node = walker.nextNode()) {
      if (node.parentElement.closest("time, .from, dt, a")) continue;
      const text = node.data.toLowerCase();
      for (let at = text.indexOf(sought); at >= 0; at = text.indexOf(sought, at + sought.length)) {
        const range = new StaticRange({ startContainer: node, startOffset: at, endContainer: node, endOffset: at + sought.length });
        marks.add(range);
      }
    }
  }

  // New lines while somebody reads further up are counted; the way back is one click.
  const follow = document.getElementById("follow");
  const toEnd = document.getElementById("to-end");
  const words = toEnd.textContent;
  let unread = 0;
  function look() {
    const isAtEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 24;
    if (isAtEnd) unread = 0;
    toEnd.hidden = isAtEnd;
    toEnd.textContent = unread ? toEnd.dataset.new.replace("{number}", unread) : words;
  }
  toEnd.addEventListener("click", () => {
    if (follow) follow.checked = true;
    list.scrollTop = list.scrollHeight;
    look();
    list.focus();
  });
  list.addEventListener("scroll", look, { passive: true });
  new MutationObserver((changes) => {
    for (const change of changes) {
      for (const node of change.addedNodes) {
        if (node.nodeType !== Node.ELEMENT_NODE) continue;
        localiseLine(node);
        mark(node);
        unread += 1;
      }
    }
    document.getElementById("no-lines")?.remove();
    look();
  }).observe(list, { childList: true });
  for (const line of list.children) {
    localiseLine(line);
    mark(line);
  }
  list.scrollTop = list.scrollHeight;
  look();

  // Pause: what comes is held back, the last of it; going on shows it.
  const pause = document.getElementById("pause");
  const said = document.getElementById("held");
  if (pause === null) return;
  const held = [];
  let count = 0;
  const isPaused = () => pause.getAttribute("aria-pressed") === "true";
  pause.hidden = false;
  document.addEventListener("htmx:sseBeforeMessage", (event) => {
    if (event.target !== list || event.defaultPrevented || !isPaused()) return;
    event.preventDefault();
    held.push(event.detail.data);
    if (held.length > HELD_AT_MOST) held.shift();
    count += (event.detail.data.match(/class="log-line/g) || []).length;
    said.textContent = pause.dataset.more.replace("{number}", count);
  });
  pause.addEventListener("click", () => {
    pause.setAttribute("aria-pressed", String(!isPaused()));
    if (isPaused()) return;
    list.insertAdjacentHTML("beforeend", held.splice(0).join(""));
    while (list.childElementCount > Number(list.dataset.limit)) list.firstElementChild.remove();
    count = 0;
    said.textContent = "";
    if (follow?.checked) list.scrollTop = list.scrollHeight;
  });
})();
