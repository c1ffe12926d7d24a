// Six tokens under a mask: the weights that are left, and the inputs that one output depends on.
"use strict";

const WORDS = ["the", "cat", "sat", "on", "the", "mat"];
const SCORES = [  // a row for each query
  [2, 1, 0, 0, 1, 0],
  [1, 2, 1, 0, 0, 1],
  [0, 3, 1, 1, 0, 1],
  [0, 0, 2, 1, 1, 2],
  [1, 0, 0, 1, 2, 2],
  [1, 1, 2, 2, 1, 2],
];
const TOKENS = WORDS.map((_, i) => i);
const MASKING = [["query", 1, 6, 1, 4], ["back", 0, 5, 1, 5], ["ahead", 0, 5, 1, 0],
  ["padding", 0, 3, 1, 0], ["layers", 1, 3, 1, 2]];
const CELL = 34;

// Query t may attend to key s: neither too far back, nor too far ahead, nor padding at the end.
function permitted(t, s, { back, ahead, padding }) {
  return t - back <= s && s <= t + ahead && s < TOKENS.length - padding;
}

// The weights of a query under the mask; null if no key is left to it.
function maskedWeights(t, mask) {
  const kept = TOKENS.filter((s) => permitted(t, s, mask));
  if (kept.length === 0) return null;
  const weights = softmax(kept.map((s) => SCORES[t][s]));
  return TOKENS.map((s) => (kept.includes(s) ? weights[kept.indexOf(s)] : 0));
}

// The tokens on which output t depends, from its own layer down to the inputs. A residual
// connection adds the token itself in every layer.
function dependence(t, mask, layers) {
  const levels = [[t]];
  for (let layer = 0; layer < layers; layer += 1) {
    levels.push(TOKENS.filter((s) => levels.at(-1).some((u) => u === s || permitted(u, s, mask))));
  }
  return levels;
}

function named(s, { padding }) {
  return s < TOKENS.length - padding ? WORDS[s] : "pad";
}

function drawWeights(parent, t, mask) {
  TOKENS.forEach((u) => {
    const weights = maskedWeights(u, mask) ?? TOKENS.map(() => 0);
    weights.forEach((w, s) => {
      const at = { x: CELL * s, y: CELL * u, width: CELL, height: CELL };
      // By its root, so that a small weight is not taken for none.
      shape(parent, "rect", { ...at, class: "cell", "fill-opacity": Math.sqrt(w), "data-part": "cell" });
      shape(parent, "rect", { ...at, class: "plane" });
    });
    shape(parent, "text", { ...LABEL, x: -8, y: CELL * u + 21, "text-anchor": "end" }, named(u, mask));
    shape(parent, "text", { ...LABEL, x: CELL * u + CELL / 2, y: -7 }, named(u, mask));
  });
  shape(parent, "rect", { x: 0, y: CELL * t, width: 6 * CELL, height: CELL, class: "border",
    "data-part": "row" });
  const own = maskedWeights(t, mask);
  TOKENS.forEach((s) => {
    if (own === null || own[s] === 0) return;
    shape(parent, "text", { ...SMALL, x: CELL * s + CELL / 2, y: 6 * CELL + 17, "data-part": "weight" },
      written(own[s], 2));
  });
}

function drawWays(parent, t, mask, layers) {
  const levels = dependence(t, mask, layers);
  const right = (s) => 18 + 36 * s;
  const down = (level) => 10 + 176 * level / layers;  // level 0 is the output
  levels.slice(1).forEach((below, i) => {
    levels[i].forEach((u) => below.filter((s) => u === s || permitted(u, s, mask)).forEach((s) => {
      shape(parent, "line", { x1: right(u), y1: down(i), x2: right(s), y2: down(i + 1), class: "query",
        "data-part": "way" });
    }));
  });
  levels.forEach((reached, level) => TOKENS.forEach((s) => {
    shape(parent, "circle", { cx: right(s), cy: down(level), r: 7, "data-part": "node",
      class: reached.includes(s) ? "handle" : "ring" });
  }));
  TOKENS.forEach((s) => shape(parent, "text", { ...LABEL, x: right(s), y: 211, "data-part": "word" },
    named(s, mask)));
}

function drawMask(svg, said, [query, back, ahead, padding, layers]) {
  const [t, mask] = [query - 1, { back, ahead, padding }];
  const narrow = isNarrow(svg);  // then the ways go below
  svg.setAttribute("viewBox", narrow ? "0 0 260 490" : "0 0 520 250");
  drawWeights(shape(svg, "g", { transform: "translate(44 24)" }), t, mask);
  const own = maskedWeights(t, mask);
  const start = `Query ${query}, “${named(t, mask)}”: up to ${back} back, up to ${ahead} ahead, `
    + `${padding} of padding. It may attend to `;
  if (own === null) {
    said.textContent = `${start}nothing, so its row has no softmax.`;
    return;
  }
  drawWays(shape(svg, "g", { transform: narrow ? "translate(22 264)" : "translate(286 20)" }), t, mask,
    layers);
  const list = (tokens) => tokens.map((s) => s + 1).join(", ");
  const kept = TOKENS.filter((s) => permitted(t, s, mask));
  said.textContent = `${start}${list(kept)}, with the weights `
    + `${kept.map((s) => written(own[s], 2)).join(", ")}. Through ${layers} `
    + `${layers === 1 ? "layer" : "layers"} its output depends on ${list(dependence(t, mask, layers).at(-1))}.`;
}

document.querySelectorAll(".explore-transformer").forEach((root) => {
  figure(root, "0 0 520 250", MASKING, drawMask);
});
