// Large logits beside logits with the same gaps; the Jacobian of softmax and its largest eigenvalue.
"use strict";

const LOGITS = [["z₁", -3, 3, 0.1, 0], ["z₂", -3, 3, 0.1, 0], ["z₃", -3, 3, 0.1, 1]];
const FACTOR = ["factor β", 0, 20, 0.1, 1];
const SHIFT = ["shift c", -1000, 1000, 10, 1000];

// A number with as many decimals as it needs, two at most.
function short(x) {
  return String(Number(x.toFixed(2))).replace("-", "−");
}

// Three bars from x on, with what stands above and below each.
function drawWeights(parent, x, y, above, below) {
  const wide = below.some((text) => text.length > 7);  // then the middle one goes lower
  y.forEach((p, i) => {
    const left = x + 62 * i;
    shape(parent, "rect", { x: left, y: 150 - 120 * p, width: 44, height: 120 * p, class: "bar",
      "data-part": "bar" });
    shape(parent, "text", { ...LABEL, x: left + 22, y: 143 - 120 * p, "data-part": "weight" }, above[i]);
    shape(parent, "text", { ...LABEL, x: left + 22, y: wide && i === 1 ? 184 : 168,
      "data-part": "logit" }, below[i]);
  });
  shape(parent, "line", { x1: x - 10, x2: x + 180, y1: 150, y2: 150, stroke: "currentColor" });
}

function drawShift(svg, said, [z1, z2, z3, shift, beta]) {
  const rows = [shift, 0].map((c) => [z1, z2, z3].map((x) => beta * (x + c)));
  const weights = rows.map((row) => softmax(row).map((p) => p.toFixed(3)));
  rows.forEach((row, i) => {
    const x = 20 + 210 * i;
    drawWeights(svg, x, softmax(row), weights[i], row.map(short));
    shape(svg, "text", { ...LABEL, x: x + 84, y: 204, "font-style": "italic" },
      i === 0 ? "logits β(z + c)" : "logits βz");
  });
  said.textContent = rows.map((row, i) => `Softmax of ${row.map(short).join(", ")} `
    + `is ${weights[i].join(", ")}.`).join(" ");
}

document.querySelectorAll(".explore-softmax").forEach((root) => {
  figure(root, "0 0 420 212", [...LOGITS, SHIFT, FACTOR], drawShift);
});

// -- the weights of βz, their Jacobian and its largest eigenvalue --------------------------------

// Largest eigenvalue of J = diag(y) − yyᵀ: J has rank at most 2 for three logits and one
// eigenvalue 0, so the other two follow from its trace and the sum of its squared entries.
function largestEigenvalue(y) {
  const jacobian = y.map((a, i) => y.map((b, k) => a * ((i === k) - b)));
  const trace = jacobian[0][0] + jacobian[1][1] + jacobian[2][2];
  const squares = jacobian.flat().reduce((s, x) => s + x * x, 0);
  return { jacobian, lambda: (trace + Math.sqrt(Math.max(0, 2 * squares - trace * trace))) / 2 };
}

const TIE = LOGITS.map(([name, min, max, step], i) => [name, min, max, step, [-3, 1, 1][i]]);

function drawJacobian(svg, said, [z1, z2, z3, beta]) {
  const y = softmax([z1, z2, z3].map((x) => beta * x));
  const { jacobian, lambda } = largestEigenvalue(y);
  drawWeights(svg, 20, y, y.map((p) => p.toFixed(3)), ["y₁", "y₂", "y₃"]);
  jacobian.forEach((row, i) => row.forEach((value, k) => {
    const cell = { x: 232 + 56 * k, y: 8 + 46 * i, width: 54, height: 44 };
    shape(svg, "rect", { ...cell, class: value < 0 ? "minus" : "plus",
      "data-part": "cell", "fill-opacity": Math.min(1, 4 * Math.abs(value)) });
    shape(svg, "text", { ...SMALL, x: cell.x + 27, y: cell.y + 27, "data-part": "entry" },
      written(value, 3));
  }));
  shape(svg, "text", { ...LABEL, x: 316, y: 168, "data-part": "lambda" }, `J, λ = ${lambda.toFixed(3)}`);
  said.textContent = `Weights ${y.map((p) => p.toFixed(3)).join(", ")}. `
    + `The largest eigenvalue λ of J is ${lambda.toFixed(3)}.`;
}

document.querySelectorAll(".explore-jacobian").forEach((root) => {
  figure(root, "0 0 410 176", [...TIE, FACTOR], drawJacobian);
});
