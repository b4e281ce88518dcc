// Graphs: a widget's expressions asked of the API, drawn, and told in words and numbers.
"use strict";

(() => {
  const { address, ask, known, latest, make, moment, say, shown, watchers, write, zoom, unzoom, WEEK_S } = window.halage;
  const SERIES = 8;

  function colour(name) {
    return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  }

  const seconds = (moment_) => (typeof moment_ === "number" ? moment_ : Date.parse(moment_) / 1000);

  // Deployments of the dashboard's environment: asked once for all graphs of the page.
  let deployments = { at: 0, promise: null };
  function deploymentsOf(project, environment) {
    if (!project || !environment) return Promise.resolve([]);
    if (Date.now() - deployments.at > 9000) {
      const path = `/api/v1/projects/${project}/environments/${environment}/deployments?limit=200`;
      deployments = { at: Date.now(), promise: ask(path).catch(() => []) };
    }
    return deployments.promise;
  }

  class Graph {
    constructor(element) {
      this.element = element;
      this.widget = JSON.parse(element.dataset.widget);
      this.title = element.querySelector(".widget-title").textContent;
      this.body = element.querySelector(".widget-body");
      this.plot = element.querySelector(".plot");
      this.legend = element.querySelector(".legend");
      this.numbers = element.querySelector(".numbers");
      this.problem = element.querySelector(".widget-problem");
      this.hidden = new Set();
      this.lines = null;
      this.asked = 0;
      this.watch = () => this.load();
      watchers.add(this.watch);
      this.size = new ResizeObserver(() => this.resize());
      this.size.observe(this.plot);
      this.listen();
      this.load();
    }

    end() {
      watchers.delete(this.watch);
      this.size.disconnect();
      if (this.chart) this.chart.destroy();
    }

    get isDrawn() {
      return ["line", "stacked", "bar"].includes(this.widget.kind);
    }

    async load() {
      const number = ++this.asked;
      const window_ = shown();
      this.element.setAttribute("aria-busy", "true");
      try {
        const { project, environment } = window.halage.dashboard;
        const [lines, marks] = await Promise.all([
          this.askLines(window_),
          this.widget.shows_deployments ? deploymentsOf(project, environment) : [],
        ]);
        if (number !== this.asked) return; // a newer question is under way
        this.window = window_;
        this.lines = lines;
        this.marks = marks
          .map((each) => ({ ...each, at: seconds(each.finished_at || each.started_at || each.created_at) }))
          .filter((each) => each.at >= window_.from && each.at <= window_.to);
        this.tell(this.problems.join(" "));
        this.show();
      } catch (error) {
        if (number === this.asked) this.tell(error.message);
      }
      if (number === this.asked) this.element.removeAttribute("aria-busy");
    }

    async askLines(window_) {
      const { lines, period_s: period, shows_week_before: isCompared } = this.widget;
      const before = { from: window_.from - WEEK_S, to: window_.to - WEEK_S };
      const asked = lines.map((line) => ask(address(line.expression, window_, period)));
      const compared = isCompared ? lines.map((line) => ask(address(line.expression, before, period))) : [];
      const answers = await Promise.all([...asked, ...compared]);
      this.problems = [...new Set(answers.flatMap((answer) => answer.problems || []))];
      return answers.flatMap((answer, index) => {
        const isBefore = index >= lines.length;
        const own = lines[index % lines.length].label;
        return answer.lines.map((line, place) => ({
          label: this.labelOf(own, line, answer.lines.length, isBefore),
          at: line.values.map((_, i) => seconds(answer.start) + i * answer.period_s + (isBefore ? WEEK_S : 0)),
          values: line.values,
          isBefore,
          colour: isBefore ? place + index - lines.length : null,
        }));
      });
    }

    labelOf(own, line, count, isBefore) {
      const label = own ? (count > 1 ? `${own} ${line.label}` : own) : line.label;
      return isBefore ? say("week_before", { label }) : label;
    }

    tell(text) {
      this.problem.textContent = text;
      this.problem.hidden = !text;
    }

    show() {
      this.colours = Array.from({ length: SERIES }, (_, index) => colour(`--series-${index + 1}`));
      this.lines.forEach((line, index) => {
        line.place = (line.colour ?? index) % SERIES;
      });
      const isEmpty = !this.lines.some((line) => known(line.values).length);
      this.element.querySelector(".widget-empty").hidden = !isEmpty || !this.problem.hidden;
      if (this.isDrawn) this.showPlot();
      else if (this.widget.kind === "number") this.showNumber();
      else if (this.widget.kind === "gauge") this.showGauge();
      else this.showTable();
      this.showLegend();
      this.showNumbers();
      this.summarize();
    }

    // What a line drawing says, in one sentence.
    summarize() {
      const said = this.lines.filter((line) => !line.isBefore).slice(0, 8).map((line) => {
        const values = known(line.values);
        if (!values.length) return say("line_empty", { label: line.label });
        return say("line_summary", {
          label: line.label,
          latest: this.write(values.at(-1)),
          lowest: this.write(Math.min(...values)),
          highest: this.write(Math.max(...values)),
        });
      });
      this.element.querySelector(".widget-summary").textContent = said.join(" ");
    }

    write(value) {
      return write(value, this.widget.unit);
    }

    // --- line, stacked, bar -----------------------------------------------------------------------

    table() {
      const tables = this.lines.map((line) => [line.at, line.values]);
      const joined = tables.length ? uPlot.join(tables) : [[]];
      this.raw = joined.slice(1);
      if (this.widget.kind === "line") return joined;
      const sums = new Array(joined[0].length).fill(0);
      const stacked = this.raw.map((values, index) => values.map((value, i) => {
        if (this.hidden.has(this.lines[index].label)) return null;
        if (value !== null && value !== undefined) sums[i] += value;
        return value === null || value === undefined ? (sums[i] ? sums[i] : null) : sums[i];
      }));
      // The top of the stack is drawn first, and what lies below it over it.
      return [joined[0], ...stacked.reverse()];
    }

    // The lines in the order in which the drawing has them.
    ordered() {
      return this.widget.kind === "line" ? this.lines : [...this.lines].reverse();
    }

    showPlot() {
      const data = this.table();
      const key = JSON.stringify([this.lines.map((line) => line.label), this.colours]);
      const scale = { min: this.window.from, max: this.window.to };
      if (this.chart && key === this.key) {
        this.chart.batch(() => {
          this.chart.setData(data, false);
          this.chart.setScale("x", scale);
        });
        return;
      }
      if (this.chart) this.chart.destroy();
      this.key = key;
      this.chart = new uPlot(this.options(), data, this.plot);
      this.chart.setScale("x", scale);
      for (const line of this.lines) if (this.hidden.has(line.label)) this.toggle(line, false);
    }

    options() {
      const grid = { stroke: colour("--graph-grid"), width: 1 };
      const axis = { stroke: colour("--soft"), grid, ticks: { ...grid, size: 4 }, font: "12px system-ui, sans-serif" };
      const lang = document.documentElement.lang;
      const time = (options) => new Intl.DateTimeFormat(lang, options);
      const day = time({ month: "short", day: "numeric" });
      const clock = time({ hour: "2-digit", minute: "2-digit", hour12: false });
      const precise = time({ hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });
      return {
        width: Math.max(this.plot.clientWidth, 40),
        height: Math.max(this.plot.clientHeight, 40),
        legend: { show: false },
        padding: [8, 8, 0, 0],
        cursor: {
          sync: { key: "dashboard" },
          drag: { x: true, y: false, setScale: false },
          points: { size: 7 },
          y: false,
        },
        scales: { x: { time: true, auto: false }, y: { range: (_, low, high) => this.span(low, high) } },
        axes: [
          {
            ...axis, space: 70, size: 32,
            values: (_, splits, __, ___, step) => splits.map((at, index) => {
              const date = new Date(at * 1000);
              if (step >= 86400) return day.format(date);
              const isFirst = index === 0 || new Date(splits[index - 1] * 1000).getDate() !== date.getDate();
              const text = step < 60 ? precise.format(date) : clock.format(date);
              return isFirst && this.window.to - this.window.from > 43200 ? `${text}\n${day.format(date)}` : text;
            }),
          },
          {
            ...axis, space: 34,
            // Bytes are counted in powers of two: so are the steps of their axis.
            ...(this.widget.unit === "bytes" ? { incrs: Array.from({ length: 50 }, (_, power) => 2 ** power) } : {}),
            values: (_, splits) => splits.map((value) => this.write(value)),
            size: (_, values) => 16 + 7 * Math.max(3, ...(values || []).map((value) => value.length)),
          },
        ],
        series: [{}, ...this.ordered().map((line) => this.series(line))],
        hooks: {
          drawClear: [(chart) => this.paintMarks(chart)],
          draw: [(chart) => this.paintThresholds(chart)],
          setSelect: [(chart) => this.select(chart)],
          setCursor: [(chart) => this.point(chart.cursor.idx)],
        },
      };
    }

    series(line) {
      const stroke = this.colours[line.place];
      const base = { label: line.label, stroke, width: 2, points: { show: this.hasGaps(line) }, spanGaps: false };
      if (line.isBefore) return { ...base, dash: [6, 5], width: 1.5, points: { show: false } };
      if (this.widget.kind === "stacked") return { ...base, width: 1, fill: stroke, points: { show: false } };
      if (this.widget.kind === "bar") {
        const paths = uPlot.paths.bars({ size: [0.85, 48], align: 1 });
        return { ...base, width: 0, fill: stroke, points: { show: false }, paths };
      }
      return base;
    }

    // A value between two that are missing would be a line without length: it gets a point.
    hasGaps(line) {
      const { values } = line;
      const is = (i) => values[i] !== null && values[i] !== undefined;
      return values.length < 40 && values.some((_, i) => is(i) && !is(i - 1) && !is(i + 1));
    }

    span(low, high) {
      const levels = this.widget.thresholds.map((threshold) => threshold.value);
      const all = [low, high, ...levels].filter((value) => value !== null && Number.isFinite(value));
      let bottom = Math.min(...all, Infinity);
      let top = Math.max(...all, -Infinity);
      if (!Number.isFinite(bottom)) [bottom, top] = [0, 1];
      const isStack = this.widget.kind !== "line";
      bottom = this.widget.minimum ?? (bottom >= 0 || isStack ? Math.min(0, bottom) : bottom - (top - bottom) * 0.05);
      top = this.widget.maximum ?? (top > bottom ? top + (top - bottom) * 0.08 : bottom + 1);
      return [bottom, Math.max(top, bottom + 1e-9)];
    }

    paintThresholds(chart) {
      const { ctx, bbox } = chart;
      const ratio = devicePixelRatio;
      ctx.save();
      ctx.strokeStyle = ctx.fillStyle = colour("--bad");
      ctx.textAlign = "left";
      ctx.lineWidth = 1.5 * ratio;
      ctx.font = `${11 * ratio}px system-ui, sans-serif`;
      for (const threshold of this.widget.thresholds) {
        const y = Math.round(chart.valToPos(threshold.value, "y", true));
        if (y < bbox.top || y > bbox.top + bbox.height) continue;
        ctx.setLineDash([7 * ratio, 4 * ratio]);
        ctx.beginPath();
        ctx.moveTo(bbox.left, y);
        ctx.lineTo(bbox.left + bbox.width, y);
        ctx.stroke();
        const text = threshold.label || this.write(threshold.value);
        ctx.fillText(text, bbox.left + 4 * ratio, y < bbox.top + 16 * ratio ? y + 13 * ratio : y - 4 * ratio);
      }
      ctx.restore();
    }

    // Deployments: a line with a foot, so that they are told from the grid without colours.
    paintMarks(chart) {
      const { ctx, bbox } = chart;
      const ratio = devicePixelRatio;
      const places = this.marks.map((mark) => Math.round(chart.valToPos(mark.at, "x", true))).sort((a, b) => a - b);
      ctx.save();
      ctx.font = `${11 * ratio}px system-ui, sans-serif`;
      ctx.textAlign = "left";
      for (const mark of [...this.marks].sort((a, b) => a.at - b.at)) {
        const x = Math.round(chart.valToPos(mark.at, "x", true));
        ctx.strokeStyle = ctx.fillStyle = colour(mark.state === "succeeded" ? "--graph-mark" : "--bad");
        ctx.lineWidth = 1.5 * ratio;
        ctx.setLineDash([2 * ratio, 3 * ratio]);
        ctx.beginPath();
        ctx.moveTo(x, bbox.top);
        ctx.lineTo(x, bbox.top + bbox.height);
        ctx.stroke();
        ctx.beginPath();
        const foot = bbox.top + bbox.height;
        ctx.moveTo(x, foot - 7 * ratio);
        ctx.lineTo(x - 5 * ratio, foot);
        ctx.lineTo(x + 5 * ratio, foot);
        ctx.fill();
        const text = `v${mark.release.number}`;
        const next = places.find((place) => place > x) ?? bbox.left + bbox.width;
        if (x + ctx.measureText(text).width + 6 * ratio < next) ctx.fillText(text, x + 4 * ratio, bbox.top + 10 * ratio);
      }
      ctx.restore();
    }

    resize() {
      if (this.chart && this.plot.clientWidth > 40 && this.plot.clientHeight > 40) {
        this.chart.setSize({ width: this.plot.clientWidth, height: this.plot.clientHeight });
      }
    }

    select(chart) {
      const { left, width } = chart.select;
      if (width < 5) return;
      const [from, to] = [chart.posToVal(left, "x"), chart.posToVal(left + width, "x")];
      chart.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
      zoom(from, to);
    }

    // The values where the pointer (or the keyboard) is.
    point(index) {
      this.index = index;
      const at = index === null || index === undefined ? null : this.chart?.data[0][index];
      this.lines.forEach((line, place) => {
        const figure = this.legend.children[place]?.querySelector(".legend-value");
        if (figure) figure.textContent = this.write(at === null ? latest(line.values) : this.raw[place][index]);
      });
    }

    listen() {
      this.plot.addEventListener("keydown", (event) => this.key_(event));
      const button = this.element.querySelector("[data-numbers]");
      button.addEventListener("click", () => {
        const isShown = button.getAttribute("aria-expanded") === "true";
        button.setAttribute("aria-expanded", String(!isShown));
        this.numbers.hidden = isShown;
        this.showNumbers();
      });
    }

    key_(event) {
      if (!this.chart || event.ctrlKey || event.metaKey || event.altKey) return;
      const last = this.chart.data[0].length - 1;
      const index = this.index ?? last;
      const step = event.shiftKey ? 10 : 1;
      const moves = {
        ArrowLeft: () => this.go(Math.max(0, index - step)),
        ArrowRight: () => this.go(Math.min(last, index + step)),
        Home: () => this.go(0),
        End: () => this.go(last),
        "+": () => this.scale(0.5),
        "=": () => this.scale(0.5),
        "-": () => this.scale(2),
        Escape: () => unzoom(),
        0: () => unzoom(),
      };
      const move = moves[event.key];
      if (!move) return;
      event.preventDefault();
      move();
    }

    go(index) {
      const at = this.chart.data[0][index];
      if (at === undefined) return;
      this.chart.setCursor({ left: this.chart.valToPos(at, "x"), top: 10 });
      this.point(index);
      const values = this.lines.slice(0, 8).map((line, place) => `${line.label} ${this.write(this.raw[place][index])}`);
      window.halage.tellUser(`${moment.format(at * 1000)}: ${values.join(", ")}`);
    }

    scale(factor) {
      const { from, to } = shown();
      const at = this.index === null || this.index === undefined ? (from + to) / 2 : this.chart.data[0][this.index];
      const half = ((to - from) * factor) / 2;
      const now = Date.now() / 1000;
      zoom(at - half, Math.max(at - half + 10, Math.min(at + half, now)));
      const { from: begin, to: end } = shown();
      window.halage.tellUser(say("from_to", { from: moment.format(begin * 1000), to: moment.format(end * 1000) }));
    }

    toggle(line, isToggled = true) {
      if (isToggled) {
        if (this.hidden.has(line.label)) this.hidden.delete(line.label);
        else this.hidden.add(line.label);
      }
      const index = this.ordered().indexOf(line) + 1;
      this.chart.setSeries(index, { show: !this.hidden.has(line.label) });
      if (this.widget.kind !== "line") this.chart.setData(this.table(), false), this.chart.redraw(true);
    }

    // --- the legend -------------------------------------------------------------------------------

    showLegend() {
      if (!this.isDrawn) return;
      const focused = [...this.legend.children].findIndex((item) => item.contains(document.activeElement));
      this.legend.replaceChildren(...this.lines.map((line) => {
        const swatch = make("span", { class: `swatch series-${line.place + 1}${line.isBefore ? " is-before" : ""}`, "aria-hidden": "true" });
        const value = make("span", { class: "legend-value" }, this.write(latest(line.values)));
        const button = make("button", { type: "button", class: "legend-line" }, swatch, make("span", { class: "legend-name" }, line.label), value);
        button.setAttribute("aria-pressed", String(!this.hidden.has(line.label)));
        button.addEventListener("click", () => {
          this.toggle(line);
          button.setAttribute("aria-pressed", String(!this.hidden.has(line.label)));
        });
        return make("li", {}, button);
      }));
      if (focused >= 0) this.legend.children[focused]?.firstElementChild.focus();
    }
  }

  Object.assign(Graph.prototype, window.halage.figures);

  const graphs = new Map();
  function begin(element) {
    graphs.get(element)?.end();
    graphs.set(element, new Graph(element));
  }
  function end(element) {
    graphs.get(element)?.end();
    graphs.delete(element);
  }
  for (const element of document.querySelectorAll("[data-widget].has-lines")) begin(element);
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    for (const graph of graphs.values()) ;
  });
  Object.assign(window.halage, { beginGraph: begin, endGraph: end });
})();
