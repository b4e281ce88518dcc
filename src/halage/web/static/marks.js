// Marks on graphs: deployments and changes of the number of instances; thresholds; and what is told of them.
"use strict";

(() => {
  const { ask, iso, make, moment, say } = window.halage;
  const NEAR_PX = 8;
  const KEPT_MS = 9000;

  function colour(name) {
    return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  }

  // What happened to the dashboard's environment: asked once for all graphs of the page.
  let asked = { at: 0, of: "", promise: null };
  function happened(project, environment, window_) {
    if (!project || !environment) return Promise.resolve({ marks: [], problem: "" });
    const of = [project, environment, Math.round(window_.from / 60), Math.round(window_.to / 60)].join(" ");
    if (asked.of !== of || Date.now() - asked.at > KEPT_MS) asked = { at: Date.now(), of, promise: read(project, environment, window_) };
    return asked.promise;
  }

  async function read(project, environment, window_) {
    const journal = new URLSearchParams({
      project, environment, action: "environment:Scale", since: iso(window_.from), until: iso(window_.to + 1), limit: "200",
    });
    try {
      const [deployments, scalings] = await Promise.all([
        ask(`/api/v1/projects/${project}/environments/${environment}/deployments?limit=200`),
        ask(`/api/v1/events?${journal}`),
      ]);
      const marks = [...deployments.map(ofDeployment), ...scalings.map(ofScaling)]
        .filter((mark) => mark.at >= window_.from && mark.at <= window_.to)
        .sort((a, b) => a.at - b.at);
      return { marks, problem: "" };
    } catch {
      return { marks: [], problem: say("no_marks") };
    }
  }

  const seconds = (text) => Date.parse(text) / 1000;

  function ofDeployment(each) {
    const at = seconds(each.finished_at || each.started_at || each.created_at);
    const what = say(`kind_${each.kind}`, { number: each.release.number });
    const text = say("deployment", { what, state: say(`state_${each.state}`), at: moment.format(at * 1000), by: each.created_by });
    return { at, text, short: `v${each.release.number}`, isBad: ["failed", "rolled_back", "rolling_back"].includes(each.state) };
  }

  function ofScaling(each) {
    const at = seconds(each.at);
    const [before, after] = [each.before?.instances, each.after?.instances];
    const reason = each.details?.reason ? ` ${each.details.reason}` : "";
    const text = say("scaling", { before: before ?? "?", after: after ?? "?", at: moment.format(at * 1000), by: each.actor }) + reason;
    return { at, text, short: `${before ?? "?"}→${after ?? "?"}`, isScaling: true };
  }

  // Methods of every graph: graph.js takes them over.
  const marking = {
    paintThresholds(chart) {
      const { ctx, bbox } = chart;
      const ratio = devicePixelRatio;
      ctx.save();
      ctx.strokeStyle = ctx.fillStyle = colour("--bad");
      ctx.textAlign = "left";
      ctx.lineWidth = 1.5 * ratio;
      ctx.font = `${11 * ratio}px system-ui, sans-serif`;
      for (const level of this.levels) {
        const y = Math.round(chart.valToPos(level.value, "y", true));
        if (y < bbox.top || y > bbox.top + bbox.height) continue;
        ctx.setLineDash([7 * ratio, 4 * ratio]);
        ctx.beginPath();
        ctx.moveTo(bbox.left, y);
        ctx.lineTo(bbox.left + bbox.width, y);
        ctx.stroke();
        const text = level.label || this.write(level.value);
        ctx.fillText(text, bbox.left + 4 * ratio, y < bbox.top + 16 * ratio ? y + 13 * ratio : y - 4 * ratio);
      }
      ctx.restore();
    },

    // A line with a foot, so that they are told from the grid without colours: a triangle is a deployment,
    // a square a change of the number of instances.
    paintMarks(chart) {
      const { ctx, bbox } = chart;
      const ratio = devicePixelRatio;
      const foot = bbox.top + bbox.height;
      const places = this.marks.map((mark) => Math.round(chart.valToPos(mark.at, "x", true)));
      ctx.save();
      ctx.font = `${11 * ratio}px system-ui, sans-serif`;
      ctx.textAlign = "left";
      this.marks.forEach((mark, index) => {
        const x = places[index];
        ctx.strokeStyle = ctx.fillStyle = colour(mark.isBad ? "--bad" : "--graph-mark");
        ctx.lineWidth = 1.5 * ratio;
        ctx.setLineDash([2 * ratio, 3 * ratio]);
        ctx.beginPath();
        ctx.moveTo(x, bbox.top);
        ctx.lineTo(x, foot);
        ctx.stroke();
        ctx.beginPath();
        if (mark.isScaling) ctx.rect(x - 4 * ratio, foot - 8 * ratio, 8 * ratio, 8 * ratio);
        else {
          ctx.moveTo(x, foot - 7 * ratio);
          ctx.lineTo(x - 5 * ratio, foot);
          ctx.lineTo(x + 5 * ratio, foot);
        }
        ctx.fill();
        const next = places.find((place) => place > x) ?? bbox.left + bbox.width;
        if (x + ctx.measureText(mark.short).width + 6 * ratio < next) ctx.fillText(mark.short, x + 4 * ratio, bbox.top + 10 * ratio);
      });
      ctx.restore();
    },

    // The marks between one point and the next.
    marksAt(index) {
      const [at, next] = [this.chart.data[0][index], this.chart.data[0][index + 1] ?? Infinity];
      return this.marks.filter((mark) => mark.at >= at && mark.at < next);
    },

    // What lies below the pointer, in words: a mark, a threshold, the line that is nearest.
    tell_(chart) {
      const { left, top, idx } = chart.cursor;
      const isOut = left === undefined || left < 0 || idx === null || idx === undefined || !this.isHere;
      const texts = isOut ? [] : [...this.markTexts(chart, left), ...this.lineTexts(chart, left, top, idx)];
      this.tip.hidden = !texts.length;
      if (!texts.length) return;
      this.tip.replaceChildren(...texts.map((text) => make("div", {}, text)));
      const { offsetLeft, offsetTop } = chart.over.parentElement === this.plot ? chart.over : this.overPlace(chart);
      const width = this.tip.offsetWidth;
      const x = offsetLeft + left;
      this.tip.style.left = `${Math.max(0, Math.min(this.plot.clientWidth - width, x + 12 + width > this.plot.clientWidth ? x - width - 12 : x + 12))}px`;
      this.tip.style.top = `${offsetTop + 16}px`;
    },

    overPlace(chart) {
      const [over, plot] = [chart.over.getBoundingClientRect(), this.plot.getBoundingClientRect()];
      return { offsetLeft: over.left - plot.left, offsetTop: over.top - plot.top };
    },

    markTexts(chart, left) {
      return this.marks.filter((mark) => Math.abs(chart.valToPos(mark.at, "x") - left) <= NEAR_PX).map((mark) => mark.text);
    },

    lineTexts(chart, left, top, idx) {
      const near = (value) => Math.abs(chart.valToPos(value, "y") - top);
      const texts = this.levels.filter((level) => near(level.value) <= NEAR_PX).map((level) => say("threshold", { level: this.writeLevel(level) }));
      const nearest = this.ordered()
        .map((line, index) => ({ line, drawn: chart.data[index + 1]?.[idx] }))
        .filter(({ line, drawn }) => drawn !== null && drawn !== undefined && !this.hidden.has(line.label))
        .sort((a, b) => near(a.drawn) - near(b.drawn))[0];
      if (nearest && near(nearest.drawn) <= 3 * NEAR_PX) {
        texts.push(`${nearest.line.label}: ${this.write(this.raw[this.lines.indexOf(nearest.line)][idx])}`);
      }
      return texts.length ? [...texts, moment.format(chart.data[0][idx] * 1000)] : [];
    },
  };

  Object.assign(window.halage, { colour, happened, marking });
})();
