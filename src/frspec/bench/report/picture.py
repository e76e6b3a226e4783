"""The report as a picture: coverage against size, frequencies, and what the ranking's parts cover.

Knows: matplotlib, the figures of a report. Does not know: how they were found.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from frspec.bench.plots.style import CYCLE, GREY, SETTINGS
from frspec.bench.report.chart import COVERED, LEAST_MISS, first_size, frequency_lines, heat, sizes_named
from frspec.bench.report.words import percent, short
from frspec.ranking.figures import Matrix, Report

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLACK, BROWN = "#000000", "#7a4b2a"
TONES = (BLACK, *(tone for tone in CYCLE if tone != BLACK), BROWN, GREY)
"""Of everything read, of the first texts, of all further ones."""


def save(report: Report, file: Path) -> None:
    """Write the picture, PNG or SVG by the file's ending."""
    from matplotlib import rc_context

    with rc_context(SETTINGS):
        draw(report).savefig(file, dpi=150)


def draw(report: Report) -> Figure:
    """Left coverage, right frequencies, below the parts if there are any."""
    from matplotlib.figure import Figure

    heights = [5.2] if report.matrix is None else [5.2, 0.8 + 0.3 * len(report.matrix.names)]
    figure = Figure(figsize=(11, sum(heights)), layout="constrained")
    blocks = figure.subfigures(len(heights), 1, squeeze=False, height_ratios=heights)[:, 0]
    left, right = blocks[0].subplots(1, 2, width_ratios=[3, 2])
    _coverage(left, report)
    _frequencies(right, report)
    lines, names = left.get_legend_handles_labels()
    blocks[0].legend(lines, names, loc="outside lower center", ncols=min(len(names), 10), fontsize=8)
    at = next(at for at in report.whole.coverage if at.size == report.question.size)
    words = f"{_plain(report.about['file'])}: {at.size:,} ids cover {percent(at.share)}"
    figure.suptitle(f"{words} (the best possible {percent(at.best)})", x=0.01, ha="left", fontweight="bold")
    if report.matrix is not None:
        _matrix(blocks[1].subplots(), report.matrix)
    return figure


def _coverage(panel: Axes, report: Report) -> None:
    """Misses on a logarithmic axis that is turned over."""
    for place, text in enumerate(report.rows):
        colour, width, order = _tone(place), 2.4 if place == 0 else 1.4, 3 if place == 0 else 2
        missed, least = (
            [max(LEAST_MISS, 1 - share) for share in line] for line in (text.curve.shares, text.curve.best)
        )
        marks = [text.curve.sizes.index(at.size) for at in text.coverage]
        panel.plot(text.curve.sizes, least, "--", color=colour, linewidth=0.9, zorder=order)
        panel.plot(
            text.curve.sizes, missed, marker="o", markersize=4, markevery=marks, label=_plain(text.name),
            color=colour, linewidth=width, zorder=order,
        )  # fmt: skip
    last = report.whole.curve.sizes[-1]
    panel.set_xscale("log", base=2)
    panel.set_xlim(first_size(last), last)
    panel.set_xticks(sizes_named(last), [short(n) for n in sizes_named(last)])
    size = report.question.size
    panel.axvline(size, color=GREY, linewidth=1)
    panel.annotate(short(size), (size, 1), xycoords=("data", "axes fraction"), ha="center", va="bottom", fontsize=8)
    panel.set_yscale("log")
    panel.set_ylim(1, LEAST_MISS)
    panel.set_yticks([max(LEAST_MISS, 1 - share) for share in COVERED], [f"{100 * share:g} %" for share in COVERED])
    panel.minorticks_off()
    panel.grid(axis="y")
    panel.set_xlabel("ids in the draft vocabulary")
    panel.set_title("tokens covered (dashed: the best possible)")


def _frequencies(panel: Axes, report: Report) -> None:
    for name, place, line in frequency_lines(report):
        if place is None:
            panel.plot(line.ranks, line.shares, ":", color=GREY, label=name)
        else:
            panel.plot(line.ranks, line.shares, color=_tone(place), linewidth=2.4 if place == 0 else 1.4)
    panel.set_xscale("log")
    panel.set_yscale("log")
    panel.grid(axis="y")
    panel.set_xlabel("rank")
    panel.set_title("share of the text's tokens")
    if panel.get_legend_handles_labels()[1]:
        panel.legend(fontsize=8)


def _matrix(panel: Axes, matrix: Matrix) -> None:
    panel.imshow([[heat(share) for share in row] for row in matrix.rows], cmap="Blues", vmin=0, vmax=18, aspect="auto")
    for y, row in enumerate(matrix.rows):
        for x, share in enumerate(row):
            panel.text(x, y, percent(share), ha="center", va="center", fontsize=8)
    panel.set_xticks(range(len(matrix.columns)), [_plain(name) for name in matrix.columns])
    panel.set_yticks(range(len(matrix.names)), [_plain(name) for name in matrix.names])
    panel.spines[:].set_visible(False)
    panel.tick_params(length=0)
    panel.set_title(f"what {matrix.size:,} ids of each part (columns) cover of each text (rows)")


def _tone(place: int) -> str:
    return TONES[min(place, len(TONES) - 1)]


def _plain(name: str) -> str:
    """A name in which a dollar begins no formula."""
    return name.replace("$", r"\$")
