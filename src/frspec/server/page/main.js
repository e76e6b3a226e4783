// Puts the page together: which key and which button does what.
import { onMessage, put } from "./composer.js";
import { ask, busy, reset, stop } from "./conversation.js";
import * as sheet from "./sheet.js";

const at = (id) => document.getElementById(id);

onMessage((text) => (busy() ? false : ask(text)));
at("stop").addEventListener("click", stop);
at("new").addEventListener("click", () => {
  reset();
  put("");
  at("message").focus();
});
at("examples").addEventListener("click", async (event) => {
  const text = event.target.textContent;
  if (event.target.matches("button") && !busy() && (await ask(text)) === false) put(text);
});
addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || event.isComposing || document.querySelector("dialog[open]")) return;
  if (sheet.isOpen()) sheet.close();
  else stop();
});
