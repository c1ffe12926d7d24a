// A message from token 1 on its way through three kinds of layer, hop by hop, and what a layer costs.
"use strict";

const READING = [["length n", 2, 12, 1, 8], ["width d", 1, 12, 1, 6], ["taps k", 2, 5, 1, 3],
  ["hops", 0, 11, 1, 2]];
const HIGH = 112;  // of what is drawn of a layer or a stack
const BAR = 120;  // that of the most expensive layer

// How far a hop leads at most, how many steps wait for each other, how many multiply–adds.
function layersOf(n, d, k) {
  return [
    { name: "recurrence", hop: 1, waits: n, cost: 2 * n * d * d },
    { name: "convolution", hop: k - 1, waits: 1, cost: k * n * d * d },
    { name: "self-attention", hop: n - 1, waits: 1, cost: 2 * n * n * d },
  ].map((layer) => ({ ...layer, path: Math.ceil((n - 1) / layer.hop) }));
}

// The last token that has heard of token 1.
function heard(n, hop, hops) {
  return Math.min(n, 1 + hop * hops);
}

function counted(number, noun) {
  return `${number} ${noun}${number === 1 ? "" : "s"}`;
}

// Rows of nodes, the inputs below, and the lines between them. A recurrence has one row of states,
// and its hops lead along it; a stack has a row for each layer, and its hops lead upwards.
function drawNodes(parent, n, { name, hop, path }, hops, width) {
  const along = name === "recurrence";
  const tokens = Array.from({ length: n }, (_, i) => i + 1);
  const rows = Array.from({ length: along ? 2 : path + 1 }, (_, i) => i);
  const spot = (t, row) => `${width * (t - 1) / (n - 1)} ${HIGH * (1 - row / (rows.length - 1))}`;
  const sees = (t, s) => (along ? s === t : t - s <= hop && (s <= t || name === "self-attention"));
  const lines = rows.slice(1).flatMap((row) => tokens.flatMap((t) => tokens.filter((s) => sees(t, s))
    .map((s) => `M${spot(s, row - 1)} ${spot(t, row)}`)));
  if (along) lines.push(...tokens.slice(1).map((t) => `M${spot(t - 1, 1)} ${spot(t, 1)}`));
  shape(parent, "path", { d: lines.join(""), class: "axis", "data-part": `${name}-lines` });
  const way = Array.from({ length: Math.min(hops, path) + 1 }, (_, i) => i)
    .map((i) => spot(heard(n, hop, i), along ? 1 : i));
  shape(parent, "path", { d: `M${way.join(" ")}`, class: "curve", "data-part": `${name}-way` });
  rows.forEach((row) => tokens.forEach((t) => {
    const last = along ? [1, heard(n, 1, hops)][row] : heard(n, hop, row);
    const filled = t <= last && (along || row <= hops);
    const [cx, cy] = spot(t, row).split(" ");
    shape(parent, "circle", { cx, cy, r: 4, class: filled ? "handle" : "ring",
      "data-part": `${name}-node` });
  }));
  [1, n].forEach((t) => {
    shape(parent, "text", { ...SMALL, x: spot(t, 0).split(" ")[0], y: HIGH + 20,
      "data-part": `${name}-token` }, t);
  });
}

function drawLayer(parent, n, layer, hops, most, narrow) {
  const { name, path, waits, cost } = layer;
  const width = narrow ? 118 : 144;
  shape(parent, "text", { ...LABEL, x: 0, y: 0, "text-anchor": "start", "font-weight": 600 }, name);
  drawNodes(shape(parent, "g", { transform: "translate(5 16)" }), n, layer, hops, width);
  const side = shape(parent, "g", { transform: narrow ? "translate(142 50)" : "translate(0 170)" });
  [`${counted(path, "hop")} to token ${n}`, `${counted(waits, "step")} in a row`,
    counted(cost, "multiply–add")].forEach((text, i) => {
    shape(side, "text", { ...SMALL, x: 0, y: 18 * i, "text-anchor": "start", "data-part": "number" }, text);
  });
  shape(side, "rect", { x: 0, y: 44, width: BAR * cost / most, height: 9, class: "bar", "data-part": "bar" });
}

function drawReading(svg, said, [n, d, k, hops]) {
  const narrow = isNarrow(svg);  // then the layers stand below each other
  svg.setAttribute("viewBox", narrow ? "0 0 272 510" : "0 0 524 244");
  const layers = layersOf(n, d, k);
  const costs = layers.map(({ cost }) => cost);
  layers.forEach((layer, i) => {
    const place = narrow ? `translate(8 ${16 + 166 * i})` : `translate(${8 + 180 * i} 16)`;
    drawLayer(shape(svg, "g", { transform: place }), n, layer, hops, Math.max(...costs), narrow);
  });
  const at = layers.map(({ hop }) => heard(n, hop, hops));
  const order = ["fewer than", "as many as", "more than"][1 + Math.sign(costs[2] - costs[0])];
  said.textContent = `After ${counted(hops, "hop")} the last of ${n} tokens to have heard of token 1 is token `
    + `${at[0]} in the recurrence, ${at[1]} with convolutions of ${k} taps, ${at[2]} with self-attention. With `
    + `d = ${d} self-attention takes ${order} the recurrence: ${costs[2]} multiply–adds against ${costs[0]}.`;
}

document.querySelectorAll(".explore-layer-costs").forEach((root) => {
  figure(root, "0 0 524 244", READING, drawReading);
});
