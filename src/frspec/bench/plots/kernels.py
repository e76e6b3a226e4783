"""A roofline of single operations: their rates beside the memory's, and what further rows cost.

Knows: the costs of ``frspec bench micro``. Does not know: files, what the operations are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from frspec.bench.plots.style import BLUE, CYCLE, GREY, RED

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import SubFigure

WHOLE = "whole step"
BAR_HEIGHT, LEAST_HEIGHT = 0.24, 3.4
"""Inches: of a bar, and of the panel with the lines."""


def height(result: Mapping[str, Any]) -> float:
    """Inches that ``fill`` needs."""
    return max(LEAST_HEIGHT, BAR_HEIGHT * len(_read(result)) + 1.1)


def fill(place: SubFigure, result: Mapping[str, Any]) -> None:
    """Left the rate of every operation that reads memory, with the fewest rows; right its time with more of them."""
    machine = result["machine"]
    place.suptitle(f"{result['model']}, {machine['matrices']} matrices", x=0.01, ha="left", fontweight="bold")
    rates, times = place.subplots(1, 2, width_ratios=[3, 2])
    costs = _read(result)
    _rates(rates, [part[0] for part in costs])
    _times(times, [part for part in costs if len(part) > 1 and " / " not in part[0]["part"]])


def _read(result: Mapping[str, Any]) -> list[list[Mapping[str, Any]]]:
    """Costs of each operation that must read something, by ascending rows."""
    parts = dict[str, list[Mapping[str, Any]]]()
    for cost in result["costs"]:
        if cost["bytes"]:
            parts.setdefault(cost["part"], []).append(cost)
    return [sorted(part, key=lambda cost: cost["rows"]) for part in parts.values()]


def _rates(panel: Axes, costs: Sequence[Mapping[str, Any]]) -> None:
    names = [cost["part"] for cost in costs]
    colours = [BLUE if name == WHOLE else GREY for name in names]
    panel.barh(names, [cost["rate"] for cost in costs], color=colours, height=0.72)
    for cost in costs:
        panel.annotate(
            f"{cost['rate']:.1f} ({cost['share']:.0%})", (1, cost["part"]), xycoords=("axes fraction", "data"),
            ha="right", va="center", fontsize=8,
        )  # fmt: skip
    panel.plot([cost["memory"] for cost in costs], names, "|", color=RED, markersize=11, markeredgewidth=1.8,
               label="the memory's rate at that time")  # fmt: skip
    panel.invert_yaxis()
    panel.set_xlim(0, 1.25 * max(max(cost["rate"], cost["memory"]) for cost in costs))
    panel.set_title(f"GB/s, {costs[-1]['rows']} row{'s' * (costs[-1]['rows'] > 1)} (share of the memory's rate)")
    panel.tick_params(axis="y", length=0)
    panel.legend(loc="upper center", bbox_to_anchor=(0.5, -0.08), fontsize=8)


def _times(panel: Axes, parts: Sequence[Sequence[Mapping[str, Any]]]) -> None:
    for number, part in enumerate(parts):
        whole = part[0]["part"] == WHOLE
        relative = [cost["seconds"] / part[0]["seconds"] for cost in part]
        panel.plot(
            [cost["rows"] for cost in part], relative, marker="osD^vP*X"[number % 8], markersize=4,
            color=BLUE if whole else CYCLE[1:][number % (len(CYCLE) - 1)], linewidth=2.4 if whole else 1.1,
            zorder=3 if whole else 2, label=part[0]["part"],
        )  # fmt: skip
    rows = sorted({cost["rows"] for part in parts for cost in part})
    panel.set_xscale("log", base=2)
    panel.minorticks_off()
    panel.set_xticks(rows, [str(count) for count in rows])
    panel.set_ylim(bottom=0)
    panel.grid(axis="y")
    panel.set_xlabel("rows")
    panel.set_title(f"time, × {rows[0]} row{'s' * (rows[0] > 1)}")
    panel.legend(fontsize=7.5, loc="upper left")
