// How long ago the page was read; and, on top of the pages that are about something else, whether writes can be
// acknowledged. That is asked once, when the page is there, so that a node that hangs holds up no page. Without the script
// there is a link to the cluster's page.
"use strict";
(() => {
  const tell = (place) => {
    const begun = Date.now(); // Not performance.now(): that may stand still while a laptop is closed.
    const say = () => {
      const seconds = Math.max(Math.round((Date.now() - begun) / 1000), 0);
      place.textContent = seconds < 90 ? `${seconds} s ago` : `${Math.round(seconds / 60)} min ago`;
    };
    say();
    setInterval(say, 5000);
    document.addEventListener("visibilitychange", say);
  };

  const read = document.querySelector("[data-age]");
  if (read) tell(read);

  const look = async (line) => {
    const [link, age] = line.children;
    age.textContent = "looking";
    try {
      const answer = await fetch(line.dataset.writes);
      if (!answer.ok) { age.textContent = "not known: refused"; return; } // Signed out meanwhile, or too many look.
      const { style, text } = await answer.json();
      const mark = document.createElement("span");
      mark.className = `mark ${style}`;
      mark.textContent = text;
      link.replaceChildren(mark);
      line.classList.add(style);
      tell(age);
    } catch {
      age.textContent = "not known: no answer"; // The control plane is away; the link stays.
    }
  };
  const line = document.querySelector("[data-writes]");
  if (line) look(line);
})();
