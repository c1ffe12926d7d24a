// All entries of the package stood on this page once. The address of one leads on to its page.
"use strict";

(() => {
  function lead() {
    const at = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    const link = at?.closest(".module-index a");
    if (link) location.replace(link.href.replace(/#.*/, "") + location.hash);
  }
  addEventListener("hashchange", lead);
  lead();
})();
