// On the page of the search: what a result quotes is prose, without code, outputs and raw TeX.
"use strict";

const SPARED = ".cell, pre, style, script, #jb-print-docs-body, .header-article, .headerlink";
const whole = Search.htmlToText;
Search.htmlToText = (html, anchor) => {
  const page = new DOMParser().parseFromString(html, "text/html");
  page.querySelectorAll(SPARED).forEach((node) => node.remove());
  page.querySelectorAll(".math").forEach((node) => { node.textContent = "…"; });
  return whole(page.documentElement.outerHTML, anchor).replace(/\s+/g, " ");
};
