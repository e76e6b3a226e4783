"""Speed over the size of the draft vocabulary, measured and as costs promised, with what each size covers.

Knows: the curve that ``frspec tune`` found. Does not know: files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from frspec.bench.plots.style import BLUE, GREEN, GREY, ORANGE, PINK, RED, conditions, machine
from frspec.errors import UserError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COVERED = {"coverage": ("ranking's corpus", GREEN, "-"), "coverage_written": ("text written here", PINK, "--")}


def draw(results: Sequence[Mapping[str, Any]]) -> Figure:
    """Over sizes, the best shape's tok/s of each and, on the right, the share of the tokens that it covers.

    Raises:
        UserError: for several results, or one that ``frspec tune`` did not make.
    """
    from matplotlib.figure import Figure

    if len(results) != 1:
        raise UserError("a curve shows one result; give one file")
    (result,) = results
    if not result.get("curve"):
        raise UserError("there is no curve in it; frspec tune -o writes one")
    figure = Figure(figsize=(8.5, 5), layout="constrained")
    speeds = figure.subplots()
    _speeds(speeds, result)
    covers = speeds.twinx()
    _covered(covers, result["curve"])
    lines = [*speeds.get_lines(), *covers.get_lines()]
    figure.legend(lines, [str(line.get_label()) for line in lines], loc="outside upper center", ncols=3, fontsize=8)
    figure.supxlabel(f"{conditions(result)}\n{machine(results)}", fontsize=7)
    return figure


def _speeds(panel: Axes, result: Mapping[str, Any]) -> None:
    points = result["curve"]
    sizes, speeds = [point["draft_vocab_size"] for point in points], [_speed(point) for point in points]
    plain = result["methods"][0]["tokens_per_second"]
    panel.plot(sizes, speeds, marker="o", color=BLUE, label="measured, the best shape")
    for point, size, speed in zip(points, sizes, speeds, strict=True):
        panel.annotate(point["shape"], (size, speed), (0, 7), textcoords="offset points", ha="center", fontsize=7)
    promised = [point["predicted_ratio_to_plain"] for point in points]
    if plain is not None:
        if None not in promised:
            expected = [ratio * plain for ratio in promised]
            panel.plot(sizes, expected, marker=".", color=BLUE, linestyle=":", label="expected from costs")
        panel.axhline(plain, color=GREY, linestyle="--", linewidth=1, label="plain")
    for row in result["methods"]:
        if row["draft_vocab"] == "auto":
            panel.axhline(_speed(row), color=ORANGE, linewidth=1, label="auto: measured costs decide")
    best = max(points, key=lambda point: point["ratio_to_plain"] or 0.0)
    place = [best["draft_vocab_size"]], [_speed(best)]
    panel.plot(*place, "o", color=RED, markersize=12, fillstyle="none", label="the best size")
    panel.set_xscale("log", base=2)
    panel.minorticks_off()
    panel.set_xticks(sizes, [_name(point) for point in points], rotation=45)
    panel.set_xlabel("draft vocabulary")
    panel.set_ylabel("tok/s")
    panel.set_ylim(bottom=0, top=panel.get_ylim()[1] * 1.08)


def _speed(row: Mapping[str, Any]) -> float:
    return float(row["tokens_per_second"] or 0.0)


def _name(point: Mapping[str, Any]) -> str:
    """The size as it was asked for, and in tokens where that is another word."""
    asked = str(point["draft_vocab"])
    return f"{int(asked):,}" if asked.isdigit() else f"{asked} ({point['draft_vocab_size']:,})"


def _covered(panel: Axes, points: Sequence[Mapping[str, Any]]) -> None:
    for key, (name, tone, dashes) in COVERED.items():
        known = [(point["draft_vocab_size"], 100 * point[key]) for point in points if point[key] is not None]
        if known:
            panel.plot(
                *zip(*known, strict=True), color=tone, linestyle=dashes, marker=".", label=f"covers of the {name}"
            )
    panel.set_ylabel("tokens covered, %")
    panel.spines["right"].set_visible(True)
    panel.set_ylim(panel.get_ylim()[0], 100.5)
