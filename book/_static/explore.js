// The interactive figures of the chapters, redrawn as the sliders move. Where scripts are off,
// the sentence inside each stays.
"use strict";

const SVG = "http://www.w3.org/2000/svg";

function softmax(z) {
  const top = Math.max(...z);
  const e = z.map((x) => Math.exp(x - top));
  const sum = e.reduce((a, b) => a + b);
  return e.map((x) => x / sum);
}

// Largest eigenvalue of J = diag(y) − yyᵀ: J has rank at most 2 for three logits and one
// eigenvalue 0, so the other two follow from its trace and the sum of its squared entries.
function largestEigenvalue(y) {
  const jacobian = y.map((a, i) => y.map((b, k) => a * ((i === k) - b)));
  const trace = jacobian[0][0] + jacobian[1][1] + jacobian[2][2];
  const squares = jacobian.flat().reduce((s, x) => s + x * x, 0);
  return { jacobian, lambda: (trace + Math.sqrt(Math.max(0, 2 * squares - trace * trace))) / 2 };
}

function shape(parent, name, attributes, text) {
  const node = document.createElementNS(SVG, name);
  Object.entries(attributes).forEach(([key, value]) => node.setAttribute(key, value));
  if (text !== undefined) node.textContent = text;
  parent.append(node);
  return node;
}

function written(x, digits) {
  const text = x.toFixed(digits);
  return (Number(text) === 0 ? text.replace("-", "") : text).replace("-", "−");
}

function isNarrow(svg) {
  return svg.clientWidth > 0 && svg.clientWidth < 420;
}

// A panel of sliders above a drawing, and below it a sentence that says the same in words.
// draw(svg, said, values) is called with the values of the sliders, [name, least, most,
// step, value] each; set(values), which is returned, moves them.
function figure(root, box, sliders, draw) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", box);
  svg.setAttribute("aria-hidden", "true");
  const said = document.createElement("p");
  said.className = "said";
  said.setAttribute("aria-live", "polite");
  const panel = document.createElement("div");
  panel.className = "sliders";
  const inputs = sliders.map(([name, min, max, step, value]) => {
    const label = document.createElement("label");
    const number = document.createElement("output");
    const input = document.createElement("input");
    Object.assign(input, { type: "range", min, max, step });
    input.value = value;
    label.append(name, input, number);
    panel.append(label);
    return { input, number };
  });
  const update = () => {
    const values = inputs.map(({ input }) => Number(input.value));
    inputs.forEach(({ number }, i) => { number.textContent = String(values[i]).replace("-", "−"); });
    svg.replaceChildren();
    draw(svg, said, values);
  };
  const set = (values) => {
    inputs.forEach(({ input }, i) => { input.value = values[i]; });
    update();
  };
  inputs.forEach(({ input }) => input.addEventListener("input", update));
  window.addEventListener("resize", update);
  root.classList.add("explore");
  root.replaceChildren(panel, svg, said);
  update();
  return { svg, set };
}

// -- softmax: softmax(β(z + c)) of three logits and its Jacobian -----------------------------

const LOGITS = [
  ["z₁", -3, 3, 0.1, 1], ["z₂", -3, 3, 0.1, 1], ["z₃", -3, 3, 0.1, 2],
  ["shift c", -1000, 1000, 10, 0], ["factor β", 0, 20, 0.1, 1],
];

function drawJacobian(svg, said, [z1, z2, z3, shift, beta]) {
  const y = softmax([z1, z2, z3].map((x) => beta * (x + shift)));
  const { jacobian, lambda } = largestEigenvalue(y);
  const label = { fill: "currentColor", "font-size": 13, "text-anchor": "middle" };
  y.forEach((p, i) => {
    const x = 20 + 62 * i;
    shape(svg, "rect", { x, y: 150 - 120 * p, width: 44, height: 120 * p, class: "bar" });
    shape(svg, "text", { ...label, x: x + 22, y: 143 - 120 * p }, p.toFixed(3));
    shape(svg, "text", { ...label, x: x + 22, y: 168 }, "y" + "₁₂₃"[i]);
  });
  shape(svg, "line", { x1: 10, x2: 200, y1: 150, y2: 150, stroke: "currentColor" });
  jacobian.forEach((row, i) => row.forEach((value, k) => {
    const cell = { x: 232 + 56 * k, y: 8 + 46 * i, width: 54, height: 44 };
    shape(svg, "rect", { ...cell, class: value < 0 ? "minus" : "plus",
      "fill-opacity": Math.min(1, 4 * Math.abs(value)) });
    shape(svg, "text", { ...label, "font-size": 12, x: cell.x + 27, y: cell.y + 27 },
      written(value, 3));
  }));
  shape(svg, "text", { ...label, x: 316, y: 168 }, `J, λ max = ${lambda.toFixed(3)}`);
  said.textContent = `Weights ${y.map((p) => p.toFixed(3)).join(", ")}. `
    + `The largest eigenvalue of J is ${lambda.toFixed(3)}.`;
}

document.querySelectorAll(".explore-softmax").forEach((root) => {
  figure(root, "0 0 410 176", LOGITS, drawJacobian);
});

// -- first_look: one query among four tokens, weights in powers of 2 --------------------------

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
  svg.setAttribute("viewBox", narrow ? "-2 -2 264 500" : "-2 -2 522 246");
  const label = { fill: "currentColor", "font-size": 13, "text-anchor": "middle" };
  shape(svg, "rect", { x: 0, y: 0, width: SIDE, height: SIDE, class: "plane" });
  shape(svg, "line", { x1: 0, x2: SIDE, y1: SIDE / 2, y2: SIDE / 2, class: "axis" });
  shape(svg, "line", { y1: 0, y2: SIDE, x1: SIDE / 2, x2: SIDE / 2, class: "axis" });
  KEYS.forEach((key, i) => {
    const [x, y] = at(key);
    // Its area is its weight.
    shape(svg, "circle", { cx: x, cy: y, r: 3 + 17 * Math.sqrt(weights[i]), class: "bar" });
    shape(svg, "text", { ...label, x, y: y + 4.5 }, i + 1);
  });
  const [x, y] = at(q);
  shape(svg, "line", { x1: SIDE / 2, y1: SIDE / 2, x2: x, y2: y, class: "query" });
  shape(svg, "circle", { cx: x, cy: y, r: 8, class: "handle" });
  shape(svg, "text", { ...label, x: x + (x > 220 ? -18 : 18), y: y + 5, class: "query-name" }, "q");
  const table = shape(svg, "g", narrow ? { transform: "translate(-252 254)" } : {});
  ["token", "score", "weight", "value"].forEach((name, i) => {
    shape(table, "text", { ...label, x: [275, 325, 405, 490][i], y: 20, "font-style": "italic" }, name);
  });
  weights.forEach((w, i) => {
    const row = 52 + 40 * i;
    shape(table, "text", { ...label, x: 275, y: row }, i + 1);
    shape(table, "text", { ...label, x: 325, y: row }, written(scores[i], 1));
    shape(table, "rect", { x: 360, y: row - 14, width: 70 * w, height: 18, class: "bar" });
    shape(table, "text", { ...label, x: 360 + 70 * w + 24, y: row }, w.toFixed(3));
    shape(table, "text", { ...label, x: 490, y: row }, VALUES[i]);
  });
  shape(table, "line", { x1: 270, x2: 510, y1: 222, y2: 222, stroke: "currentColor" });
  VALUES.forEach((v) => {
    shape(table, "line", { x1: 270 + 15 * v, x2: 270 + 15 * v, y1: 218, y2: 226, stroke: "currentColor" });
    shape(table, "text", { ...label, "font-size": 11, x: 270 + 15 * v, y: 239 }, v);
  });
  shape(table, "circle", { cx: 270 + 15 * output, cy: 222, r: 6, class: "handle" });
  shape(table, "text", { ...label, x: 270 + 15 * output, y: 208 }, `output ${written(output, 2)}`);
  shape(svg, "rect", { x: 0, y: 0, width: SIDE, height: SIDE, class: "pad" });  // takes the drag
  said.textContent = `Scores ${scores.map((s) => written(s, 1)).join(", ")}; `
    + `weights ${weights.map((w) => w.toFixed(3)).join(", ")}; output ${written(output, 2)}.`;
}

document.querySelectorAll(".explore-first-look").forEach((root) => {
  const { svg, set } = figure(root, "-2 -2 522 246", QUERY, drawTokens);
  // The query follows a finger or a mouse that is pressed on the plane.
  const drag = (event) => {
    const place = new DOMPoint(event.clientX, event.clientY).matrixTransform(
      svg.getScreenCTM().inverse());
    const unit = SIDE / (2 * REACH);
    const bound = (x) => Math.round(10 * Math.max(-REACH, Math.min(REACH, x))) / 10;
    set([bound((place.x - SIDE / 2) / unit), bound((SIDE / 2 - place.y) / unit)]);
  };
  svg.addEventListener("pointerdown", (event) => {
    if (!event.target.classList.contains("pad")) return;
    svg.setPointerCapture(event.pointerId);
    drag(event);
  });
  svg.addEventListener("pointermove", (event) => {
    if (svg.hasPointerCapture(event.pointerId)) drag(event);
  });
});

// -- front page: a row of large numbers beside a row with the same gaps -----------------------

const ROWS = [["size", 0, 1000, 10, 1000], ["gap", 0, 8, 0.1, 1]];

function drawRows(svg, said, [size, gap]) {
  const narrow = isNarrow(svg);
  svg.setAttribute("viewBox", narrow ? "0 0 250 320" : "0 0 510 150");
  const label = { fill: "currentColor", "font-size": 13, "text-anchor": "middle" };
  const rows = [[size, size, size + gap], [0, 0, gap]];
  const weights = rows.map(softmax);
  rows.forEach((z, r) => {
    const left = narrow ? 0 : 265 * r;
    const top = narrow ? 170 * r : 0;
    z.forEach((x, i) => {
      const at = left + 45 + 80 * i;
      shape(svg, "text", { ...label, x: at, y: top + 16 }, written(x, x % 1 ? 1 : 0));
      const height = 100 * weights[r][i];
      shape(svg, "rect", { x: at - 26, y: top + 142 - height, width: 52, height, class: "bar" });
      shape(svg, "text", { ...label, x: at, y: top + 136 - height }, weights[r][i].toFixed(3));
    });
    shape(svg, "line", { x1: left + 10, x2: left + 240, y1: top + 142, y2: top + 142, stroke: "currentColor" });
  });
  said.textContent = rows.map((z, r) => `Softmax of ${z.map((x) => written(x, x % 1 ? 1 : 0)).join(", ")} `
    + `is ${weights[r].map((w) => w.toFixed(3)).join(", ")}.`).join(" ");
}

document.querySelectorAll(".explore-landing").forEach((root) => {
  figure(root, "0 0 510 150", ROWS, drawRows);
});
