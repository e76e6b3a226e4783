"""``frspec show``: where a ranking comes from, what its prefixes cover, and its parts."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.table import Table

    from frspec.ranking.ranking import Ranking

SHARES = (0.9, 0.95, 0.98, 0.99, 0.995, 0.999, 1.0)
ROWS = 8
SIZES = (8192, 32768)
"""Prefixes of the whole that are looked at from each part."""
MOST = 0.99
NAMED = 12
NARROW = 80
"""Columns below which the table of parts has small gaps."""


@click.command()
@click.argument("file")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead.")
def show(file: str, as_json: bool) -> None:
    """Print a ranking's provenance, how much of its corpus each size covers, and how each part fares.

    FILE is a ranking, one part of it (all.ranking@de), a file of another program or a checkpoint that
    `frspec convert --help` lists, or demo: the ranking that comes with frspec.
    """
    from frspec.ranking.ranking import Ranking

    ranking = Ranking.load(file)
    about = _about(ranking)
    if as_json:
        click.echo(json.dumps({"file": file, **about}))
    else:
        _print(file, about)


def _about(ranking: Ranking) -> dict[str, Any]:
    about: dict[str, Any] = {
        "ids": len(ranking),
        "counts": ranking.counts is not None,
        "ordered": ranking.ordered,
        "fingerprint": ranking.fingerprint,
        "provenance": dict(ranking.provenance),
    }
    if ranking.counts is None:
        return about
    total = int(ranking.covered[-1])
    size = len(ranking)
    powers = [1 << bits for bits in range(size.bit_length()) if 1 << bits < size][-ROWS:]
    sizes = [{"size": n, "share": int(ranking.covered[n - 1]) / total} for n in (*powers, size)]
    shares = [{"share": share, "size": len(ranking.covering(share))} for share in SHARES]
    about |= {"coverage": sizes, "covering": shares}
    return about | ({"weights": ranking.weights, "parts": _parts(ranking)} if ranking.parts else {})


def _parts(ranking: Ranking) -> list[dict[str, Any]]:
    """Of each part: its tokens, what it makes up of the whole, and how the whole's prefixes and its own serve it."""
    from frspec.ranking.ranking import Ranking

    tokens = {name: int(counts.sum()) for name, counts in ranking.parts.items()}
    weights = ranking.weights or {name: count / sum(tokens.values()) for name, count in tokens.items()}
    rows = list[dict[str, Any]]()
    for name, counts in ranking.parts.items():
        row = {"part": name, "tokens": tokens[name], "documents": ranking.facts_of(name).get("documents")}
        row |= {"weight": weights[name], "size": None, "covered": None}
        if tokens[name]:
            inside = [
                {"size": n, "share": int(counts[ranking.prefix(n)].sum()) / tokens[name]} for n in _sizes(ranking)
            ]
            row |= {"size": len(Ranking.from_counts(counts, "").covering(MOST)), "covered": inside}
        rows.append(row)
    return rows


def _sizes(ranking: Ranking) -> list[int]:
    return [size for size in SIZES if size < len(ranking)]


def _print(file: str, about: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False, markup=False, emoji=False)
    facts = Table.grid(padding=(0, 2))
    origin = {name: value for name, value in about["provenance"].items() if name not in ("parts", "merged")}
    origin |= {"merged": _merged(about["provenance"].get("merged", []))}
    for name, value in {"ids": f"{about['ids']:,}", "fingerprint": about["fingerprint"], **origin}.items():
        if value is not None:
            facts.add_row(name, _plain(value))
    console.print(file, style="bold")
    console.print(facts)
    if not about["counts"]:
        order = "its order is known" if about["ordered"] else "its ids stand by number, not by frequency"
        console.print(f"An id list: {order}, and it has no counts, so there is no coverage to show.")
        return
    if "parts" in about:
        console.print()
        console.print(_table(about["parts"], about["weights"] is not None, console.width < NARROW))
    for first, second, rows in (("size", "share", about["coverage"]), ("share", "size", about["covering"])):
        table = Table(first, second, box=None, padding=(0, 2))
        for row in rows:
            table.add_row(_plain(row[first]), _plain(row[second]))
        console.print()
        console.print(table)


def _table(parts: list[dict[str, Any]], weighed: bool, narrow: bool) -> Table:
    """A line a part; a dash where nothing is known. Names are broken before they vanish."""
    from rich.table import Table

    sizes = next(([entry["size"] for entry in row["covered"]] for row in parts if row["covered"]), [])
    table = Table(box=None, padding=(0, 1), pad_edge=not narrow, collapse_padding=narrow)
    table.add_column("part", min_width=len("part"), overflow="fold")
    found = ("weight" if weighed else "share", f"ids for\n{100 * MOST:g} %", *(f"in first\n{size:,}" for size in sizes))
    for name in ("tokens", "documents", *found):
        table.add_column(name, justify="right", no_wrap=True)
    for row in parts:
        covered = [entry["share"] for entry in row["covered"] or ()] or [None] * len(sizes)
        values = [row["tokens"], row["documents"], row["weight"], row["size"], *covered]
        table.add_row(row["part"], *("-" if value is None else _plain(value) for value in values))
    return table


def _merged(entries: list[dict[str, Any]]) -> list[str] | None:
    """The rankings that this one was merged from; of very many the first."""
    more = [f"and {len(entries) - NAMED} more"] if len(entries) > NAMED else []
    return [*map(_words, entries[:NAMED]), *more] or None


def _words(entry: dict[str, Any]) -> str:
    weight = f", weight {entry['weight']:g}" if "weight" in entry else ""
    missing = f", without {entry['missing']}" if "missing" in entry else ""
    return f"{entry['name']} ({entry['tokens']:,} tokens{weight}{missing})"


def _plain(value: Any) -> str:
    if isinstance(value, float):
        return f"{100 * value:.2f} %"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return f"{value:,}" if isinstance(value, int) else str(value)
