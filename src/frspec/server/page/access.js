// Getting in: which model answers here, and the key where one is asked for.
import { ApiError, hasKey, model, setKey } from "./api.js";
import { askForKey } from "./key.js";
import { notify } from "./notices.js";

let name = null;

// The model's name for requests; the first time it is asked for, and shown.
export async function modelName() {
  if (name !== null) return name;
  const { id, max_model_len: context } = await withKey(model);
  name = id;
  document.title = `${id} – frspec`;
  document.getElementById("model").textContent = id;
  document.getElementById("context").textContent = context ? `, ${context.toLocaleString("en")} tokens of context` : "";
  return name;
}

// Do what needs the server; where it asks for a key, ask the person and try again.
export async function withKey(work) {
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (error.status !== 401) throw error;
      const key = await askForKey(hasKey() ? "The server does not know this key." : "");
      if (key === null) throw error;
      setKey(key);
    }
  }
}

modelName().catch((error) => {
  if (!(error instanceof ApiError)) throw error;
  notify(error.message);
});
