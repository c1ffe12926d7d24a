// The row of word 4, twice: scores that compare it with every word, and scores that it writes alone.
"use strict";

const REACH = 3;  // of the plane, in each direction
const SIDE = 240;  // of the plane, in units of the drawing
const FIRST = [1.5, 1.5], THIRD = [-1.5, 1];
const B = [[0, 2, 0, 0], [2, 0, 0, 0]];  // to the right: place 2; up: place 1
const WORDS = [["word 2, x", -REACH, REACH, 0.1, 1], ["word 2, y", -REACH, REACH, 0.1, -1],
  ["word 4, x", -REACH, REACH, 0.1, 1], ["word 4, y", -REACH, REACH, 0.1, 0.5]];

const inPlane = ([right, up]) => {
  const unit = SIDE / (2 * REACH);
  return [SIDE / 2 + unit * right, SIDE / 2 - unit * up];
};

function compared(words, own) {
  return words.map((word) => (own[0] * word[0] + own[1] * word[1]) / Math.SQRT2);
}

function writtenAlone(own) {
  const hidden = own.map((x) => Math.max(0, x));
  return B[0].map((_, j) => hidden[0] * B[0][j] + hidden[1] * B[1][j]);
}

function row(words, scores) {
  const weights = softmax(scores);
  const output = [0, 1].map((k) => weights.reduce((sum, w, j) => sum + w * words[j][k], 0));
  return { weights, output };
}

const pair = (point) => `(${point.map((x) => written(x, 2)).join(", ")})`;

function drawPlane(svg, words, outputs) {
  shape(svg, "rect", { x: 0, y: 0, width: SIDE, height: SIDE, class: "plane" });
  shape(svg, "line", { x1: 0, x2: SIDE, y1: SIDE / 2, y2: SIDE / 2, class: "axis" });
  shape(svg, "line", { y1: 0, y2: SIDE, x1: SIDE / 2, x2: SIDE / 2, class: "axis" });
  words.forEach((word, j) => {
    const [x, y] = inPlane(word);
    shape(svg, "circle", { cx: x, cy: y, r: 10, class: "bar", "data-part": "word" });
    shape(svg, "text", { ...LABEL, x, y: y + 4.5, class: j % 2 ? "query-name" : "" }, j + 1);
  });
  ["handle", "ring"].forEach((kind, i) => {
    const [x, y] = inPlane(outputs[i]);
    shape(svg, "circle", { cx: x, cy: y, r: 5, class: kind, "data-part": "output-point" });
  });
}

function drawRow(table, left, name, kind, { weights, output }) {
  shape(table, "text", { ...LABEL, x: left + 45, y: 20, "font-style": "italic" }, name);
  weights.forEach((w, j) => {
    const y = 56 + 36 * j;
    shape(table, "rect", { x: left, y: y - 14, width: 65 * w, height: 18, class: "bar",
      "data-part": "bar" });
    shape(table, "text", { ...LABEL, x: left + 65 * w + 23, y, "data-part": "weight" }, w.toFixed(3));
  });
  shape(table, "circle", { cx: left + 8, cy: 212, r: 5, class: kind });
  shape(table, "text", { ...LABEL, x: left + 18, y: 216, "text-anchor": "start",
    "data-part": "output" }, pair(output));
}

function drawWords(svg, said, values) {
  const narrow = isNarrow(svg);  // then the table goes below the plane
  svg.setAttribute("viewBox", narrow ? "-14 -14 290 496" : "-14 -14 562 268");
  const words = [FIRST, values.slice(0, 2), THIRD, values.slice(2)];
  const dot = row(words, compared(words, words[3]));
  const alone = row(words, writtenAlone(words[3]));
  drawPlane(svg, words, [dot.output, alone.output]);
  const table = shape(svg, "g", narrow ? { transform: "translate(-265 244)" } : {});
  shape(table, "text", { ...LABEL, x: 277, y: 20, "font-style": "italic" }, "word");
  words.forEach((_, j) => shape(table, "text", { ...LABEL, x: 277, y: 56 + 36 * j }, j + 1));
  shape(table, "text", { ...LABEL, x: 277, y: 216, "font-style": "italic" }, "output");
  drawRow(table, 301, "dot product", "handle", dot);
  drawRow(table, 424, "Synthesizer", "ring", alone);
  said.textContent = [["Dot product", dot], ["Synthesizer", alone]].map(([name, { weights, output }]) =>
    `${name}: weights ${weights.map((w) => w.toFixed(3)).join(", ")}, output ${pair(output)}.`,
  ).join(" ");
}

document.querySelectorAll(".explore-synthesizer").forEach((root) => {
  figure(root, "-14 -14 562 268", WORDS, drawWords);
});
