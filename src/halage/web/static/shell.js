// A terminal of our own in the page: keys go to the shell over a WebSocket, what comes back is drawn.
"use strict";

(() => {
  const page = document.getElementById("shell");
  if (page === null) return;
  const form = page.querySelector("form");
  const terminal = page.querySelector(".terminal");
  const past = page.querySelector(".terminal-past");
  const now = page.querySelector(".terminal-now");
  const keys = page.querySelector(".terminal-keys");
  const said = page.querySelector("[role=status]");
  const WINDOW_BYTES = 512 * 1024;
  const PIECE = 16 * 1024;
  const MOST_ANSWERS = 100;
  const encoder = new TextEncoder();
  let screen = null;
  let socket = null;
  let decoder = null;
  let waiting = []; // input that is to be sent
  let ahead = 0; // bytes that were sent and not taken yet
  let isDrawing = false;
  let kept = 0; // lines of the history that are drawn

  const say = (key, values = {}) => {
    said.textContent = (page.dataset[key] ?? key).replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
  };

  // -- size

  function measure() {
    const probe = document.createElement("span");
    probe.textContent = "M".repeat(20);
    now.append(probe);
    const box = probe.getBoundingClientRect();
    probe.remove();
    const style = getComputedStyle(terminal);
    const width = terminal.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight);
    const height = terminal.clientHeight - parseFloat(style.paddingTop) - parseFloat(style.paddingBottom);
    const columns = Math.floor(width / (box.width / 20 || 8));
    const rows = Math.floor(height / (parseFloat(style.lineHeight) || 18));
    return { columns: Math.min(Math.max(columns, 20), 500), rows: Math.min(Math.max(rows, 5), 200) };
  }

  function fit() {
    if (screen === null) return;
    const { columns, rows } = measure();
    if (columns === screen.columns && rows === screen.rows) return;
    screen.resize(columns, rows);
    if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify({ event: "resize", columns, rows }));
    draw();
  }
  new ResizeObserver(fit).observe(terminal);

  // -- drawing

  function draw() {
    if (isDrawing) return;
    isDrawing = true;
    requestAnimationFrame(() => { isDrawing = false; drawNow(); });
  }

  function drawNow() {
    const isAtEnd = terminal.scrollHeight - terminal.scrollTop - terminal.clientHeight < 40;
    const length = screen.history.length;
    const fresh = Math.min(screen.scrolled - kept, length);
    kept = screen.scrolled;
    if (fresh > 0) past.append(...screen.history.slice(-fresh).map((line) => rowOf(line, -1)));
    while (past.children.length > length) past.firstElementChild.remove();
    past.hidden = screen.other !== null;
    screen.lines.forEach((line, at) => {
      const cursor = at === screen.y && screen.modes.cursor ? screen.x : -1;
      const row = now.children[at];
      if (row === undefined) now.append(rowOf(line, cursor));
      else if (line.isChanged || row.dataset.cursor !== String(cursor)) row.replaceWith(rowOf(line, cursor));
      line.isChanged = false;
    });
    while (now.children.length > screen.rows) now.lastElementChild.remove();
    if (isAtEnd) terminal.scrollTop = terminal.scrollHeight;
  }

  function rowOf(line, cursor) {
    const row = document.createElement("div");
    row.dataset.cursor = String(cursor);
    let from = 0;
    let end = line.chars.length;
    // What is blank to the end is not drawn, so that it is not copied either.
    while (end > cursor + 1 && line.chars[end - 1] === " " && isPlain(line.styles[end - 1])) end--;
    while (from < end) {
      let to = from + 1;
      while (to < end && line.styles[to] === line.styles[from] && to !== cursor && from !== cursor) to++;
      row.append(span(line.chars.slice(from, to).join(""), line.styles[from], from === cursor));
      from = to;
    }
    return row;
  }

  const isPlain = (style) => Object.values(style).every((value) => value === null || value === false);

  function span(text, style, isCursor) {
    if (isPlain(style) && !isCursor) return document.createTextNode(text);
    const element = document.createElement("span");
    element.textContent = text || " ";
    const [ink, paper] = style.inverse ? [style.bg ?? "paper", style.fg ?? "ink"] : [style.fg, style.bg];
    colour(element, "ink", ink);
    colour(element, "paper", paper);
    for (const flag of ["bold", "dim", "italic", "underline", "strike", "hidden"]) {
      if (style[flag]) element.classList.add(`is-${flag}`);
    }
    if (isCursor) element.classList.add("cursor");
    return element;
  }

  function colour(element, side, value) {
    if (value === null) return;
    if (typeof value === "number" || value === "ink" || value === "paper") element.classList.add(`${side}-${value}`);
    else element.style.setProperty(side === "ink" ? "color" : "background-color", value);
  }

  // -- talking

  function send(text) {
    if (socket?.readyState !== WebSocket.OPEN) return;
    const data = encoder.encode(text);
    for (let at = 0; at < data.length; at += PIECE) waiting.push(data.slice(at, at + PIECE));
    pump();
  }

  function pump() {
    while (waiting.length > 0 && ahead < WINDOW_BYTES) {
      const piece = waiting.shift();
      ahead += piece.length;
      socket.send(piece);
    }
  }

  function open() {
    close();
    const { columns, rows } = measure();
    past.replaceChildren();
    now.replaceChildren();
    kept = 0;
    // What nobody takes is not answered on and on.
    screen = new HalageScreen(columns, rows, (answer) => { if (waiting.length < MOST_ANSWERS) send(answer); });
    decoder = new TextDecoder();
    waiting = [];
    ahead = 0;
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const opening = new WebSocket(`${scheme}://${location.host}${page.dataset.address}`);
    socket = opening;
    opening.binaryType = "arraybuffer";
    say("opening");
    form.querySelector("button").disabled = true;
    const instance = form.elements.instance.value || null;
    opening.onopen = () => {
      opening.send(JSON.stringify({ instance, terminal: { columns, rows, kind: "xterm-256color" } }));
      keys.disabled = false;
      keys.focus();
    };
    let isOver = false;
    opening.onmessage = ({ data }) => {
      if (opening !== socket) return;
      if (typeof data !== "string") {
        screen.write(decoder.decode(new Uint8Array(data, 1), { stream: true }));
        draw();
        return;
      }
      const message = JSON.parse(data);
      if (message.event === "taken") { ahead -= message.bytes; pump(); }
      else if (message.event === "begun") say("begun", { release: message.release });
      else if (message.event === "exit") {
        isOver = true;
        if (message.reason) say("ended", { reason: message.reason });
        else say("left", { code: message.exit_code });
      } else if (message.event === "problem") { isOver = true; said.textContent = message.detail; }
    };
    opening.onclose = () => {
      if (opening !== socket) return;
      if (!isOver) say("broken");
      socket = null;
      keys.disabled = true;
      const again = form.querySelector("button");
      again.disabled = false;
      again.focus();
    };
    draw();
  }

  function close() {
    const old = socket;
    socket = null;
    old?.close();
  }

  // Another one is ended without leaving the page, which would end ours.
  document.getElementById("executions").addEventListener("submit", async (event) => {
    event.preventDefault();
    const ending = event.target;
    ending.querySelector("button").disabled = true;
    const answer = await fetch(ending.action, { method: "POST", body: new URLSearchParams(new FormData(ending)), redirect: "manual" }).catch(() => null);
    if (answer?.type !== "opaqueredirect") say("unended");
  });

  form.addEventListener("submit", (event) => { event.preventDefault(); open(); });
  window.addEventListener("pagehide", close);

  // -- keys

  const CURSORS = { ArrowUp: "A", ArrowDown: "B", ArrowRight: "C", ArrowLeft: "D", Home: "H", End: "F" };
  const OTHERS = { Insert: "2~", Delete: "3~", PageUp: "5~", PageDown: "6~", F5: "15~", F6: "17~", F7: "18~", F8: "19~", F9: "20~", F10: "21~", F11: "23~", F12: "24~" };
  const SINGLES = { Enter: "\r", Backspace: "\x7f", Tab: "\t", Escape: "\x1b" };
  const FUNCTIONS = { F1: "P", F2: "Q", F3: "R", F4: "S" };

  function sequenceOf(event) {
    const { key } = event;
    const modifier = 1 + (event.shiftKey ? 1 : 0) + (event.altKey ? 2 : 0) + (event.ctrlKey ? 4 : 0);
    if (CURSORS[key]) return modifier > 1 ? `\x1b[1;${modifier}${CURSORS[key]}` : (screen.modes.keys ? "\x1bO" : "\x1b[") + CURSORS[key];
    if (FUNCTIONS[key]) return modifier > 1 ? `\x1b[1;${modifier}${FUNCTIONS[key]}` : `\x1bO${FUNCTIONS[key]}`;
    if (OTHERS[key]) return `\x1b[${modifier > 1 ? OTHERS[key].replace("~", `;${modifier}~`) : OTHERS[key]}`;
    if (key === "Tab" && event.shiftKey) return "\x1b[Z";
    if (SINGLES[key]) return (event.altKey ? "\x1b" : "") + SINGLES[key];
    if (event.metaKey || key.length !== 1) return null;
    if (event.ctrlKey && !event.altKey) {
      const code = key.toUpperCase().charCodeAt(0);
      if (key === " ") return "\x00";
      return code >= 64 && code <= 95 ? String.fromCharCode(code - 64) : null;
    }
    return event.altKey && !event.ctrlKey ? `\x1b${key}` : null;
  }

  keys.addEventListener("keydown", (event) => {
    if (event.isComposing || screen === null) return;
    if (event.key === "Escape" && event.shiftKey) {
      event.preventDefault();
      form.querySelector("select").focus();
      return;
    }
    const isCopy = event.ctrlKey && event.key.toLowerCase() === "c" && (event.shiftKey || String(getSelection()) !== "");
    const isPaste = (event.ctrlKey && event.shiftKey && event.key.toLowerCase() === "v") || (event.shiftKey && event.key === "Insert");
    if (isPaste) return;
    if (isCopy) {
      event.preventDefault();
      navigator.clipboard?.writeText(String(getSelection()));
      getSelection().removeAllRanges();
      return;
    }
    const sequence = sequenceOf(event);
    if (sequence === null) return;
    event.preventDefault();
    typed(sequence);
  });

  function typed(text) {
    terminal.scrollTop = terminal.scrollHeight;
    send(text);
  }

  keys.addEventListener("input", (event) => {
    if (event.isComposing) return;
    if (keys.value) typed(keys.value.replace(/\n/g, "\r"));
    keys.value = "";
  });
  keys.addEventListener("compositionend", () => {
    if (keys.value) typed(keys.value);
    keys.value = "";
  });
  keys.addEventListener("paste", (event) => {
    event.preventDefault();
    const text = event.clipboardData.getData("text").replace(/\r?\n/g, "\r");
    // A program that asks to be told of pastes must not be left early by what is pasted.
    typed(screen?.modes.paste ? `\x1b[200~${text.replaceAll("\x1b", "")}\x1b[201~` : text);
  });
  terminal.addEventListener("mouseup", () => {
    if (String(getSelection()) === "") keys.focus({ preventScroll: true });
  });
})();
