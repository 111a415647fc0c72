// Checks the proofs on the page: that each record, byte for byte, stands in the log at the checkpoint that the log's key
// signed. What holds is said once for all; what does not, at its record and by its number. Sources: RFC 9162 section 2.1.3.2 (inclusion), C2SP tlog-proof and signed-note, RFC 8032 (Ed25519).
"use strict";
(() => {
  const bytes = (base64) => Uint8Array.from(atob(base64), (char) => char.charCodeAt(0));
  const text = (string) => new TextEncoder().encode(string);
  const equal = (one, other) => one.length === other.length && one.every((byte, at) => byte === other[at]);
  const hash = async (...parts) => {
    const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
    parts.reduce((at, part) => (whole.set(part, at), at + part.length), 0);
    return new Uint8Array(await crypto.subtle.digest("SHA-256", whole));
  };

  // The root that the leaf and the path lead to, or null where the path has the wrong length.
  const rootOf = async (leaf, index, size, path) => {
    let node = leaf;
    let [at, last] = [BigInt(index), BigInt(size) - 1n];
    for (const sibling of path) {
      if (last === 0n) return null;
      if (at & 1n || at === last) {
        node = await hash(new Uint8Array([1]), sibling, node);
        while (!(at & 1n) && at !== 0n) { at >>= 1n; last >>= 1n; }
      } else {
        node = await hash(new Uint8Array([1]), node, sibling);
      }
      at >>= 1n;
      last >>= 1n;
    }
    return last === 0n ? node : null;
  };

  const parsed = (proof) => {
    const gap = proof.indexOf("\n\n");
    const head = proof.slice(0, gap).split("\n");
    const checkpoint = proof.slice(gap + 2);
    const body = checkpoint.slice(0, checkpoint.lastIndexOf("\n\n") + 1);
    const [origin, size, root] = body.split("\n");
    const signatures = checkpoint.slice(body.length + 1).trimEnd().split("\n");
    return { index: head[1].replace("index ", ""), path: head.slice(2).map(bytes), body, origin, size, root: bytes(root), signatures };
  };

  // true or false; null where this browser knows no Ed25519.
  const signed = async (proof, vkey) => {
    const encoded = vkey.slice(vkey.indexOf("+", vkey.indexOf("+") + 1) + 1);
    const name = vkey.slice(0, vkey.indexOf("+"));
    const line = proof.signatures.find((each) => each.startsWith(`\u2014 ${name} `));
    if (!line || proof.origin !== name) return false;
    try {
      const key = await crypto.subtle.importKey("raw", bytes(encoded).slice(1), { name: "Ed25519" }, false, ["verify"]);
      return crypto.subtle.verify({ name: "Ed25519" }, key, bytes(line.split(" ")[2]).slice(4), text(proof.body));
    } catch (error) {
      if (error.name === "NotSupportedError") return null;
      throw error;
    }
  };

  const check = async (element, vkey) => {
    const proof = parsed(element.dataset.proof);
    const leaf = await hash(new Uint8Array([0]), text(element.dataset.record));
    const root = await rootOf(leaf, proof.index, proof.size, proof.path);
    if (proof.index !== element.dataset.sequence) return ["bad", `NOT PROVEN: it is proven as record ${proof.index}`];
    if (root === null || !equal(root, proof.root)) return ["bad", "NOT PROVEN: the record is not in the log at this checkpoint"];
    const sound = await signed(proof, vkey);
    if (sound === false) return ["bad", "NOT PROVEN: the checkpoint is not signed by the log's key"];
    const how = sound === null ? "this browser knows no Ed25519, so the signature was verified by the server alone" : "and the log's key signed it";
    return ["good", `in the log of ${proof.size} records, ${how}`];
  };

  const key = document.querySelector("[data-log-key]");
  if (!key || !window.crypto || !crypto.subtle) return;
  // What the server found wrong stays wrong, whatever is found here.
  const judge = async (element) => {
    const said = element.querySelector("[data-verdict]");
    const before = said.textContent;
    const [style, sentence] = await check(element, key.dataset.logKey).catch((error) => ["bad", `NOT PROVEN: ${error.message}`]);
    if (style === "bad") {
      said.className = "mark bad";
      said.textContent = sentence;
    }
    return { number: element.dataset.sequence, proven: style !== "bad", accused: Boolean(before), sentence };
  };
  const summary = document.querySelector("[data-proofs]");
  Promise.all([...document.querySelectorAll("[data-proof]")].map(judge)).then((found) => {
    if (!summary || !found.length) return;
    const wrong = found.filter((each) => !each.proven);
    if (!wrong.length && found.some((each) => each.accused)) return; // The server's own words stay.
    const said = document.createElement("span");
    said.className = `mark ${wrong.length ? "bad" : "good"}`;
    said.textContent = wrong.length
      ? `NOT PROVEN in this browser: ${wrong.map((each) => `record ${each.number}`).join(", ")}, of ${found.length}`
      : `${found.length === 1 ? "The record is" : `All ${found.length} records are`} proven in this browser: ${found[0].sentence}`;
    const line = document.createElement("p");
    line.append(said);
    summary.replaceChildren(line);
  });
})();
