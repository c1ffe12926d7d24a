// A query and a key, turned by an angle for each step of their positions, and their dot product.
"use strict";

const QUERY = [2, 1], KEY = [1, 1];
const FARTHEST = 12;  // offset
const HIGHEST = 3.5;  // product
const UNIT = 40;  // of the plane in which the two are drawn
const PLACES = [["query at p", 0, FARTHEST, 1, 5], ["key at s", 0, FARTHEST, 1, 2],
  ["both by t", 0, FARTHEST, 1, 0], ["angle ω", 0, 3, 0.05, 0.5]];

function turned([x, y], angle) {
  return [x * Math.cos(angle) - y * Math.sin(angle), x * Math.sin(angle) + y * Math.cos(angle)];
}

function product(query, key) {
  return query[0] * key[0] + query[1] * key[1];
}

const inPlane = ([x, y]) => [112 + UNIT * x, 106 - UNIT * y];
const along = (offset) => 110 + 110 * offset / FARTHEST;
const above = (value) => 100 - 100 * value / HIGHEST;

function points(all, place) {
  return all.map((one) => place(one).join(",")).join(" ");
}

function drawArrow(plane, name, vector, angle, kind) {
  const [x1, y1] = inPlane([0, 0]);
  const line = (tip, attributes) => {
    const [x2, y2] = inPlane(tip);
    shape(plane, "line", { x1, y1, x2, y2, ...attributes });
  };
  const tip = turned(vector, angle);
  line(vector, { class: "kink", "stroke-opacity": 0.5, "data-part": `${name}-before` });
  line(tip, { class: kind, "data-part": name });
  const [cx, cy] = inPlane(tip);
  shape(plane, "circle", { cx, cy, r: 5, class: "handle", "data-part": `${name}-tip` });
  const [x, y] = inPlane(turned([Math.hypot(...tip) + 0.32, 0], Math.atan2(tip[1], tip[0])));
  shape(plane, "text", { ...LABEL, x, y: y + 4, class: "query-name" }, name[0]);
}

// From the key to the query the short way round.
function drawAngle(plane, query, key) {
  const from = Math.atan2(key[1], key[0]);
  const gap = Math.atan2(key[0] * query[1] - key[1] * query[0], product(query, key));
  const arc = Array.from({ length: 41 }, (_, i) => turned([0.8, 0], from + gap * i / 40));
  shape(plane, "polyline", { points: points(arc, inPlane), class: "tangent", "data-part": "arc" });
}

function drawPair(plane, query, key, [p, s, t, omega]) {
  const [x, y] = inPlane([0, 0]);
  shape(plane, "line", { x1: x - 106, x2: x + 106, y1: y, y2: y, class: "axis" });
  shape(plane, "line", { x1: x, x2: x, y1: y - 106, y2: y + 106, class: "axis" });
  [-2, 2].forEach((n) => {
    shape(plane, "text", { ...SMALL, x: x + UNIT * n, y: y + 15, "data-part": "plane-x" }, written(n, 0));
    shape(plane, "text", { ...SMALL, x: x - 12, y: y - UNIT * n + 4, "data-part": "plane-y" },
      written(n, 0));
  });
  drawArrow(plane, "query", QUERY, omega * (p + t), "curve");
  drawArrow(plane, "key", KEY, omega * (s + t), "border");
  drawAngle(plane, query, key);
}

function drawWave(plot, offset, value, omega) {
  shape(plot, "line", { x1: 0, x2: 220, y1: above(0), y2: above(0), class: "axis" });
  shape(plot, "line", { x1: along(0), x2: along(0), y1: 0, y2: 200, class: "axis" });
  [-12, -6, 6, 12].forEach((x) => {
    shape(plot, "text", { ...SMALL, x: along(x), y: 216, "data-part": "tick-x" }, written(x, 0));
  });
  [-3, 0, 3].forEach((y) => {
    shape(plot, "text", { ...SMALL, x: -8, y: above(y) + 4, "text-anchor": "end", "data-part": "tick-y" },
      written(y, 0));
  });
  shape(plot, "text", { ...LABEL, x: along(0), y: 216, "font-style": "italic" }, "offset p − s");
  shape(plot, "text", { ...LABEL, x: along(0) + 6, y: 10, "text-anchor": "start", "font-style": "italic" },
    "dot product");
  const wave = Array.from({ length: 481 }, (_, i) => FARTHEST * (i - 240) / 240)
    .map((x) => [x, product(turned(QUERY, omega * x), KEY)]);
  shape(plot, "polyline", { points: points(wave, ([x, y]) => [along(x), above(y)]), class: "curve",
    "data-part": "wave" });
  shape(plot, "circle", { cx: along(offset), cy: above(value), r: 6, class: "handle", "data-part": "point" });
}

function drawRotation(svg, said, values) {
  const [p, s, t, omega] = values;
  const narrow = isNarrow(svg);  // then the wave goes below
  svg.setAttribute("viewBox", narrow ? "0 0 290 466" : "0 0 530 230");
  const query = turned(QUERY, omega * (p + t)), key = turned(KEY, omega * (s + t));
  const value = product(query, key);
  drawPair(shape(svg, "g", { transform: narrow ? "translate(32 8)" : "translate(8 8)" }), query, key, values);
  drawWave(shape(svg, "g", { transform: narrow ? "translate(42 240)" : "translate(284 8)" }),
    p - s, value, omega);
  said.textContent = `Query at ${p + t}, key at ${s + t}, ω = ${written(omega, 2)}: the offset is `
    + `${written(p - s, 0)}, the dot product ${written(value, 3)}. It is the same for every t.`;
}

document.querySelectorAll(".explore-positions").forEach((root) => {
  figure(root, "0 0 530 230", PLACES, drawRotation);
});
