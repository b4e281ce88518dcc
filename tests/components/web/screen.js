// Feeds screens with what a test says, and tells what is to be seen on them.
"use strict";
const [, , path] = process.argv;
const Screen = require(path);
const cases = JSON.parse(require("fs").readFileSync(0, "utf8"));
const marks = (style) => Object.entries(style).filter(([, value]) => value !== null && value !== false).map(([name, value]) => (value === true ? name : `${name}=${value}`)).join(" ");
const shown = cases.map(({ columns, rows, steps }) => {
  const answers = [];
  const screen = new Screen(columns, rows, (text) => answers.push(text));
  for (const step of steps) {
    if (typeof step === "string") screen.write(step);
    else screen.resize(...step);
  }
  for (const line of [...screen.lines, ...(screen.other ?? [])]) {
    if (line.chars.length !== screen.columns || line.styles.length !== screen.columns) throw new Error(`a line of ${line.chars.length}`);
  }
  if (screen.lines.length !== screen.rows) throw new Error(`${screen.lines.length} lines`);
  return {
    lines: screen.lines.map((line) => line.chars.join("").trimEnd()),
    history: screen.history.map((line) => line.chars.join("").trimEnd()),
    cursor: [screen.x, screen.y],
    style: marks(screen.lines[0].styles[0]),
    modes: Object.keys(screen.modes).filter((name) => screen.modes[name]),
    answers,
  };
});
process.stdout.write(JSON.stringify(shown));
