"""The table of a comparison as a picture.

Knows: rows of ``compare`` and matplotlib. Does not know: how anything was measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from frspec.artifacts import atomic_path, check_place
from frspec.errors import UserError

OWN, PEER = "#3b6ea5", "#c98b3c"


def check_plot(file: str) -> None:
    """Make sure, before anything is measured, that ``draw`` will be able to.

    Raises:
        UserError: without matplotlib, or when the file is neither PNG nor SVG or cannot be written.
    """
    if Path(file).suffix not in (".png", ".svg"):
        raise UserError(f"cannot draw {file}; name a .png or .svg file")
    if find_spec("matplotlib") is None:
        raise UserError("--plot needs matplotlib; install it with pip install 'frspec[plot]'")
    check_place(Path(file))


def draw(rows: Sequence[dict[str, Any]], title: str, file: str) -> None:
    """Bars for speed relative to plain decoding and for mean acceptance length, one pair a method."""
    from matplotlib.figure import Figure

    names = [row["method"] for row in rows]
    figure = Figure(figsize=(9, 0.45 * len(rows) + 1.4), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    columns = (("ratio_to_plain", "speed, × plain decoding"), ("mean_acceptance_length", "mean acceptance length"))
    for panel, (key, label) in zip(panels, columns, strict=True):
        values = [row[key] or 0.0 for row in rows]
        bars = panel.barh(names, values, color=["#888888", *(PEER if row["peer"] else OWN for row in rows[1:])])
        panel.bar_label(bars, fmt="%.2f", padding=3)
        panel.axvline(1.0, color="black", linewidth=0.8)
        panel.set_xlabel(label)
        panel.set_xlim(0, max(1.0, *values) * 1.18)
    panels[0].invert_yaxis()
    figure.suptitle(title)
    with atomic_path(Path(file)) as temporary:
        figure.savefig(temporary, dpi=150)
