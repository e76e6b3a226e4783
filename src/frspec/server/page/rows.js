// Which row each node of a tree goes to. Knows: a grid of columns (depths) and the gaps before them. Does not know: SVG.
//
// A first child stays in its parent's row; the others hang below it, each in the first row where there is room for it
// and all that is below it. No line crosses another.

// Cells: column 2d is that of depth d, 2d - 1 the gap before it, where lines lead down.
const WIDE = 2 ** 16;
const cellOf = (column, row) => row * WIDE + column;

// Sets `row` of every node; what was accepted is in row 0.
export function placeRows(root) {
  for (const [cell, node] of placed(root)) if (node) node.row = Math.floor(cell / WIDE);
}

// The cells that a node takes with all below it, as if it were in row 0: cell -> the node there, null for a line.
function placed(top) {
  const spine = [top];
  while (spine.at(-1).children.length) spine.push(inOrder(spine.at(-1))[0]);
  const cells = new Map();
  for (const node of spine) {
    if (node !== top) cells.set(cellOf(2 * node.depth - 1, 0), null);
    cells.set(cellOf(2 * node.depth, 0), node);
  }
  // From the far end on: nothing is then in the gap where lines lead down to what hangs from this node, and what comes
  // later, from further back, finds the lines there and stays below them.
  for (const node of spine.reverse()) for (const child of inOrder(node).slice(1)) hang(child, cells);
  return cells;
}

function hang(child, cells) {
  const part = placed(child);
  let row = 1;
  while ([...part.keys()].some((cell) => cells.has(cell + row * WIDE))) row += 1;
  for (const [cell, node] of part) cells.set(cell + row * WIDE, node);
  for (let above = 1; above <= row; above++) cells.set(cellOf(2 * child.depth - 1, above), null);
}

function inOrder(node) {
  return [...node.children].sort((a, b) => (b.accepted ?? false) - (a.accepted ?? false));
}
