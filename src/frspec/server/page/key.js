// Asks for the server's key. Knows: the dialog. Does not know: what the key opens.

const dialog = document.getElementById("key");
const problem = document.getElementById("key-problem");
const field = document.getElementById("key-field");

// -> the key, or null if the person would rather not.
export function askForKey(why) {
  problem.textContent = why;
  field.value = "";
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue || null), { once: true });
  });
}

dialog.querySelector("form").addEventListener("submit", (event) => {
  event.preventDefault();
  const key = field.value.trim();
  field.value = "";
  if (/^[\x21-\x7e]+$/.test(key)) dialog.close(key);
  else problem.textContent = "A key is made of letters, digits and signs, without spaces.";
});
