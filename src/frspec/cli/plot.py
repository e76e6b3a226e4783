"""``frspec plot``: pictures of what ``frspec bench`` measured.

Knows: files, kinds. Does not know: what a picture looks like.
"""

from __future__ import annotations

from pathlib import Path

import click

from frspec.bench.plots import KINDS
from frspec.errors import UserError


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="RESULT.json...", type=click.Path(path_type=Path))
@click.option(
    "--output", "-o", required=True, metavar="FILE", type=click.Path(path_type=Path), help="A PNG or SVG file."
)
@click.option(
    "--kind",
    type=click.Choice(list(KINDS)),
    default="speed",
    show_default=True,
    help="; ".join(f"{kind}: {what}" for kind, what in KINDS.items()) + ".",
)
def plot(files: tuple[Path, ...], output: Path, kind: str) -> None:
    """Draw results that `frspec bench -o` wrote; needs the plot extra (pip install 'frspec[plot]')."""
    from frspec.bench.plots import check_plot, draw
    from frspec.bench.run import read_result

    check_plot(output)
    results = [read_result(file) for file in files]
    try:
        draw(kind, results, output)
    except KeyError as error:
        raise UserError(
            f"a result has no {error.args[0]}; it was changed or is of another version: make it again"
        ) from error
    click.echo(str(output))
