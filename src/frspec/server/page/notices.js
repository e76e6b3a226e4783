// What the page says in words: a line above the message field, and what only screen readers hear.

const notice = document.getElementById("notice");
const spoken = document.getElementById("spoken");

// A problem, until the next thing happens; nothing takes it away.
export function notify(text = "") {
  notice.textContent = text;
  notice.hidden = !text;
}

// An answer is read out when it is complete, not token by token.
export function speak(text) {
  spoken.textContent = text;
}
