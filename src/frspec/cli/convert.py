"""``frspec convert``: a ranking's ids as the list another program reads."""

from __future__ import annotations

from pathlib import Path

import click


def _size(ctx: click.Context, param: click.Parameter, value: str | None) -> int | float | None:  # noqa: ARG001
    """A number of ids, or, with a decimal point, the share of the counts that they cover."""
    try:
        return value if value is None else float(value) if "." in value else int(value)
    except ValueError as error:
        raise click.BadParameter(f"{value!r} is neither a number of ids nor a share such as 0.99") from error


@click.command()
@click.argument("ranking")
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True,
              help="The list to write: .pt (FR-Spec, SGLang), .json or .txt.")  # fmt: skip
@click.option("--size", callback=_size, metavar="N|SHARE", help="How many ids, or the share to cover; all by default.")
def convert(ranking: str, output: Path, size: int | float | None) -> None:
    """Write the most frequent ids of RANKING as the list that other programs read.

    RANKING may itself be such a list, or demo. The list keeps no counts, no fingerprint and no provenance.
    """
    from frspec.ranking.formats import write_ids
    from frspec.ranking.ranking import Ranking

    whole = Ranking.load(ranking)
    ids = whole.ids if size is None else whole.covering(size) if isinstance(size, float) else whole.prefix(size)
    write_ids(ids, output)
    lost = "" if whole.counts is None else "; counts, fingerprint and provenance stay in the ranking"
    click.echo(f"{output}: {len(ids):,} of {len(whole):,} ids{lost}", err=True)
