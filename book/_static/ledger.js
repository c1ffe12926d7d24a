// The ledger: entries filtered by verdict, chapter and words. Without scripts all are shown.
"use strict";

const entries = [...document.querySelectorAll("details.claim")];
const sections = [...new Set(entries.map((entry) => entry.closest("section")))];
const verdictOf = (entry) => entry.querySelector("summary .verdict").textContent;

function choice(label, options) {
  const select = document.createElement("select");
  select.append(...[["", "all"], ...options].map(([value, text]) => new Option(text, value)));
  return labelled(label, select);
}

function labelled(text, control) {
  const label = document.createElement("label");
  label.append(text, control);
  return { label, control };
}

const words = labelled("words", Object.assign(document.createElement("input"), { type: "search" }));
const verdicts = [...new Set(entries.map(verdictOf))].sort();
const verdict = choice("verdict", verdicts.map((v) => [v, v]));
const chapter = choice("chapter", sections.map((section, i) => [
  String(i), section.querySelector("h2").firstChild.textContent]));
const count = document.createElement("p");
count.setAttribute("role", "status");
const panel = document.createElement("form");
panel.className = "ledger-filter";
panel.append(words.label, verdict.label, chapter.label, count);
panel.addEventListener("submit", (event) => event.preventDefault());

function filter() {
  const wanted = words.control.value.toLowerCase().split(/\s+/).filter(Boolean);
  entries.forEach((entry) => {
    const text = entry.textContent.toLowerCase();
    entry.hidden = !(wanted.every((word) => text.includes(word))
      && (!verdict.control.value || verdictOf(entry) === verdict.control.value)
      && (!chapter.control.value || entry.closest("section") === sections[chapter.control.value]));
  });
  sections.forEach((section) => {
    section.hidden = [...section.querySelectorAll("details.claim")].every((entry) => entry.hidden);
  });
  const left = entries.filter((entry) => !entry.hidden).length;
  count.textContent = `${left} of ${entries.length} claims`;
}

// folds.js opens the entry that an address names; here it only must not be filtered out.
function showTarget() {
  const entry = entries.find(({ id }) => id && `#${id}` === location.hash);
  if (!entry?.hidden) return;
  panel.reset();
  filter();
  entry.scrollIntoView();
}

[words, verdict, chapter].forEach(({ control }) => control.addEventListener("input", filter));
window.addEventListener("hashchange", showTarget);
sections[0].before(panel);
filter();
