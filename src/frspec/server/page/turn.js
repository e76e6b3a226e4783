// A question and its answer on the page. Knows: their elements, the line under the answer. Does not know: the server.
import { Answer } from "./answer.js";
import { copy } from "./copying.js";
import { length, rate } from "./figures.js";
import { Tally } from "./tally.js";

export class Turn {
  seed = null;
  tally = new Tally();

  constructor(question, shown) {
    this.question = question;
    this.element = create("li", "turn");
    const asked = create("p", "question", question);
    asked.dir = "auto";
    const body = create("div", "answer waiting");
    body.dir = "auto";
    this.foot = create("div", "foot");
    this.element.append(create("span", "unseen", "You:"), asked, create("span", "unseen", "Answer:"), body, this.foot);
    this.answer = new Answer(body, shown);
  }

  // One chunk of the answer.
  take(chunk) {
    this.tally.add(chunk, performance.now());
    const { delta, finish_reason: finish } = chunk.choices[0] ?? {};
    const text = delta?.content ?? "";
    this.answer.push(text, chunk.speculation?.tokens ?? []);
    if (text) this.answer.element.classList.remove("waiting");
    if (finish === "stop" && this.tally.rounds.length) this.answer.end(this.tally.rounds.length - 1);
  }

  // The end, with why it came if that isn't the usual one; `broken` if it should not have. `actions`: the buttons under it.
  finish(why, broken, actions) {
    this.answer.flush();
    this.answer.element.classList.remove("waiting");
    const { tally } = this;
    const facts = [`${tally.tokens} tokens`, `${rate(tally)} a second`];
    if (tally.drafts) facts.push(`${length(tally)} a pass`);
    facts.push(`seed ${this.seed}`);
    this.foot.replaceChildren();
    if (why) this.foot.append(create("p", broken ? "why alarm" : "why", why));
    this.foot.append(create("p", "facts", facts.join(" · ")), actions);
  }
}

// The buttons under an answer; `again` gets a seed, or null for a new one.
export function actions(turn, again) {
  const row = create("div", "actions");
  const add = (label, title, act) => {
    const button = create("button", `quiet ${label === "Copy" ? "" : "again"}`, label);
    button.type = "button";
    button.title = title;
    button.addEventListener("click", act);
    row.append(button);
  };
  add("Copy", "Copy the answer", async ({ currentTarget: button }) => {
    const done = await copy(turn.answer.text);
    button.textContent = done ? "Copied" : "Could not copy";
    setTimeout(() => (button.textContent = "Copy"), 1500);
  });
  add("Again", "Another answer, with a new seed", () => again(null));
  add("Same seed", "The same again: drafts don't change it", () => again(turn.seed));
  return row;
}

function create(name, className, text = "") {
  const element = document.createElement(name);
  element.className = className;
  if (text) element.textContent = text;
  return element;
}
