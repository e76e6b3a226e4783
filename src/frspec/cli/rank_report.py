"""``frspec rank report``: what a ranking covers of some texts, and what it misses.

Knows: what is asked and where the answer goes. Does not know: how figures are found, how they look.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from frspec import shipped
from frspec.cli.rank import display, make_view, reading_options
from frspec.errors import UserError

if TYPE_CHECKING:
    from frspec.ranking.figures import Report
    from frspec.ranking.ranking import Ranking
    from frspec.ranking.report import Reporter
    from frspec.text.reading import Sources
    from frspec.text.tokenizer import Tokenizer


def _sizes(ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[int, ...]:  # noqa: ARG001
    try:
        sizes = tuple(int(word) for word in value.split(",")) if value else ()
    except ValueError as error:
        raise click.BadParameter(f"{value!r} is not a list of numbers, such as 8192,32768") from error
    if sizes and min(sizes) < 1:
        raise click.BadParameter(f"{value!r} holds a number below 1")
    return sizes


@click.command()
@click.argument("file")
@click.argument("more", nargs=-1, metavar="[[NAME=]SOURCE]...")
@click.option(
    "--on",
    multiple=True,
    required=True,
    metavar="[NAME=]SOURCE...",
    help="Texts to measure on, best such as the ranking was not made of; several may follow.",
)
@click.option(
    "--tokenizer",
    "name",
    metavar="MODEL|FILE",
    help="Checkpoint folder, hub id, demo, tokenizer.json or *.tiktoken.  [the ranking's own]",
)
@click.option(
    "--sizes",
    callback=_sizes,
    metavar="N,...",
    help="Sizes of draft vocabularies.  [8192,16384,32768,65536 and a quarter of the vocabulary]",
)
@click.option("--size", type=click.IntRange(min=1), metavar="N", help="The one to look at closely.  [a quarter]")
@click.option(
    "--depth",
    type=click.IntRange(1, 1000),
    default=5,
    show_default=True,
    help="Longest draft, for the ceiling of acceptance.",
)
@reading_options
@click.option("-o", "--output", "outputs", multiple=True, metavar="FILE", type=click.Path(path_type=Path),
              help="Write a page (.html) or a picture (.png, .svg); may be repeated.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of tables.")
@click.option("--revision", help="Branch, tag or commit of a hub id.")
def report(
    file: str,
    more: tuple[str, ...],
    on: tuple[str, ...],
    name: str | None,
    sizes: tuple[int, ...],
    size: int | None,
    depth: int,
    outputs: tuple[Path, ...],
    as_json: bool,
    revision: str | None,
    **reading: Any,
) -> None:
    """Show what the ranking in FILE covers of the texts in SOURCEs, and what it misses.

    FILE is a ranking, an id list in order of frequency, or demo: the ranking that comes with frspec. SOURCEs are as for
    `frspec rank`; with names (de=law.jsonl en=books/) each is also shown for itself.
    """
    from frspec.bench.report import check_output, write
    from frspec.cli.rank_report_table import print_report
    from frspec.ranking.ranking import Ranking
    from frspec.ranking.report import Reporter, ask, check_ids
    from frspec.text.reading import Reading, find_sources

    for output in outputs:
        check_output(output)
    ranking = Ranking.load(file)
    sources = find_sources((*on, *more), Reading(reading["field"], reading["by"], reading["skip_bad"]))
    tokenizer = _tokenizer(ranking, name, revision)
    view = make_view(tokenizer, reading["roles"], reading["chat_template"])
    check_ids(ranking, tokenizer)
    question = ask(ranking, tokenizer.vocab_size, sizes, size, depth)
    reporter = Reporter(ranking, tokenizer, stop_ids(tokenizer.name, revision), question)
    found = _measure(file, reporter, sources.seen_by(view), reading["workers"])
    for output in outputs:
        write(found, output)
    if as_json:
        click.echo(json.dumps(found.as_json()))
    else:
        print_report(found)
    for output in outputs:
        click.echo(str(output), err=True)


def _tokenizer(ranking: Ranking, name: str | None, revision: str | None) -> Tokenizer:
    """The one that was named, or else the ranking's own."""
    from frspec.text.tokenizer import Tokenizer

    if name is not None:
        return Tokenizer.load(name, revision)
    own = ranking.provenance.get("tokenizer")
    if not isinstance(own, str):
        raise UserError("this ranking does not say its tokenizer; name it with --tokenizer")
    try:
        return Tokenizer.load(own, revision)
    except UserError as error:
        raise UserError(f"the ranking's tokenizer cannot be loaded ({error}); name it with --tokenizer") from error


def stop_ids(name: str, revision: str | None) -> set[int]:
    """The end-of-sequence ids in the checkpoint's config.json and generation_config.json, as far as it has them."""
    from frspec import hub
    from frspec.keys import Keys, read_object

    if name != shipped.NAME and hub.local(name).is_file():
        return set()
    folder = hub.resolve(name, revision, hub.TOKENIZER_FILES)
    files = [folder / "config.json", folder / "generation_config.json"]
    return {id for file in files if file.is_file() for id in Keys(read_object(file), file).token_ids("eos_token_id")}


def _measure(file: str, reporter: Reporter, sources: Sources, workers: int | None) -> Report:
    """Count the sources, draw samples of them, and put the question."""
    from rich.console import Console

    from frspec.artifacts import provenance
    from frspec.ranking.job import Plan, count_sources
    from frspec.ranking.runs import read_samples

    ranking, tokenizer, view = reporter.ranking, reporter.tokenizer, sources.reading.view
    with display() as progress:
        counts = count_sources(tokenizer, sources, Plan(workers), progress)
    with Console(stderr=True).status("reading again for a sample"):
        samples = read_samples(tokenizer, sources, {name: part.tokens for name, part in counts.parts.items()})
    about = {
        "file": file,
        "ids": len(ranking),
        "counted": ranking.counts is not None,
        "fingerprint": ranking.fingerprint,
        "parts": list(ranking.parts),
        "tokenizer": tokenizer.name,
        "sources": list(sources.asked),
        "field": sources.reading.field,
        "by": sources.reading.by,
        "skipped": counts.skipped,
        **(view.facts if view else {}),
        **provenance(),
        "provenance": dict(ranking.provenance),
    }
    return reporter.report(counts, samples, about)
