// What the person asks of the sampler. Knows: the form, what is kept of it. Does not know: the server's own values.
import { notify } from "./notices.js";

const KEPT = "frspec.sampling";
const form = document.getElementById("controls");
const fields = [...form.elements].filter((field) => field.name);

restore();
form.addEventListener("input", keep);
form.addEventListener("reset", () => setTimeout(keep));

// The fields that are filled in, by their names in the API; null if one can't be sent, which is said.
export function sampling() {
  const wrong = fields.find((field) => !field.checkValidity());
  if (wrong) {
    document.getElementById("sampling").open = true;
    wrong.focus();
    notify(`${wrong.labels[0].textContent.trim()}: ${wrong.validationMessage}`);
    return null;
  }
  const filled = fields.filter((field) => field.type === "number" && field.value !== "");
  return Object.fromEntries(filled.map((field) => [field.name, field.valueAsNumber]));
}

export function systemMessage() {
  return form.elements.system.value.trim();
}

function keep() {
  try {
    localStorage.setItem(KEPT, JSON.stringify(Object.fromEntries(fields.map((field) => [field.name, field.value]))));
  } catch {
    // No storage: it lasts as long as the page.
  }
}

// Whatever is in the storage may be old or somebody else's: only texts go in, and the form checks them like typed ones.
function restore() {
  let kept = {};
  try {
    kept = JSON.parse(localStorage.getItem(KEPT)) ?? {};
  } catch {
    return;
  }
  for (const field of fields) if (typeof kept[field.name] === "string") field.value = kept[field.name];
}
