"""The coverage matrix as a picture: one panel a size, rankings from top to bottom, texts from left to right.

Knows: matplotlib. Does not know: where shares come from.
Colours go by the share that is missed, logarithmically: 99 % is as far from 98 % as 90 % from 80 %.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle

from frspec.bench.plots.style import RED, SETTINGS

MOST, LEAST = 0.5, 0.002
"""Missed shares at the ends of the colours."""
DARK = 0.025
"""Where less is missed, the colour is so dark that words on it are white."""
TICKS = (0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998)


def draw(found: Mapping[int, Mapping[str, Mapping[str, float]]], tokenizer: str, file: Path) -> None:
    """Write the picture of shares (0 to 1) by size, ranking and text; a ranking and a text of one name get a frame."""
    with rc_context(SETTINGS):
        names, texts = list(next(iter(found.values()))), list(next(iter(next(iter(found.values())).values())))
        width = 1.6 + len(found) * (0.5 + 0.52 * len(texts))
        figure = Figure(figsize=(width, 1.9 + 0.42 * len(names)), layout="constrained")
        panels = figure.subplots(1, len(found), sharey=True, squeeze=False)[0]
        for panel, (size, rows) in zip(panels, found.items(), strict=True):
            image = _panel(panel, rows)
            panel.set_title(f"{size / 1024:g}k ids" if size % 1024 == 0 else f"{size:,} ids")
        panels[0].set_ylabel("ranking of")
        bar = figure.colorbar(image, ax=panels, pad=0.01, ticks=[1 - tick for tick in TICKS])
        bar.ax.set_yticklabels([f"{100 * tick:g} %" for tick in TICKS])
        bar.ax.minorticks_off()
        bar.ax.invert_yaxis()
        bar.outline.set_visible(False)
        note = "; framed: other documents of the ranking's own corpus" if set(names) & set(texts) else ""
        title = f"{tokenizer}: tokens of a text (columns) among a ranking's most frequent ids, %{note}"
        figure.suptitle(title, fontsize=10, x=0.01, ha="left")
        figure.savefig(file, dpi=160)


def _panel(panel: Axes, rows: Mapping[str, Mapping[str, float]]) -> AxesImage:
    """One size: its cells with their shares, and frames around those of one corpus."""
    names, texts = list(rows), list(next(iter(rows.values())))
    shares = np.array([[rows[name][text] for text in texts] for name in names])
    missed = np.clip(1 - shares, LEAST, MOST)
    image = panel.imshow(missed, cmap="YlGnBu_r", norm=LogNorm(LEAST, MOST), aspect="auto")
    panel.set_xticks(range(len(texts)), texts, rotation=40, ha="right", rotation_mode="anchor")
    panel.set_yticks(range(len(names)), names)
    panel.tick_params(length=0)
    panel.spines[:].set_visible(False)
    for (row, column), share in np.ndenumerate(shares):
        tone = "white" if missed[row, column] < DARK else "black"
        panel.text(column, row, f"{100 * share:.1f}", ha="center", va="center", fontsize=7.5, color=tone)
        if names[row] == texts[column]:
            corner = (column - 0.46, row - 0.44)
            panel.add_patch(Rectangle(corner, 0.92, 0.88, fill=False, edgecolor=RED, linewidth=1.2))
    return image
