// A request that is under way: what its node does for it is asked every two seconds, for as long as this page is open,
// and shown; once it is over the page is read anew. Without the script there is a link that looks again.
"use strict";
(() => {
  const EVERY = 2000;
  for (const place of document.querySelectorAll("[data-progress]")) {
    const ask = async () => {
      try {
        const answer = await fetch(place.dataset.progress);
        if (!answer.ok) return; // Signed out meanwhile, or refused: the page stays as it was read.
        const { step } = await answer.json();
        if (!step) { location.reload(); return; }
        place.textContent = step;
      } catch { /* The control plane is away; the node goes on, and is asked again. */ }
      setTimeout(ask, EVERY);
    };
    setTimeout(ask, EVERY);
  }
})();
