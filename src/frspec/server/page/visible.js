// A token's text as a label: what can't be seen, or would steer the text around it, is spelled out.

const NAMES = new Map([
  [" ", "·"],
  ["\n", "⏎"],
  ["\t", "⇥"],
]);
// Controls, format characters (bidirectional overrides among them), lone surrogates, unassigned; separators but the space.
const UNSEEN = /[\p{C}\p{Zl}\p{Zp}]/u;
const LONGEST = 16;

export function visible(text) {
  const points = Array.from(text, (point) => NAMES.get(point) ?? (UNSEEN.test(point) ? code(point) : point));
  const shown = points.length > LONGEST ? [...points.slice(0, LONGEST - 1), "…"] : points;
  // A combining mark without its letter gets a dotted circle, as in type specimens.
  return /^\p{M}/u.test(shown[0] ?? "") ? `◌${shown.join("")}` : shown.join("") || "∅";
}

function code(point) {
  return `\\u${point.codePointAt(0).toString(16).padStart(4, "0")}`;
}
