// Shortcuts. Everything here is reached without them too; they can be turned off on the page that lists them (WCAG 2.2,
// 2.1.4).
"use strict";
(() => {
  const OFF = "aerodb-shortcuts-off";
  const typing = (element) => element.closest("input, textarea, select, [contenteditable]") !== null;
  const links = new Map();
  for (const link of document.querySelectorAll("a[data-key]")) links.set(link.dataset.key, link.href);
  let waiting = false;

  document.addEventListener("keydown", (event) => {
    if (localStorage.getItem(OFF) || event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
    if (waiting) {
      waiting = false;
      const found = links.get(event.key);
      if (found) { event.preventDefault(); location.assign(found); }
    } else if (event.key === "g") {
      waiting = true;
    } else if (event.key === "/") {
      const field = document.querySelector("input[type=search]");
      if (field) { event.preventDefault(); field.focus(); }
    } else if (event.key === "?") {
      location.assign("/keyboard");
    }
  });

  const toggle = document.querySelector("[data-shortcuts]");
  if (toggle) {
    const show = () => {
      const off = localStorage.getItem(OFF) !== null;
      toggle.hidden = false;
      toggle.textContent = off ? "Turn shortcuts on" : "Turn shortcuts off";
      document.querySelector("[data-shortcuts-state]").textContent = off ? "Shortcuts are off." : "Shortcuts are on.";
    };
    toggle.addEventListener("click", () => {
      if (localStorage.getItem(OFF)) localStorage.removeItem(OFF); else localStorage.setItem(OFF, "off");
      show();
    });
    show();
  }
})();
