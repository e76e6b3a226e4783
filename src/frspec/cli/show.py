"""``frspec show``: where a ranking comes from and what its prefixes cover."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from frspec.ranking.ranking import Ranking

SHARES = (0.9, 0.95, 0.98, 0.99, 0.995, 0.999, 1.0)
ROWS = 8


@click.command()
@click.argument("file")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead.")
def show(file: str, as_json: bool) -> None:
    """Print a ranking's provenance and how much of its corpus each size covers.

    FILE is a ranking, an id list of FR-Spec or SGLang (.pt, JSON, or one id a line), or demo: the ranking that comes
    with frspec.
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
    return {**about, "coverage": sizes, "covering": shares}


def _print(file: str, about: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False, markup=False, emoji=False)
    facts = Table.grid(padding=(0, 2))
    for name, value in {"ids": f"{about['ids']:,}", "fingerprint": about["fingerprint"], **about["provenance"]}.items():
        if value is not None:
            facts.add_row(name, _plain(value))
    console.print(file, style="bold")
    console.print(facts)
    if not about["counts"]:
        order = "its order is known" if about["ordered"] else "its ids stand by number, not by frequency"
        console.print(f"An id list: {order}, but no counts, so there is no coverage to show.")
        return
    for first, second, rows in (("size", "share", about["coverage"]), ("share", "size", about["covering"])):
        table = Table(first, second, box=None, padding=(0, 2))
        for row in rows:
            table.add_row(_plain(row[first]), _plain(row[second]))
        console.print()
        console.print(table)


def _plain(value: Any) -> str:
    if isinstance(value, float):
        return f"{100 * value:.2f} %"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return f"{value:,}" if isinstance(value, int) else str(value)
