"""The table of ``frspec bench`` on a terminal.

Knows: rows of figures, columns. Does not know: how they were measured.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from frspec.cli.figures import plural, time_shares

PIPE_WIDTH = 140
"""Columns where there is no terminal to fit."""


def print_table(rows: Sequence[Mapping[str, Any]]) -> None:
    """One line a method, and one below the table for each whose outputs differ from plain decoding's."""
    from rich.console import Console
    from rich.table import Table

    table = Table()
    for heading in ("method", "per pass", "tok/s", "quartiles", "× plain", "first token", "identical", "decode time"):
        table.add_column(heading, justify="left" if heading in ("method", "decode time") else "right")
    for row in rows:
        table.add_row(*_cells(row))
    console = Console(markup=False, emoji=False, width=None if sys.stdout.isatty() else PIPE_WIDTH)
    console.print(table)
    for row in rows:
        if row["differences"]:
            print(_differences(row))


def _cells(row: Mapping[str, Any]) -> list[str]:
    low, high = row["tokens_per_second_quartiles"] or (None, None)
    same, count = row["identical_outputs"], row["outputs"]
    return [
        row["method"],
        _figure(row["mean_acceptance_length"], ".2f"),
        _figure(row["tokens_per_second"], ".0f"),
        f"{_figure(low, '.0f')}–{_figure(high, '.0f')}" if low is not None else "–",
        _figure(row["ratio_to_plain"], ".2f"),
        f"{row['first_token_seconds'] * 1000:.0f} ms",
        "–" if same is None else f"{same}/{count}",
        ", ".join(time_shares(row["time_share"]).split(", ")[:3]),
    ]


def _figure(value: float | None, form: str) -> str:
    return "–" if value is None else format(value, form)


def _differences(row: Mapping[str, Any]) -> str:
    found = row["differences"]
    gaps = [difference["gap"] for difference in found if difference["gap"] is not None]
    where = "; ".join(f"prompt {difference['prompt']} at token {difference['position']}" for difference in found[:3])
    more = ", ..." if len(found) > 3 else ""
    close = f"; the scores there lie at most {max(gaps):.3g} apart" if gaps else ""
    return f"{row['method']}: {plural(len(found), 'output')} not as plain decoding's ({where}{more}){close}"
