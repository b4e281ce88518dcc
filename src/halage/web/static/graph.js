// Graphs: a widget's expressions asked of the API, drawn, and told in words and numbers.
"use strict";

(() => {
  const {
    address, ask, colour, formatOf, happened, known, latest, make, moment, say, shortMoment, shown, watchers, write, zone, zoom, unzoom, WEEK_S,
  } = window.halage;
  const SERIES = 8;
  const DASHES = [[], [9, 4], [3, 3], [12, 3, 3, 3]];
  const MOST_DRAWN = 60;
  const LATE_S = 3;
  // What is counted: the value of a period that is still open is less than it will be.
  const COUNTED = /\b(sum|samples)\s*\(/;
  const WHOLE_STEPS = [1, 2, 5].flatMap((step) => Array.from({ length: 12 }, (_, power) => step * 10 ** power)).sort((a, b) => a - b);
  const BINARY_STEPS = Array.from({ length: 50 }, (_, power) => 2 ** power);

  const seconds = (moment_) => (typeof moment_ === "number" ? moment_ : Date.parse(moment_) / 1000);

  const is = (value) => value !== null && value !== undefined;

  // Where values are, and from how many periods to how many they usually come.
  function rhythm(values) {
    const places = values.flatMap((value, i) => (is(value) ? [i] : []));
    const steps = places.slice(1).map((place, i) => place - places[i]).sort((a, b) => a - b);
    return { places, usual: steps[Math.floor(steps.length / 2)] ?? 1 };
  }

  // Who sends once a minute has no value in most periods of 10 s. Between values that come as often as they
  // usually do a line is drawn (undefined); where more than one of them is missing there is a gap (null).
  function joined(values, places, usual) {
    if (usual < 2) return values;
    const filled = [...values];
    places.slice(1).forEach((place, i) => {
      if (place - places[i] < 2 * usual) filled.fill(undefined, places[i] + 1, place);
    });
    return filled;
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
      const byHand = this.widget.thresholds.map((threshold) => ({ ...threshold, operator: ">=", isByHand: true }));
      this.levels = [...byHand, ...JSON.parse(element.dataset.levels || "[]")];
      this.tip = make("div", { class: "tip", "aria-hidden": "true" });
      this.tip.hidden = true;
      this.lines = null;
      this.asked = 0;
      this.watch = (reason) => (reason === "scheme" ? this.recolour() : this.load());
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

    get isEmpty() {
      return !this.lines.some((line) => known(line.values).length);
    }

    async load() {
      const number = ++this.asked;
      const window_ = shown();
      this.element.setAttribute("aria-busy", "true");
      try {
        const { project, environment } = window.halage.dashboard;
        const [lines, { marks, problem }] = await Promise.all([
          this.askLines(window_),
          this.widget.shows_deployments ? happened(project, environment, window_) : { marks: [], problem: "" },
        ]);
        if (number !== this.asked) return; // a newer question is under way
        this.window = window_;
        this.lines = lines;
        this.marks = marks;
        this.of = Date.now();
        // A made-by-itself graph asks for what may not have been measured yet: that there is nothing says it all.
        const problems = window.halage.dashboard.version === "0" && this.isEmpty ? [] : this.problems;
        this.tell([problem, this.cut, ...problems].filter(Boolean).join(" "), { isOwn: !problems.length });
        this.show();
      } catch (error) {
        if (number === this.asked) this.fail(error);
      }
      if (number === this.asked) this.element.removeAttribute("aria-busy");
    }

    // What was drawn stays; that it is old is said.
    fail(error) {
      const isOld = error.isAway && this.of;
      const text = isOld ? say("unreachable_since", { at: moment.format(this.of) }) : error.message;
      this.tell(text, { isError: true, isOwn: error.isOwn });
      if (!isOld) this.element.querySelector(".widget-empty").hidden = true;
    }

    async askLines(window_) {
      const { lines, period_s: period, shows_week_before: isCompared } = this.widget;
      const before = { from: window_.from - WEEK_S, to: window_.to - WEEK_S };
      const asked = lines.map((line) => ask(address(line.expression, window_, period)));
      const compared = isCompared ? lines.map((line) => ask(address(line.expression, before, period))) : [];
      const [answers, earlier] = await Promise.all([Promise.all(asked), Promise.all(compared)]);
      this.problems = [...new Set(answers.flatMap((answer) => answer.problems || []))];
      const now = answers.flatMap((answer, index) => this.linesOf(answer, index, false));
      const drawn = this.mostOf(now);
      const places = new Map(drawn.map((line, place) => [line.key, place]));
      // A week ago is compared with what is there now, in its colour.
      const old = earlier.flatMap((answer, index) => this.linesOf(answer, index, true)).filter((line) => places.has(line.key));
      return [...drawn, ...old.map((line) => ({ ...line, colour: places.get(line.key) }))];
    }

    linesOf(answer, index, isBefore) {
      const { label: own, expression } = this.widget.lines[index];
      const start = seconds(answer.start) + (isBefore ? WEEK_S : 0);
      const now = Date.now() / 1000;
      const isOpen = (i) => !isBefore && COUNTED.test(expression) && start + (i + 1) * answer.period_s > now - LATE_S;
      return answer.lines.map((line) => {
        const known_ = line.values.map((value, i) => (isOpen(i) ? null : value));
        const { places, usual } = rhythm(known_);
        const values = joined(known_, places, usual);
        const at = values.map((_, i) => start + i * answer.period_s);
        return {
          key: `${index} ${line.label}`, label: this.labelOf(own, line, answer.lines.length, isBefore),
          at, values, isBefore, colour: null, oldSince: isBefore ? null : this.oldSince(at[places.at(-1)], usual * answer.period_s),
        };
      });
    }

    // The moment of the latest value, when it is so old that it says nothing of the end of what is shown.
    oldSince(last, usually_s) {
      if (last === undefined) return null;
      const end = Math.min(shown().to, Date.now() / 1000);
      return end - (last + usually_s) > Math.max(3 * usually_s, 60) ? last : null;
    }

    // More lines than anybody can tell apart: those with the highest values are drawn, and it is said.
    mostOf(lines) {
      this.cut = "";
      if (lines.length <= MOST_DRAWN || !this.isDrawn) return lines;
      this.cut = say("too_many", { shown: MOST_DRAWN, found: lines.length });
      const height = new Map(lines.map((line) => [line, Math.max(...known(line.values), -Infinity)]));
      const kept = new Set([...lines].sort((a, b) => height.get(b) - height.get(a)).slice(0, MOST_DRAWN));
      return lines.filter((line) => kept.has(line));
    }

    labelOf(own, line, count, isBefore) {
      const label = own ? (count > 1 ? `${own} ${line.label}` : own) : line.label;
      return isBefore ? say("week_before", { label }) : label;
    }

    tell(text, { isError = false, isOwn = false } = {}) {
      this.problem.textContent = text;
      this.problem.hidden = !text;
      this.problem.classList.toggle("is-error", isError);
      this.problem.lang = isOwn ? document.documentElement.lang : "en";
    }

    // Light or dark has changed: what is known is drawn anew, without asking again.
    recolour() {
      if (this.lines) this.show();
    }

    show() {
      this.colours = Array.from({ length: SERIES }, (_, index) => colour(`--series-${index + 1}`));
      this.lines.forEach((line, index) => {
        const turn = line.colour ?? index;
        line.place = turn % SERIES;
        line.dash = DASHES[Math.floor(turn / SERIES) % DASHES.length];
      });
      this.element.querySelector(".widget-empty").hidden = !this.isEmpty || !this.problem.hidden;
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
        const old = line.oldSince ? ` ${say("line_old", { at: shortMoment.format(line.oldSince * 1000) })}` : "";
        return say("line_summary", {
          label: line.label,
          latest: this.write(values.at(-1)),
          lowest: this.write(Math.min(...values)),
          highest: this.write(Math.max(...values)),
        }) + old;
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
      const isArea = this.widget.kind === "stacked";
      const stacked = this.raw.map((values, index) => {
        let before = null;
        return values.map((value, i) => {
          if (this.hidden.has(this.lines[index].label)) return null;
          // Between two values of a line that comes seldom, what lies upon it lies upon the last one.
          const here = isArea && value === undefined ? before : value;
          before = here;
          if (here !== null && here !== undefined) sums[i] += here;
          return here === null || here === undefined ? (sums[i] ? sums[i] : null) : sums[i];
        });
      });
      // The top of the stack is drawn first, and what lies below it over it.
      return [joined[0], ...stacked.reverse()];
    }

    // The lines in the order in which the drawing has them.
    ordered() {
      return this.widget.kind === "line" ? this.lines : [...this.lines].reverse();
    }

    showPlot() {
      const data = this.table();
      this.isWhole = this.widget.unit === "none" && this.raw.every((values) => known(values).every(Number.isInteger));
      const key = JSON.stringify([this.lines.map((line) => line.label), this.colours, zone.isUtc, this.isWhole]);
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
      this.plot.append(this.tip);
      this.chart.setScale("x", scale);
      for (const line of this.lines) if (this.hidden.has(line.label)) this.toggle(line, false);
    }

    options() {
      const grid = { stroke: colour("--graph-grid"), width: 1 };
      const axis = { stroke: colour("--soft"), grid, ticks: { ...grid, size: 4 }, font: "12px system-ui, sans-serif" };
      const day = formatOf({ month: "short", day: "numeric" });
      const clock = formatOf({ hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
      const precise = formatOf({ hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
      const steps = { bytes: BINARY_STEPS, bytes_per_second: BINARY_STEPS }[this.widget.unit] || (this.isWhole ? WHOLE_STEPS : null);
      return {
        width: Math.max(this.plot.clientWidth, 40),
        height: Math.max(this.plot.clientHeight, 40),
        legend: { show: false },
        padding: [8, 22, 0, 0], // the last time of the axis is not cut off
        tzDate: (at) => (zone.isUtc ? uPlot.tzDate(new Date(at * 1000), "Etc/UTC") : new Date(at * 1000)),
        focus: { alpha: 0.25 },
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
              const isFirst = index === 0 || day.format(new Date(splits[index - 1] * 1000)) !== day.format(date);
              const text = step < 60 ? precise.format(date) : clock.format(date);
              return isFirst && this.window.to - this.window.from > 43200 ? `${text}\n${day.format(date)}` : text;
            }),
          },
          {
            ...axis, space: 34,
            // Bytes are counted in powers of two: so are the steps of their axis. There is no half instance.
            ...(steps ? { incrs: steps } : {}),
            values: (_, splits) => splits.map((value) => this.write(value)),
            size: (_, values) => 16 + 7 * Math.max(3, ...(values || []).map((value) => value.length)),
          },
        ],
        series: [{}, ...this.ordered().map((line) => this.series(line))],
        hooks: {
          drawClear: [(chart) => this.paintMarks(chart)],
          draw: [(chart) => this.paintThresholds(chart)],
          setSelect: [(chart) => this.select(chart)],
          setCursor: [(chart) => this.point(chart.cursor.idx), (chart) => this.tell_(chart)],
        },
      };
    }

    series(line) {
      const stroke = this.colours[line.place];
      const points = { show: false, filter: (chart, index) => this.alone(chart.data[index]) };
      const base = { label: line.label, stroke, width: 2, dash: line.dash, points, spanGaps: false };
      if (line.isBefore) return { ...base, dash: [6, 5], width: 1.5, points: { show: false } };
      if (this.widget.kind === "stacked") return { ...base, width: 1, fill: stroke, points: { show: false } };
      if (this.widget.kind === "bar") {
        const paths = uPlot.paths.bars({ size: [0.85, 48], align: 1 });
        return { ...base, width: 0, fill: stroke, points: { show: false }, paths };
      }
      return base;
    }

    // A value between two that are missing would be a line without length: it gets a point.
    alone(values) {
      const isCut = (i, step) => {
        while (i >= 0 && i < values.length && values[i] === undefined) i += step;
        return values[i] === null || values[i] === undefined;
      };
      return values.flatMap((value, i) => (is(value) && isCut(i - 1, -1) && isCut(i + 1, 1) ? [i] : []));
    }

    span(low, high) {
      // A threshold of an alarm that is far away would press what there is flat: then the legend has it alone.
      const isNear = (level) => level.isByHand || high === null || level.value <= 2.5 * high;
      const levels = this.levels.filter(isNear).map((level) => level.value);
      const all = [low, high, ...levels].filter((value) => value !== null && Number.isFinite(value));
      let bottom = Math.min(...all, Infinity);
      let top = Math.max(...all, -Infinity);
      if (!Number.isFinite(bottom)) [bottom, top] = [0, 1];
      const isStack = this.widget.kind !== "line";
      bottom = this.widget.minimum ?? (bottom >= 0 || isStack ? Math.min(0, bottom) : bottom - (top - bottom) * 0.05);
      top = this.widget.maximum ?? (top > bottom ? top + (top - bottom) * 0.08 : bottom + 1);
      return [bottom, Math.max(top, bottom + 1e-9)];
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
      const leave = () => {
        this.isHere = false;
        this.tip.hidden = true;
      };
      this.plot.addEventListener("pointerenter", () => (this.isHere = true));
      this.plot.addEventListener("pointerleave", leave);
      this.plot.addEventListener("blur", leave);
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
        m: () => this.goToMark(index),
      };
      const move = moves[event.key];
      if (!move) return;
      event.preventDefault();
      move();
    }

    go(index, told = []) {
      const at = this.chart.data[0][index];
      if (at === undefined) return;
      this.isHere = true;
      this.chart.setCursor({ left: this.chart.valToPos(at, "x"), top: 10 });
      this.point(index);
      const values = this.lines.slice(0, 8).map((line, place) => `${line.label} ${this.write(this.raw[place][index])}`);
      const marks = told.length ? told : this.marksAt(index).map((mark) => mark.text);
      window.halage.tellUser([...marks, `${moment.format(at * 1000)}: ${values.join(", ")}`].join(" "));
    }

    // The next mark after a point; after the last one the first.
    goToMark(index) {
      if (!this.marks.length) return;
      const at = this.index === null || this.index === undefined ? -Infinity : this.chart.data[0][index];
      const step = this.chart.data[0][1] - this.chart.data[0][0];
      const mark = this.marks.find((each) => each.at >= at + step) || this.marks[0];
      const last = this.chart.data[0].findLastIndex((each) => each <= mark.at);
      this.go(Math.max(0, last), [mark.text]);
      this.chart.setCursor({ left: this.chart.valToPos(mark.at, "x"), top: 10 });
      this.index = Math.max(0, last);
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
  }

  Object.assign(Graph.prototype, window.halage.figures, window.halage.legends, window.halage.marking);

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
    for (const watch of watchers) watch("scheme");
  });
  Object.assign(window.halage, { beginGraph: begin, endGraph: end });
})();
