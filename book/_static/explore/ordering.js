// The pair that an ε flips, in the triangle of laws; and the integrand on the way between two laws.
"use strict";

const PAIR = [["log₁₀ ε", -6, -0.4, 0.1, -2], ["x in p₁", 0.34, 0.98, 0.002, 0.772],
  ["times ε", 1, 2, 1, 2]];
const SIDE = 230;
const EDGE = [0.5, 0.5, 0];  // p₂

// Σ p ln p, and the same with ε once, p ln(p + ε), or twice, (p + ε) ln(p + ε).
function sumOf(law, eps, times) {
  const term = (p) => (times === 2 ? p + eps : p) * (p > 0 ? Math.log(p + eps) : Math.log(eps));
  return law.reduce((sum, p) => sum + (times || p ? term(p) : 0), 0);
}

// Vertex 1 is the top, 2 lies on the left.
function spot([a, b, c]) {
  return [SIDE * (1 + c - b) / 2, SIDE * Math.sqrt(0.75) * (1 - a)];
}

// The laws whose sum is that of p₂, once around: on every ray from the even law the sum grows.
function levelLine(eps, times) {
  const height = sumOf(EDGE, eps, times);
  return Array.from({ length: 361 }, (_, i) => {
    const way = [0, 1, 2].map((j) => Math.cos(2 * Math.PI * (i / 360 + j / 3)));
    const at = (r) => way.map((d) => Math.max(0, 1 / 3 + r * d));
    let [low, high] = [0, -1 / (3 * Math.min(...way))];
    for (let step = 0; step < 55; step++) {
      const mid = (low + high) / 2;
      if (sumOf(at(mid), eps, times) < height) low = mid; else high = mid;
    }
    return spot(at(high));
  });
}

function drawTriangle(parent, law, eps, times) {
  const join = (points) => points.map((point) => point.join(",")).join(" ");
  const lines = [levelLine(0, 0), levelLine(eps, times)];
  const corners = [[1, 0, 0], [0, 1, 0], [0, 0, 1]].map(spot);
  shape(parent, "path", { d: lines.map((line) => `M${join(line)}Z`).join(""), class: "plus",
    "fill-rule": "evenodd", "data-part": "flipped" });
  shape(parent, "polygon", { points: join(corners), class: "plane", "data-part": "triangle" });
  ["border", "kink"].forEach((kind, i) => {
    shape(parent, "polyline", { points: join(lines[i]), class: kind, "data-part": kind });
  });
  [law, EDGE].forEach((p, i) => {
    const [x, y] = spot(p);
    shape(parent, "circle", { cx: x, cy: y, r: 5, class: i ? "ring" : "handle", "data-part": "law" });
    shape(parent, "text", { ...LABEL, x: i ? x - 14 : x + 14, y: y + (i ? -4 : 4), class: "query-name",
      "text-anchor": i ? "end" : "start" }, i ? "p₂" : "p₁");
  });
}

function drawTable(parent, sums, letter) {
  const columns = [30, 120, 210];
  ["", "p₁", "p₂"].forEach((head, j) => {
    shape(parent, "text", { ...LABEL, x: columns[j], y: 20 }, head);
  });
  sums.forEach(([first, second], i) => {
    const y = 48 + 28 * i;
    shape(parent, "text", { ...LABEL, x: columns[0], y, "font-style": "italic" }, i ? letter : "A");
    [first, second].forEach((value, j) => {
      shape(parent, "text", { ...LABEL, x: columns[j + 1], y, "data-part": "sum",
        "font-weight": value === Math.max(first, second) ? 700 : 400 }, written(value, 4));
    });
  });
  [["border", "as large an A as p₂"], ["kink", `as large a ${letter} as p₂`]].forEach(([kind, text], i) => {
    const y = 116 + 24 * i;
    shape(parent, "line", { x1: 12, x2: 44, y1: y, y2: y, class: kind });
    shape(parent, "text", { ...LABEL, x: 54, y: y + 4, "text-anchor": "start" }, text);
  });
  shape(parent, "rect", { x: 12, y: 154, width: 32, height: 16, class: "plus" });
  shape(parent, "text", { ...LABEL, x: 54, y: 166, "text-anchor": "start" }, "flipped with p₂");
}

function drawPair(svg, said, [power, x, times]) {
  const narrow = isNarrow(svg);
  svg.setAttribute("viewBox", narrow ? "0 0 280 408" : "0 0 540 216");
  const eps = 10 ** power;
  const law = [x, (1 - x) / 2, (1 - x) / 2];
  const letter = "BC"[times - 1];
  const sums = [[0, 0], [eps, times]].map((inside) => [law, EDGE].map((p) => sumOf(p, ...inside)));
  const sharper = sums.map(([first, second]) => (first > second ? "p₁" : "p₂"));
  drawTriangle(shape(svg, "g", { transform: "translate(22 8)" }), law, eps, times);
  drawTable(shape(svg, "g", { transform: narrow ? "translate(10 220)" : "translate(284 8)" }),
    sums, letter);
  said.textContent = `p₁ = (${law.map((p) => written(p, 3)).join(", ")}), p₂ = (½, ½, 0), `
    + `ε = ${eps.toPrecision(2)}: by A, ${sharper[0]} is the sharper, by ${letter}, ${sharper[1]}. `
    + (sharper[0] === sharper[1] ? "The order is kept." : "The order is flipped.");
}

const WAY = [["from", 0.02, 0.98, 0.02, 0.2], ["to", 0.02, 0.98, 0.02, 0.9], ["ε", 0, 0.3, 0.01, 0]];
const LONGEST = 1.4, STEEPEST = 3;  // way, integrand

function drawWay(svg, said, [from, to, eps]) {
  const narrow = isNarrow(svg);
  const [width, height] = narrow ? [230, 180] : [440, 200];
  svg.setAttribute("viewBox", `0 0 ${width + 50} ${height + 44}`);
  const plot = shape(svg, "g", { transform: "translate(34 8)" });
  const right = (s) => width * s / LONGEST;
  const up = (slope) => height * (1 - slope / STEEPEST) / 2;
  const way = Math.SQRT2 * Math.abs(to - from);
  const slope = (t) => {
    const x = from + t * (to - from);
    return Math.sign(to - from) * (Math.log(x + eps) - Math.log(1 - x + eps)) / Math.SQRT2;
  };
  const places = Array.from({ length: 201 }, (_, i) => i / 200);
  const drawn = (cut) => places.map((t) => `${right(t * way)},${up(cut(slope(t)))}`).join(" ");
  [["minus", Math.min], ["plus", Math.max]].forEach(([kind, pick]) => {
    shape(plot, "polygon", { class: kind, "data-part": kind,
      points: `${right(0)},${up(0)} ${drawn((y) => pick(y, 0))} ${right(way)},${up(0)}` });
  });
  shape(plot, "line", { x1: 0, x2: width, y1: up(0), y2: up(0), class: "axis" });
  shape(plot, "line", { x1: 0, x2: 0, y1: 0, y2: height, class: "axis" });
  shape(plot, "polyline", { points: drawn((y) => y), class: "curve", "data-part": "curve" });
  [0, 0.5, 1].forEach((s) => {
    shape(plot, "text", { ...SMALL, x: right(s), y: height + 16, "data-part": "tick-x" }, s);
  });
  [-3, -2, -1, 0, 1, 2, 3].forEach((y) => {
    shape(plot, "text", { ...SMALL, x: -8, y: up(y) + 4, "text-anchor": "end", "data-part": "tick-y" },
      written(y, 0));
  });
  shape(plot, "text", { ...LABEL, x: width / 2, y: height + 32, "font-style": "italic" }, "s");
  if (from === to) {
    said.textContent = "Both laws are the same, and there is no way to go.";
    return;
  }
  const height2 = (x) => sumOf([x, 1 - x], eps, eps ? 2 : 0);
  const lowest = Math.min(Math.max(0.5, Math.min(from, to)), Math.max(from, to));
  const [down, back] = [height2(lowest) - height2(from), height2(to) - height2(lowest)];
  const law = (x) => `(${written(x, 2)}, ${written(1 - x, 2)})`;
  said.textContent = `From ${law(from)} to ${law(to)}, ε = ${written(eps, 2)}: the integrand rises from `
    + `${written(slope(0), 3)} to ${written(slope(1), 3)}. The area below 0 is ${written(down, 3)}, that `
    + `above ${written(back, 3)}, and their sum ${written(down + back, 3)}.`;
}

document.querySelectorAll(".explore-ordering").forEach((root) => {
  figure(root, "0 0 540 216", PAIR, drawPair);
});
document.querySelectorAll(".explore-segment").forEach((root) => {
  figure(root, "0 0 490 244", WAY, drawWay);
});
