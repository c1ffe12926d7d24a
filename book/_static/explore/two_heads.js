// Four schemes that average two of n values: one head or two, with a part along the uncertain key
// or none. Dots are draws of the keys; the miss below each name is exact.
"use strict";

const NOISE = [["noise √α", 0, 0.1, 0.002, 0], ["β", 0, 12, 0.5, 10], ["keys n", 3, 20, 1, 10]];
const SPREAD = Math.SQRT1_2;  // of the length of the key of a
const DRAWS = 120;
const EACH = 41;  // normal numbers a draw: the length, and the noise of 20 keys in two heads
const STEP = 0.25, REACH = 8.5;  // of the integrals, as in attnlib/two_heads.py

// Queries by their parts along the mean of a, of b, and of each other key, for β = 1.
const SCHEMES = [
  ["one head, towards", () => [[1, 1, 0]]],
  ["one head, away", () => [[0, 0, -1]]],
  ["two heads, committed", () => [[1, 0, 0], [0, 1, 0]]],
  ["committed, away", (n) => [[0, -1, -1], [0, 1, -1 / (n - 2)]]],
];

// The generator mulberry32, and normal numbers by Box and Muller: the same dots on every visit.
function normals(count, seed) {
  let state = seed;
  const uniform = () => {
    state = (state + 0x6D2B79F5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
  return Array.from({ length: count },
    () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform()));
}

const RANDOM = normals(DRAWS * EACH, 1);

// The deviation of a score: noise in every direction, and for a that of the length.
function deviations([a, b, rest], alpha, n) {
  const light = Math.sqrt(alpha * (a * a + b * b + (n - 2) * rest * rest));
  return [Math.hypot(light, SPREAD * a), light, light];
}

// The weights of a, of b and of all others together, in one draw.
function weightsOf(query, draw, head, alpha, n) {
  const [, light] = deviations(query, alpha, n);
  const z = Array.from({ length: n }, (_, i) => query[Math.min(i, 2)]
    + light * RANDOM[draw * EACH + 1 + 20 * head + i]);
  z[0] += SPREAD * RANDOM[draw * EACH] * query[0];
  const y = softmax(z);
  return [y[0], y[1], 1 - y[0] - y[1]];
}

const bump = (v) => {
  const e = Math.exp(Math.min(v, 7));
  const decay = Math.exp(-e);
  return [decay, e * decay, e * e * decay];
};

// The means of exp(k v − e^v) for k = 0, 1, 2 over a normal v around each x, for xs a STEP apart.
function bumps(xs, std) {
  const wide = std >= 2 * STEP;  // then the nodes of all xs lie on one grid
  const most = wide ? Math.ceil(REACH * std / STEP) : 34;
  const unit = wide ? STEP / std : REACH / most;
  const nodes = Array.from({ length: 2 * most + 1 }, (_, j) => unit * (j - most));
  const weights = nodes.map((g) => Math.exp(-g * g / 2));
  const total = weights.reduce((s, w) => s + w);
  const grid = wide
    && Array.from({ length: xs.length + 2 * most }, (_, i) => bump(xs[0] + STEP * (i - most)));
  return xs.map((x, i) => {
    const sums = [0, 0, 0];
    for (let j = 0; j < nodes.length; j += 1) {
      const values = wide ? grid[i + j] : bump(x + std * nodes[j]);
      for (let k = 0; k < 3; k += 1) sums[k] += weights[j] * values[k] / total;
    }
    return sums;
  });
}

// Mean and mean square of the weights of a and b, for one query.
function moments(query, alpha, n) {
  const std = deviations(query, alpha, n);
  const low = -Math.max(...query.map((m, i) => m + REACH * std[i])) - 40 - Math.log(n);
  const high = -Math.max(...query.map((m, i) => m - REACH * std[i])) + 5;
  const us = Array.from({ length: Math.ceil((high - low) / STEP) }, (_, i) => low + STEP * i);
  const [a, b, rest] = query.map((m, i) => bumps(us.map((u) => u + m), std[i]));
  const integral = (one, other, k) => STEP * us.reduce(
    (s, _, i) => s + one[i][k] * other[i][0] * rest[i][0] ** (n - 2), 0);
  return [[integral(a, b, 1), integral(a, b, 2)], [integral(b, a, 1), integral(b, a, 2)]];
}

// How far the averaged weights of a and b are from ½ each, as a root mean square.
function missOf(queries, alpha, n) {
  const heads = queries.map((q) => moments(q, alpha, n));
  const square = [0, 1].reduce((s, key) => {
    const mean = heads.reduce((t, m) => t + m[key][0], 0) / heads.length;
    const spread = heads.reduce((t, m) => t + m[key][1] - m[key][0] ** 2, 0) / heads.length ** 2;
    return s + (mean - 0.5) ** 2 + spread;
  }, 0);
  return Math.sqrt(Math.max(square, 0));
}

// A triangle with the corners a, b and the rest, and a dot for each draw.
function drawScheme(plot, name, queries, miss, alpha, n) {
  const across = ([, b, rest]) => 30 + 210 * (b + rest / 2);
  const down = ([, , rest]) => 132 - 84 * rest;
  shape(plot, "text", { ...LABEL, x: 4, y: 16, "text-anchor": "start" }, name);
  shape(plot, "text", { ...LABEL, x: 266, y: 16, "text-anchor": "end", "data-part": "miss" },
    `miss ${written(miss, 3)}`);
  const corners = [[1, 0, 0], [0, 1, 0], [0, 0, 1]];
  shape(plot, "polygon", { class: "plane", "data-part": "triangle",
    points: corners.map((y) => `${across(y)},${down(y)}`).join(" ") });
  shape(plot, "text", { ...LABEL, x: 20, y: 136, "font-style": "italic" }, "a");
  shape(plot, "text", { ...LABEL, x: 250, y: 136, "font-style": "italic" }, "b");
  shape(plot, "text", { ...SMALL, x: 145, y: 50, "text-anchor": "start" }, "others");
  Array.from({ length: DRAWS }, (_, draw) => {
    const y = queries.map((q, head) => weightsOf(q, draw, head, alpha, n))
      .reduce((s, w) => s.map((x, i) => x + w[i] / queries.length), [0, 0, 0]);
    shape(plot, "circle", { cx: across(y), cy: down(y), r: 2.5, class: "dot", "data-part": "draw" });
  });
  shape(plot, "circle", { cx: across([0.5, 0.5, 0]), cy: down([0.5, 0.5, 0]), r: 9, class: "border",
    "data-part": "wanted" });
}

function drawSchemes(svg, said, [noise, beta, n]) {
  const narrow = isNarrow(svg);
  svg.setAttribute("viewBox", narrow ? "0 0 270 600" : "0 0 560 300");
  const misses = SCHEMES.map(([name, unit], i) => {
    const queries = unit(n).map((q) => q.map((part) => beta * part));
    const miss = missOf(queries, noise ** 2, n);
    const place = narrow ? [0, 150 * i] : [290 * (i % 2), 150 * Math.floor(i / 2)];
    drawScheme(shape(svg, "g", { transform: `translate(${place})` }), name, queries, miss,
      noise ** 2, n);
    return written(miss, 3);
  });
  const [towards, away, committed, both] = misses;
  const order = away < committed ? "ahead of" : away > committed ? "behind" : "level with";
  said.textContent = `${n} keys, β = ${beta}, √α = ${noise}. One head misses by ${towards} towards and `
    + `${away} away, two heads by ${committed} committed and ${both} committed and away. `
    + `The head that looks away is ${order} the plain committed heads.`;
}

document.querySelectorAll(".explore-two-heads").forEach((root) => {
  figure(root, "0 0 560 300", NOISE, drawSchemes);
});
