"""Speed of every method, by task: the paper's main table as bars.

Knows: the rows of ``frspec bench``. Does not know: files.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from frspec.bench.plots.style import colour, conditions, machine

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMNS = 4
ALL = "all tasks"


def draw(results: Sequence[Mapping[str, Any]]) -> Figure:
    """A block of panels a result: tokens per second in all and in each task, and acceptance.

    Bars carry their speed over plain decoding's.
    """
    from matplotlib.figure import Figure

    blocks = [list(_panels(result)) for result in results]
    columns = min(COLUMNS, max(map(len, blocks)))
    heights = [
        (0.27 * len(result["methods"]) + 0.75, -(-len(panels) // columns))
        for result, panels in zip(results, blocks, strict=True)
    ]
    size = sum(height * lines + 0.35 for height, lines in heights) + 0.4
    figure = Figure(figsize=(2.6 * columns + 1.9, size), layout="constrained")
    places = figure.subfigures(
        len(results), 1, squeeze=False, height_ratios=[height * lines + 0.35 for height, lines in heights]
    )
    for place, result, panels, (_, lines) in zip(places[:, 0], results, blocks, heights, strict=True):
        place.suptitle(conditions(result), x=0.01, ha="left", fontweight="bold")
        axes = list(place.subplots(lines, columns, sharey=True, squeeze=False).flat)
        for panel, (title, rows, key) in zip(axes, panels, strict=False):
            _bars(panel, result["methods"], title, rows, key)
        for panel in axes[len(panels) :]:
            panel.set_visible(False)
    figure.supxlabel(machine(results), fontsize=7, color="#555555")
    return figure


def _panels(result: Mapping[str, Any]) -> Iterator[tuple[str, Sequence[Mapping[str, Any]], str]]:
    """Titles, figures of each method, and which figure of them."""
    rows = result["methods"]
    tasks = list(rows[0]["tasks"])
    yield (f"{ALL}, tok/s" if len(tasks) > 1 else "tok/s"), rows, "tokens_per_second"
    yield "mean acceptance length", rows, "mean_acceptance_length"
    for task in tasks if len(tasks) > 1 else ():
        yield f"{task}, tok/s", [row["tasks"][task] for row in rows], "tokens_per_second"


def _bars(
    panel: Axes, methods: Sequence[Mapping[str, Any]], title: str, rows: Sequence[Mapping[str, Any]], key: str
) -> None:
    values = [row[key] or 0.0 for row in rows]
    names = [row["method"] for row in methods]
    bars = panel.barh(names, values, color=[colour(row) for row in methods], height=0.72)
    panel.bar_label(bars, [_label(row, key) for row in rows], padding=3, fontsize=8)
    if not panel.yaxis_inverted():
        panel.invert_yaxis()
    panel.set_title(title)
    panel.set_xlim(0, (max(values) or 1.0) * 1.45)
    panel.tick_params(axis="y", length=0)
    panel.locator_params(axis="x", nbins=4)


def _label(row: Mapping[str, Any], key: str) -> str:
    value = row[key]
    if value is None:
        return "–"
    if key != "tokens_per_second":
        return f"{value:.2f}"
    ratio = row["ratio_to_plain"]
    return f"{value:.3g}" + ("" if ratio is None else f" ({ratio:.2f}×)")
