// The smooth maximum of x and of zeros, and its slope in x, which is the softmax weight of x.
"use strict";

const FROM = -3, TO = 3;  // of x
const LOW = -0.5, HIGH = 4;  // of what is drawn over x
const PLACE = [["x", FROM, TO, 0.1, 1], ["sharpness k", 1, 20, 0.5, 1], ["numbers n", 2, 10, 1, 2]];

const along = (x) => 40 * (x - FROM);
const above = (y) => 40 * (HIGH - y);
const share = (weight) => 180 - 150 * weight;

// The maximum of x and n − 1 zeros, the smooth maximum, and the weight of x.
function smoothMaximum(x, k, n) {
  const scores = [k * x, ...Array(n - 1).fill(0)];
  const top = Math.max(...scores);
  const sum = scores.reduce((s, z) => s + Math.exp(z - top), 0);
  return { top: Math.max(x, 0), smooth: (top + Math.log(sum)) / k, weight: softmax(scores)[0] };
}

// The lines of a plane with x from left to right, and the numbers at its edges.
function drawAxes(parent, ticks) {
  shape(parent, "line", { x1: 0, x2: 240, y1: 180, y2: 180, class: "axis" });
  shape(parent, "line", { x1: 0, x2: 0, y1: 0, y2: 180, class: "axis" });
  [-3, -2, -1, 0, 1, 2, 3].forEach((x) => {
    shape(parent, "text", { ...SMALL, x: along(x), y: 196, "data-part": "tick-x" }, written(x, 0));
  });
  ticks.forEach(([y, name]) => {
    shape(parent, "text", { ...SMALL, x: -6, y: y + 4, "text-anchor": "end", "data-part": "tick-y" },
      name);
  });
  shape(parent, "text", { ...LABEL, x: 120, y: 213, "font-style": "italic" }, "x");
}

function drawKey(parent, row, kind, text, part) {
  const y = 10 + 17 * row;
  shape(parent, "line", { x1: 6, x2: 24, y1: y, y2: y, class: kind });
  shape(parent, "text", { ...LABEL, x: 30, y: y + 4, "text-anchor": "start", "data-part": part }, text);
}

function drawValues(parent, [place, k, n], xs, { smooth, weight }) {
  const bound = Math.log(n) / k;
  const max = [[FROM, 0], [0, 0], [TO, TO]];
  const curve = (name, points, kind) => shape(parent, name, { class: kind, "data-part": kind,
    points: points.map(([x, y]) => `${along(x)},${above(y)}`).join(" ") });
  drawAxes(parent, [0, 1, 2, 3].map((y) => [above(y), y]));
  curve("polygon", [...max, ...max.map(([x, y]) => [x, y + bound]).reverse()], "band");
  curve("polyline", max, "kink");
  curve("polyline", xs.map((x) => [x, smoothMaximum(x, k, n).smooth]), "curve");
  // A piece of the tangent that stays within the plane.
  const ends = [Math.max(FROM, place - 1.5, place - (smooth - LOW) / weight),
    Math.min(TO, place + 1.5)];
  curve("polyline", ends.map((x) => [x, smooth + weight * (x - place)]), "tangent");
  shape(parent, "line", { x1: along(0), x2: along(0), y1: above(0), y2: above(bound), class: "tangent",
    "data-part": "tie" });
  shape(parent, "text", { ...LABEL, x: along(0) - 6, y: above(bound) - 6, "text-anchor": "end",
    "data-part": "bound" }, `ln n/k = ${written(bound, 3)}`);
  shape(parent, "circle", { cx: along(place), cy: above(smooth), r: 6, class: "handle",
    "data-part": "point" });
  drawKey(parent, 0, "kink", "maximum", "name");
  drawKey(parent, 1, "curve", `smooth maximum ${written(smooth, 3)}`, "smooth");
  drawKey(parent, 2, "tangent", `tangent, slope ${written(weight, 3)}`, "slope");
}

function drawSlopes(parent, [place, k, n], xs, { weight }) {
  const points = xs.map((x) => `${along(x)},${share(smoothMaximum(x, k, n).weight)}`);
  const step = [[FROM, 0], [0, 0], [0, 1], [TO, 1]].map(([x, p]) => `${along(x)},${share(p)}`);
  drawAxes(parent, [[share(0), "0"], [share(0.5), "½"], [share(1), "1"]]);
  shape(parent, "polyline", { points: step.join(" "), class: "kink" });
  shape(parent, "polyline", { points: points.join(" "), class: "curve", "data-part": "weights" });
  shape(parent, "circle", { cx: along(place), cy: share(weight), r: 6, class: "handle",
    "data-part": "weight-point" });
  drawKey(parent, 0, "curve", `softmax weight of x ${written(weight, 3)}`, "weight");
}

function drawSmoothMaximum(svg, said, values) {
  const [x, k, n] = values;
  const narrow = isNarrow(svg);  // then the weights go below
  svg.setAttribute("viewBox", narrow ? "0 0 290 456" : "0 0 570 222");
  const xs = Array.from({ length: 301 }, (_, i) => FROM + (TO - FROM) * i / 300);
  const here = smoothMaximum(x, k, n);
  drawValues(shape(svg, "g", { transform: "translate(34 6)" }), values, xs, here);
  drawSlopes(shape(svg, "g", { transform: narrow ? "translate(34 240)" : "translate(312 6)" }),
    values, xs, here);
  said.textContent = `x = ${written(x, 1)} and ${n - 1} ${n === 2 ? "zero" : "zeros"}, k = ${k}: `
    + `the maximum is ${written(here.top, 1)}, the smooth maximum ${written(here.smooth, 3)}, `
    + `which is ${written(here.smooth - here.top, 3)} above it and may be up to ln n/k = `
    + `${written(Math.log(n) / k, 3)}. Its slope is the softmax weight of x, ${written(here.weight, 3)}.`;
}

document.querySelectorAll(".explore-smooth-max").forEach((root) => {
  figure(root, "0 0 570 222", PLACE, drawSmoothMaximum);
});
