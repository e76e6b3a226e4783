"""The tables of ``frspec rank report`` on a terminal.

Knows: the figures of a report, columns. Does not know: how figures are found.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table

from frspec.bench.report.words import number, percent
from frspec.ranking.figures import Report

PIPE_WIDTH = 140
"""Where there is no terminal to fit."""
NARROW = 100
"""Columns below which the gaps shrink, so that no number has to be broken."""
NAMED = 10
"""Tokens that are named of those a vocabulary misses; the page and the JSON have more."""


def print_report(report: Report) -> None:
    """Coverage, sizes needed, the ceiling of acceptance, parts, what is missed, what is always in."""
    console = Console(
        width=None if sys.stdout.isatty() else PIPE_WIDTH, highlight=False, markup=False, emoji=False, soft_wrap=False
    )
    size, sizes, rows = report.question.size, report.question.sizes, report.rows
    names = [f"{n:,}{' (a quarter)' if n == report.quarter else ''}" for n in sizes]
    at = next(at for at in report.whole.coverage if at.size == size)
    console.print(
        f"{report.about['file']}: {size:,} ids cover {percent(at.share)} of {report.whole.tokens:,} tokens; "
        f"the best {size:,} for them would cover {percent(at.best)}.",
        style="bold",
    )
    _table(
        console,
        "Covered, in % (in brackets by the best ids of that number)",
        ("", "tokens", *names),
        [
            [text.name, number(text.tokens), *(f"{_bare(at.share)} ({_bare(at.best)})" for at in text.coverage)]
            for text in rows
        ],
    )
    _table(
        console,
        "Ids needed to cover (of the best)",
        ("", *(f"{100 * needed.share:g} %" for needed in report.whole.needed)),
        [[text.name, *(f"{number(need.size)} ({number(need.best)})" for need in text.needed)] for text in rows],
    )
    _table(
        console,
        f"Tokens a pass brings at most, with drafts of {report.question.depth} "
        f"(walked through {report.whole.sampled:,} tokens; in brackets if misses were strewn evenly)",
        ("", *names, "all ids"),
        [
            [
                text.name,
                *(f"{c.length:.2f} ({c.independent:.2f})" for c in text.ceiling),
                f"{text.ceiling[0].whole:.2f}",
            ]
            for text in rows
        ],
    )
    if report.matrix is not None:
        _table(
            console,
            f"Covered by {size:,} ids of each part, in %",
            ("", *report.matrix.columns),
            [[name, *map(_bare, shares)] for name, shares in zip(report.matrix.names, report.matrix.rows, strict=True)],
        )
    _print_tokens(console, report)


def _print_tokens(console: Console, report: Report) -> None:
    size = report.question.size
    missed = report.whole.missed[:NAMED]
    if missed:
        _table(
            console,
            f"Most frequent of the {report.whole.missed_ids:,} different tokens that {size:,} ids miss",
            ("", "id", "times", "share", "place in the ranking"),
            [[t.token, str(t.id), number(t.count), percent(t.share, 3), number(t.position)] for t in missed],
        )
    if report.controls:
        _table(
            console,
            "Always in: stop and control tokens",
            ("", "id", "place in the ranking", "share of its corpus", "times in these texts"),
            [
                [
                    t.token,
                    str(t.id),
                    number(t.position),
                    number(None) if t.share is None else percent(t.share, 3),
                    number(t.seen),
                ]
                for t in report.controls
            ],
        )


def _bare(share: float) -> str:
    """A share without its sign, where many stand side by side."""
    return percent(share).removesuffix(" %")


def _table(console: Console, title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    table = Table(box=None, padding=(0, 1 if console.width < NARROW else 2), pad_edge=False)
    for place, column in enumerate(columns):
        table.add_column(column, justify="right" if place else "left", overflow="fold")
    for row in rows:
        table.add_row(*row)
    console.print()
    console.print(title, style="bold")
    console.print(table)
