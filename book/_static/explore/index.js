// A row of large numbers beside a row with the same gaps.
"use strict";

const ROWS = [["size", 0, 1000, 10, 1000], ["gap", 0, 8, 0.1, 1]];

function drawRows(svg, said, [size, gap]) {
  const narrow = isNarrow(svg);
  svg.setAttribute("viewBox", narrow ? "0 0 250 320" : "0 0 510 150");
  const rows = [[size, size, size + gap], [0, 0, gap]];
  const weights = rows.map(softmax);
  rows.forEach((z, r) => {
    const left = narrow ? 0 : 265 * r;
    const top = narrow ? 170 * r : 0;
    z.forEach((x, i) => {
      const middle = left + 45 + 80 * i;
      shape(svg, "text", { ...LABEL, x: middle, y: top + 16, "data-part": "logit" },
        written(x, x % 1 ? 1 : 0));
      const height = 100 * weights[r][i];
      shape(svg, "rect", { x: middle - 26, y: top + 142 - height, width: 52, height, class: "bar",
        "data-part": "bar" });
      shape(svg, "text", { ...LABEL, x: middle, y: top + 136 - height, "data-part": "weight" },
        weights[r][i].toFixed(3));
    });
    shape(svg, "line", { x1: left + 10, x2: left + 240, y1: top + 142, y2: top + 142, stroke: "currentColor" });
  });
  said.textContent = rows.map((z, r) => `Softmax of ${z.map((x) => written(x, x % 1 ? 1 : 0)).join(", ")} `
    + `is ${weights[r].map((w) => w.toFixed(3)).join(", ")}.`).join(" ");
}

document.querySelectorAll(".explore-landing").forEach((root) => {
  figure(root, "0 0 510 150", ROWS, drawRows);
});
