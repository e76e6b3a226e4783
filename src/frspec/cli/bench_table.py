"""The tables of ``frspec bench`` on a terminal.

Knows: rows of figures, columns. Does not know: how they were measured.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from frspec.cli.figures import plural, time_shares

if TYPE_CHECKING:
    from rich.console import Console

PIPE_WIDTH = 140
"""Where there is no terminal to fit."""
LEAST_WIDTH = {"first token": 90, "quartiles": 104, "decode time": 124}
"""What a narrower terminal does without; the JSON has it all."""
NOTHING = "–"
TEXT = ("task", "method", "decode time", "best shape")
SHALLOW = 0.05
"""By how much synthetic acceptance may miss what was asked for before it is said."""


def print_table(rows: Sequence[Mapping[str, Any]], memory: Mapping[str, Mapping[str, float]]) -> None:
    """One line a method, then one for each task and method where there are several tasks; notes below."""
    console = _console()
    full = any(row["ratio_to_full"] is not None for row in rows)
    _print(console, [{"method": row["method"], **_speeds(row, full), **_rest(row)} for row in rows])
    tasks = list(rows[0]["tasks"])
    if len(tasks) > 1:
        lines = [
            {"task": task if row is rows[0] else "", "method": row["method"], **_speeds(row["tasks"][task], full)}
            for task in tasks
            for row in rows
        ]
        _print(console, lines, every=len(rows))
    for note in _notes(rows, memory):
        print(note)


def print_curve(points: Sequence[Mapping[str, Any]]) -> None:
    """One line a size of draft vocabulary: what it covers, its best shape's figures, what costs had promised.

    Columns that no size has a figure for, such as an id list's coverage, are left out.
    """
    lines = [
        {
            "draft vocabulary": _size(point),
            "covers": _share(point["coverage"]),
            "of this text": _share(point["coverage_written"]),
            "per pass": _figure(point["mean_acceptance_length"], ".2f"),
            "tok/s": _speed(point["tokens_per_second"]),
            "× plain": _figure(point["ratio_to_plain"], ".2f"),
            "expected": _figure(point["predicted_ratio_to_plain"], ".2f"),
            "best shape": point["shape"],
        }
        for point in points
    ]
    used = [name for name in lines[0] if any(line[name] != NOTHING for line in lines)]
    _print(_console(), [{name: line[name] for name in used} for line in lines])


def _size(point: Mapping[str, Any]) -> str:
    """In tokens, and as it was asked for where that is another word."""
    asked = str(point["draft_vocab"])
    return f"{int(asked):,}" if asked.isdigit() else f"{asked}: {point['draft_vocab_size']:,}"


def _share(value: float | None) -> str:
    return NOTHING if value is None else f"{100 * value:.2f} %"


def _console() -> Console:
    from rich.console import Console

    return Console(markup=False, emoji=False, highlight=False, width=None if sys.stdout.isatty() else PIPE_WIDTH)


def _print(console: Console, lines: Sequence[Mapping[str, str]], every: int = 0) -> None:
    """``every``: so many lines belong together (0: all)."""
    from rich.table import Table

    table, shown = Table(), [name for name in lines[0] if console.width >= LEAST_WIDTH.get(name, 0)]
    for heading in shown:
        table.add_column(heading, justify="left" if heading in TEXT else "right", overflow="fold")
    for number, line in enumerate(lines, 1):
        table.add_row(*(line[heading] for heading in shown), end_section=bool(every) and number % every == 0)
    console.print(table)


def _speeds(row: Mapping[str, Any], full: bool) -> dict[str, str]:
    """By heading, of one row or of one task in it."""
    quartiles = row["tokens_per_second_quartiles"]
    return {
        "per pass": _figure(row["mean_acceptance_length"], ".2f"),
        "tok/s": _speed(row["tokens_per_second"]),
        "quartiles": "–".join(map(_speed, quartiles or ())) or NOTHING,
        "× plain": _figure(row["ratio_to_plain"], ".2f"),
        **({"× full": _figure(row["ratio_to_full"], ".2f")} if full else {}),
    }


def _rest(row: Mapping[str, Any]) -> dict[str, str]:
    same = row["identical_outputs"]
    return {
        "first token": f"{row['first_token_seconds'] * 1000:.0f} ms",
        "identical": NOTHING if same is None else f"{same}/{row['outputs']}",
        "decode time": ", ".join(time_shares(row["time_share"]).split(", ")[:3]),
    }


def _speed(value: float | None) -> str:
    return _figure(value, ".1f" if (value or 0.0) < 100 else ".0f")


def _figure(value: float | None, form: str) -> str:
    return NOTHING if value is None else format(value, form)


def _notes(rows: Sequence[Mapping[str, Any]], memory: Mapping[str, Mapping[str, float]]) -> Iterable[str]:
    if memory:
        rates = [
            f"{mode['gb_per_second']:.0f}{f' ({name})' if len(memory) > 1 else ''}" for name, mode in memory.items()
        ]
        within = "; ratios are taken within a mode" if len(memory) > 1 else ""
        yield f"memory read at {' and '.join(rates)} GB/s{within}"
    drawn = [row for row in rows if row["synthetic"]]
    if drawn:
        yield "synthetic: acceptance was drawn at given rates, so that text means nothing; all work was done and timed"
    for row in drawn:
        asked, came = row["synthetic"]["mean_acceptance_length"], row["mean_acceptance_length"]
        if asked and came and abs(came - asked) > SHALLOW * asked:
            missed = f"{asked:.2f} tokens per pass were asked for, {came:.2f} came"
            why = "some drafts or answers ended before" if came < asked else "so few draws scatter"
            yield f"{row['method']}: {missed}: {why}"
    for row in rows:
        if row["differences"]:
            yield _differences(row)


def _differences(row: Mapping[str, Any]) -> str:
    found = row["differences"]
    gaps = [difference["gap"] for difference in found if difference["gap"] is not None]
    where = "; ".join(f"prompt {difference['prompt']} at token {difference['position']}" for difference in found[:3])
    more = ", ..." if len(found) > 3 else ""
    close = f"; the scores there lie at most {max(gaps):.3g} apart" if gaps else ""
    return f"{row['method']}: {plural(len(found), 'output')} not as plain decoding's ({where}{more}){close}"
