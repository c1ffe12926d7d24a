// A form U and two ways to keep 24r numbers of it: a matrix of rank r, and the largest entries.
"use strict";

const FEATURES = 12;
const KEEPING = [["width", 0.4, 4, 0.1, 1], ["rank r", 1, 5, 1, 1]];
const CELL = 10, MAP = 12 * CELL, APART = 14;
const PLACES = Array.from({ length: FEATURES }, (_, i) => i);

// Feature i asks for what stands near place i; feature j stands a little beside place j.
function matchForm(width) {
  return PLACES.map((i) => PLACES.map((j) => {
    const apart = i - j - 0.15 * Math.sin(2.4 * j);
    return Math.exp(-(apart ** 2) / (2 * width ** 2));
  }));
}

const dot = (a, b) => a.reduce((sum, x, k) => sum + x * b[k], 0);

function turn(a, b, cos, sin) {
  a.forEach((x, k) => {
    const y = b[k];
    a[k] = cos * x - sin * y;
    b[k] = sin * x + cos * y;
  });
}

// Rotations of pairs of columns until all are orthogonal (Jacobi, Hestenes): U = Σ columnₖ rowₖᵀ.
function singular(U) {
  const columns = PLACES.map((j) => U.map((row) => row[j]));
  const rows = PLACES.map((j) => PLACES.map((k) => (j === k ? 1 : 0)));
  for (let sweep = 0, off = 1; off > 1e-15 && sweep < 40; sweep += 1) {
    off = 0;
    for (let p = 0; p < FEATURES; p += 1) {
      for (let q = p + 1; q < FEATURES; q += 1) {
        const [a, b] = [columns[p], columns[q]];
        const [aa, bb, ab] = [dot(a, a), dot(b, b), dot(a, b)];
        if (ab !== 0) {
          off = Math.max(off, Math.abs(ab) / Math.sqrt(aa * bb));
          const zeta = (bb - aa) / (2 * ab);
          const tan = (zeta < 0 ? -1 : 1) / (Math.abs(zeta) + Math.hypot(1, zeta));
          const cos = 1 / Math.hypot(1, tan);
          turn(a, b, cos, cos * tan);
          turn(rows[p], rows[q], cos, cos * tan);
        }
      }
    }
  }
  return columns.map((column, k) => ({ column, row: rows[k], square: dot(column, column) }))
    .sort((a, b) => b.square - a.square);
}

function truncated(U, r) {
  const terms = singular(U).slice(0, r);
  return PLACES.map((i) => PLACES.map((j) =>
    terms.reduce((sum, { column, row }) => sum + column[i] * row[j], 0)));
}

function largest(U, count) {
  const least = U.flat().sort((a, b) => b - a)[count - 1];
  return U.map((row) => row.map((u) => (u >= least ? u : 0)));
}

const squares = (U) => U.flat().reduce((sum, u) => sum + u ** 2, 0);

function drawMap(svg, left, name, U, share) {
  const map = shape(svg, "g", { transform: `translate(${left} 22)` });
  shape(map, "text", { ...LABEL, x: MAP / 2, y: -8, "font-style": "italic" }, name);
  U.forEach((row, i) => row.forEach((u, j) => {
    shape(map, "rect", { x: CELL * j, y: CELL * i, width: CELL, height: CELL,
      class: u < 0 ? "minus" : "cell", "fill-opacity": Math.min(1, Math.abs(u)), "data-part": "entry" });
  }));
  shape(map, "rect", { x: 0, y: 0, width: MAP, height: MAP, class: "plane" });
  shape(map, "rect", { x: 0, y: MAP + 8, width: MAP * share, height: 8, class: "bar",
    "data-part": "share-bar" });
  shape(map, "text", { ...LABEL, x: MAP / 2, y: MAP + 34, "data-part": "share" }, share.toFixed(3));
}

function drawKept(svg, said, [width, r]) {
  const U = matchForm(width);
  const count = 2 * FEATURES * r;
  const low = truncated(U, r), few = largest(U, count);
  const [rank, entries] = [low, few].map((M) => squares(M) / squares(U));
  drawMap(svg, 0, "U", U, 1);
  drawMap(svg, MAP + APART, `rank ${r}`, low, rank);
  drawMap(svg, 2 * (MAP + APART), `${count} entries`, few, entries);
  const more = rank > entries ? "The rank keeps more" : "The entries keep more";
  said.textContent = `Width ${width.toFixed(1)}, ${count} numbers: the nearest matrix of rank ${r} keeps `
    + `${rank.toFixed(3)} of the sum of squares, the largest entries keep ${entries.toFixed(3)}. ${more}.`;
}

document.querySelectorAll(".explore-bilinear").forEach((root) => {
  figure(root, `-2 0 ${3 * MAP + 2 * APART + 4} ${MAP + 60}`, KEEPING, drawKept);
});
