"""Bytes read over time against the rate at which the memory gives them: how near the machine's limit a pass is.

Knows: the rows of ``frspec bench``. Does not know: files, how the memory was probed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from frspec.bench.plots.style import ORANGE, RED, colour, conditions, machine
from frspec.errors import UserError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MODES = {"all": (RED, "memory"), "slow": (ORANGE, "memory, slow mode"), "fast": (RED, "memory, fast mode")}


def draw(results: Sequence[Mapping[str, Any]]) -> Figure:
    """A panel a result: gigabytes of the target's matrices read per second of its passes, by method.

    In brackets: what share that is of the memory's rate beside that method's samples.

    Raises:
        UserError: when no method says how long its passes took, or the memory was not probed.
    """
    from matplotlib.figure import Figure

    rates = [(result, found) for result in results if (found := _rates(result))]
    if not rates:
        raise UserError("no result says how fast its passes and the memory were; measure frspec's own methods on a CPU")
    heights = [0.36 * len(found) + 0.95 for _, found in rates]
    figure = Figure(figsize=(9.5, sum(heights) + 0.5), layout="constrained")
    panels = figure.subplots(len(rates), 1, squeeze=False, height_ratios=heights)[:, 0]
    for panel, (result, found) in zip(panels, rates, strict=True):
        _bars(panel, result, found)
        panel.set_title(conditions(result), pad=14)
    panels[-1].set_xlabel("GB/s of the target's matrices, while it verifies")
    figure.supxlabel(machine(results), fontsize=7, color="#555555")
    return figure


def _rates(result: Mapping[str, Any]) -> dict[str, float]:
    """GB/s by method, of those whose memory was probed: the bytes of all matrices over the median time of a pass."""
    return {
        row["method"]: result["pass_bytes"] / seconds / 1e9
        for row in result["methods"]
        if (seconds := row["seconds_per_pass"].get("verify")) and row["memory_gb_per_second"]
    }


def _bars(panel: Axes, result: Mapping[str, Any], rates: Mapping[str, float]) -> None:
    methods = {row["method"]: row for row in result["methods"]}
    bars = panel.barh(list(rates), list(rates.values()), color=[colour(methods[name]) for name in rates], height=0.7)
    limits = {mode: figures["gb_per_second"] for mode, figures in result["memory"].items()}
    labels = [f"{rate:.1f} ({rate / methods[name]['memory_gb_per_second']:.0%})" for name, rate in rates.items()]
    panel.bar_label(bars, labels, padding=3, fontsize=8)
    for mode, limit in limits.items():
        tone, name = MODES[mode]
        panel.axvline(limit, color=tone, linestyle="--", linewidth=1.2)
        panel.annotate(
            f"{name}: {limit:.0f}", (limit, 1), xycoords=("data", "axes fraction"), xytext=(0, 2),
            textcoords="offset points", ha="center", va="bottom", fontsize=8, color=tone,
        )  # fmt: skip
    panel.invert_yaxis()
    panel.set_xlim(0, max(*limits.values(), *rates.values()) * 1.15)
    panel.tick_params(axis="y", length=0)
