// A theorem, an equation, a claim or a work cited shows itself beside a link to it that is
// pointed at or has the focus. Escape closes it, and so does leaving both of them.
"use strict";

(() => {
  const WAIT = 150, LEAVE = 250;  // ms
  const WIDEST = 700;  // px: what is not cut in the text is not cut here
  const WORTH = ".proof.admonition, .exercise.admonition, div.math, figure, dt";
  const box = document.createElement("div");
  box.className = "preview";
  box.id = "preview";
  box.setAttribute("role", "tooltip");
  box.hidden = true;
  document.body.append(box);
  let timer, link;

  function content(a) {
    const href = a.getAttribute("href"), id = decodeURIComponent(a.hash.slice(1));
    if (a.matches(".headerlink, .btn") || !id) return null;
    if (id.startsWith("claim-")) {  // its card, if the chapter is this one
      const card = document.querySelector(`#${CSS.escape("check-" + id.slice(6))} .claim-card`);
      if (card) return card.contains(a) ? null : copy(card);
    }
    const template = document.querySelector(`template[data-for="${CSS.escape(href)}"]`);
    if (template) return template.content.cloneNode(true);
    if (!href.startsWith("#")) return null;
    const at = document.getElementById(id);
    return at?.matches(WORTH) && !at.contains(a) ? copy(at) : null;
  }

  function copy(node) {
    const clone = node.cloneNode(true);
    clone.querySelectorAll("details, .headerlink").forEach((part) => part.remove());
    [clone, ...clone.querySelectorAll("*")].forEach((part) => {
      ["id", "tabindex", "role"].forEach((name) => part.removeAttribute(name));
    });
    clone.querySelectorAll("a").forEach((a) => a.replaceWith(...a.childNodes));
    return clone;
  }

  function place() {
    const at = link.getClientRects()[0], width = document.documentElement.clientWidth;
    box.style.maxWidth = `${Math.min(WIDEST, width - 24)}px`;
    const { width: w, height: h } = box.getBoundingClientRect();
    const below = at.bottom + h + 12 < innerHeight || at.top < h + 12;
    box.style.left = `${Math.max(12, Math.min(at.left, width - w - 12)) + scrollX}px`;
    box.style.top = `${(below ? at.bottom + 6 : at.top - h - 6) + scrollY}px`;
  }

  async function show(a) {
    const found = content(a);
    if (!found) return;
    link?.removeAttribute("aria-describedby");
    link = a;
    box.replaceChildren(found);
    box.hidden = false;
    a.setAttribute("aria-describedby", "preview");
    place();
    if (box.querySelector(".math:not(:has(mjx-container))")) {
      await window.MathJax?.typesetPromise?.([box]);
      if (link === a) place();
    }
  }

  function hide() {
    clearTimeout(timer);
    link?.removeAttribute("aria-describedby");
    link = undefined;
    box.hidden = true;
    box.replaceChildren();
  }

  const later = (wait, act) => { clearTimeout(timer); timer = setTimeout(act, wait); };
  const linkOf = (event) => event.target.closest?.("article a[href*='#']");
  document.addEventListener("pointerover", (event) => {
    if (event.pointerType === "touch") return;
    const a = linkOf(event);
    if (a === link && link || box.contains(event.target)) clearTimeout(timer);
    else if (a) later(WAIT, () => show(a));
    else later(LEAVE, hide);
  });
  document.addEventListener("focusin", (event) => {
    const a = linkOf(event);
    if (a?.matches(":focus-visible")) show(a);
  });
  document.addEventListener("focusout", (event) => { if (linkOf(event)) later(LEAVE, hide); });
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") hide(); });
})();
