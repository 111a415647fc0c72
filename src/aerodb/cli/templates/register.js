// Asks the browser for one new credential, and sends its answer to the command line that serves this page, once.
"use strict";
(() => {
  const form = document.querySelector("form");
  const button = form.querySelector("button");
  const status = document.querySelector("[role=status]");
  const made = document.querySelector("section");
  const REFUSED = {
    NotAllowedError: "The authenticator did not answer, or you declined.",
    InvalidStateError: "This authenticator is one of yours already.",
  };

  if (!window.PublicKeyCredential || !PublicKeyCredential.parseCreationOptionsFromJSON) {
    status.textContent = "This browser cannot ask an authenticator.";
    return;
  }
  form.hidden = false;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    button.disabled = true;
    status.textContent = "Waiting for your authenticator.";
    let answer;
    try {
      const options = PublicKeyCredential.parseCreationOptionsFromJSON(JSON.parse(form.dataset.options));
      answer = JSON.stringify((await navigator.credentials.create({ publicKey: options })).toJSON());
    } catch (error) {
      status.textContent = `${REFUSED[error.name] || error.message} Nothing was sent.`;
      button.disabled = false;
      return;
    }
    try {
      const headers = { "Content-Type": "application/json" };
      const response = await fetch(location.pathname, { method: "POST", headers, body: answer });
      const said = await response.json();
      if (!response.ok) throw new Error(said.detail);
      for (const name of ["name", "key", "credential", "words"]) made.querySelector(`[data-${name}]`).textContent = said[name];
      form.hidden = true;
      made.hidden = false;
      status.textContent = "Registered. It counts for nothing until you confirm its enrolment in the terminal.";
    } catch (error) {
      status.textContent = `Not registered: ${error.message}. Begin anew in the terminal.`;
    }
  });
})();
