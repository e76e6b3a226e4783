// A verified tree as SVG. Knows: nodes, where they go, how wide a label is. Does not know: where the tree came from.
import { DEPTHS } from "./answer.js";
import { placeRows } from "./rows.js";
import { visible } from "./visible.js";

const SVG = "http://www.w3.org/2000/svg";
const ROW = 27;
const HEIGHT = 20;
const GAP = 26; // between a column and the next
const PADDING = 7;
const CORNER = 6; // radius where a line turns
const pen = document.createElement("canvas").getContext("2d");

// The tree of one round in `place`; `own` is the text of the target's own token that followed, if it is known.
export function draw(place, round, own) {
  const nodes = layout(round, own);
  const width = Math.max(...nodes.map((node) => node.x + node.width)) + 2;
  const height = (Math.max(...nodes.map((node) => node.row)) + 1) * ROW;
  const svg = create("svg", { width, height, viewBox: `-1 0 ${width} ${height}`, role: "img" });
  svg.setAttribute("aria-label", describe(round, own));
  // The accepted path comes last, so that it lies on top.
  const order = [...nodes].sort((a, b) => a.accepted - b.accepted);
  for (const node of order) if (node.parent) svg.append(edge(node));
  for (const node of order) svg.append(box(node));
  place.replaceChildren(svg);
}

// Every node with its place. What was accepted goes straight along the top, as the text reads.
function layout(round, own) {
  const accepted = new Set(round.path);
  const nodes = round.tokens.map((id, index) => ({
    id,
    label: visible(round.texts[index]),
    depth: round.depths[index],
    accepted: accepted.has(index),
    kind: index === 0 ? "root" : "draft",
    children: [],
  }));
  nodes.forEach((node, index) => {
    if (index > 0) (node.parent = nodes[round.parents[index]]).children.push(node);
  });
  const parent = nodes[round.path.at(-1)];
  // The token that ends a text may have been guessed, too; otherwise the model's own token isn't in the tree yet.
  const guessed = parent.children.find(({ id }) => id === round.emitted.at(-1));
  const last = guessed ?? { label: own ? visible(own) : "…", depth: parent.depth + 1, children: [], parent };
  Object.assign(last, { accepted: true, kind: "own" });
  if (!guessed) {
    parent.children.push(last);
    nodes.push(last);
  }
  placeRows(nodes[0]);
  placeColumns(nodes);
  return nodes;
}

function placeColumns(nodes) {
  pen.font = '12px ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace';
  const widths = [];
  for (const node of nodes) {
    node.width = Math.ceil(pen.measureText(node.label).width) + 2 * PADDING;
    widths[node.depth] = Math.max(widths[node.depth] ?? 0, node.width);
  }
  for (const node of nodes) {
    node.x = widths.slice(0, node.depth).reduce((sum, width) => sum + width + GAP, 0);
    node.y = node.row * ROW + ROW / 2;
  }
}

function edge({ parent, x, y, accepted, depth, kind }) {
  const from = parent.x + parent.width;
  const bend = x - GAP / 2;
  const down = `M${from} ${parent.y}H${bend - CORNER}q${CORNER} 0 ${CORNER} ${CORNER}V${y - CORNER}q0 ${CORNER} ${CORNER} ${CORNER}H${x}`;
  const path = parent.y === y ? `M${from} ${y}H${x}` : down;
  return create("path", { d: path, class: names("edge", accepted, depth, kind) });
}

function box({ label, x, y, width, accepted, depth, kind }) {
  const group = create("g", { class: names("node", accepted, depth, kind) });
  const text = create("text", { x: x + PADDING, y: y + 4 });
  text.textContent = label;
  group.append(create("rect", { x, y: y - HEIGHT / 2, width, height: HEIGHT, rx: 5 }), text);
  return group;
}

function names(what, accepted, depth, kind) {
  return `${what} ${kind} ${accepted ? "accepted" : "rejected"} d${kind === "draft" ? Math.min(depth, DEPTHS) : 0}`;
}

function describe(round, own) {
  const path = round.path.slice(1).map((index) => visible(round.texts[index]));
  const drafted = round.tokens.length - 1;
  return `Tree of ${drafted} drafted tokens after “${visible(round.texts[0])}”. Accepted: ${path.join(", ") || "none"}.` +
    (own ? ` The model's own: ${visible(own)}.` : "");
}

function create(name, attributes) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}
