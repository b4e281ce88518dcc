// What graphs and dashboards share: words, numbers, the time that is shown, the clock that keeps it live.
"use strict";

window.halage = (() => {
  const root = document.getElementById("monitor");
  const words = { ...document.getElementById("monitor-words").dataset };
  const language = document.documentElement.lang || "en";
  const plain = new Intl.NumberFormat(language, { maximumSignificantDigits: 4 });
  const compact = new Intl.NumberFormat(language, { notation: "compact", maximumSignificantDigits: 4 });
  const whole = new Intl.NumberFormat(language, { maximumFractionDigits: 0 });
  const WEEK_S = 7 * 86400;
  const BINARY = ["B", "KiB", "MiB", "GiB", "TiB"];

  // A sentence of the page with its {placeholders} filled.
  function say(key, facts = {}) {
    return (words[key] || "").replace(/\{(\w+)\}/g, (_, name) => String(facts[name] ?? ""));
  }

  // Times: in the visitor's zone, or in UTC for who compares with logs and colleagues elsewhere. Kept by the browser.
  const zone = { own: Intl.DateTimeFormat().resolvedOptions().timeZone, isUtc: false };
  try {
    zone.isUtc = localStorage.getItem("halage.zone") === "UTC";
  } catch {
    // A browser that keeps nothing: times are local until the next choice.
  }
  const formats = new Map();
  function formatOf(options) {
    const key = JSON.stringify([options, zone.isUtc]);
    if (!formats.has(key)) {
      formats.set(key, new Intl.DateTimeFormat(language, { ...options, ...(zone.isUtc ? { timeZone: "UTC" } : {}) }));
    }
    return formats.get(key);
  }
  const moment = { format: (at) => formatOf({ dateStyle: "medium", timeStyle: "medium", hourCycle: "h23" }).format(at) };
  const shortMoment = {
    format: (at) => formatOf({ month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", hourCycle: "h23" }).format(at),
  };

  function scaled(value) {
    if (value === 0) return "0";
    return Math.abs(value) >= 10000 ? compact.format(value) : plain.format(value);
  }

  function bytes(value) {
    let step = 0;
    while (Math.abs(value) >= 1024 && step < BINARY.length - 1) {
      value /= 1024;
      step += 1;
    }
    return `${step === 0 ? whole.format(value) : plain.format(value)} ${BINARY[step]}`;
  }

  function milliseconds(value) {
    return Math.abs(value) >= 1000 ? `${plain.format(value / 1000)} s` : `${plain.format(value)} ms`;
  }

  const writers = {
    none: scaled,
    percent: (value) => `${plain.format(value)} %`,
    bytes,
    milliseconds,
    seconds: (value) => milliseconds(value * 1000),
    per_second: (value) => `${scaled(value)}/s`,
    bytes_per_second: (value) => `${bytes(value)}/s`,
  };

  function write(value, unit) {
    return value === null || value === undefined ? "–" : (writers[unit] || scaled)(value);
  }

  // The time that is shown: the last so many seconds, or from one moment to another.
  const range = {
    seconds: Number(root.dataset.range),
    from: root.dataset.from ? Date.parse(root.dataset.from) / 1000 : null,
    to: root.dataset.to ? Date.parse(root.dataset.to) / 1000 : null,
  };
  const watchers = new Set();

  function shown() {
    if (range.from !== null) return { from: range.from, to: range.to };
    const now = Date.now() / 1000;
    return { from: now - range.seconds, to: now };
  }

  function isLive() {
    const box = document.getElementById("live");
    return range.from === null && document.visibilityState === "visible" && (box === null || box.checked);
  }

  function refresh(reason) {
    for (const watcher of watchers) watcher(reason);
  }

  function iso(seconds) {
    return new Date(seconds * 1000).toISOString().replace(/\.\d+Z$/, "Z");
  }

  // The address always says what is shown, so that it can be shared.
  function tellAddress() {
    const address = new URL(location.href);
    for (const name of ["range", "from", "to"]) address.searchParams.delete(name);
    if (range.from === null) address.searchParams.set("range", String(range.seconds));
    else {
      address.searchParams.set("from", iso(range.from));
      address.searchParams.set("to", iso(range.to));
    }
    history.replaceState(null, "", address);
    for (const element of document.querySelectorAll("[data-unzoom]")) element.hidden = range.from === null;
    for (const link of document.querySelectorAll("[data-range-link]")) {
      const is = range.from === null && Number(link.dataset.rangeLink) === range.seconds;
      if (is) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    }
    const sign = document.getElementById("range-said");
    if (sign) {
      sign.textContent = range.from === null ? "" : say("from_to", {
        from: moment.format(range.from * 1000), to: moment.format(range.to * 1000),
      });
    }
  }

  function zoom(from, to) {
    if (to - from < 10) {
      const middle = (from + to) / 2;
      [from, to] = [middle - 5, middle + 5];
    }
    range.from = Math.floor(from);
    range.to = Math.ceil(to);
    tellAddress();
    refresh("range");
  }

  function unzoom() {
    range.from = range.to = null;
    tellAddress();
    refresh("range");
  }

  function last(seconds) {
    range.seconds = seconds;
    unzoom();
  }

  // How often it is worth asking again: a point of a longer range stands for more time.
  function pause() {
    if (range.seconds <= 3 * 3600) return 10;
    return range.seconds <= 86400 ? 60 : 300;
  }

  let asked = Date.now();
  function tick() {
    if (isLive() && Date.now() - asked >= pause() * 1000 - 50) {
      asked = Date.now();
      refresh("live");
    }
  }
  window.setInterval(tick, 1000);
  document.addEventListener("visibilitychange", tick);

  // The answer's document. Throws an Error in words: `isOwn` when they are the page's and not the server's.
  async function ask(address, options = {}) {
    let answer;
    let body;
    try {
      answer = await fetch(address, { headers: { Accept: "application/json" }, ...options });
      body = answer.status === 204 ? null : await answer.json();
    } catch {
      // No server, or something else in its place that does not speak JSON.
      throw Object.assign(new Error(say("unreachable")), { isOwn: true, isAway: true });
    }
    if (answer.status === 401) throw Object.assign(new Error(say("signed_out")), { isOwn: true });
    if (!answer.ok) throw Object.assign(new Error(body.detail || answer.statusText), { status: answer.status, facts: body });
    return body;
  }

  function change(method, address, body) {
    const csrf = document.querySelector("input[name=csrf]").value;
    const headers = { "Content-Type": "application/json", "X-CSRF-Token": csrf };
    return ask(address, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
  }

  document.addEventListener("click", (event) => {
    const link = event.target.closest("[data-range-link]");
    if (link && !event.ctrlKey && !event.metaKey && !event.shiftKey) {
      event.preventDefault();
      last(Number(link.dataset.rangeLink));
    }
    if (event.target.closest("[data-unzoom]")) unzoom();
  });

  // The form takes moments as people see them; the address has them in UTC.
  const form = document.getElementById("own-range");
  if (form) {
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const read = (field) => new Date(field.value + (zone.isUtc ? "Z" : "")).getTime() / 1000;
      const [from, to] = [read(form.elements.from), read(form.elements.to)];
      if (from < to) {
        zoom(from, to);
        form.closest("details").open = false;
      } else form.elements.to.setCustomValidity(say("wrong_order")) || form.reportValidity();
    });
    form.addEventListener("input", () => form.elements.to.setCustomValidity(""));
    form.closest("details").addEventListener("toggle", () => {
      const local = (seconds) => {
        const at = new Date(seconds * 1000);
        return new Date(at - (zone.isUtc ? 0 : at.getTimezoneOffset() * 60000)).toISOString().slice(0, 16);
      };
      form.elements.from.value = local(shown().from);
      form.elements.to.value = local(shown().to);
    });
  }

  const chooser = document.getElementById("zone");
  if (chooser) {
    const [local, utc] = chooser.options;
    local.textContent = zone.own || local.textContent;
    if (zone.own === "UTC") utc.remove();
    chooser.value = zone.isUtc && zone.own !== "UTC" ? "UTC" : "local";
    chooser.closest("[hidden]").hidden = false;
    chooser.addEventListener("change", () => {
      zone.isUtc = chooser.value === "UTC";
      try {
        localStorage.setItem("halage.zone", chooser.value);
      } catch {
        // See above.
      }
      tellAddress();
      refresh("zone");
    });
  }

  const share = document.getElementById("share");
  if (share && navigator.clipboard) {
    share.hidden = false;
    share.addEventListener("click", async () => {
      tellAddress();
      await navigator.clipboard.writeText(location.href);
      share.textContent = share.dataset.done;
    });
  }

  if (range.from !== null) tellAddress();

  return {
    WEEK_S, ask, change, formatOf, iso, moment, range, say, shortMoment, shown, unzoom, watchers, write, zone, zoom,
    dashboard: root.dataset,
    tellUser(text) {
      document.getElementById("said").textContent = text;
    },
  };
})();
