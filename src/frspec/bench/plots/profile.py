"""Where the time of a token goes, by method: the paper's profile of drafting.

Knows: the rows of ``frspec bench``. Does not know: files, what the clock's names mean.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from frspec.bench.plots.style import BLUE, GREEN, GREY, ORANGE, PINK, RED, SKY, YELLOW, conditions, machine
from frspec.errors import UserError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FAMILIAR = {
    "verify": GREY, "draft head": RED, "draft layer": ORANGE, "draft tree": YELLOW, "draft lookup": PINK,
    "sampling": BLUE, "other": "#cccccc",
}  # fmt: skip
DARK = ("verify", "draft head", "sampling")
OTHERS = (SKY, GREEN)
WORTH_A_NUMBER = 0.07
"""Share of the longest bar that a part needs for its number to fit."""


def draw(results: Sequence[Mapping[str, Any]]) -> Figure:
    """A stacked bar a method: milliseconds per new token, by what they went into.

    Raises:
        UserError: when no method says where its time went.
    """
    from matplotlib.figure import Figure

    profiles = [(result, profile) for result in results if (profile := _profiles(result))]
    if not profiles:
        raise UserError("no method in these results says where its time went; only frspec's own do, on answers of "
                        "more than one token")  # fmt: skip
    colours = _colours([part for _, profile in profiles for parts in profile.values() for part in parts])
    heights = [0.36 * len(profile) + 0.75 for _, profile in profiles]
    figure = Figure(figsize=(9.5, sum(heights) + 0.9), layout="constrained")
    panels = figure.subplots(len(profiles), 1, squeeze=False, height_ratios=heights)[:, 0]
    for panel, (result, profile) in zip(panels, profiles, strict=True):
        _bars(panel, profile, colours)
        panel.set_title(conditions(result))
    panels[-1].set_xlabel("milliseconds per new token")
    handles = dict(item for panel in panels for item in zip(*panel.get_legend_handles_labels()[::-1], strict=True))
    shown = [name for name in colours if name in handles]
    figure.legend([handles[name] for name in shown], shown, loc="outside upper center", ncols=min(7, len(shown)))
    figure.supxlabel(machine(results), fontsize=7, color="#555555")
    return figure


def _profiles(result: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """Milliseconds per token by part, by method: those of a median pass over the tokens a pass brings."""
    return {
        row["method"]: {
            part: seconds / row["mean_acceptance_length"] * 1000 for part, seconds in row["seconds_per_pass"].items()
        }
        for row in result["methods"]
        if row["seconds_per_pass"]
    }


def _colours(names: Sequence[str]) -> dict[str, str]:
    """Familiar parts first, in their order, then the others."""
    known = {name: tone for name, tone in FAMILIAR.items() if name in names}
    new = dict.fromkeys(name for name in names if name not in FAMILIAR)
    return known | {name: OTHERS[number % len(OTHERS)] for number, name in enumerate(new)}


def _bars(panel: Axes, profile: Mapping[str, Mapping[str, float]], colours: Mapping[str, str]) -> None:
    methods, longest = list(profile), max(sum(parts.values()) for parts in profile.values())
    left = [0.0] * len(methods)
    for part, tone in colours.items():
        widths = [profile[method].get(part, 0.0) for method in methods]
        bars = panel.barh(methods, widths, left=left, color=tone, label=part, height=0.7)
        labels = [_figure(width) if width > WORTH_A_NUMBER * longest else "" for width in widths]
        panel.bar_label(bars, labels, label_type="center", fontsize=8, color="white" if part in DARK else "black")
        left = [start + width for start, width in zip(left, widths, strict=True)]
    for place, total in enumerate(left):
        panel.annotate(
            _figure(total), (total, place), xytext=(4, 0), textcoords="offset points", va="center", fontsize=8
        )
    panel.invert_yaxis()
    panel.set_xlim(0, longest * 1.12)
    panel.tick_params(axis="y", length=0)


def _figure(milliseconds: float) -> str:
    return f"{milliseconds:.{0 if milliseconds >= 100 else 1 if milliseconds >= 10 else 2}f}"
