// The interactive figure of the softmax chapter: softmax(β(z + c)) of three logits and its
// Jacobian, redrawn as the sliders move. Where scripts are off, the sentence inside stays.
"use strict";

const SVG = "http://www.w3.org/2000/svg";
const SLIDERS = [
  ["z₁", -3, 3, 0.1, 1], ["z₂", -3, 3, 0.1, 1], ["z₃", -3, 3, 0.1, 2],
  ["shift c", -1000, 1000, 10, 0], ["factor β", 0, 20, 0.1, 1],
];

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

function draw(svg, said, z, shift, beta) {
  const y = softmax(z.map((x) => beta * (x + shift)));
  const { jacobian, lambda } = largestEigenvalue(y);
  svg.replaceChildren();
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
      value.toFixed(3).replace("-", "−"));
  }));
  shape(svg, "text", { ...label, x: 316, y: 168 }, `J, λ max = ${lambda.toFixed(3)}`);
  said.textContent = `Weights ${y.map((p) => p.toFixed(3)).join(", ")}. `
    + `The largest eigenvalue of J is ${lambda.toFixed(3)}.`;
}

document.querySelectorAll(".explore-softmax").forEach((root) => {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 410 176");
  svg.setAttribute("aria-hidden", "true");  // the sentence below says the same
  const said = document.createElement("p");
  said.className = "said";
  said.setAttribute("aria-live", "polite");
  const panel = document.createElement("div");
  panel.className = "sliders";
  const inputs = SLIDERS.map(([name, min, max, step, value]) => {
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
    inputs.forEach(({ number }, i) => { number.textContent = values[i]; });
    draw(svg, said, values.slice(0, 3), values[3], values[4]);
  };
  inputs.forEach(({ input }) => input.addEventListener("input", update));
  root.replaceChildren(panel, svg, said);
  update();
});
