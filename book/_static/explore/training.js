// The smoothed loss against the lead of the right class over all others.
"use strict";

const SMOOTHING = [["ε", 0, 0.5, 0.01, 0.1], ["classes K", 2, 100, 1, 10]];
const LONGEST = 10;  // lead
const WORST = 5;  // loss

// The logits are (lead, 0, …, 0), and ε is spread over all K classes.
function smoothedLoss(lead, eps, K) {
  return Math.log(Math.exp(lead) + K - 1) - (1 - eps + eps / K) * lead;
}

function drawLoss(svg, said, [eps, K]) {
  const narrow = isNarrow(svg);
  const [width, height] = narrow ? [230, 190] : [440, 210];
  svg.setAttribute("viewBox", `0 0 ${width + 50} ${height + 48}`);
  const plot = shape(svg, "g", { transform: "translate(34 8)" });
  const right = (lead) => width * lead / LONGEST;
  const up = (loss) => height - height * loss / WORST;
  shape(plot, "line", { x1: 0, x2: width, y1: height, y2: height, class: "axis" });
  shape(plot, "line", { x1: 0, x2: 0, y1: 0, y2: height, class: "axis" });
  [0, 2, 4, 6, 8, 10].forEach((x) => {
    shape(plot, "text", { ...LABEL, x: right(x), y: height + 17, "data-part": "tick-x" }, x);
  });
  [0, 1, 2, 3, 4, 5].forEach((x) => {
    shape(plot, "text", { ...LABEL, x: -10, y: up(x) + 4, "data-part": "tick-y" }, x);
  });
  shape(plot, "text", { ...LABEL, x: width / 2, y: height + 36, "font-style": "italic" },
    narrow ? "lead" : "lead of the right logit over the others");
  shape(plot, "text", { ...LABEL, x: 8, y: 10, "text-anchor": "start", "font-style": "italic" }, "loss");
  const leads = Array.from({ length: 101 }, (_, i) => LONGEST * i / 100);
  const line = (e) => leads.map((x) => `${right(x)},${up(smoothedLoss(x, e, K))}`).join(" ");
  shape(plot, "polyline", { points: line(0), class: "border", "stroke-dasharray": "3 4",
    "data-part": "plain" });
  shape(plot, "polyline", { points: line(eps), class: "curve", "data-part": "smoothed" });
  if (eps === 0) {
    said.textContent = `${K} classes, no smoothing: the loss falls for ever, and no lead is the best.`;
    return;
  }
  const best = Math.log(1 + K * (1 - eps) / eps);
  const p = 1 - eps + eps / K;
  shape(plot, "circle", { cx: right(best), cy: up(smoothedLoss(best, eps, K)), r: 6, class: "handle",
    "data-part": "best" });
  said.textContent = `${K} classes, ε = ${written(eps, 2)}: the best lead is ${best.toFixed(2)}. `
    + `The right class then has the probability ${p.toFixed(3)}.`;
}

document.querySelectorAll(".explore-training").forEach((root) => {
  figure(root, "0 0 490 258", SMOOTHING, drawLoss);
});
