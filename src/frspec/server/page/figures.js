// The figures beside the conversation. Knows: which number goes where. Does not know: how it was counted.
import { DEPTHS } from "./answer.js";

const at = (id) => document.getElementById(id);
const fine = new Intl.NumberFormat("en", { minimumFractionDigits: 2, maximumFractionDigits: 2 });
const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const percent = new Intl.NumberFormat("en", { style: "percent", maximumFractionDigits: 0 });

export const rate = (tally) => (tally.rate === null ? "–" : whole.format(tally.rate));
export const length = (tally) => (tally.acceptanceLength === null ? "–" : fine.format(tally.acceptanceLength));

export function cached(tally) {
  if (tally.cachedTokens === null) return "–";
  return `${whole.format(tally.cachedTokens)} of ${whole.format(tally.promptTokens)}`;
}

export function show(tally) {
  at("rate").textContent = rate(tally);
  at("length").textContent = length(tally);
  at("tokens").textContent = whole.format(tally.tokens);
  at("cached").textContent = cached(tally);
  at("glance").hidden = false;
  at("glance").textContent = `${rate(tally)} tokens a second · ${length(tally)} a pass`;
  at("plain").hidden = tally.drafts || tally.rounds.length === 0;
  showSplit(tally);
  showDepths(tally);
}

function showSplit(tally) {
  const share = tally.draftShare;
  at("split").hidden = share === null || !tally.drafts;
  if (share === null) return;
  at("split-draft").style.width = `${share * 100}%`;
  at("draft-share").textContent = percent.format(share);
  at("verify-share").textContent = percent.format(1 - share);
}

// A line for every depth: its colour and how often a guess that far ahead was right.
function showDepths(tally) {
  const list = at("depths");
  at("depths-section").hidden = !tally.drafts;
  while (list.childElementCount > tally.tried.length) list.lastElementChild.remove();
  while (list.childElementCount < tally.tried.length) list.append(depthLine(list.childElementCount + 1));
  tally.tried.forEach((tried, index) => {
    const [, bar, value] = list.children[index].children;
    bar.firstElementChild.style.width = `${(tally.right[index] / tried) * 100}%`;
    value.title = `${tally.right[index]} of ${tried} passes that guessed so far ahead`;
    value.textContent = percent.format(tally.right[index] / tried);
  });
}

function depthLine(depth) {
  const line = document.createElement("li");
  line.className = `d${Math.min(depth, DEPTHS)}`;
  const label = document.createElement("span");
  label.className = `drafted d${Math.min(depth, DEPTHS)}`;
  label.textContent = `${depth} ahead`;
  const bar = document.createElement("span");
  bar.className = "bar";
  bar.append(document.createElement("span"));
  const value = document.createElement("span");
  value.className = "value";
  line.append(label, bar, value);
  return line;
}
