// The server's side of the page. Knows: URLs, the key, server-sent events, errors. Does not know: what is shown.

const KEY = "frspec.key";
let key = read();

function read() {
  try {
    return sessionStorage.getItem(KEY) ?? "";
  } catch {
    return "";
  }
}

export const hasKey = () => key !== "";

export function setKey(value) {
  key = value;
  try {
    sessionStorage.setItem(KEY, value);
  } catch {
    // No storage: the key lasts as long as the page.
  }
}

// What went wrong, in words for people; status 0: the server can't be reached or broke off.
export class ApiError extends Error {
  constructor(message, status = 0) {
    super(message);
    this.status = status;
  }
}

// The first model: the others are names of the same one.
export async function model() {
  const response = await call("v1/models");
  return (await response.json()).data[0];
}

// Chunks of a streamed answer as they arrive. Aborting the signal closes the connection, and the server's slot with it.
export async function* chat(body, signal) {
  const response = await call("v1/chat/completions", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
    signal,
  });
  for await (const data of events(response.body)) {
    if (data === "[DONE]") return;
    const chunk = JSON.parse(data);
    if (chunk.error) throw new ApiError(chunk.error.message, chunk.error.code);
    yield chunk;
  }
  throw new ApiError("The connection broke off before the answer was complete.");
}

async function call(path, options = {}) {
  const headers = { ...options.headers, ...(key && { Authorization: `Bearer ${key}` }) };
  let response;
  try {
    response = await fetch(path, { ...options, headers });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError("The server does not answer. Is it still running?");
  }
  if (!response.ok) throw new ApiError(await complaint(response), response.status);
  return response;
}

async function complaint(response) {
  let message = `The server answered with status ${response.status}.`;
  try {
    message = (await response.json()).error.message;
  } catch {
    // Not ours: a proxy's error page is of no use here.
  }
  const wait = Number(response.headers.get("Retry-After"));
  return wait > 0 ? `${message} Try again in ${wait} s.` : message;
}

// The data of server-sent events, one line each: this server never breaks one in two.
async function* events(stream) {
  let rest = "";
  try {
    for await (const text of pieces(stream)) {
      const lines = (rest + text).split("\n");
      rest = lines.pop();
      for (const line of lines) if (line.startsWith("data:")) yield line.slice(5).trim();
    }
  } catch (error) {
    if (error.name === "AbortError" || error instanceof ApiError) throw error;
    throw new ApiError("The connection broke off before the answer was complete.");
  }
}

// Readable streams can't be iterated over in every browser.
async function* pieces(stream) {
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield value;
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}
