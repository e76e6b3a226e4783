// Asks for the server's key. Knows: the dialog. Does not know: what the key opens.

const dialog = document.getElementById("key");
const field = document.getElementById("key-field");

// -> the key, or null if the person would rather not.
export function askForKey(problem) {
  document.getElementById("key-problem").textContent = problem;
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
  if (key) dialog.close(key);
});
