// One query among four tokens, weights in powers of 2.
"use strict";

const KEYS = [[1, 1], [1, 0], [0, 1], [1, -1]];
const VALUES = [4, 8, 0, 16];
const REACH = 4;  // of the plane, in each direction
const QUERY = [["query, right", -REACH, REACH, 0.1, 2], ["query, up", -REACH, REACH, 0.1, 1]];
const SIDE = 240;  // of the plane, in units of the drawing

function attend(q) {
  const scores = KEYS.map((k) => q[0] * k[0] + q[1] * k[1]);
  const weights = softmax(scores.map((s) => s * Math.LN2));
  return { scores, weights, output: weights.reduce((sum, w, i) => sum + w * VALUES[i], 0) };
}

function at(point) {
  const unit = SIDE / (2 * REACH);
  return [SIDE / 2 + unit * point[0], SIDE / 2 - unit * point[1]];
}

function drawTokens(svg, said, q) {
  const { scores, weights, output } = attend(q);
  const narrow = isNarrow(svg);  // then the table goes below the plane
  svg.setAttribute("viewBox", narrow ? "-10 -10 272 508" : "-10 -10 530 258");
  shape(svg, "rect", { x: 0, y: 0, width: SIDE, height: SIDE, class: "plane" });
  shape(svg, "line", { x1: 0, x2: SIDE, y1: SIDE / 2, y2: SIDE / 2, class: "axis" });
  shape(svg, "line", { y1: 0, y2: SIDE, x1: SIDE / 2, x2: SIDE / 2, class: "axis" });
  KEYS.forEach((key, i) => {
    const [x, y] = at(key);
    // The larger its weight, the larger the disc; a weight near 0 leaves a dot.
    shape(svg, "circle", { cx: x, cy: y, r: 3 + 17 * Math.sqrt(weights[i]), class: "bar",
      "data-part": "disc" });
    shape(svg, "text", { ...LABEL, x, y: y + 4.5 }, i + 1);
  });
  const [x, y] = at(q);
  shape(svg, "line", { x1: SIDE / 2, y1: SIDE / 2, x2: x, y2: y, class: "query" });
  shape(svg, "circle", { cx: x, cy: y, r: 8, class: "handle", "data-part": "query" });
  shape(svg, "text", { ...LABEL, x: x + (x > 220 ? -18 : 18), y: y + 5, class: "query-name" }, "q");
  const table = shape(svg, "g", narrow ? { transform: "translate(-258 254)" } : {});
  ["token", "score", "weight", "value"].forEach((name, i) => {
    shape(table, "text", { ...LABEL, x: [275, 325, 405, 490][i], y: 20, "font-style": "italic" }, name);
  });
  weights.forEach((w, i) => {
    const row = 52 + 40 * i;
    shape(table, "text", { ...LABEL, x: 275, y: row }, i + 1);
    shape(table, "text", { ...LABEL, x: 325, y: row, "data-part": "score" }, written(scores[i], 1));
    shape(table, "rect", { x: 360, y: row - 14, width: 70 * w, height: 18, class: "bar", "data-part": "bar" });
    shape(table, "text", { ...LABEL, x: 360 + 70 * w + 24, y: row, "data-part": "weight" },
      w.toFixed(3));
    shape(table, "text", { ...LABEL, x: 490, y: row }, VALUES[i]);
  });
  shape(table, "line", { x1: 270, x2: 510, y1: 222, y2: 222, stroke: "currentColor" });
  VALUES.forEach((v) => {
    shape(table, "line", { x1: 270 + 15 * v, x2: 270 + 15 * v, y1: 218, y2: 226, stroke: "currentColor" });
    shape(table, "text", { ...LABEL, "font-size": 11, x: 270 + 15 * v, y: 239 }, v);
  });
  shape(table, "circle", { cx: 270 + 15 * output, cy: 222, r: 6, class: "handle", "data-part": "mean" });
  const middle = Math.max(290, Math.min(474, 270 + 15 * output));  // or the edge would cut it
  shape(table, "text", { ...LABEL, x: middle, y: 208, "data-part": "output" }, `output ${written(output, 2)}`);
  said.textContent = `Scores ${scores.map((s) => written(s, 1)).join(", ")}; `
    + `weights ${weights.map((w) => w.toFixed(3)).join(", ")}; output ${written(output, 2)}.`;
}

document.querySelectorAll(".explore-first-look").forEach((root) => {
  const { svg, set } = figure(root, "-10 -10 530 258", QUERY, drawTokens);
  // The query follows a finger or a mouse that is pressed on the plane. The pad stays when all
  // else is drawn anew: it must be there when the touch is handed to it.
  const pad = shape(svg, "rect", { x: 0, y: 0, width: SIDE, height: SIDE, class: "pad" });
  const drag = (event) => {
    const place = new DOMPoint(event.clientX, event.clientY).matrixTransform(
      svg.getScreenCTM().inverse());
    const unit = SIDE / (2 * REACH);
    const bound = (x) => Math.round(10 * Math.max(-REACH, Math.min(REACH, x))) / 10;
    set([bound((place.x - SIDE / 2) / unit), bound((SIDE / 2 - place.y) / unit)]);
  };
  pad.addEventListener("pointerdown", (event) => {
    if (!event.isPrimary || event.button !== 0) return;  // a second finger, another button
    pad.setPointerCapture(event.pointerId);
    drag(event);
  });
  pad.addEventListener("pointermove", (event) => {
    if (pad.hasPointerCapture(event.pointerId)) drag(event);
  });
  // Else a mouse selects text and then drags that, and a finger scrolls the page: Chromium does
  // not heed touch-action on parts of a drawing.
  ["mousedown", "touchstart"].forEach((name) => {
    pad.addEventListener(name, (event) => event.preventDefault(), { passive: false });
  });
});
