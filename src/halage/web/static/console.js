// What the pages cannot do without a script: times in the reader's zone, counters, following, copying.
// Every page works without it.
"use strict";

(() => {
  const language = document.documentElement.lang || "en";
  const relative = new Intl.RelativeTimeFormat(language, { numeric: "auto", style: "long" });
  const absolute = new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "medium" });
  const steps = [["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];

  function ago(seconds) {
    for (const [unit, length] of steps) {
      if (Math.abs(seconds) >= length || unit === "second") {
        return relative.format(-Math.round(seconds / length), unit);
      }
    }
    return "";
  }

  function elapsed(seconds) {
    const whole = Math.max(0, Math.floor(seconds));
    if (whole < 60) return `${whole} s`;
    if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
    return `${Math.floor(whole / 3600)} h ${Math.floor(whole / 60) % 60} min`;
  }

  function write(element, text) {
    if (element.textContent !== text) element.textContent = text;
  }

  function tick() {
    const now = Date.now();
    for (const time of document.querySelectorAll("time[data-moment]")) {
      const at = new Date(time.dateTime);
      if (!time.title) time.title = absolute.format(at);
      write(time, ago((now - at.getTime()) / 1000));
    }
    for (const time of document.querySelectorAll("time[data-since]")) {
      write(time, elapsed((now - new Date(time.dateTime).getTime()) / 1000));
    }
  }

  // Live parts are morphed, not replaced: the focus, a selection and a half-made click stay. Which details
  // are open is the reader's own business.
  Idiomorph.defaults.callbacks.beforeAttributeUpdated = (name, element) =>
    !(name === "open" && element.nodeName === "DETAILS");

  // Live lines: a connection that was cut off may send some again; each has a number and is shown once.
  const seen = new WeakMap();
  document.addEventListener("htmx:sseBeforeMessage", (event) => {
    const list = event.target;
    if (!list.hasAttribute("data-lines") || !event.detail.lastEventId) return;
    const last = seen.has(list) ? seen.get(list) : Number(list.dataset.last || -1);
    const number = Number(event.detail.lastEventId);
    if (number <= last) event.preventDefault();
    else seen.set(list, number);
  });

  function followed(list) {
    const box = document.getElementById(list.dataset.follow || "");
    return box !== null && box.checked;
  }

  function toEnd(list) {
    list.scrollTop = list.scrollHeight;
  }

  document.addEventListener("htmx:sseMessage", (event) => {
    const list = event.target;
    if (list.hasAttribute && list.hasAttribute("data-lines")) {
      const limit = Number(list.dataset.limit || 5000);
      while (list.childElementCount > limit) {
        (list.dataset.order === "newest" ? list.lastElementChild : list.firstElementChild).remove();
      }
      if (followed(list)) toEnd(list);
    }
    tick();
  });

  // Scrolling up stops following, scrolling back to the end starts it again.
  for (const list of document.querySelectorAll("[data-lines]")) {
    const box = document.getElementById(list.dataset.follow || "");
    if (box === null) continue;
    box.closest("[hidden]")?.removeAttribute("hidden");
    if (box.checked) toEnd(list);
    box.addEventListener("change", () => box.checked && toEnd(list));
    list.addEventListener("scroll", () => {
      box.checked = list.scrollHeight - list.scrollTop - list.clientHeight < 24;
    }, { passive: true });
  }

  // The live sign: shown while the connection is open.
  function connection(state) {
    for (const sign of document.querySelectorAll("[data-live]")) sign.dataset.live = state;
  }
  document.addEventListener("htmx:sseOpen", () => connection("on"));
  document.addEventListener("htmx:sseError", () => connection("lost"));
  document.addEventListener("htmx:sseClose", () => connection("off"));

  document.addEventListener("click", async (event) => {
    const button = event.target.closest("button[data-copy]");
    if (button === null) return;
    const source = document.getElementById(button.dataset.copy);
    await navigator.clipboard.writeText(source.textContent.trim());
    button.textContent = button.dataset.done;
  });
  if (navigator.clipboard) {
    for (const button of document.querySelectorAll("button[data-copy]")) button.hidden = false;
  }

  tick();
  window.setInterval(tick, 1000);
})();
