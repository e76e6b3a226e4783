// Where messages are written. Knows: keys, the field's height. Does not know: what becomes of a message.

const field = document.getElementById("message");

// `send` gets each message; if it says false, the message comes back.
export function onMessage(send) {
  const submit = async () => {
    const text = field.value.trim();
    if (!text) return;
    put("");
    if ((await send(text)) === false) put([text, field.value].filter(Boolean).join("\n"));
  };
  document.getElementById("composer").addEventListener("submit", (event) => {
    event.preventDefault();
    submit();
  });
  field.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    submit();
  });
}

export function put(text) {
  field.value = text;
  fit();
}

// As high as what is in it; the style sheet sets the limit.
function fit() {
  field.style.height = "auto";
  field.style.height = `${field.scrollHeight}px`;
}

field.addEventListener("input", fit);
