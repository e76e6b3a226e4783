"""What rankings of some texts cover of other texts: a table and a picture.

    python recipes/ranking/coverage_matrix.py --tokenizer NAME -o FOLDER --ranking NAME=SOURCE... --text NAME=SOURCE...
        [--size N]... [--together FIELD]

Counts a ranking for every name after ``--ranking`` and a balanced mixture of them all, and says which share of each
``--text`` lies in their most frequent ids, and in as many ids by number: what a draft vocabulary of that size can offer
where that text is written.
A name given twice has both sources. Files that both sides name are halved, so that no document is counted on one side
and tried on the other; ``--together id`` also keeps documents in one half whose ids end alike behind the last slash.
FOLDER gets the rankings, coverage.md and coverage.png. The last line is one JSON object.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import click
import numpy as np
from coverage_picture import draw
from halves import shared_files, write_side
from program import run

from frspec.ranking.ranking import Ids, Ranking

MIXTURE = "all balanced"
NONE = "none: the lowest ids"
"""A tokenizer numbers its tokens about by how frequent they were in the texts that it was made of."""
Matrix = dict[int, dict[str, dict[str, float]]]
"""By size, ranking and text: the share of the text's tokens, 0 to 1."""


def count(tokenizer: str, files: Mapping[str, Path], folder: Path) -> dict[str, Path]:
    """A ranking of each file, in ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    made = {name: folder / f"{file.stem}.ranking" for name, file in files.items()}
    for name, file in files.items():
        run("rank", "--tokenizer", tokenizer, file, "--restart", "-o", made[name])
    return made


def matrix(rankings: Mapping[str, Path], texts: Mapping[str, Path], sizes: Sequence[int]) -> Matrix:
    """Every size, ranking and text; a text is what was counted of it."""
    counted = {name: Ranking.load(file) for name, file in texts.items()}
    loaded = {name: Ranking.load(file) for name, file in rankings.items()}
    return {
        size: {
            name: {text: tokens.coverage(ids) for text, tokens in counted.items()}
            for name, ids in _choices(loaded, size).items()
        }
        for size in sizes
    }


def _choices(rankings: Mapping[str, Ranking], size: int) -> dict[str, Ids]:
    return {name: ranking.prefix(size) for name, ranking in rankings.items()} | {NONE: np.arange(size)}


def markdown(found: Matrix) -> str:
    """A table in percent; of each size and text the best in bold."""
    lines = list[str]()
    for size, rows in found.items():
        texts = list(next(iter(rows.values())))
        if not lines:
            lines += [f"| ids | ranking of | {' | '.join(texts)} |", f"| --- | --- |{' --- |' * len(texts)}"]
        best = {text: max(row[text] for row in rows.values()) for text in texts}
        for name, row in rows.items():
            cells = [f"**{row[text]:.1%}**" if row[text] == best[text] else f"{row[text]:.1%}" for text in texts]
            lines.append(f"| {size:,} | {name} | {' | '.join(cells)} |")
    return "\n".join(lines).replace("%", " %") + "\n"


def _named(ctx: click.Context, param: click.Parameter, values: Sequence[str]) -> dict[str, list[str]]:  # noqa: ARG001
    named = dict[str, list[str]]()
    for value in values:
        name, equals, source = value.partition("=")
        if not (name and equals and source):
            raise click.BadParameter(f"{value!r} is not NAME=SOURCE")
        named.setdefault(name, []).append(source)
    return named


@click.command()
@click.option("--tokenizer", required=True, help="As for frspec rank.")
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="A folder.")
@click.option("--ranking", "rankings", multiple=True, required=True, callback=_named, metavar="NAME=SOURCE",
              help="What to make a ranking of; may be repeated.")  # fmt: skip
@click.option("--text", "texts", multiple=True, required=True, callback=_named, metavar="NAME=SOURCE",
              help="What to try it on; may be repeated.")  # fmt: skip
@click.option("--size", "sizes", type=int, multiple=True, default=(8192, 16384, 32768, 65536), show_default=True,
              help="How many ids; may be repeated.")  # fmt: skip
@click.option("--together", metavar="FIELD", help="Of halved files, keep records whose FIELD ends alike in one half.")
def main(
    tokenizer: str,
    output: Path,
    rankings: dict[str, list[str]],
    texts: dict[str, list[str]],
    sizes: Sequence[int],
    together: str | None,
) -> None:
    """Count, compare, draw."""
    shared = shared_files(rankings, texts)
    with tempfile.TemporaryDirectory() as temporary:
        sides = []
        for half, (side, named) in enumerate({"rankings": rankings, "texts": texts}.items()):
            folder = Path(temporary, side)
            folder.mkdir()
            sides.append(count(tokenizer, write_side(named, shared, half, together, folder), output / side))
    made, counted = sides
    if len(made) > 1:
        mixture = output / "rankings" / "all-balanced.ranking"
        run("rank", "merge", *made.values(), "--balance", "-o", mixture)
        made[MIXTURE] = mixture
    found = matrix(made, counted, sorted(sizes))
    table = markdown(found)
    (output / "coverage.md").write_text(table)
    draw(found, Path(tokenizer).name, output / "coverage.png")
    print(table)
    print(
        json.dumps(
            {"tokenizer": Path(tokenizer).name, "halved": sorted(Path(name).name for name in shared), "shares": found}
        )
    )


if __name__ == "__main__":
    main()
