// Formulas: those in view are set first, then the page is shown, then the others are set. One
// that is wider than its room scrolls inside itself: it fades at the side where it goes on, and
// is a stop of the tab key then and only then, since the arrow keys must reach it.
"use strict";

(() => {
  const PATIENCE = 3000;  // ms: a page that waits longer for its formulas is shown without them
  const page = document.documentElement;
  const show = () => page.classList.remove("awaits-formulas");
  setTimeout(show, PATIENCE);

  function isNear(node) {
    const { top, bottom, height } = node.getBoundingClientRect();
    return height > 0 && bottom > -innerHeight / 2 && top < 2 * innerHeight;
  }

  async function setAll() {
    await MathJax.startup.promise;
    const formulas = [...document.querySelectorAll("article .math, .bd-sidebar-secondary .math")];
    const near = formulas.filter(isNear);
    const nearSet = new Set(near);
    await MathJax.typesetPromise(near);
    markWide(near);
    show();
    await new Promise(requestAnimationFrame);
    const far = formulas.filter((formula) => !nearSet.has(formula));
    if (far.length) await MathJax.typesetPromise(far);
    markWide(far);
    // A heading of a table that is a formula alone would have no name.
    document.querySelectorAll("article th math").forEach((formula) => {
      formula.setAttribute("aria-label", formula.textContent.trim());
    });
    document.dispatchEvent(new Event("formulas-set"));
  }

  // The part that scrolls: a display within its line with the number, or an inline formula.
  function markWide(formulas) {
    const wide = formulas.flatMap((formula) => [...formula.querySelectorAll("mjx-container")])
      .map((container) => {
        const display = container.getAttribute("display") === "true";
        const box = display ? container : container.closest("span.math") ?? container;
        const ink = container.querySelector("mjx-math")?.getBoundingClientRect().width ?? 0;
        const room = display ? container.parentElement.clientWidth - besides(container)
          : box.closest("p, .sd-summary-text, li, dd, dt, td, th, figcaption, div")?.clientWidth ?? 0;
        return { box, scrolls: room > 0 && ink > room + 1, hidden: room <= 0 };
      });
    wide.filter(({ hidden }) => !hidden).forEach(({ box, scrolls }) => mark(box, scrolls));
  }

  function besides(container) {  // the width of the number of an equation, if it stands beside
    const number = container.parentElement.querySelector(":scope > .eqno");
    const column = getComputedStyle(container.parentElement).flexDirection.startsWith("column");
    return number && !column ? number.offsetWidth + 8 : 0;
  }

  function mark(box, scrolls) {
    if (box.classList.contains("scrolls") === scrolls) return;
    box.classList.toggle("scrolls", scrolls);
    if (!scrolls) {
      ["tabindex", "role", "aria-label"].forEach((name) => box.removeAttribute(name));
      box.onscroll = null;
      return;
    }
    box.tabIndex = 0;
    box.setAttribute("role", "group");
    box.setAttribute("aria-label", "Formula, scrolls sideways");
    box.onscroll = () => {
      box.classList.toggle("scrolled", box.scrollLeft > 2);
      box.classList.toggle("at-end", box.scrollLeft + box.clientWidth > box.scrollWidth - 2);
    };
    box.onscroll();
  }

  let timer;
  const again = () => {
    clearTimeout(timer);
    timer = setTimeout(() => markWide([...document.querySelectorAll("article .math")]), 100);
  };
  addEventListener("resize", again);
  document.addEventListener("toggle", again, true);

  if (window.MathJax?.startup) setAll().catch((error) => { show(); throw error; });
  else show();
})();
