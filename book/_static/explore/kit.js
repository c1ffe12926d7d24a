// What the figures that move have in common: sliders, a drawing that follows them, and a sentence
// that says the same. Each page with such a figure has a script of its own beside this one. Where
// scripts are off, the sentence inside the figure stays. What a drawing shows carries a data-part,
// by which tests/browser/moving reads it.
"use strict";

const SVG = "http://www.w3.org/2000/svg";
const LABEL = { fill: "currentColor", "font-size": 13, "text-anchor": "middle" };
const SMALL = { ...LABEL, "font-size": 12 };

function softmax(z) {
  const top = Math.max(...z);
  const e = z.map((x) => Math.exp(x - top));
  const sum = e.reduce((a, b) => a + b);
  return e.map((x) => x / sum);
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
