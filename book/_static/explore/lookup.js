// Which keys can be picked: the hull of four keys, and the shortest query that puts a fifth above them.
"use strict";

const OTHERS = [[-1.5, -1], [0.5, -1.5], [1, 0.5], [-0.5, 1]];  // corners of their hull, in turn
const REACH = 3;  // of the plane, from the origin
const SCALE = 40;
const MOVES = [["key a: right", -REACH, REACH, 0.1, 2], ["key a: up", -REACH, REACH, 0.1, -1],
  ["gap g", 0, 8, 0.5, 2]];

const across = ([x, y]) => [SCALE * (REACH + x), SCALE * (REACH - y)];
const minus = (p, q) => [p[0] - q[0], p[1] - q[1]];
const dot = (p, q) => p[0] * q[0] + p[1] * q[1];

// The point of the hull that is nearest to a key outside it; none if the key is inside.
function nearestInHull(key) {
  let outside = false, best = { distance: Infinity };
  OTHERS.forEach((corner, i) => {
    const side = minus(OTHERS[(i + 1) % OTHERS.length], corner), away = minus(key, corner);
    outside ||= side[0] * away[1] - side[1] * away[0] < -1e-9;
    const share = Math.min(1, Math.max(0, dot(away, side) / dot(side, side)));
    const point = [corner[0] + share * side[0], corner[1] + share * side[1]];
    const distance = Math.hypot(...minus(key, point));
    if (distance < best.distance) best = { point, distance };
  });
  return outside ? best : null;
}

function drawMargin(plane, key, { point }) {
  const [x1, y1] = across(point), [x2, y2] = across(key);
  shape(plane, "line", { x1, y1, x2, y2, class: "kink", "data-part": "distance" });
  shape(plane, "circle", { cx: x1, cy: y1, r: 4, class: "ring", "data-part": "nearest" });
  // From the hull to the key and on: where the query points.
  const [dx, dy] = minus([x2, y2], [x1, y1]), length = Math.hypot(dx, dy);
  const tip = [x2 + 26 * dx / length, y2 + 26 * dy / length];
  const wing = (turn) => [tip[0] - (8 * dx + turn * 4 * dy) / length, tip[1] - (8 * dy - turn * 4 * dx) / length];
  shape(plane, "polyline", { points: [[x2, y2], tip, wing(1), tip, wing(-1)].map(String).join(" "),
    class: "tangent", "data-part": "query" });
}

function drawKeys(plane, key, weights, found) {
  shape(plane, "rect", { x: 0, y: 0, width: 240, height: 240, class: "plane" });
  shape(plane, "polygon", { points: OTHERS.map(across).map(String).join(" "), class: "band",
    "data-part": "hull" });
  [-3, 0, 3].forEach((x) => {
    shape(plane, "text", { ...SMALL, x: across([x, 0])[0], y: 256, "data-part": "tick-x" }, written(x, 0));
    shape(plane, "text", { ...SMALL, x: -6, y: across([0, x])[1] + 4, "text-anchor": "end",
      "data-part": "tick-y" }, written(x, 0));
  });
  if (found) drawMargin(plane, key, found);
  [key, ...OTHERS].forEach((place, i) => {
    const [cx, cy] = across(place);
    const r = 3 + 13 * Math.sqrt(weights[i]);
    shape(plane, "circle", { cx, cy, r, class: i === 0 ? "handle" : "bar", "data-part": "disc" });
  });
  const [x, y] = across(key);
  shape(plane, "text", { ...LABEL, x, y: y + 4, class: "query-name" }, "a");
}

function drawWeights(list, weights) {
  shape(list, "text", { ...LABEL, x: 12, y: 14, "text-anchor": "start", "font-style": "italic" },
    "weights of the keys");
  ["a", "1", "2", "3", "4"].forEach((name, i) => {
    const y = 26 + 34 * i;
    shape(list, "text", { ...LABEL, x: 6, y: y + 16 }, name);
    shape(list, "rect", { x: 18, y, width: 130 * weights[i], height: 22, class: "bar", "data-part": "bar" });
    shape(list, "text", { ...LABEL, x: 192, y: y + 16, "text-anchor": "end", "data-part": "weight" },
      weights[i].toFixed(3));
  });
}

function drawLookup(svg, said, [x, y, gap]) {
  const narrow = isNarrow(svg);  // then the weights go below
  svg.setAttribute("viewBox", narrow ? "0 0 290 474" : "0 0 500 276");
  const key = [x, y], found = nearestInHull(key);
  const factor = found ? gap / found.distance ** 2 : 0;
  const query = found ? minus(key, found.point).map((entry) => factor * entry) : [0, 0];
  const weights = softmax([key, ...OTHERS].map((one) => dot(one, query)));
  drawKeys(shape(svg, "g", { transform: "translate(26 14)" }), key, weights, found);
  drawWeights(shape(svg, "g", { transform: narrow ? "translate(44 282)" : "translate(290 44)" }), weights);
  const place = `Key a at (${written(x, 1)}, ${written(y, 1)})`;
  said.textContent = found
    ? `${place} is ${written(found.distance, 3)} away from the hull. The shortest query with a gap of `
      + `${written(gap, 1)} has the length ${written(gap / found.distance, 3)}, and gives a the weight `
      + `${weights[0].toFixed(3)}.`
    : `${place} lies in the hull of the others. No query gives it more than half of the weight, `
      + `and none has the gap ${written(gap, 1)} unless that is 0.`;
}

document.querySelectorAll(".explore-lookup").forEach((root) => {
  figure(root, "0 0 500 276", MOVES, drawLookup);
});
