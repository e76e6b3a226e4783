"""Bytes read over time against the rate at which the memory gives them: how near the machine's limit a pass is.

Knows: the rows of ``frspec bench``, that ``kernels`` draws what ``frspec bench micro`` measured. Does not know: files,
how the memory was probed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from frspec.bench.plots import kernels
from frspec.bench.plots.style import ORANGE, RED, colour, conditions, machine
from frspec.errors import UserError

if TYPE_CHECKING:
    from matplotlib.figure import Figure, SubFigure

MODES = {"all": (RED, "memory"), "slow": (ORANGE, "memory, slow mode"), "fast": (RED, "memory, fast mode")}


def draw(results: Sequence[Mapping[str, Any]]) -> Figure:
    """A block a result: gigabytes of the target's matrices read per second of its passes, by method; of
    ``frspec bench micro`` the rates of single operations.

    In brackets: what share that is of the memory's rate measured beside it.

    Raises:
        UserError: when no method says how long its passes took, or the memory was not probed.
    """
    from matplotlib.figure import Figure

    shown = [result for result in results if "costs" in result or _rates(result)]
    if not shown:
        raise UserError("no result says how fast its passes and the memory were; measure frspec's own methods on a CPU")
    heights = [kernels.height(one) if "costs" in one else 0.36 * len(_rates(one)) + 1.3 for one in shown]
    figure = Figure(figsize=(10.5, sum(heights) + 0.3), layout="constrained")
    places = figure.subfigures(len(shown), 1, squeeze=False, height_ratios=heights)[:, 0]
    for place, result in zip(places, shown, strict=True):
        (kernels.fill if "costs" in result else _fill)(place, result)
    figure.supxlabel(machine(shown), fontsize=7, color="#555555")
    return figure


def _rates(result: Mapping[str, Any]) -> dict[str, float]:
    """GB/s by method, of those whose memory was probed: the bytes of all matrices over the median time of a pass."""
    return {
        row["method"]: result["pass_bytes"] / seconds / 1e9
        for row in result["methods"]
        if (seconds := row["seconds_per_pass"].get("verify")) and row["memory_gb_per_second"]
    }


def _fill(place: SubFigure, result: Mapping[str, Any]) -> None:
    panel, rates = place.subplots(), _rates(result)
    methods = {row["method"]: row for row in result["methods"]}
    bars = panel.barh(list(rates), list(rates.values()), color=[colour(methods[name]) for name in rates], height=0.7)
    labels = [f"{rate:.1f} ({rate / methods[name]['memory_gb_per_second']:.0%})" for name, rate in rates.items()]
    panel.bar_label(bars, labels, padding=3, fontsize=8)
    limits = {mode: figures["gb_per_second"] for mode, figures in result["memory"].items()}
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
    panel.set_xlabel("GB/s of the target's matrices, while it verifies")
    place.suptitle(conditions(result), x=0.01, ha="left", fontweight="bold")
