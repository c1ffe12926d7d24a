// A row of weights, its entropy, and how far one and two ε shift it.
"use strict";

const ROW = [["a₁", 0, 1, 0.01, 0.6], ["a₂ of the rest", 0, 1, 0.01, 0.75], ["ε", 0.01, 0.5, 0.01, 0.1],
  ["keys n", 3, 9, 3, 3]];
const SIDE = 190;  // of the triangle
const TALL = SIDE * Math.sqrt(3) / 2;
const SPAN = 230;  // of the scale beside it
const RAYS = 120;  // from the middle of the triangle; three of them meet the corners

const sum = (numbers) => numbers.reduce((a, b) => a + b);
const xlogy = (x, y) => (x === 0 ? 0 : x * Math.log(y));

// A, B and C of the row in which each of the three weights is shared by so many keys.
function sums(law, eps, shared) {
  const of = (f) => shared * sum(law.map((x) => f(x / shared)));
  return { A: of((x) => xlogy(x, x)), B: of((x) => xlogy(x, x + eps)),
    C: of((x) => (x + eps) * Math.log(x + eps)) };
}

// How much closer to A is C than B? The sign is that of B + C − 2A.
function lead(law, eps, shared) {
  const { A, B, C } = sums(law, eps, shared);
  return B + C - 2 * A;
}

// Both shifts at a one-hot row, where they are least, and at an even one.
function bands(eps, n) {
  const B = [Math.log1p(eps), Math.log1p(n * eps)];
  const back = [eps * (Math.log1p(eps) + (n - 1) * Math.log(eps)),
    n * eps * Math.log((1 + n * eps) / n)];
  return { B, C: B.map((end, i) => end + back[i]) };
}

// Where a ray from the middle leaves the triangle or the laws for which C is closer. These are
// convex, as B + C − 2A is concave.
function leaves(angle, eps, shared) {
  const turn = [0, 1, 2].map((i) => Math.cos(angle - 2 * Math.PI * i / 3));
  const far = 1 / (-3 * Math.min(...turn));
  const law = (t) => turn.map((c) => Math.max(0, 1 / 3 + t * c));
  if (lead(law(far), eps, shared) >= 0) return law(far);
  let [inside, outside] = [0, far];
  for (let i = 0; i < 60; i += 1) {
    const middle = (inside + outside) / 2;
    if (lead(law(middle), eps, shared) > 0) inside = middle; else outside = middle;
  }
  return law(inside);
}

const spot = (law) => [SIDE * (law[1] + law[2] / 2), TALL * (1 - law[2])];
const path = (laws) => laws.map((law) => spot(law).join(",")).join(" ");

function drawTriangle(parent, law, eps, shared) {
  const corners = [[1, 0, 0], [0, 1, 0], [0, 0, 1]];
  shape(parent, "polygon", { points: path(corners), class: "plane" });
  if (lead([1 / 3, 1 / 3, 1 / 3], eps, shared) > 0) {
    const rays = Array.from({ length: RAYS }, (_, i) => 2 * Math.PI * i / RAYS);
    shape(parent, "polygon", { points: path(rays.map((angle) => leaves(angle, eps, shared))),
      class: "band", "data-part": "closer" });
  }
  corners.forEach((corner, i) => {
    const [x, y] = spot(corner);
    shape(parent, "text", { ...LABEL, x, y: i === 2 ? y - 10 : y + 20, "data-part": "weight" },
      `a${"₁₂₃"[i]} = ${written(law[i], 2)}`);
  });
  const [cx, cy] = spot(law);
  shape(parent, "circle", { cx, cy, r: 6, class: "handle", "data-part": "law" });
}

function drawShifts(parent, shifts, ends) {
  const least = Math.min(0, ends.C[0]);
  const along = (shift) => SPAN * (shift - least) / (ends.B[1] - least);
  shape(parent, "line", { x1: along(0), x2: along(0), y1: 22, y2: 186, class: "axis",
    "data-part": "zero" });
  shape(parent, "text", { ...SMALL, x: along(0), y: 202 }, "0");
  [["B", "one ε: B − A", 0], ["C", "two ε: C − A", 96]].forEach(([name, words, y]) => {
    const [low, high] = ends[name].map(along);
    const [from, to] = [along(0), along(shifts[name])].sort((a, b) => a - b);
    shape(parent, "text", { ...LABEL, x: 0, y: y + 14, "text-anchor": "start", "data-part": "shift" },
      `${words} = ${written(shifts[name], 3)}`);
    shape(parent, "rect", { x: low, y: y + 26, width: high - low, height: 34, class: "band",
      "data-part": "band" });
    shape(parent, "rect", { x: from, y: y + 34, width: to - from, height: 18, class: "bar",
      "data-part": "bar" });
    ends[name].forEach((end) => {
      shape(parent, "text", { ...SMALL, x: along(end), y: y + 76, "data-part": "end" },
        written(end, 3));
    });
  });
}

function drawEntropy(svg, said, [first, rest, eps, n]) {
  const narrow = isNarrow(svg);  // then the shifts go below
  svg.setAttribute("viewBox", narrow ? "0 0 290 456" : "0 0 556 232");
  const law = [first, (1 - first) * rest, (1 - first) * (1 - rest)];
  const shared = n / 3;
  const { A, B, C } = sums(law, eps, shared);
  drawTriangle(shape(svg, "g", { transform: "translate(46 32)" }), law, eps, shared);
  drawShifts(shape(svg, "g", { transform: narrow ? "translate(26 246)" : "translate(302 22)" }),
    { B: B - A, C: C - A }, bands(eps, n));
  said.textContent = `Weights ${law.map((x) => written(x, 2)).join(", ")}, `
    + `${["one key", "two keys", "three keys"][shared - 1]} each, ε = ${written(eps, 2)}: `
    + `the entropy is ${written(-A, 3)}, with one ε ${written(-B, 3)}, with two ${written(-C, 3)}. `
    + `${Math.abs(C - A) < Math.abs(B - A) ? "Two are" : "One is"} closer.`;
}

document.querySelectorAll(".explore-entropy").forEach((root) => {
  figure(root, "0 0 556 232", ROW, drawEntropy);
});
