// What is folded on a page: a switch in the header opens or folds all of it, and is remembered
// from page to page; a link to something folded opens it; so does printing, for proofs,
// solutions and the expert's section. Without scripts each fold still opens at a click.
"use strict";

(() => {
  const KEY = "attnlib-folds";
  const ALL = "article details:is(.fold:not(.solution), .claim)";
  const PAPER = "article details.fold:is(.proof-rest, .answers, .solution, .expert)";

  // A browser may refuse to store anything: then the choice holds for this page.
  let open = false;
  try { open = localStorage.getItem(KEY) === "open"; } catch { /* not remembered */ }

  function setAll() {
    document.querySelectorAll(ALL).forEach((fold) => { fold.open = open; });
  }

  function addSwitch(bar) {
    const button = document.createElement("button");
    const word = document.createElement("span");
    button.type = "button";
    button.className = "btn btn-sm fold-switch";
    const say = () => {
      word.textContent = open ? "Fold all" : "Unfold all";
      button.title = open ? "Fold code, evidence and long proofs"
        : "Open code, evidence and long proofs on every page";
    };
    button.addEventListener("click", () => {
      open = !open;
      try { localStorage.setItem(KEY, open ? "open" : "closed"); } catch { /* not remembered */ }
      setAll();
      say();
    });
    say();
    button.append(word);
    bar.prepend(button);
  }

  // Open whatever hides the target of the address, and what the target itself folds.
  function reveal() {
    const at = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!at || !at.closest("article")) return;
    for (let node = at; node; node = node.parentElement) {
      if (node.tagName === "DETAILS") node.open = true;
    }
    at.querySelectorAll(":scope > details.fold, :scope .claim-card > details.evidence")
      .forEach((fold) => { fold.open = true; });
    at.scrollIntoView();
  }

  const bar = document.querySelector(".article-header-buttons");
  if (bar && document.querySelector(ALL)) {
    if (open) setAll();
    addSwitch(bar);
  }
  reveal();
  addEventListener("hashchange", reveal);
  // Formulas above it have moved the target, unless the reader has gone elsewhere by now.
  let moved = false;
  ["wheel", "touchmove", "keydown", "pointerdown"].forEach((name) => {
    addEventListener(name, () => { moved = true; }, { once: true, passive: true });
  });
  document.addEventListener("formulas-set", () => { if (!moved) reveal(); });

  let opened = [];
  addEventListener("beforeprint", () => {
    opened = [...document.querySelectorAll(PAPER)].filter((fold) => !fold.open);
    opened.forEach((fold) => { fold.open = true; });
  });
  addEventListener("afterprint", () => opened.forEach((fold) => { fold.open = false; }));
})();
