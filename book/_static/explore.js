// The interactive figures of the chapters, redrawn as the sliders move. Where scripts are off,
// the sentence inside each stays.
"use strict";

const SVG = "http://www.w3.org/2000/svg";

function softmax(z) {
  const top = Math.max(...z);
  const e = z.map((x) => Math.exp(x - top));
  const sum = e.reduce((a, b) => a + b);
  return e.map((x) => x / sum);
}

// Largest eigenvalue of J = diag(y) − yyᵀ: J has rank at most 2 for three logits and one
// eigenvalue 0, so the other two follow from its trace and the sum of its squared entries.
function largestEigenvalue(y) {
  const jacobian = y.map((a, i) => y.map((b, k) => a * ((i === k) - b)));
  const trace = jacobian[0][0] + jacobian[1][1] + jacobian[2][2];
  const squares = jacobian.flat().reduce((s, x) => s + x * x, 0);
  return { jacobian, lambda: (trace + Math.sqrt(Math.max(0, 2 * squares - trace * trace))) / 2 };
}

function shape(parent, name, attributes, text) {
  const node = document.createElementNS(SVG, name);
  Object.entries(attributes).forEach(([key, value]) => node.setAttribute(key, value));
  if (text !== undefined) node.textContent = text;
  parent.append(node);
  return node;
}

function written(x, digits) {
  const text = x.toFixed(digits);
  return (Number(text) === 0 ? text.replace("-", "") : text).replace("-", "−");
}

function isNarrow(svg) {
  return svg.clientWidth > 0 && svg.clientWidth < 420;
}

// A panel of sliders above a drawing, and below it a sentence that says the same in words.
// draw(svg, said, values) is called with the values of the sliders, [name, least, most,
// step, value] each; set(values), which is returned, moves them.
function figure(root, box, sliders, draw) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", box);
  svg.setAttribute("aria-hidden", "true");
  const said = document.createElement("p");
  said.className = "said";
  said.setAttribute("aria-live", "polite");
  const panel = document.createElement("div");
  panel.className = "sliders";
  const inputs = sliders.map(([name, min, max, step, value]) => {
    const label = document.createElement("label");
    const number = document.createElement("output");
    const input = document.createElement("input");
    Object.assign(input, { type: "range", min, max, step });
    input.value = value;
    label.append(name, input, number);
    panel.append(label);
    return { input, number };
  });
  const update = () => {
    const values = inputs.map(({ input }) => Number(input.value));
    inputs.forEach(({ number }, i) => { number.textContent = String(values[i]).replace("-", "−"); });
    svg.querySelectorAll(":scope > :not(.pad)").forEach((node) => node.remove());
    draw(svg, said, values);
  };
  const set = (values) => {
    inputs.forEach(({ input }, i) => { input.value = values[i]; });
    update();
  };
  inputs.forEach(({ input }) => input.addEventListener("input", update));
  window.addEventListener("resize", update);
  root.classList.add("explore");
  root.replaceChildren(panel, svg, said);
  update();
  return { svg, set };
}

// -- softmax: large logits beside logits with the same gaps ------------------------------------

const LOGITS = [["z₁", -3, 3, 0.1, 0], ["z₂", -3, 3, 0.1, 0], ["z₃", -3, 3, 0.1, 1]];
const FACTOR = ["factor β", 0, 20, 0.1, 1];
const SHIFT = ["shift c", -1000, 1000, 10, 1000];

// A number with as many decimals as it needs, two at most.
function short(x) {
  return String(Number(x.toFixed(2))).replace("-", "−");
}

// Three bars from x on, with what stands above and below each.
function drawWeights(parent, x, y, above, below) {
  const label = { fill: "currentColor", "font-size": 13, "text-anchor": "middle" };
  y.forEach((p, i) => {
    const left = x + 62 * i;
    shape(parent, "rect", { x: left, y: 150 - 120 * p, width: 44, height: 120 * p, class: "bar" });
    shape(parent, "text", { ...label, x: left + 22, y: 143 - 120 * p }, above[i]);
    shape(parent, "text", { ...label, x: left + 22, y: 168 }, below[i]);
  });
  shape(parent, "line", { x1: x - 10, x2: x + 180, y1: 150, y2: 150, stroke: "currentColor" });
}

function drawShift(svg, said, [z1, z2, z3, shift, beta]) {
  const rows = [shift, 0].map((c) => [z1, z2, z3].map((x) => beta * (x + c)));
  const weights = rows.map((row) => softmax(row).map((p) => p.toFixed(3)));
  const label = { fill: "currentColor", "font-size": 13, "text-anchor": "middle" };
  rows.forEach((row, i) => {
    const x = 20 + 210 * i;
    drawWeights(svg, x, softmax(row), weights[i], row.map(short));
    shape(svg, "text", { ...label, x: x + 84, y: 190, "font-style": "italic" },
      i === 0 ? "logits β(z + c)" : "logits βz");
  });
  said.textContent = rows.map((row, i) => `Softmax of ${row.map(short).join(", ")} `
    + `is ${weights[i].join(", ")}.`).join(" ");
}

document.querySelectorAll(".explore-softmax").forEach((root) => {
  figure(root, "0 0 420 198", [...LOGITS, SHIFT, FACTOR], drawShift);
});

// -- softmax: the weights of βz, their Jacobian and its largest eigenvalue ---------------------

const TIE = LOGITS.map(([name, min, max, step], i) => [name, min, max, step, [-3, 1, 1][i]]);

function drawJacobian(svg, said, [z1, z2, z3, beta]) {
  const y = softmax([z1, z2, z3].map((x) => beta * x));
  const { jacobian, lambda } = largestEigenvalue(y);
  const label = { fill: "currentColor", "font-size": 13, "text-anchor": "middle" };
  drawWeights(svg, 20, y, y.map((p) => p.toFixed(3)), ["y₁", "y₂", "y₃"]);
  jacobian.forEach((row, i) => row.forEach((value, k) => {
    const cell = { x: 232 + 56 * k, y: 8 + 46 * i, width: 54, height: 44 };
    shape(svg, "rect", { ...cell, class: value < 0 ? "minus" : "plus",
      "fill-opacity": Math.min(1, 4 * Math.abs(value)) });
    shape(svg, "text", { ...label, "font-size": 12, x: cell.x + 27, y: cell.y + 27 },
      written(value, 3));
  }));
  shape(svg, "text", { ...label, x: 316, y: 168 }, `J, λ = ${lambda.toFixed(3)}`);
  said.textContent = `Weights ${y.map((p) => p.toFixed(3)).join(", ")}. `
    + `The largest eigenvalue λ of J is ${lambda.toFixed(3)}.`;
}

document.querySelectorAll(".explore-jacobian").forEach((root) => {
  figure(root, "0 0 410 176", [...TIE, FACTOR], drawJacobian);
});

// -- first_look: one query among four tokens, weights in powers of 2 --------------------------

const KEYS = [[1, 1], [1, 0], [0, 1], [1, -1]];
const VALUES = [4, 8, 0, 16];
const REACH = 4;  // of the plane, in each direction
const QUERY = [["query, right", -REACH, REACH, 0.1, 2], ["query, up", -REACH, REACH, 0.1, 1]];
const SIDE = 240;  // of the plane, in units of the drawing

function attend(q) {
  const scores = KEYS.map((k) => q[0] * k[0] + q[1] * k[1]);
  const weights = softmax(scores.map((s) => s * Math.LN2));
  return { scores, weights, output: weights.reduce((sum, w, i) => sum + w * VALUES[i], 0) };
}

function at(point) {
  const unit = SIDE / (2 * REACH);
  return [SIDE / 2 + unit * point[0], SIDE / 2 - unit * point[1]];
}

function drawTokens(svg, said, q) {
  const { scores, weights, output } = attend(q);
  const narrow = isNarrow(svg);  // then the table goes below the plane
  svg.setAttribute("viewBox", narrow ? "-10 -10 272 508" : "-10 -10 530 258");
  const label = { fill: "currentColor", "font-size": 13, "text-anchor": "middle" };
  shape(svg, "rect", { x: 0, y: 0, width: SIDE, height: SIDE, class: "plane" });
  shape(svg, "line", { x1: 0, x2: SIDE, y1: SIDE / 2, y2: SIDE / 2, class: "axis" });
  shape(svg, "line", { y1: 0, y2: SIDE, x1: SIDE / 2, x2: SIDE / 2, class: "axis" });
  KEYS.forEach((key, i) => {
    const [x, y] = at(key);
    // The larger its weight, the larger the disc; a weight near 0 leaves a dot.
    shape(svg, "circle", { cx: x, cy: y, r: 3 + 17 * Math.sqrt(weights[i]), class: "bar" });
    shape(svg, "text", { ...label, x, y: y + 4.5 }, i + 1);
  });
  const [x, y] = at(q);
  shape(svg, "line", { x1: SIDE / 2, y1: SIDE / 2, x2: x, y2: y, class: "query" });
  shape(svg, "circle", { cx: x, cy: y, r: 8, class: "handle" });
  shape(svg, "text", { ...label, x: x + (x > 220 ? -18 : 18), y: y + 5, class: "query-name" }, "q");
  const table = shape(svg, "g", narrow ? { transform: "translate(-258 254)" } : {});
  ["token", "score", "weight", "value"].forEach((name, i) => {
    shape(table, "text", { ...label, x: [275, 325, 405, 490][i], y: 20, "font-style": "italic" }, name);
  });
  weights.forEach((w, i) => {
    const row = 52 + 40 * i;
    shape(table, "text", { ...label, x: 275, y: row }, i + 1);
    shape(table, "text", { ...label, x: 325, y: row }, written(scores[i], 1));
    shape(table, "rect", { x: 360, y: row - 14, width: 70 * w, height: 18, class: "bar" });
    shape(table, "text", { ...label, x: 360 + 70 * w + 24, y: row }, w.toFixed(3));
    shape(table, "text", { ...label, x: 490, y: row }, VALUES[i]);
  });
  shape(table, "line", { x1: 270, x2: 510, y1: 222, y2: 222, stroke: "currentColor" });
  VALUES.forEach((v) => {
    shape(table, "line", { x1: 270 + 15 * v, x2: 270 + 15 * v, y1: 218, y2: 226, stroke: "currentColor" });
    shape(table, "text", { ...label, "font-size": 11, x: 270 + 15 * v, y: 239 }, v);
  });
  shape(table, "circle", { cx: 270 + 15 * output, cy: 222, r: 6, class: "handle" });
  const middle = Math.max(290, Math.min(474, 270 + 15 * output));  // or the edge would cut it
  shape(table, "text", { ...label, x: middle, y: 208 }, `output ${written(output, 2)}`);
  said.textContent = `Scores ${scores.map((s) => written(s, 1)).join(", ")}; `
    + `weights ${weights.map((w) => w.toFixed(3)).join(", ")}; output ${written(output, 2)}.`;
}

document.querySelectorAll(".explore-first-look").forEach((root) => {
  const { svg, set } = figure(root, "-10 -10 530 258", QUERY, drawTokens);
  // The query follows a finger or a mouse that is pressed on the plane. The pad stays when all
  // else is drawn anew: it must be there when the touch is handed to it.
  const pad = shape(svg, "rect", { x: 0, y: 0, width: SIDE, height: SIDE, class: "pad" });
  const drag = (event) => {
    const place = new DOMPoint(event.clientX, event.clientY).matrixTransform(
      svg.getScreenCTM().inverse());
    const unit = SIDE / (2 * REACH);
    const bound = (x) => Math.round(10 * Math.max(-REACH, Math.min(REACH, x))) / 10;
    set([bound((place.x - SIDE / 2) / unit), bound((SIDE / 2 - place.y) / unit)]);
  };
  pad.addEventListener("pointerdown", (event) => {
    if (!event.isPrimary || event.button !== 0) return;  // a second finger, another button
    pad.setPointerCapture(event.pointerId);
    drag(event);
  });
  pad.addEventListener("pointermove", (event) => {
    if (pad.hasPointerCapture(event.pointerId)) drag(event);
  });
  // Else a mouse selects text and then drags that, and a finger scrolls the page: Chromium does
  // not heed touch-action on parts of a drawing.
  ["mousedown", "touchstart"].forEach((name) => {
    pad.addEventListener(name, (event) => event.preventDefault(), { passive: false });
  });
});

// -- front page: a row of large numbers beside a row with the same gaps -----------------------

const ROWS = [["size", 0, 1000, 10, 1000], ["gap", 0, 8, 0.1, 1]];

function drawRows(svg, said, [size, gap]) {
  const narrow = isNarrow(svg);
  svg.setAttribute("viewBox", narrow ? "0 0 250 320" : "0 0 510 150");
  const label = { fill: "currentColor", "font-size": 13, "text-anchor": "middle" };
  const rows = [[size, size, size + gap], [0, 0, gap]];
  const weights = rows.map(softmax);
  rows.forEach((z, r) => {
    const left = narrow ? 0 : 265 * r;
    const top = narrow ? 170 * r : 0;
    z.forEach((x, i) => {
      const middle = left + 45 + 80 * i;
      shape(svg, "text", { ...label, x: middle, y: top + 16 }, written(x, x % 1 ? 1 : 0));
      const height = 100 * weights[r][i];
      shape(svg, "rect", { x: middle - 26, y: top + 142 - height, width: 52, height, class: "bar" });
      shape(svg, "text", { ...label, x: middle, y: top + 136 - height }, weights[r][i].toFixed(3));
    });
    shape(svg, "line", { x1: left + 10, x2: left + 240, y1: top + 142, y2: top + 142, stroke: "currentColor" });
  });
  said.textContent = rows.map((z, r) => `Softmax of ${z.map((x) => written(x, x % 1 ? 1 : 0)).join(", ")} `
    + `is ${weights[r].map((w) => w.toFixed(3)).join(", ")}.`).join(" ");
}

document.querySelectorAll(".explore-landing").forEach((root) => {
  figure(root, "0 0 510 150", ROWS, drawRows);
});

// -- scaling: the mean largest weight of n normal scores, in the plane of d_k and n ------------

// Thousandths of E p_max for σ² = d_k: a row for n = 2, 4, … 2¹⁹, a column for d_k = 1, √2, 2, … 256.
// Made by attnlib.scaling.expected_saturation, against which the tests hold it.
const LARGEST = `
725 752 778 804 828 851 871 890 906 920 932 943 952 959 966 971 976
517 558 601 644 686 726 763 797 827 853 875 895 911 925 937 947 955
361 407 458 512 566 620 670 717 758 795 826 853 876 896 912 926 938
247 291 344 402 465 528 589 646 698 743 783 817 846 870 891 908 923
164 204 253 312 377 447 517 583 643 697 744 784 818 847 872 892 910
107 140 183 237 303 376 451 525 594 655 708 754 793 827 854 878 897
69 93 129 177 239 313 392 472 547 616 675 727 770 807 838 864 886
43 61 89 130 186 257 338 423 504 579 644 701 749 789 823 852 876
27 39 60 93 142 209 289 377 464 544 615 676 728 772 809 840 866
16 25 40 65 106 167 245 334 425 511 587 653 709 756 796 829 857
10 16 26 45 78 131 205 294 389 479 560 631 691 741 783 818 848
6 10 17 31 56 101 170 257 354 449 535 610 673 726 771 808 839
3 6 11 20 40 77 138 223 321 419 510 589 656 712 759 799 831
2 4 7 14 28 58 111 191 289 391 486 569 639 699 748 789 824
1 2 4 9 19 42 88 163 260 364 462 549 623 685 737 780 816
1 1 3 6 13 31 69 137 231 337 440 530 608 673 727 771 809
0 1 2 4 9 22 53 114 205 312 417 512 592 660 716 763 802
0 0 1 2 6 15 40 93 180 287 396 494 578 648 706 755 795
0 0 1 1 4 11 30 76 157 263 374 476 563 636 696 747 788
`.trim().split("\n").map((row) => row.split(" ").map((x) => x / 1000));
const HEAD = [["dₖ", 1, 256, 1, 64], ["log₂ n", 1, 19, 1, 7]];

// Between two columns the weight is read off a straight line.
function largestWeight(width, doublings) {
  const row = LARGEST[doublings - 1];
  const column = 2 * Math.log2(width);
  const left = Math.min(Math.floor(column), row.length - 2);
  return row[left] + (column - left) * (row[left + 1] - row[left]);
}

function hundredths(p) {
  return p < 0.005 ? "less than 0.01" : p.toFixed(2);
}

function counted(n) {
  return n.toString().replace(/\B(?=(\d{3})+$)/g, "\u202f");
}

// What lies where: x from the width, y from log₂ n, in a plane of 240 by 240.
const across = (width) => 240 * Math.log2(width) / 8;
const upward = (doublings) => 240 - 240 * (doublings - 0.5) / 19;

function drawPlane(svg, width, doublings) {
  const label = { fill: "currentColor", "font-size": 13, "text-anchor": "middle" };
  const plane = shape(svg, "g", { transform: "translate(34 4)" });
  LARGEST.forEach((row, j) => row.forEach((p, i) => {
    const x = Math.max(0, 15 * i - 7.5);
    shape(plane, "rect", { x, y: upward(j + 1.5), width: Math.min(240, 15 * i + 7.5) - x,
      height: 240 / 19, class: "cell", "fill-opacity": p });
  }));
  shape(plane, "rect", { x: 0, y: 0, width: 240, height: 240, class: "plane" });
  // d_k = 2 ln n, from the lowest row to the highest.
  const line = Array.from({ length: 73 }, (_, i) => 1 + i / 4)
    .map((j) => `${across(2 * j * Math.LN2)},${upward(j)}`);
  shape(plane, "polyline", { points: line.join(" "), class: "border" });
  shape(plane, "text", { ...label, x: 84, y: 60, class: "border-name" }, "2 ln n");
  [1, 4, 16, 64, 256].forEach((d) => {
    shape(plane, "text", { ...label, "font-size": 12, x: across(d), y: 256 }, d);
  });
  [1, 7, 13, 19].forEach((j) => {
    shape(plane, "text", { ...label, "font-size": 12, x: -9, y: upward(j) + 4, "text-anchor": "end" },
      `2${[..."" + j].map((c) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[c]).join("")}`);
  });
  shape(plane, "text", { ...label, x: 120, y: 273, "font-style": "italic" }, "dₖ");
  shape(plane, "text", { ...label, x: -18, y: 124, "font-style": "italic" }, "n");
  const y = upward(doublings);
  shape(plane, "line", { x1: across(width) - 6, x2: 7, y1: y, y2: y, class: "axis" });
  shape(plane, "circle", { cx: across(width), cy: y, r: 6, class: "handle" });
  shape(plane, "circle", { cx: 0, cy: y, r: 6, class: "ring" });
}

function drawSaturation(svg, said, [width, doublings]) {
  const narrow = isNarrow(svg);
  svg.setAttribute("viewBox", narrow ? "0 0 290 572" : "0 0 570 282");
  drawPlane(svg, width, doublings);
  const label = { fill: "currentColor", "font-size": 13, "text-anchor": "middle" };
  // The row of the table that belongs to n, as a curve.
  const curve = shape(svg, "g", { transform: narrow ? "translate(34 296)" : "translate(312 4)" });
  const up = (p) => 240 - 240 * p;
  shape(curve, "line", { x1: 0, x2: 240, y1: 240, y2: 240, class: "axis" });
  shape(curve, "line", { x1: 0, x2: 0, y1: 0, y2: 240, class: "axis" });
  const critical = 2 * doublings * Math.LN2;
  shape(curve, "line", { x1: across(critical), x2: across(critical), y1: 0, y2: 240, class: "border" });
  const points = LARGEST[doublings - 1].map((p, i) => `${15 * i},${up(p)}`);
  shape(curve, "polyline", { points: points.join(" "), class: "curve" });
  [0, 0.5, 1].forEach((p) => {
    shape(curve, "text", { ...label, "font-size": 12, x: -6, y: up(p) + 4, "text-anchor": "end" },
      ["0", "½", "1"][2 * p]);
  });
  [1, 4, 16, 64, 256].forEach((d) => {
    shape(curve, "text", { ...label, "font-size": 12, x: across(d), y: 256 }, d);
  });
  shape(curve, "text", { ...label, x: 120, y: 273, "font-style": "italic" }, "dₖ");
  shape(curve, "text", { ...label, x: 8, y: 12, "text-anchor": "start", "font-style": "italic" },
    "mean largest weight");
  const [without, scaled] = [largestWeight(width, doublings), largestWeight(1, doublings)];
  shape(curve, "circle", { cx: across(width), cy: up(without), r: 6, class: "handle" });
  shape(curve, "circle", { cx: 0, cy: up(scaled), r: 6, class: "ring" });
  said.textContent = `${counted(2 ** doublings)} keys, dₖ = ${width}, 2 ln n = ${critical.toFixed(1)}. `
    + `The largest weight is ${hundredths(without)} on average without a divisor, `
    + `${hundredths(scaled)} with √dₖ.`;
}

document.querySelectorAll(".explore-scaling").forEach((root) => {
  figure(root, "0 0 570 282", HEAD, drawSaturation);
});

// -- training: the smoothed loss against the lead of the right class over all others ----------

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
  const label = { fill: "currentColor", "font-size": 13, "text-anchor": "middle" };
  const plot = shape(svg, "g", { transform: "translate(34 8)" });
  const right = (lead) => width * lead / LONGEST;
  const up = (loss) => height - height * loss / WORST;
  shape(plot, "line", { x1: 0, x2: width, y1: height, y2: height, class: "axis" });
  shape(plot, "line", { x1: 0, x2: 0, y1: 0, y2: height, class: "axis" });
  [0, 2, 4, 6, 8, 10].forEach((x) => {
    shape(plot, "text", { ...label, x: right(x), y: height + 17 }, x);
  });
  [0, 1, 2, 3, 4, 5].forEach((x) => {
    shape(plot, "text", { ...label, x: -10, y: up(x) + 4 }, x);
  });
  shape(plot, "text", { ...label, x: width / 2, y: height + 36, "font-style": "italic" },
    narrow ? "lead" : "lead of the right logit over the others");
  shape(plot, "text", { ...label, x: 8, y: 10, "text-anchor": "start", "font-style": "italic" }, "loss");
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
