// The screen of a terminal without a page: takes what programs write, holds what is to be seen.
// The sequences are those of xterm that programs use under TERM=xterm-256color:
// https://invisible-island.net/xterm/ctlseqs/ctlseqs.html
"use strict";

var HalageScreen = (() => {
  const HISTORY = 2000;
  const PLAIN = Object.freeze({ fg: null, bg: null, bold: false, dim: false, italic: false, underline: false, inverse: false, hidden: false, strike: false });
  const FLAGS = { 1: "bold", 2: "dim", 3: "italic", 4: "underline", 7: "inverse", 8: "hidden", 9: "strike" };
  const ENDS = { 22: ["bold", "dim"], 23: ["italic"], 24: ["underline"], 27: ["inverse"], 28: ["hidden"], 29: ["strike"] };
  const LINES = "◆▒␉␌␍␊°±␤␋┘┐┌└┼⎺⎻─⎼⎽├┤┴┬│≤≥π≠£·"; // of ` to ~, in the charset of lines
  const MARK = /^\p{M}$/u;
  const WIDE = /^[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\ua960-\ua97f\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|^\p{Emoji_Presentation}/u;

  class Screen {
    // `answer(text)` is called with what the terminal says back when it is asked.
    constructor(columns, rows, answer) {
      this.columns = columns;
      this.rows = rows;
      this.answer = answer;
      this.reset();
    }

    reset() {
      this.history = [];
      this.style = PLAIN;
      this.lines = this.blankLines(this.rows);
      this.other = null; // the main screen while the alternate one is shown
      this.x = this.y = 0;
      this.mustWrap = false;
      this.top = 0;
      this.bottom = this.rows - 1;
      this.modes = { wrap: true, cursor: true, keys: false, paste: false, origin: false, insert: false };
      this.charsets = [false, false];
      this.shift = 0;
      this.saved = null;
      this.last = "";
      this.state = this.ground;
      this.tabs = new Set();
      this.scrolled = 0; // lines that went into the history, ever
    }

    blank() { return { chars: Array(this.columns).fill(" "), styles: Array(this.columns).fill(this.erased()), isChanged: true }; }
    blankLines(count) { return Array.from({ length: count }, () => this.blank()); }
    // What is erased takes the background that is set, and nothing else.
    erased() { return this.style.bg === null ? PLAIN : { ...PLAIN, bg: this.style.bg }; }

    write(text) { for (const char of text) this.state(char); }

    // -- what a character means

    ground(char) {
      const code = char.codePointAt(0);
      if (code >= 0x20 && code !== 0x7f) {
        if (code < 0x80 || code >= 0xa0) this.print(char);
      } else this.control(char);
    }

    control(char) {
      switch (char) {
        case "\b": this.moveTo(this.x - 1, this.y); break;
        case "\t": this.tab(1); break;
        case "\n": case "\v": case "\f": this.index(); break;
        case "\r": this.x = 0; this.mustWrap = false; break;
        case "\x0e": this.shift = 1; break;
        case "\x0f": this.shift = 0; break;
        case "\x1b": this.state = this.escape; break;
      }
    }

    escape(char) {
      this.state = this.ground;
      switch (char) {
        case "[": this.parameters = ""; this.state = this.sequence; break;
        case "]": case "P": case "X": case "^": case "_": this.state = this.text; break;
        case "(": this.state = (set) => this.charset(0, set); break;
        case ")": this.state = (set) => this.charset(1, set); break;
        case "*": case "+": case "#": case "%": case " ": this.state = () => { this.state = this.ground; }; break;
        case "7": this.save(); break;
        case "8": this.restore(); break;
        case "D": this.index(); break;
        case "E": this.x = 0; this.index(); break;
        case "M": this.reverseIndex(); break;
        case "H": this.tabs.add(this.x); break;
        case "c": this.reset(); break;
        case "\x1b": this.state = this.escape; break;
      }
    }

    charset(number, set) {
      this.charsets[number] = set === "0";
      this.state = this.ground;
    }

    // A title and the like: nothing of it is shown.
    text(char) {
      if (char === "\x07") this.state = this.ground;
      else if (char === "\x1b") this.state = (next) => { this.state = next === "\\" ? this.ground : this.text; };
    }

    sequence(char) {
      if (char >= "@" && char <= "~") {
        this.state = this.ground;
        this.obey(char, this.parameters);
      } else if (char === "\x1b") this.state = this.escape;
      else if (char < " ") this.control(char);
      else if (this.parameters.length < 200) this.parameters += char;
    }

    obey(final, text) {
      const kind = /^[<=>?]/.test(text) ? text[0] : /[ !"$']$/.test(text) ? text.at(-1) : "";
      const numbers = text.replace(/[^0-9;:]/g, "").split(";").map((each) => (each === "" ? null : each));
      const first = (otherwise) => Math.max(1, parseInt(numbers[0] ?? otherwise, 10) || otherwise);
      const number = (index, otherwise) => parseInt(numbers[index] ?? otherwise, 10);
      if (kind === "?") {
        if (final === "h" || final === "l") numbers.forEach((each) => this.mode(parseInt(each, 10), final === "h"));
        else if (final === "J" || final === "K") this.obey(final, text.slice(1));
        return;
      }
      if (kind === ">" && final === "c") return this.answer("\x1b[>0;10;0c");
      if (kind === "!" && final === "p") return this.softReset();
      if (kind !== "") return;
      const line = this.lines[this.y];
      switch (final) {
        case "@": this.insertChars(first(1)); break;
        case "A": this.moveTo(this.x, Math.max(this.y - first(1), this.y >= this.top ? this.top : 0)); break;
        case "B": case "e": this.moveTo(this.x, Math.min(this.y + first(1), this.y <= this.bottom ? this.bottom : this.rows - 1)); break;
        case "C": case "a": this.moveTo(this.x + first(1), this.y); break;
        case "D": this.moveTo(this.x - first(1), this.y); break;
        case "E": this.moveTo(0, this.y + first(1)); break;
        case "F": this.moveTo(0, this.y - first(1)); break;
        case "G": case "`": this.moveTo(first(1) - 1, this.y); break;
        case "d": this.place(this.x, first(1) - 1); break;
        case "H": case "f": this.place((number(1, 1) || 1) - 1, first(1) - 1); break;
        case "I": this.tab(first(1)); break;
        case "Z": this.tab(-first(1)); break;
        case "J": this.eraseScreen(number(0, 0)); break;
        case "K": this.erase(line, ...[[this.x, this.columns], [0, this.x + 1], [0, this.columns]][number(0, 0)] ?? [0, 0]); break;
        case "X": this.erase(line, this.x, this.x + first(1)); break;
        case "L": if (this.isInside()) this.scroll(this.y, this.bottom, -first(1)); break;
        case "M": if (this.isInside()) this.scroll(this.y, this.bottom, first(1)); break;
        case "P": this.deleteChars(first(1)); break;
        case "S": this.scroll(this.top, this.bottom, first(1)); break;
        case "T": this.scroll(this.top, this.bottom, -first(1)); break;
        case "b": for (let left = Math.min(first(1), this.columns * this.rows); left > 0 && this.last; left--) this.print(this.last); break;
        case "c": this.answer("\x1b[?62;22c"); break;
        case "g": if (number(0, 0) === 3) this.tabs.clear(); else this.tabs.delete(this.x); break;
        case "h": case "l": if (number(0, 0) === 4) this.modes.insert = final === "h"; break;
        case "m": this.paint(numbers); break;
        case "n": if (number(0, 0) === 5) this.answer("\x1b[0n"); else if (number(0, 0) === 6) this.answer(`\x1b[${this.y + 1};${this.x + 1}R`); break;
        case "r": this.region(first(1) - 1, (number(1, this.rows) || this.rows) - 1); break;
        case "s": this.save(); break;
        case "u": this.restore(); break;
      }
    }

    mode(number, isSet) {
      switch (number) {
        case 1: this.modes.keys = isSet; break;
        case 6: this.modes.origin = isSet; this.place(0, 0); break;
        case 7: this.modes.wrap = isSet; break;
        case 25: this.modes.cursor = isSet; break;
        case 2004: this.modes.paste = isSet; break;
        case 47: case 1047: this.alternate(isSet); break;
        case 1048: if (isSet) this.save(); else this.restore(); break;
        case 1049:
          if (isSet) this.save();
          this.alternate(isSet);
          if (!isSet) this.restore();
          break;
      }
    }

    softReset() {
      Object.assign(this.modes, { wrap: true, cursor: true, keys: false, origin: false, insert: false });
      this.style = PLAIN;
      this.region(0, this.rows - 1);
      this.charsets = [false, false];
      this.shift = 0;
    }

    // -- characters and the cursor

    print(char) {
      if (MARK.test(char)) return this.combine(char);
      const inLines = this.charsets[this.shift] && char >= "`" && char <= "~";
      const shown = inLines ? LINES[char.charCodeAt(0) - 96] : char;
      const width = WIDE.test(shown) && this.columns > 1 ? 2 : 1;
      if (this.mustWrap || this.x + width > this.columns) {
        if (this.modes.wrap) { this.x = 0; this.index(); } else this.x = this.columns - width;
      }
      if (this.modes.insert) this.insertChars(width);
      const line = this.lines[this.y];
      line.chars[this.x] = shown;
      line.styles[this.x] = this.style;
      if (width === 2) { line.chars[this.x + 1] = ""; line.styles[this.x + 1] = this.style; }
      line.isChanged = true;
      this.last = char;
      this.x += width;
      this.mustWrap = this.x >= this.columns;
      if (this.mustWrap) this.x = this.columns - 1;
    }

    combine(mark) {
      const line = this.lines[this.y];
      let at = this.mustWrap ? this.x : this.x - 1;
      if (at > 0 && line.chars[at] === "") at -= 1;
      if (at < 0 || line.chars[at].length > 16) return;
      line.chars[at] += mark;
      line.isChanged = true;
    }

    moveTo(x, y) {
      this.x = Math.min(Math.max(x, 0), this.columns - 1);
      this.y = Math.min(Math.max(y, 0), this.rows - 1);
      this.mustWrap = false;
    }

    place(x, y) {
      if (this.modes.origin) this.moveTo(x, Math.min(y + this.top, this.bottom));
      else this.moveTo(x, y);
    }

    tab(count) {
      const step = Math.sign(count);
      for (let left = Math.min(Math.abs(count), this.columns); left > 0; left--) {
        do this.x += step; while (this.x > 0 && this.x < this.columns - 1 && this.x % 8 !== 0 && !this.tabs.has(this.x));
        this.moveTo(this.x, this.y);
      }
    }

    save() { this.saved = { x: this.x, y: this.y, style: this.style, charsets: [...this.charsets], shift: this.shift, origin: this.modes.origin }; }

    restore() {
      if (this.saved === null) return this.moveTo(0, 0);
      this.style = this.saved.style;
      this.charsets = [...this.saved.charsets];
      this.shift = this.saved.shift;
      this.modes.origin = this.saved.origin;
      this.moveTo(this.saved.x, this.saved.y);
    }

    // -- lines

    isInside() { return this.y >= this.top && this.y <= this.bottom; }

    index() {
      this.mustWrap = false;
      if (this.y === this.bottom) this.scroll(this.top, this.bottom, 1);
      else if (this.y < this.rows - 1) this.y += 1;
    }

    reverseIndex() {
      this.mustWrap = false;
      if (this.y === this.top) this.scroll(this.top, this.bottom, -1);
      else if (this.y > 0) this.y -= 1;
    }

    // Move the lines of a region up (or down, by a negative number).
    scroll(top, bottom, by) {
      const count = Math.min(Math.abs(by), bottom - top + 1);
      if (by > 0) {
        const gone = this.lines.splice(top, count);
        this.lines.splice(bottom - count + 1, 0, ...this.blankLines(count));
        if (top === 0 && this.other === null) this.keep(gone);
      } else {
        this.lines.splice(bottom - count + 1, count);
        this.lines.splice(top, 0, ...this.blankLines(count));
      }
      for (let at = top; at <= bottom; at++) this.lines[at].isChanged = true;
    }

    keep(lines) {
      this.history.push(...lines);
      this.scrolled += lines.length;
      if (this.history.length > HISTORY) this.history.splice(0, this.history.length - HISTORY);
    }

    region(top, bottom) {
      const last = Math.min(bottom, this.rows - 1);
      if (top < last) { this.top = top; this.bottom = last; this.place(0, 0); }
    }

    alternate(isShown) {
      if (isShown === (this.other !== null)) return;
      if (isShown) { this.other = this.lines; this.lines = this.blankLines(this.rows); }
      else { this.lines = this.other; this.other = null; }
      this.region(0, this.rows - 1);
      for (const line of this.lines) line.isChanged = true;
    }

    erase(line, from, to) {
      const end = Math.min(to, this.columns);
      if (from > 0 && line.chars[from] === "") line.chars[from - 1] = " ";
      if (line.chars[end] === "") line.chars[end] = " ";
      line.chars.fill(" ", from, end);
      line.styles.fill(this.erased(), from, end);
      line.isChanged = true;
      this.mustWrap = false;
    }

    eraseScreen(what) {
      if (what === 3) { this.history = []; return; }
      const [from, to] = [[this.y + 1, this.rows], [0, this.y], [0, this.rows]][what] ?? [0, 0];
      for (let at = from; at < to; at++) this.erase(this.lines[at], 0, this.columns);
      if (what === 0) this.erase(this.lines[this.y], this.x, this.columns);
      if (what === 1) this.erase(this.lines[this.y], 0, this.x + 1);
    }

    insertChars(count) { this.shiftChars(Math.min(count, this.columns - this.x), true); }
    deleteChars(count) { this.shiftChars(Math.min(count, this.columns - this.x), false); }

    shiftChars(count, isIn) {
      const line = this.lines[this.y];
      const at = isIn ? this.columns - count : this.x;
      const back = isIn ? this.x : this.columns - count;
      for (const [cells, blank] of [[line.chars, " "], [line.styles, this.erased()]]) {
        cells.splice(at, count);
        cells.splice(back, 0, ...Array(count).fill(blank));
      }
      line.isChanged = true;
      this.mustWrap = false;
    }

    resize(columns, rows) {
      if (columns === this.columns && rows === this.rows) return;
      // What stands below the cursor goes first, then what stands above it, which is kept.
      const surplus = Math.max(0, this.y - rows + 1);
      for (const lines of [this.lines, this.other].filter(Boolean)) {
        const isMain = (lines === this.lines) === (this.other === null);
        const gone = lines.splice(0, surplus);
        if (isMain) this.keep(gone);
        lines.splice(rows);
        for (const line of lines) this.fit(line, columns);
      }
      this.columns = columns;
      this.rows = rows;
      for (const lines of [this.lines, this.other].filter(Boolean)) lines.push(...this.blankLines(rows - lines.length));
      this.top = 0;
      this.bottom = rows - 1;
      this.moveTo(this.x, this.y - surplus);
    }

    fit(line, columns) {
      const lacking = Math.max(0, columns - line.chars.length);
      line.chars = [...line.chars.slice(0, columns), ...Array(lacking).fill(" ")];
      line.styles = [...line.styles.slice(0, columns), ...Array(lacking).fill(PLAIN)];
      line.isChanged = true;
    }

    // -- colours

    paint(numbers) {
      let style = { ...this.style };
      const words = numbers.flatMap((each) => (each ?? "0").includes(":") ? [each] : [parseInt(each ?? "0", 10)]);
      for (let at = 0; at < words.length; at++) {
        const word = words[at];
        if (typeof word === "string") this.paintApart(style, word.split(":"));
        else if (word === 0) style = { ...PLAIN };
        else if (FLAGS[word]) style[FLAGS[word]] = true;
        else if (ENDS[word]) for (const flag of ENDS[word]) style[flag] = false;
        else if (word === 21) style.underline = true;
        else if (word >= 30 && word <= 37) style.fg = word - 30;
        else if (word >= 40 && word <= 47) style.bg = word - 40;
        else if (word >= 90 && word <= 97) style.fg = word - 82;
        else if (word >= 100 && word <= 107) style.bg = word - 92;
        else if (word === 39) style.fg = null;
        else if (word === 49) style.bg = null;
        else if (word === 38 || word === 48) {
          const length = words[at + 1] === 5 ? 1 : 3;
          this.colour(style, word, words[at + 1], words.slice(at + 2, at + 2 + length));
          at += 1 + length;
        }
      }
      this.style = Object.freeze(style);
    }

    paintApart(style, parts) {
      const [word, kind, ...rest] = parts.map((each) => parseInt(each || "0", 10));
      if (word === 4) style.underline = kind !== 0;
      else if (word === 38 || word === 48) this.colour(style, word, kind, kind === 2 ? rest.slice(-3) : rest);
    }

    colour(style, word, kind, values) {
      const side = word === 38 ? "fg" : "bg";
      const isByte = (value) => value >= 0 && value <= 255;
      if (kind === 5 && isByte(values[0])) style[side] = values[0] < 16 ? values[0] : indexed(values[0]);
      else if (kind === 2 && values.length === 3 && values.every(isByte)) style[side] = `rgb(${values.join(",")})`;
    }
  }

  // The other 240 of 256 colours: a cube of 6, then 24 greys.
  function indexed(number) {
    if (number >= 232) return `rgb(${Array(3).fill(8 + (number - 232) * 10).join(",")})`;
    const level = (step) => (step === 0 ? 0 : 55 + step * 40);
    const at = number - 16;
    return `rgb(${[Math.floor(at / 36), Math.floor(at / 6) % 6, at % 6].map(level).join(",")})`;
  }

  return Screen;
})();

if (typeof module !== "undefined") module.exports = HalageScreen;
