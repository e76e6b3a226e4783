// Everything about speculation beside the conversation, for one answer at a time. Knows: when to draw what.
import * as figures from "./figures.js";
import { draw } from "./tree.js";

const PAUSE = 120; // milliseconds between two trees of a running answer: nobody can look at sixty a second
const at = (id) => document.getElementById(id);
let turn = null; // what is shown: its .tally and .answer
let coming = null; // what will be, once there is something to show
let pass = null; // the round that is shown; null: always the last
let timer = 0;

// Show an answer's last pass, or the one given.
export function show(which, round = null) {
  if (which === coming) coming = null;
  turn = which;
  pass = round;
  drawNow();
}

// An answer is being written. What is shown stays until its first tree is there.
export function begin(which) {
  coming = which;
}

// The answer has grown; it is drawn soon.
export function grown(which) {
  if (which === coming && which.tally.rounds.length) show(which);
  else if (which === turn) timer ||= setTimeout(drawNow, PAUSE);
}

// The answer is complete.
export function settled(which) {
  if (which === coming) show(which);
  else if (which === turn) drawNow();
}

export function clear() {
  turn = coming = null;
  for (const id of ["rate", "length", "tokens", "cached"]) at(id).textContent = "–";
  for (const id of ["split", "plain", "depths-section", "tree-section", "glance"]) at(id).hidden = true;
}

function drawNow() {
  clearTimeout(timer);
  timer = 0;
  if (!turn) return;
  figures.show(turn.tally);
  drawTree();
}

function drawTree() {
  const { rounds, drafts } = turn.tally;
  at("tree-section").hidden = !drafts;
  if (!drafts) return;
  const index = pass ?? rounds.length - 1;
  const round = rounds[index];
  draw(at("tree"), round, turn.answer.own[index]);
  at("pass").textContent = `pass ${index + 1} of ${rounds.length}`;
  at("earlier").disabled = index === 0;
  at("later").disabled = index === rounds.length - 1;
  const [drafted, accepted] = [round.tokens.length - 1, round.path.length - 1];
  at("verdict").textContent = `${drafted} guessed, ${accepted} right, then the model's own token.`;
}

function step(by) {
  const last = turn.tally.rounds.length - 1;
  const next = Math.min(Math.max((pass ?? last) + by, 0), last);
  pass = next === last ? null : next;
  at("tree").scrollTo(0, 0);
  drawTree();
}

at("earlier").addEventListener("click", () => step(-1));
at("later").addEventListener("click", () => step(1));
