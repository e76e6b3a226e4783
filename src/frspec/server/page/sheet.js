// On a narrow screen the panel lies over the conversation, when asked for. Knows: opening, closing, where the focus goes.

const panel = document.getElementById("panel");
const opener = document.getElementById("open-panel");
let from = opener;

export const isOpen = () => panel.classList.contains("open");

function set(open) {
  panel.classList.toggle("open", open);
  opener.setAttribute("aria-expanded", open);
  document.querySelector("main").inert = open;
}

function open(event) {
  from = event.currentTarget;
  set(true);
  document.getElementById("close-panel").focus();
}

export function close() {
  set(false);
  from.focus();
}

opener.addEventListener("click", open);
document.getElementById("glance").addEventListener("click", open);
document.getElementById("close-panel").addEventListener("click", close);
// A window that has become wide shows the panel beside the conversation.
matchMedia("(min-width: 60rem)").addEventListener("change", (event) => event.matches && set(false));
