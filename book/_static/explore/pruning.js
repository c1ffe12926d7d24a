// Heads removed one by one, in the order of four scores. All numbers were recorded by a study; the
// chapter writes them into its page, and this script only shows them.
"use strict";

const REMOVAL = [["heads removed", 0, 7, 1, 5], ["model", 0, 15, 1, 1]];
const PER_LAYER = 4, WIDE = 104, HIGH = 80;

const acrossHeads = (k) => 18 + WIDE * k / 7;
const upTo = (accuracy) => 84 + HIGH * (1 - accuracy);

// The heads of both layers: a number says which went when.
function drawHeads(plot, order, k) {
  Array.from({ length: 2 * PER_LAYER }, (_, head) => {
    const x = 18 + 26 * (head % PER_LAYER);
    const y = 24 + 22 * Math.floor(head / PER_LAYER);
    const when = order.indexOf(head);
    const gone = when >= 0 && when < k;
    shape(plot, "rect", { x, y, width: 24, height: 20, class: gone ? "plane" : "bar",
      "data-part": gone ? "gone" : "kept", "data-head": head });
    if (gone) {
      shape(plot, "text", { ...SMALL, x: x + 12, y: y + 14, "data-part": "when", "data-head": head },
        when + 1);
    }
  });
}

function drawOrder(plot, { name, order, accuracy }, { best, mean }, k) {
  shape(plot, "text", { ...LABEL, x: 70, y: 15, "data-part": "name" }, name);
  [0, 1].forEach((layer) => {
    shape(plot, "text", { ...SMALL, x: 8, y: 38 + 22 * layer }, layer);
  });
  drawHeads(plot, order, k);
  shape(plot, "line", { x1: 18, x2: 18 + WIDE, y1: upTo(0), y2: upTo(0), class: "axis" });
  shape(plot, "line", { x1: 18, x2: 18, y1: upTo(0), y2: upTo(1), class: "axis" });
  [0, 1].forEach((tick) => {
    shape(plot, "text", { ...SMALL, x: 9, y: upTo(tick) + 4, "data-part": "tick-y" }, tick);
  });
  [0, 7].forEach((tick) => {
    shape(plot, "text", { ...SMALL, x: acrossHeads(tick), y: 180, "data-part": "tick-x" }, tick);
  });
  const line = (values) => values.map((a, i) => `${acrossHeads(i)},${upTo(a)}`).join(" ");
  shape(plot, "polyline", { points: line(best), class: "kink", "data-part": "best" });
  shape(plot, "polyline", { points: line(mean), class: "border", "stroke-dasharray": "1 4",
    "data-part": "mean" });
  shape(plot, "polyline", { points: line(accuracy), class: "curve", "data-part": "curve" });
  shape(plot, "circle", { cx: acrossHeads(k), cy: upTo(accuracy[k]), r: 5, class: "handle",
    "data-part": "now" });
  shape(plot, "text", { ...LABEL, x: 46, y: upTo(0) - 8, "data-part": "accuracy" },
    accuracy[k].toFixed(3));
}

document.querySelectorAll(".explore-pruning").forEach((root) => {
  const record = document.querySelector(".pruning-record");
  if (record === null) return;  // the sentence inside the figure stays
  const models = JSON.parse(record.textContent);
  figure(root, "0 0 560 190", REMOVAL, (svg, said, [k, which]) => {
    const narrow = isNarrow(svg);
    svg.setAttribute("viewBox", narrow ? "0 0 270 390" : "0 0 560 190");
    const model = models[which];
    model.runs.forEach((run, i) => {
      const place = narrow ? [136 * (i % 2), 200 * Math.floor(i / 2)] : [142 * i, 0];
      drawOrder(shape(svg, "g", { transform: `translate(${place})` }), run, model, k);
    });
    const found = model.runs.map(({ name, accuracy }) => `${name} ${accuracy[k].toFixed(3)}`);
    said.textContent = `Model ${which}, heads removed: ${k}. Right answers: ${found.join(", ")}; `
      + `best choice ${model.best[k].toFixed(3)}, random ${model.mean[k].toFixed(3)}.`;
  });
});
