"""Servers under load: throughput, and the times of one client, over the number of clients.

Knows: the rows of ``frspec bench serve``. Does not know: files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from frspec.bench.plots.style import CYCLE, machine
from frspec.errors import UserError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

PANELS = {
    "tokens_per_second": ("tok/s of all clients", 1),
    "token_seconds": ("time per token, ms", 1000),
    "first_token_seconds": ("time to the first token, ms", 1000),
}
"""Figures, and by how much they are multiplied."""
MARKS = "osD^vP*"


def draw(results: Sequence[Mapping[str, Any]]) -> Figure:
    """A row of panels a result, a line a server; thin lines are 95th percentiles.

    Raises:
        UserError: when a result is not of servers.
    """
    from matplotlib.figure import Figure

    if not all("servers" in result for result in results):
        raise UserError("only frspec bench serve measures servers; use another --kind")
    figure = Figure(figsize=(10.5, 3.4 * len(results) + 0.3), layout="constrained")
    for place, result in zip(figure.subfigures(len(results), 1, squeeze=False)[:, 0], results, strict=True):
        _fill(place, result)
    figure.supxlabel(f"{machine(results)}; thin lines: 95th percentiles", fontsize=7, color="#555555")
    return figure


def _fill(place: SubFigure, result: Mapping[str, Any]) -> None:
    model = result["model"] or result["servers"][0]["model"]
    words = f"{model}, temperature {result['temperature']:g}, {result['prompts']} prompts"
    place.suptitle(words, x=0.01, ha="left", fontweight="bold")
    panels = place.subplots(1, len(PANELS))
    for panel, (key, (title, factor)) in zip(panels, PANELS.items(), strict=True):
        for number, server in enumerate(result["servers"]):
            style = {"marker": MARKS[number % len(MARKS)], "color": CYCLE[number % len(CYCLE)], "markersize": 4}
            _line(panel, server["levels"], key, factor, style | {"label": server["server"]})
            if f"{key}_p95" in server["levels"][0]:
                _line(panel, server["levels"], f"{key}_p95", factor, style | {"linewidth": 0.7, "markersize": 2})
        clients = [level["concurrency"] for level in result["servers"][0]["levels"]]
        panel.set_xscale("log", base=2)
        panel.minorticks_off()
        panel.set_xticks(clients, [str(count) for count in clients])
        panel.set_xlabel("clients")
        panel.set_title(title)
        panel.set_ylim(bottom=0)
        panel.grid(axis="y")
    panels[0].legend(fontsize=8)


def _line(panel: Axes, levels: Sequence[Mapping[str, Any]], key: str, factor: float, style: Mapping[str, Any]) -> None:
    known = [(level["concurrency"], level[key] * factor) for level in levels if level[key] is not None]
    panel.plot(*zip(*known, strict=True), **style)
