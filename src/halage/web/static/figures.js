// What a graph shows without axes: numbers, gauges, tables; and the numbers beside every graph.
"use strict";

(() => {
  const { iso, moment, say } = window.halage;
  const ROWS = 300;
  const shortTime = new Intl.DateTimeFormat(document.documentElement.lang, {
    month: "short", day: "numeric", hour: "2-digit", minute: "2-digit",
  });

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
        cell.append(make("div", { class: "figure-value" }, this.write(latest(line.values))));
        if (this.lines.length > 1 || this.widget.lines[0].label) cell.append(make("div", { class: "figure-name" }, line.label));
        const spark = this.spark(line);
        if (spark) cell.append(spark);
        return cell;
      });
      this.plot.replaceChildren(make("div", { class: "figures" }, ...cells));
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
      const isOver = value !== null && this.widget.thresholds.some((threshold) => value >= threshold.value);
      const drawn = [draw("path", { d: arc, class: "gauge-track", pathLength: 100 })];
      if (value !== null && part(value) > 0) {
        drawn.push(draw("path", { d: arc, class: isOver ? "gauge-fill is-over" : "gauge-fill", pathLength: 100, "stroke-dasharray": `${100 * part(value)} 200` }));
      }
      for (const threshold of this.widget.thresholds) {
        const turn = Math.PI * (1 - part(threshold.value));
        const at = (radius) => `${(55 + radius * Math.cos(turn)).toFixed(2)} ${(55 - radius * Math.sin(turn)).toFixed(2)}`;
        drawn.push(draw("path", { d: `M${at(37)} L${at(53)}`, class: "gauge-mark" }));
      }
      const figure = make("div", { class: isOver ? "gauge-value is-over" : "gauge-value" }, this.write(value));
      const svg = draw("svg", { viewBox: "0 0 110 60", class: "gauge", "aria-hidden": "true" }, ...drawn);
      this.plot.replaceChildren(make("div", { class: "gauge-box" }, svg, figure));
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
      if (this.numbers.hidden || !this.lines) return;
      const tables = this.lines.map((line) => [line.at, line.values]);
      const [at, ...columns] = tables.length ? uPlot.join(tables) : [[]];
      const head = make("tr", {}, make("th", { scope: "col" }, say("time")), ...this.lines.map((line) => make("th", { scope: "col", class: "num" }, line.label)));
      const rows = [];
      for (let i = at.length - 1; i >= 0 && rows.length < ROWS; i--) {
        if (!columns.some((column) => column[i] !== null && column[i] !== undefined)) continue;
        const cells = columns.map((column) => make("td", { class: "num" }, this.write(column[i])));
        rows.push(make("tr", {}, make("th", { scope: "row" }, shortTime.format(at[i] * 1000)), ...cells));
      }
      const table = make("table", { class: "list is-plain" }, make("thead", {}, head), make("tbody", {}, ...rows));
      const parts = [table];
      if (this.marks.length) {
        parts.push(make("ul", { class: "marks" }, ...this.marks.map((mark) => make("li", {}, say("deployment", {
          number: mark.release.number, state: say(`state_${mark.state}`), at: moment.format(mark.at * 1000),
        })))));
      }
      const links = this.widget.lines.map((line) => make("a", { href: address(line.expression, this.window, this.widget.period_s, { format: "csv" }), download: "" }, say("csv", { label: line.label || this.title })));
      parts.push(make("p", { class: "csv" }, ...links));
      this.numbers.replaceChildren(...parts);
    },
  };

  Object.assign(window.halage, { address, figures, known, latest, make });
})();
