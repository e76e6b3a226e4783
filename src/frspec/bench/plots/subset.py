"""Acceptance and speed against the size of the draft vocabulary: the paper's ablation.

Knows: the rows of ``frspec bench``. Does not know: files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from frspec.bench.plots.style import CYCLE, GREY, conditions, machine
from frspec.errors import UserError
from frspec.ranking.naming import Size

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PANELS = {"mean_acceptance_length": "mean acceptance length", "tokens_per_second": "tok/s", "ratio_to_plain": "× plain"}
MARKS, DASHES = "osD^vP*", ("--", ":", "-.")


def draw(results: Sequence[Mapping[str, Any]]) -> Figure:
    """One line a drafter, shape and result over the sizes it was measured with.

    Raises:
        UserError: when nothing was measured with two sizes.
    """
    from matplotlib.figure import Figure

    lines = {name: rows for result in results for name, rows in _lines(result, len(results) > 1).items()}
    if not lines:
        raise UserError("no drafter was measured with two draft vocabularies; compare --draft-vocab full,32768,...")
    figure = Figure(figsize=(10.5, 3.6 + 0.22 * len(lines)), layout="constrained")
    panels = figure.subplots(1, len(PANELS))
    for panel, (key, label) in zip(panels, PANELS.items(), strict=True):
        for number, (name, rows) in enumerate(lines.items()):
            known = [(row["draft_vocab_size"], row[key]) for row in rows if row[key] is not None]
            mark, tone = MARKS[number % len(MARKS)], CYCLE[number % len(CYCLE)]
            panel.plot(*zip(*known, strict=True), marker=mark, color=tone, label=name)
        _axis(panel, label, [row for rows in lines.values() for row in rows])
    for number, result in enumerate(results):
        name = f"plain ({conditions(result)})" if len(results) > 1 else "plain"
        _plain(panels[1], result, DASHES[number % len(DASHES)], name)
    panels[2].axhline(1.0, color=GREY, linestyle="--", linewidth=1)
    figure.legend(*panels[1].get_legend_handles_labels(), loc="outside upper left", ncols=1)
    figure.supxlabel(f"{'; '.join(dict.fromkeys(map(conditions, results)))}\n{machine(results)}", fontsize=7)
    return figure


def _lines(result: Mapping[str, Any], several: bool) -> dict[str, list[Mapping[str, Any]]]:
    """Rows of one drafter and shape by ascending size, by the name of the line."""
    lines = dict[str, list[Mapping[str, Any]]]()
    for row in result["methods"]:
        if row["draft_vocab_size"] is not None:
            words = str(row["method"]).split(f" {row['draft_vocab']}")
            name = "".join(words) + _of_part(row["draft_vocab"]) + (f" ({conditions(result)})" if several else "")
            lines.setdefault(name, []).append(row)
    return {
        name: sorted(rows, key=lambda row: row["draft_vocab_size"]) for name, rows in lines.items() if len(rows) > 1
    }


def _axis(panel: Axes, label: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Sizes by their names, each power of two as far from the next."""
    names = {row["draft_vocab_size"]: row["draft_vocab"] for row in rows}
    panel.set_xscale("log", base=2)
    panel.minorticks_off()
    panel.set_xticks(list(names), [_size(size, name) for size, name in names.items()], rotation=45)
    panel.set_xlabel("draft vocabulary")
    panel.set_title(label)
    panel.set_ylim(bottom=0, top=panel.get_ylim()[1] * 1.05)
    panel.grid(axis="y")


def _size(size: int, name: str) -> str:
    asked = Size.parse(name)
    amount = asked.amount if asked else None
    rows = amount if isinstance(amount, int) else size  # a few ids more are always in
    short = f"{rows / 1024:g}k" if rows % 1024 == 0 else f"{rows:,}"
    return short if isinstance(amount, int) else f"{name} ({short})"


def _of_part(name: str) -> str:
    """Sizes of one part of a ranking make a line of their own."""
    size = Size.parse(name)
    return f" of {size.part}" if size and size.part else ""


def _plain(panel: Axes, result: Mapping[str, Any], dashes: str, name: str) -> None:
    """Plain decoding's speed, for comparison."""
    speed = result["methods"][0]["tokens_per_second"]
    if speed is not None:
        panel.axhline(speed, color=GREY, linestyle=dashes, linewidth=1, label=name)
        panel.set_ylim(top=max(panel.get_ylim()[1], speed * 1.08))
