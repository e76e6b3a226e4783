"""Speed over draft vocabularies and shapes, the best marked: what ``frspec tune`` found.

Knows: the rows of ``frspec bench``. Does not know: files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from frspec.bench.plots.style import RED, conditions, machine
from frspec.errors import UserError

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw(results: Sequence[Mapping[str, Any]]) -> Figure:
    """One field for each size and shape; in it the speed relative to plain decoding, tok/s and acceptance length.

    Raises:
        UserError: for several results, or when nothing was drafted with a head.
    """
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

    if len(results) != 1:
        raise UserError("a grid shows one result; give one file")
    (result,) = results
    cells = {(row["draft_vocab"], row["shape"]): row for row in result["methods"] if row["draft_vocab"] is not None}
    if not cells:
        raise UserError("no drafter with a head was measured; compare --draft HEAD --draft-vocab full,32768,...")
    sizes, shapes = (list(dict.fromkeys(names)) for names in zip(*cells, strict=True))
    ratios = [[_ratio(cells.get((size, shape))) for shape in shapes] for size in sizes]
    figure = Figure(figsize=(2.2 + 1.5 * len(shapes), 1.8 + 0.62 * len(sizes)), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(ratios, cmap="cividis", aspect="auto")
    low, high = image.get_clim()
    for (size, shape), row in cells.items():
        ratio = _ratio(row)
        place = (shapes.index(shape), sizes.index(size))
        dark = ratio < (low + high) / 2
        words = f"{ratio:.2f} ×\n{row['tokens_per_second']:.0f} tok/s, {row['mean_acceptance_length']:.2f}"
        axes.text(*place, words, ha="center", va="center", fontsize=8, color="white" if dark else "black")
    size, shape = max(cells, key=lambda cell: _ratio(cells[cell]))
    corner = (shapes.index(shape) - 0.5, sizes.index(size) - 0.5)
    axes.add_patch(Rectangle(corner, 1, 1, fill=False, edgecolor=RED, linewidth=3, clip_on=False))
    axes.set_xticks(range(len(shapes)), shapes)
    axes.set_yticks(range(len(sizes)), [f"{int(size):,}" if size.isdigit() else size for size in sizes])
    axes.set_xlabel("drafts")
    axes.set_ylabel("draft vocabulary")
    axes.set_title("× plain decoding, tok/s, mean acceptance length; the best is framed")
    axes.spines[:].set_visible(False)
    figure.supxlabel(f"{conditions(result)}\n{machine(results)}", fontsize=7)
    return figure


def _ratio(row: Mapping[str, Any] | None) -> float:
    return float("nan") if row is None else row["ratio_to_plain"] or 0.0
