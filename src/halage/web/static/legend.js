// The legend of a graph: what each line is and says; which lines are drawn.
"use strict";

(() => {
  const { latest, make, say, shortMoment } = window.halage;
  const MANY = 8;

  // Methods of every graph: graph.js takes them over.
  const legends = {
    toggle(line, isToggled = true) {
      if (isToggled) {
        if (this.hidden.has(line.label)) this.hidden.delete(line.label);
        else this.hidden.add(line.label);
      }
      const index = this.ordered().indexOf(line) + 1;
      this.chart.setSeries(index, { show: !this.hidden.has(line.label) });
      if (this.widget.kind !== "line") this.chart.setData(this.table(), false), this.chart.redraw(true);
    },

    showLegend() {
      if (!this.isDrawn) return;
      const focused = [...this.legend.children].findIndex((item) => item.contains(document.activeElement));
      const scrolled = this.legend.scrollTop;
      this.legend.replaceChildren(
        ...this.lines.map((line) => make("li", {}, this.legendLine(line))),
        ...this.levels.map((level) => make("li", { class: "legend-level" }, make("span", { class: "swatch is-level", "aria-hidden": "true" }), this.writeLevel(level))),
        ...(this.lines.length > MANY ? [make("li", {}, this.allButton())] : []),
      );
      this.legend.scrollTop = scrolled;
      if (focused >= 0) this.legend.children[focused]?.firstElementChild.focus({ preventScroll: true });
    },

    legendLine(line) {
      const classes = ["swatch", `series-${line.place + 1}`, line.isBefore ? "is-before" : "", line.dash.length && this.widget.kind === "line" ? "is-dashed" : ""];
      const swatch = make("span", { class: classes.filter(Boolean).join(" "), "aria-hidden": "true" });
      const value = make("span", { class: line.oldSince ? "legend-value is-old" : "legend-value" }, this.write(latest(line.values)));
      const button = make("button", { type: "button", class: "legend-line" }, swatch, make("span", { class: "legend-name" }, line.label), value);
      if (line.oldSince) button.title = say("last_at", { at: shortMoment.format(line.oldSince * 1000) });
      button.setAttribute("aria-pressed", String(!this.hidden.has(line.label)));
      button.addEventListener("click", () => {
        this.toggle(line);
        button.setAttribute("aria-pressed", String(!this.hidden.has(line.label)));
      });
      // The one that is looked at in the legend stands out in the drawing.
      const focus = (is) => this.widget.kind === "line" && this.chart.setSeries(is ? this.ordered().indexOf(line) + 1 : null, { focus: is });
      for (const event of ["pointerenter", "focus"]) button.addEventListener(event, () => focus(true));
      for (const event of ["pointerleave", "blur"]) button.addEventListener(event, () => focus(false));
      return button;
    },

    // Of many lines one wants to see two: hide all, then show those.
    allButton() {
      const isAnyShown = this.lines.some((line) => !this.hidden.has(line.label));
      const button = make("button", { type: "button", class: "legend-line legend-all" }, say(isAnyShown ? "hide_all" : "show_all"));
      button.addEventListener("click", () => {
        this.hidden = new Set(isAnyShown ? this.lines.map((line) => line.label) : []);
        for (const line of this.lines) this.toggle(line, false);
        this.showLegend();
        this.legend.lastElementChild.firstElementChild.focus();
      });
      return button;
    },
  };

  Object.assign(window.halage, { legends });
})();
