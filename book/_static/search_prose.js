// On the page of the search: what a result quotes is prose, without code, outputs and raw TeX.
// A page with the word comes before one that has it as a part of a longer one, like require_mask.
"use strict";

Object.assign(Scorer, { objPartialMatch: -2, partialTitle: 4 });  // below a word in a text: 5

const SPARED = ".cell, pre, style, script, #jb-print-docs-body, .header-article, .headerlink";
const whole = Search.htmlToText;
Search.htmlToText = (html, anchor) => {
  const page = new DOMParser().parseFromString(html, "text/html");
  page.querySelectorAll(SPARED).forEach((node) => node.remove());
  page.querySelectorAll(".math").forEach((node) => { node.textContent = "…"; });
  return whole(page.documentElement.outerHTML, anchor).replace(/\s+/g, " ");
};
