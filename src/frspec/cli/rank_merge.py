"""``frspec rank merge``: several rankings into one.

Knows: names, weights as they are written. Does not know: what may be merged.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from frspec import shipped
from frspec.errors import UserError
from frspec.ranking.naming import split_part

if TYPE_CHECKING:
    from frspec.ranking.merging import Input

NAMED = 40  # parts; of more the number is said


@click.command()
@click.argument("rankings", nargs=-1, required=True, metavar="FILE[=WEIGHT]...")
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="The ranking to write.")
@click.option("--balance", is_flag=True, help="Give every part the same weight, so that a small one is not drowned.")
@click.option("--partial", is_flag=True, help="Merge the shards of a job that are there, though some are missing.")
@click.option("--smooth", type=click.FloatRange(0, 1, min_open=True, max_open=True), metavar="SHARE",
              help="Mix in so much of the ids by number, for texts unlike those counted; such as 0.1.")  # fmt: skip
def merge(rankings: tuple[str, ...], output: Path, balance: bool, partial: bool, smooth: float | None) -> None:
    """Make one ranking of several of the same tokenizer, and keep each one's counts in it as a part.

    FILE is a ranking or one part of it (all.ranking@de). Parts keep their names, and a ranking without parts becomes
    one that is called as its file. Without weights counts add up, and parts of the same name with them. With weights
    each FILE makes up that much of the mixture, however large it is: de.ranking=0.7 ja.ranking=0.3.

    The rankings that `frspec rank --shard i/n` wrote become the one that a single count would have written.
    """
    from frspec.artifacts import check_place
    from frspec.ranking.formats import check_ranking_name
    from frspec.ranking.merging import merge as merged

    check_ranking_name(output)
    check_place(output)
    ranking = merged(_inputs(rankings), balance, partial, smooth)
    ranking.save(output)
    names = f"the parts {', '.join(ranking.parts)}" if len(ranking.parts) <= NAMED else f"{len(ranking.parts)} parts"
    parts = f" in {names}" if ranking.parts else ""
    lost = ranking.provenance.get("missing")
    click.echo(
        f"{output}: {ranking.provenance['tokens']:,} tokens{parts}; "
        f"99 % of {'the mixture' if ranking.weights else 'them'} are {len(ranking.covering(0.99)):,} of "
        f"{len(ranking):,} ids{f'; {lost} are missing' if lost else ''}",
        err=True,
    )


def _inputs(words: Sequence[str]) -> list[Input]:
    """What the words name, each once."""
    from frspec.ranking.merging import Input
    from frspec.ranking.ranking import Ranking

    found = list[Input]()
    places = dict[str, set[str | None]]()
    for word in words:
        name, weight = parse_weight(word)
        file, part = split_part(name)
        place = file if file == shipped.NAME else str(Path(file).resolve())
        parts = places.setdefault(place, set())
        if part in parts or (parts and (part is None or None in parts)):
            raise UserError(f"{name} would count twice what is in {file}; name every ranking, or part of it, once")
        parts.add(part)
        found.append(Input(name, Ranking.load(name), weight))
    return found


def parse_weight(word: str) -> tuple[str, float | None]:
    """A ranking and its weight: "de.ranking=0.7", unless a file is called so as a whole.

    Raises:
        UserError: when the weight is not a number above 0.
    """
    name, mark, number = word.rpartition("=")
    if not mark or not name or Path(word).exists():
        return word, None
    try:
        weight = float(number)
    except ValueError:
        if split_part(word)[1] is not None:  # a part of a file whose name has such a sign
            return word, None
        weight = math.nan
    if not (math.isfinite(weight) and weight > 0):
        raise UserError(f"{word}: {number!r} is no weight; write a number above 0, as in {name}=0.7")
    return name, weight
