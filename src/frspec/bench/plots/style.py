"""What all pictures share: colours, sizes, titles.

Knows: matplotlib's settings, a result's conditions. Does not know: what a picture shows.
The colours are Okabe and Ito's (https://jfly.uni-koeln.de/color/), which all kinds of colour vision tell apart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

GREY, ORANGE, SKY, GREEN, YELLOW, BLUE, RED, PINK = (
    "#7f7f7f", "#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7",
)  # fmt: skip
CYCLE = (BLUE, ORANGE, GREEN, PINK, SKY, RED, "#000000")
SETTINGS: Any = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.axisbelow": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "svg.fonttype": "none",
}


def colour(row: Mapping[str, Any]) -> str:
    """Plain decoding, other programs, drafts from all and from some of the vocabulary, drafts without a head."""
    if row["peer"]:
        return ORANGE
    if row["draft"] is None:
        return GREY
    if row["draft_vocab"] is None:
        return PINK
    return SKY if row["draft_vocab"] == "full" else BLUE


def conditions(result: Mapping[str, Any]) -> str:
    """What a result was measured on, in a line: model, temperature, prompts, and whether acceptance was synthetic."""
    model = "/".join(str(result["model"]).rstrip("/").split("/")[-2:])
    words = [model, f"temperature {result['temperature']:g}", f"{result['prompts']} prompts"]
    shapes = {row["shape"] for row in result["methods"]} - {None}
    if len(shapes) == 1:
        words.extend(shapes)
    if any(row["synthetic"] for row in result["methods"]):
        words.append("synthetic acceptance")
    return ", ".join(words)


def machine(results: Sequence[Mapping[str, Any]]) -> str:
    """Which processors measured it."""
    seen = dict.fromkeys(
        f"{result['machine'].get('gpu', result['machine']['processor'])}, {result['machine']['threads']} threads"
        for result in results
    )
    return "; ".join(seen)
