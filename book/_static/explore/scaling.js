// The mean largest weight of n normal scores, in the plane of d_k and n.
"use strict";

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
  const plane = shape(svg, "g", { transform: "translate(34 4)" });
  LARGEST.forEach((row, j) => row.forEach((p, i) => {
    const x = Math.max(0, 15 * i - 7.5);
    shape(plane, "rect", { x, y: upward(j + 1.5), width: Math.min(240, 15 * i + 7.5) - x,
      height: 240 / 19, class: "cell", "data-part": "cell", "fill-opacity": p });
  }));
  shape(plane, "rect", { x: 0, y: 0, width: 240, height: 240, class: "plane" });
  // d_k = 2 ln n, from the lowest row to the highest.
  const line = Array.from({ length: 73 }, (_, i) => 1 + i / 4)
    .map((j) => `${across(2 * j * Math.LN2)},${upward(j)}`);
  shape(plane, "polyline", { points: line.join(" "), class: "border", "data-part": "line" });
  shape(plane, "text", { ...LABEL, x: 84, y: 60, class: "border-name" }, "2 ln n");
  [1, 4, 16, 64, 256].forEach((d) => {
    shape(plane, "text", { ...SMALL, x: across(d), y: 256 }, d);
  });
  [1, 7, 13, 19].forEach((j) => {
    shape(plane, "text", { ...SMALL, x: -9, y: upward(j) + 4, "text-anchor": "end" },
      `2${[..."" + j].map((c) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[c]).join("")}`);
  });
  shape(plane, "text", { ...LABEL, x: 120, y: 273, "font-style": "italic" }, "dₖ");
  shape(plane, "text", { ...LABEL, x: -18, y: 124, "font-style": "italic" }, "n");
  const y = upward(doublings);
  shape(plane, "line", { x1: across(width) - 6, x2: 7, y1: y, y2: y, class: "axis" });
  shape(plane, "circle", { cx: across(width), cy: y, r: 6, class: "handle", "data-part": "place" });
  shape(plane, "circle", { cx: 0, cy: y, r: 6, class: "ring", "data-part": "place" });
}

function drawSaturation(svg, said, [width, doublings]) {
  const narrow = isNarrow(svg);
  svg.setAttribute("viewBox", narrow ? "0 -4 290 576" : "0 -4 570 286");
  drawPlane(svg, width, doublings);
  // The row of the table that belongs to n, as a curve.
  const curve = shape(svg, "g", { transform: narrow ? "translate(34 296)" : "translate(312 4)" });
  const up = (p) => 240 - 240 * p;
  shape(curve, "line", { x1: 0, x2: 240, y1: 240, y2: 240, class: "axis" });
  shape(curve, "line", { x1: 0, x2: 0, y1: 0, y2: 240, class: "axis" });
  const critical = 2 * doublings * Math.LN2;
  shape(curve, "line", { x1: across(critical), x2: across(critical), y1: 0, y2: 240, class: "border",
    "data-part": "critical" });
  const points = LARGEST[doublings - 1].map((p, i) => `${15 * i},${up(p)}`);
  shape(curve, "polyline", { points: points.join(" "), class: "curve", "data-part": "row" });
  [0, 0.5, 1].forEach((p) => {
    shape(curve, "text", { ...SMALL, x: -6, y: up(p) + 4, "text-anchor": "end" },
      ["0", "½", "1"][2 * p]);
  });
  [1, 4, 16, 64, 256].forEach((d) => {
    shape(curve, "text", { ...SMALL, x: across(d), y: 256 }, d);
  });
  shape(curve, "text", { ...LABEL, x: 120, y: 273, "font-style": "italic" }, "dₖ");
  shape(curve, "text", { ...LABEL, x: 8, y: 12, "text-anchor": "start", "font-style": "italic" },
    "mean largest weight");
  const [without, scaled] = [largestWeight(width, doublings), largestWeight(1, doublings)];
  shape(curve, "circle", { cx: across(width), cy: up(without), r: 6, class: "handle", "data-part": "without" });
  shape(curve, "circle", { cx: 0, cy: up(scaled), r: 6, class: "ring", "data-part": "scaled" });
  said.textContent = `${counted(2 ** doublings)} keys, dₖ = ${width}, 2 ln n = ${critical.toFixed(1)}. `
    + `The largest weight is ${hundredths(without)} on average without a divisor, `
    + `${hundredths(scaled)} with √dₖ.`;
}

document.querySelectorAll(".explore-scaling").forEach((root) => {
  figure(root, "0 -4 570 286", HEAD, drawSaturation);
});
