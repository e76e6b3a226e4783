"""Speed over draft vocabularies and shapes, the best marked: what ``frspec tune`` found.

Knows: the rows of ``frspec bench``. Does not know: files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import nan
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
    ratios = {cell: row["ratio_to_plain"] for cell, row in cells.items()}  # None: no two samples in one mode
    known = {cell: ratio for cell, ratio in ratios.items() if ratio is not None}
    figure = Figure(figsize=(2.2 + 1.5 * len(shapes), 1.8 + 0.62 * len(sizes)), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(
        [[known.get((size, shape), nan) for shape in shapes] for size in sizes], cmap="cividis", aspect="auto"
    )
    low, high = image.get_clim()
    for (size, shape), row in cells.items():
        ratio = ratios[size, shape]
        place = (shapes.index(shape), sizes.index(size))
        dark = ratio is not None and ratio < (low + high) / 2
        rate, length = (row[figure] for figure in ("tokens_per_second", "mean_acceptance_length"))
        words = f"{_figure(ratio, '.2f', ' ×')}\n{_figure(rate, '.0f')} tok/s, {_figure(length, '.2f')}"
        axes.text(*place, words, ha="center", va="center", fontsize=8, color="white" if dark else "black")
    if known:
        size, shape = max(known, key=known.__getitem__)
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


def _figure(value: float | None, form: str, unit: str = "") -> str:
    return "–" if value is None else f"{value:{form}}{unit}"
