// Where the second layer of three models looks when an answer is due, as recorded in the page.
"use strict";

const MODELS = ["vanilla", "rotary", "synthesizer"];
const TITLES = ["Vanilla attention", "Rotary attention", "The Synthesizer"];
const LETTER = 15;  // from one character to the next
const ROW = 38;  // of a head, where characters go to the right
const COLUMN = 64;  // of a head, where they go down

const DATA = document.querySelector(".knowledge-looks");
const LOOKS = DATA === null ? [] : JSON.parse(DATA.textContent);

function looksOf(model, person, first) {
  const chosen = LOOKS.filter((look) => look.attention === MODELS[model - 1]
    && look.name_first === (first === 1));
  return chosen[person - 1];
}

// What stands under the bars; a space has no size of its own.
function lettersOf({ question }) {
  return [...question.replaceAll(" ", "\u00a0"), "⁇"];
}

// The name begins a question, or stands behind "Where was ".
function nameIn({ question, name_first: first }) {
  const words = question.split(" ");
  return first ? [0, words.slice(0, 2).join(" ").length]
    : ["Where was ".length, question.length - " born?".length];
}

function drawAcross(svg, look) {
  const [start, end] = nameIn(look);
  const letters = lettersOf(look);
  svg.setAttribute("viewBox", `0 0 ${54 + LETTER * 32} ${34 + 4 * ROW}`);
  const plot = shape(svg, "g", { transform: "translate(50 4)" });
  shape(plot, "rect", { x: LETTER * start, y: 0, width: LETTER * (end - start), height: 4 * ROW + 26,
    class: "band", "data-part": "name" });
  look.weights.forEach((weights, h) => {
    const foot = ROW * (h + 1);
    shape(plot, "text", { ...SMALL, x: -24, y: foot - 8 }, `head ${h}`);
    shape(plot, "line", { x1: 0, x2: LETTER * letters.length, y1: foot, y2: foot, class: "axis" });
    weights.forEach((w, i) => {
      const height = (ROW - 4) * w / 1000;
      shape(plot, "rect", { x: LETTER * i + 2, y: foot - height, width: LETTER - 4, height, class: "bar",
        "data-part": `head-${h}` });
    });
  });
  letters.forEach((letter, i) => {
    shape(plot, "text", { ...LABEL, x: LETTER * (i + 0.5), y: 4 * ROW + 19, "data-part": "letter" }, letter);
  });
}

function drawDown(svg, look) {
  const [start, end] = nameIn(look);
  const letters = lettersOf(look);
  svg.setAttribute("viewBox", `0 0 ${28 + 4 * COLUMN} ${30 + LETTER * 32}`);
  const plot = shape(svg, "g", { transform: "translate(26 24)" });
  shape(plot, "rect", { x: -24, y: LETTER * start, width: 24 + 4 * COLUMN, height: LETTER * (end - start),
    class: "band", "data-part": "name" });
  look.weights.forEach((weights, h) => {
    const left = COLUMN * h;
    shape(plot, "text", { ...SMALL, x: left + COLUMN / 2, y: -8 }, `head ${h}`);
    shape(plot, "line", { x1: left, x2: left, y1: 0, y2: LETTER * letters.length, class: "axis" });
    weights.forEach((w, i) => {
      shape(plot, "rect", { x: left, y: LETTER * i + 2, width: (COLUMN - 6) * w / 1000, height: LETTER - 4,
        class: "bar", "data-part": `head-${h}` });
    });
  });
  letters.forEach((letter, i) => {
    shape(plot, "text", { ...SMALL, x: -13, y: LETTER * (i + 0.5) + 4, "data-part": "letter" }, letter);
  });
}

function drawLook(svg, said, [model, person, first]) {
  const look = looksOf(model, person, first);
  (isNarrow(svg) ? drawDown : drawAcross)(svg, look);
  const [start, end] = nameIn(look);
  const onName = look.weights.map((weights) =>
    Math.round(weights.slice(start, end).reduce((sum, w) => sum + w) / 10));
  const right = look.answer === look.place;
  said.textContent = `${TITLES[model - 1]}, asked “${look.question}”: the heads put `
    + `${onName.slice(0, 3).join(", ")} and ${onName[3]} % of their weight on the name. It answers `
    + `${look.answer}, ${right ? "which is right" : `and it should be ${look.place}`}.`;
}

document.querySelectorAll(".explore-knowledge").forEach((root) => {
  if (DATA === null) return;  // the sentence inside the figure stays
  const people = LOOKS.length / 6;  // three models, two wordings
  figure(root, `0 0 ${54 + LETTER * 32} ${34 + 4 * ROW}`,
    [["model", 1, 3, 1, 1], ["person", 1, people, 1, 1], ["name first", 0, 1, 1, 0]], drawLook);
});
