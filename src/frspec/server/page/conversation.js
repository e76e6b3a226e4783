// The conversation: questions, their answers, what is sent of them. Knows: turns. Does not know: fields and buttons.
import { modelName, withKey } from "./access.js";
import { ApiError, chat } from "./api.js";
import { sampling, systemMessage } from "./controls.js";
import { notify, speak } from "./notices.js";
import * as panel from "./panel.js";
import { follow, grown } from "./scrolling.js";
import { actions, Turn } from "./turn.js";

const SEEDS = 2 ** 32;
const STOPPED = "Stopped.";
const list = document.getElementById("turns");
const welcome = document.getElementById("welcome");
const scroller = document.getElementById("scroller");
let turns = [];
let running = null; // aborts the answer that is being written

export const busy = () => running !== null;
export const stop = () => running?.abort();

// -> false if nothing was said in answer: then the question is gone, too, and goes back to where it was written.
export async function ask(question) {
  const turn = new Turn(question, grown);
  turns.push(turn);
  list.append(turn.element);
  welcome.hidden = true;
  follow();
  if ((await answer(turn, null)) || !turns.includes(turn)) return true;
  turns.pop();
  turn.element.remove();
  welcome.hidden = turns.length > 0;
  return false;
}

// Answer the last question again, with a new seed or the same. If nothing is said the old answer comes back.
async function again(seed) {
  if (busy()) return;
  const old = turns.pop();
  const turn = new Turn(old.question, grown);
  turns.push(turn);
  old.element.replaceWith(turn.element);
  if ((await answer(turn, seed ?? newSeed())) || !turns.includes(turn)) return;
  turns[turns.length - 1] = old;
  turn.element.replaceWith(old.element);
}

export function reset() {
  stop();
  turns = [];
  list.replaceChildren();
  welcome.hidden = false;
  panel.clear();
  notify();
}

// -> whether anything was said. The seed goes before the one among the controls.
async function answer(turn, seed) {
  const settings = sampling();
  if (!settings) return false;
  turn.seed = seed ?? settings.seed ?? newSeed();
  begin(turn);
  let why;
  let [complete, broken] = [false, false];
  try {
    const model = await modelName();
    why = await withKey(() => write(turn, { model, ...settings, seed: turn.seed }));
    complete = true;
  } catch (error) {
    why = reason(error);
    broken = why !== STOPPED;
  }
  end();
  const said = complete || turn.answer.text !== "";
  if (!turns.includes(turn)) return said; // there is a new conversation by now
  if (said) turn.finish(why, broken, actions(turn, again));
  else if (broken) notify(why);
  speak(said ? `${turn.answer.text} ${why}` : "");
  if (said) panel.settled(turn);
  grown();
  return said;
}

// -> why the answer ended, if not because it was complete.
async function write(turn, request) {
  const body = {
    ...request,
    messages: messages(turn),
    stream: true,
    stream_options: { include_usage: true },
    speculation: "tree",
  };
  let why = "";
  for await (const chunk of chat(body, running.signal)) {
    turn.take(chunk);
    panel.grown(turn);
    if (chunk.choices[0]?.finish_reason === "length") why = "Ended at the limit of tokens.";
  }
  return why;
}

function messages(turn) {
  const system = systemMessage();
  const before = turns.slice(0, turns.indexOf(turn)).flatMap(({ question, answer }) => [
    { role: "user", content: question },
    { role: "assistant", content: answer.text },
  ]);
  const all = [...before, { role: "user", content: turn.question }];
  return system ? [{ role: "system", content: system }, ...all] : all;
}

function begin(turn) {
  running = new AbortController();
  document.body.classList.add("running");
  notify();
  speak("Answering.");
  panel.begin(turn);
  keepFocus();
}

function end() {
  running = null;
  document.body.classList.remove("running");
  keepFocus();
}

// What had the focus may just have gone.
function keepFocus() {
  const focused = document.activeElement;
  if (!focused || focused === document.body || !focused.checkVisibility()) scroller.focus({ preventScroll: true });
}

function reason(error) {
  if (error.name === "AbortError") return STOPPED;
  if (error instanceof ApiError) return error.message;
  console.error(error);
  return `Something in this page broke: ${error.message}`;
}

function newSeed() {
  return Math.floor(Math.random() * SEEDS);
}

// A click on a guess shows the tree that it was in.
list.addEventListener("click", (event) => {
  const span = event.target.closest("[data-round]");
  const turn = span && turns.find(({ element }) => element.contains(span));
  if (turn) panel.show(turn, Number(span.dataset.round));
});
