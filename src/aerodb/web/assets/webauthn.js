// Confirming and registering by an authenticator. The script signs nothing and keeps nothing: it asks the browser, which
// asks the authenticator, and puts the answer into the form that is then sent, once.
"use strict";
(() => {
  const READ = "aerodb-key-read-";
  const base64url = (buffer) =>
    btoa(String.fromCharCode(...new Uint8Array(buffer))).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");

  const challengeOf = async (text) => base64url(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text)));

  const confirmed = async (form) => {
    const options = JSON.parse(form.dataset.options);
    if (form.elements.typed.value !== form.dataset.target) throw new Error(`Type ${form.dataset.target} to confirm.`);
    if ((await challengeOf(form.dataset.plan)) !== options.challenge) {
      throw new Error("The challenge is not the digest of the plan on this page.");
    }
    return navigator.credentials.get({ publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(options) });
  };

  const registered = async (form) => {
    const body = new URLSearchParams({ token: form.elements.token.value });
    const answer = await fetch("/authenticators/registration", { method: "POST", body });
    if (!answer.ok) throw new Error(`The control plane refused (${answer.status}).`);
    const options = PublicKeyCredential.parseCreationOptionsFromJSON(await answer.json());
    const made = await navigator.credentials.create({ publicKey: options });
    const key = made.response.getPublicKey();
    if (key) sessionStorage.setItem(READ + made.id, await fingerprintOf(key));
    return made;
  };

  // The fingerprint as the configuration's changes have it: of the key's text, which is base64.
  const fingerprintOf = async (key) => {
    const text = new TextEncoder().encode(btoa(String.fromCharCode(...new Uint8Array(key))));
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", text));
    return `SHA256:${btoa(String.fromCharCode(...digest)).replaceAll("=", "")}`;
  };

  const compare = (place) => {
    const read = sessionStorage.getItem(READ + place.dataset.readHere);
    if (!read) return;
    const same = read === place.dataset.fingerprint;
    const mark = document.createElement("span");
    mark.className = `mark ${same ? "good" : "bad"}`;
    mark.textContent = same ? "the same key" : `ANOTHER KEY, ${read}: do not enrol this`;
    place.replaceChildren(mark);
  };

  // While the browser waits for the answer, this page still stands: it says what the node does meanwhile.
  const tell = (form, status, meanwhile) => {
    const ask = async () => {
      const answer = await fetch(form.dataset.meanwhile).catch(() => null);
      const step = answer && answer.ok ? (await answer.json()).step : "";
      status.textContent = step ? `${meanwhile} Now: ${step}.` : meanwhile;
      setTimeout(ask, 2000);
    };
    if (form.dataset.meanwhile) setTimeout(ask, 2000);
  };

  const attach = (form, ask, meanwhile) => {
    const button = form.querySelector("button");
    const status = form.querySelector("[role=status]");
    form.hidden = false;
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      if (button.disabled) return;
      button.disabled = true;
      status.textContent = "Waiting for your authenticator.";
      try {
        form.elements.response.value = JSON.stringify((await ask(form)).toJSON());
      } catch (error) {
        const why = error.name === "NotAllowedError" ? "The authenticator did not answer, or you declined." : error.message;
        status.textContent = `${why} Nothing was sent.`;
        button.disabled = false;
        return;
      }
      status.textContent = meanwhile;
      form.submit();
      tell(form, status, meanwhile);
    });
  };

  for (const place of document.querySelectorAll("[data-read-here]")) compare(place);
  if (!window.PublicKeyCredential || !PublicKeyCredential.parseRequestOptionsFromJSON) return;
  for (const form of document.querySelectorAll("form[data-confirm]")) {
    attach(form, confirmed, "Sending it, once. The node judges again, then acts. Waiting for its answer.");
  }
  for (const form of document.querySelectorAll("form[data-register]")) {
    attach(form, registered, "Registered. Waiting for the page.");
  }
})();
