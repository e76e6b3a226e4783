"""The table of ``frspec bench`` on a terminal.

Knows: rows of figures, columns. Does not know: how they were measured.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from frspec.cli.figures import plural, time_shares

PIPE_WIDTH = 140
"""Where there is no terminal to fit."""
LEAST_WIDTH = {"first token": 85, "quartiles": 100, "decode time": 120}
"""What a narrower terminal does without; the JSON has it all."""


def print_table(rows: Sequence[Mapping[str, Any]]) -> None:
    """One line a method, and one below the table for each whose outputs differ from plain decoding's."""
    from rich.console import Console
    from rich.table import Table

    console = Console(markup=False, emoji=False, width=None if sys.stdout.isatty() else PIPE_WIDTH)
    table, lines = Table(), [_cells(row) for row in rows]
    shown = [heading for heading in lines[0] if console.width >= LEAST_WIDTH.get(heading, 0)]
    for heading in shown:
        justify: Literal["left", "right"] = "left" if heading in ("method", "decode time") else "right"
        table.add_column(heading, justify=justify, no_wrap=heading == "method", overflow="fold")
    for line in lines:
        table.add_row(*(line[heading] for heading in shown))
    console.print(table)
    for row in rows:
        if row["differences"]:
            print(_differences(row))


def _cells(row: Mapping[str, Any]) -> dict[str, str]:
    """By heading, in the order of the columns."""
    quartiles, same = row["tokens_per_second_quartiles"], row["identical_outputs"]
    return {
        "method": row["method"],
        "per pass": _figure(row["mean_acceptance_length"], ".2f"),
        "tok/s": _figure(row["tokens_per_second"], ".0f"),
        "quartiles": "–".join(f"{speed:.0f}" for speed in quartiles or ()) or "–",
        "× plain": _figure(row["ratio_to_plain"], ".2f"),
        "first token": f"{row['first_token_seconds'] * 1000:.0f} ms",
        "identical": "–" if same is None else f"{same}/{row['outputs']}",
        "decode time": ", ".join(time_shares(row["time_share"]).split(", ")[:3]),
    }


def _figure(value: float | None, form: str) -> str:
    return "–" if value is None else format(value, form)


def _differences(row: Mapping[str, Any]) -> str:
    found = row["differences"]
    gaps = [difference["gap"] for difference in found if difference["gap"] is not None]
    where = "; ".join(f"prompt {difference['prompt']} at token {difference['position']}" for difference in found[:3])
    more = ", ..." if len(found) > 3 else ""
    close = f"; the scores there lie at most {max(gaps):.3g} apart" if gaps else ""
    return f"{row['method']}: {plural(len(found), 'output')} not as plain decoding's ({where}{more}){close}"
