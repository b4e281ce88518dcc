// What a graph shows without axes: numbers, gauges, tables; and the numbers beside every graph.
"use strict";

(() => {
  const { iso, say, shortMoment } = window.halage;
  const ROWS = 300;

  function make(tag, attributes = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.append(...children);
    return element;
  }

  function draw(tag, attributes, ...children) {
    const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.append(...children);
    return element;
  }

  const BREACHES = {
    ">": (value, bound) => value > bound,
    ">=": (value, bound) => value >= bound,
    "<": (value, bound) => value < bound,
    "<=": (value, bound) => value <= bound,
  };
  const SIGNS = { ">": ">", ">=": "≥", "<": "<", "<=": "≤" };
  const known = (values) => values.filter((value) => value !== null && value !== undefined);
  const latest = (values) => known(values).at(-1) ?? null;

  function address(expression, window_, period, more = {}) {
    const query = new URLSearchParams({ expression, from: iso(window_.from), to: iso(window_.to), ...more });
    if (period) query.set("period", String(period));
    return `/api/v1/metrics/query?${query}`;
  }

  // Methods of every graph: graph.js takes them over.
  const figures = {
    // --- number, gauge, table ---------------------------------------------------------------------

    showNumber() {
      const cells = this.lines.slice(0, 6).map((line) => {
        const cell = make("div", { class: "figure" });
        const value = latest(line.values);
        const past = this.past(value);
        const classes = ["figure-value", past ? "is-over" : "", line.oldSince ? "is-old" : ""];
        cell.append(make("div", { class: classes.join(" ").trim() }, this.write(value)));
        if (this.lines.length > 1 || this.widget.lines[0].label) cell.append(make("div", { class: "figure-name" }, line.label));
        const note = this.noteOf(line, past);
        if (note) cell.append(make("div", { class: past ? "figure-note is-over" : "figure-note" }, note));
        const spark = this.spark(line);
        if (spark) cell.append(spark);
        return cell;
      });
      this.plot.replaceChildren(make("div", { class: cells.length > 1 ? "figures is-many" : "figures" }, ...cells));
    },

    // The threshold that a value is past, if any.
    past(value) {
      return value === null ? undefined : this.levels.find((level) => BREACHES[level.operator](value, level.value));
    },

    // What must be said of a latest value: that it is old, or past a threshold.
    noteOf(line, past) {
      const notes = [];
      if (past) notes.push(this.writeLevel(past));
      if (line.oldSince) notes.push(say("last_at", { at: shortMoment.format(line.oldSince * 1000) }));
      return notes.join(" · ");
    },

    writeLevel(level) {
      const bound = `${SIGNS[level.operator]} ${this.write(level.value)}`;
      return level.label ? `${level.label}: ${bound}` : bound;
    },

    spark(line) {
      const values = known(line.values);
      if (values.length < 2) return null;
      const low = Math.min(...values), high = Math.max(...values), last = line.values.length - 1;
      const points = line.values
        .map((value, i) => (value === null || value === undefined ? null
          : `${((100 * i) / last).toFixed(2)},${(high > low ? 28 - (26 * (value - low)) / (high - low) : 15).toFixed(2)}`))
        .filter((point) => point !== null);
      const drawing = draw("polyline", { points: points.join(" "), class: `spark series-${line.place + 1}`, "vector-effect": "non-scaling-stroke" });
      return draw("svg", { viewBox: "0 0 100 30", preserveAspectRatio: "none", class: "sparkline", "aria-hidden": "true" }, drawing);
    },

    showGauge() {
      const line = this.lines[0];
      const value = line ? latest(line.values) : null;
      const low = this.widget.minimum ?? 0;
      const high = this.widget.maximum ?? Math.max(100, ...known(line ? line.values : []));
      const part = (number) => Math.min(1, Math.max(0, (number - low) / (high - low)));
      const arc = "M10 55 A45 45 0 0 1 100 55";
      const over = this.past(value);
      const isOver = over !== undefined;
      const drawn = [draw("path", { d: arc, class: "gauge-track", pathLength: 100 })];
      if (value !== null && part(value) > 0) {
        drawn.push(draw("path", { d: arc, class: isOver ? "gauge-fill is-over" : "gauge-fill", pathLength: 100, "stroke-dasharray": `${100 * part(value)} 200` }));
      }
      for (const threshold of this.levels.filter((level) => level.value >= low && level.value <= high)) {
        const turn = Math.PI * (1 - part(threshold.value));
        const at = (radius) => `${(55 + radius * Math.cos(turn)).toFixed(2)} ${(55 - radius * Math.sin(turn)).toFixed(2)}`;
        drawn.push(draw("path", { d: `M${at(37)} L${at(53)}`, class: "gauge-mark" }));
      }
      const figure = make("div", { class: isOver ? "gauge-value is-over" : "gauge-value" }, this.write(value));
      const svg = draw("svg", { viewBox: "0 0 110 60", class: "gauge", "aria-hidden": "true" }, ...drawn);
      const box = make("div", { class: "gauge-box" }, svg, figure);
      const note = line ? this.noteOf(line, over) : "";
      if (note) figure.classList.add("has-note");
      this.plot.replaceChildren(box, ...(note ? [make("div", { class: isOver ? "figure-note is-over" : "figure-note" }, note)] : []));
    },

    showTable() {
      const names = ["latest", "average", "lowest", "highest"];
      const head = make("tr", {}, make("th", { scope: "col" }, say("line")), ...names.map((name) => make("th", { scope: "col", class: "num" }, say(name))));
      const rows = this.lines.map((line) => {
        const values = known(line.values);
        const average = values.length ? values.reduce((sum, value) => sum + value, 0) / values.length : null;
        const ends = values.length ? [Math.min(...values), Math.max(...values)] : [null, null];
        const cells = [latest(line.values), average, ...ends].map((value) => make("td", { class: "num" }, this.write(value)));
        return make("tr", {}, make("th", { scope: "row" }, line.label), ...cells);
      });
      const table = make("table", { class: "list is-plain" }, make("thead", {}, head), make("tbody", {}, ...rows));
      this.plot.replaceChildren(table);
    },

    // --- the numbers beside the graph -------------------------------------------------------------

    showNumbers() {
      // Who reads or uses them keeps them as they are.
      if (this.numbers.hidden || !this.lines || this.numbers.contains(document.activeElement)) return;
      const tables = this.lines.map((line) => [line.at, line.values]);
      const [at, ...columns] = tables.length ? uPlot.join(tables) : [[]];
      const head = make("tr", {}, make("th", { scope: "col" }, say("time")), ...this.lines.map((line) => make("th", { scope: "col", class: "num" }, line.label)));
      const rows = [];
      for (let i = at.length - 1; i >= 0 && rows.length < ROWS; i--) {
        if (!columns.some((column) => column[i] !== null && column[i] !== undefined)) continue;
        const cells = columns.map((column) => make("td", { class: "num" }, this.write(column[i])));
        rows.push(make("tr", {}, make("th", { scope: "row" }, shortMoment.format(at[i] * 1000)), ...cells));
      }
      const table = make("table", { class: "list is-plain" }, make("thead", {}, head), make("tbody", {}, ...rows));
      const parts = [table];
      if (this.marks.length) {
        parts.push(make("ul", { class: "marks" }, ...this.marks.map((mark) => make("li", {}, mark.text))));
      }
      if (this.levels.length) parts.push(make("ul", { class: "marks" }, ...this.levels.map((level) => make("li", {}, say("threshold", { level: this.writeLevel(level) })))));
      const links = this.widget.lines.map((line) => make("a", { href: address(line.expression, this.window, this.widget.period_s, { format: "csv" }), download: "" }, say("csv", { label: line.label || this.title })));
      parts.push(make("p", { class: "csv" }, ...links));
      this.numbers.replaceChildren(...parts);
    },
  };

  // The numbers of what is shown now, as a file.
  document.addEventListener("click", (event) => {
    const link = event.target.closest("[data-download]");
    if (link) link.href = address(link.dataset.expression, window.halage.shown(), null, { format: link.dataset.download });
  });

  Object.assign(window.halage, { address, figures, known, latest, make });
})();
