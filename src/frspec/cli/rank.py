"""``frspec rank``: count a corpus' tokens, write the ranking."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from frspec.cli.parted import Parted
from frspec.errors import UserError
from frspec.text.conversations import ROLES

if TYPE_CHECKING:
    from frspec.ranking.counts import Counts
    from frspec.ranking.ranking import Ranking
    from frspec.text.document import View
    from frspec.text.reading import Sources
    from frspec.text.tokenizer import Tokenizer


def _share(ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[int, int] | None:  # noqa: ARG001
    """``I/N``."""
    if value is None:
        return None
    found = re.fullmatch(r"(\d+)/(\d+)", value)
    if not found or not 1 <= int(found[1]) <= int(found[2]):
        raise click.BadParameter(f"{value!r} is not I/N with I from 1 to N, such as 3/16")
    return int(found[1]), int(found[2])


def reading_options(command: Callable[..., None]) -> Callable[..., None]:
    """What all commands ask that count sources."""
    options = (
        click.option("--field", default="text", show_default=True, help="Where JSON Lines and Parquet keep the text."),
        click.option("--by", metavar="FIELD", help="Keep counts apart by this field's value, such as a language."),
        click.option("--only", "roles", multiple=True, type=click.Choice(sorted({*ROLES.values()})),
                     help="Of conversations, count only what this role says; may be repeated."),
        click.option("--chat-template", is_flag=True,
                     help="Count conversations as the chat template writes them, with the tokens it adds."),
        click.option("--workers", type=click.IntRange(1, 1024),
                     help="Processes; all cores by default, where that pays."),
        click.option("--skip-bad", is_flag=True, help="Leave unreadable records and files out, and say how many."),
    )  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command


@click.command(cls=Parted, parts=("merge", "report"), flags={"--from-model": "model"})
@click.argument("sources", nargs=-1, required=True, metavar="[NAME=]SOURCE...")
@click.option(
    "--tokenizer", "name", required=True, help="Checkpoint folder, hub id, demo, tokenizer.json or *.tiktoken."
)
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="The ranking to write.")
@reading_options
@click.option("--balance", is_flag=True, help="Give every NAME, or value of --by, the same weight.")
@click.option("--on", metavar="ray[:ADDRESS]", help="Count on a Ray cluster, or on a local Ray.")
@click.option("--shard", callback=_share, metavar="I/N", help="Count the I-th of N parts, for frspec rank merge.")
@click.option("--restart", is_flag=True, help="Forget what an interrupted count has done.")
@click.option("--revision", help="Branch, tag or commit of a hub id.")
@click.option("--from-model", metavar="MODEL", expose_value=False,
              help="Rank what MODEL answers to --prompts; see frspec rank --from-model MODEL --help.")  # fmt: skip
def rank(
    sources: tuple[str, ...],
    name: str,
    output: Path,
    field: str,
    by: str | None,
    roles: tuple[str, ...],
    chat_template: bool,
    workers: int | None,
    skip_bad: bool,
    balance: bool,
    on: str | None,
    shard: tuple[int, int] | None,
    restart: bool,
    revision: str | None,
) -> None:
    """Count the tokens of SOURCES and write the ranking.

    SOURCES are JSON Lines (plain, .gz, .xz, .zst), Parquet or text files, folders, or patterns in quotes; on this
    machine or URLs (hf://datasets/..., s3://, gs://, https://). With names (de=law.jsonl en=books/) the ranking keeps
    the counts of each name apart. An interrupted count goes on where it stopped.

    `frspec rank merge` puts rankings together, `frspec rank report` shows what one covers; files of these names are
    ./merge and ./report.
    """
    from frspec.artifacts import alone, check_place
    from frspec.ranking.formats import check_ranking_name
    from frspec.ranking.job import Plan, count_sources
    from frspec.ranking.journal import journal_of, remove_journal
    from frspec.ranking.made import ranking_of
    from frspec.text.reading import Reading, find_sources
    from frspec.text.tokenizer import Tokenizer

    check_ranking_name(output)
    check_place(output)
    journal = journal_of(output)
    found = find_sources(sources, Reading(field, by, skip_bad))
    _check_overwritten(output, found)
    found = found.without(output, journal)
    if balance and by is None and not any(part for part, _ in found.groups):
        raise click.UsageError("--balance weighs parts; name them (de=law.jsonl en=books/) or say --by FIELD")
    if balance and shard:
        raise click.UsageError("--balance goes with frspec rank merge, when all shards are counted; leave it out here")
    tokenizer = Tokenizer.load(name, revision)
    found = found.seen_by(make_view(tokenizer, roles, chat_template))
    plan = Plan(workers, shard, on, journal)
    start = time.perf_counter()
    with alone(output):
        if restart:
            remove_journal(journal)
        with display() as report:
            counts = count_sources(tokenizer, found, plan, report)
        ranking = ranking_of(counts, tokenizer, found, plan, balance)
        ranking.save(output)
        remove_journal(journal)
    _say(output, counts, ranking, time.perf_counter() - start)


def _check_overwritten(output: Path, found: Sources) -> None:
    """A ranking may be written anew in the folder that is counted, a source must not be written over."""
    from frspec.ranking.ranking import Ranking

    if any(file.key == str(output.resolve()) for file in found.files):
        try:
            Ranking.load(str(output))
        except UserError as error:
            raise UserError(f"{output} is one of the sources; choose another name for the ranking") from error


def make_view(tokenizer: Tokenizer, roles: tuple[str, ...], chat_template: bool) -> View | None:
    """Which parts of conversations ``--only`` and ``--chat-template`` mean."""
    if not (chat_template or roles):
        return None
    from frspec.text.views import Rendered, Spoken  # with Jinja, which counting texts does not need

    if chat_template and {*roles} - {"assistant"}:
        raise click.UsageError("--chat-template tells only the assistant's words apart; ask for --only assistant")
    if chat_template:
        return Rendered(tokenizer, answers=bool(roles))
    return Spoken(roles)


def _say(output: Path, counts: Counts, ranking: Ranking, seconds: float) -> None:
    tokens = counts.tokens
    skipped = f", {counts.skipped} unreadable skipped" if counts.skipped else ""
    covered = f"99 % of them are {len(ranking.covering(0.99)):,} of {len(ranking):,} ids; " if tokens else ""
    click.echo(
        f"{output}: {tokens:,} tokens of {counts.documents:,} documents{skipped}; {covered}"
        f"{seconds:.1f} s, {tokens / seconds:,.0f} tokens/s",
        err=True,
    )


@contextmanager
def display() -> Iterator[Callable[[Counts, int, int], None]]:
    """A bar on stderr that ``count_sources`` keeps up to date; nothing where stderr is no terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (BarColumn(), TaskProgressColumn(), TextColumn("{task.description}"), TimeRemainingColumn())
    console = Console(stderr=True)
    off = not console.is_terminal
    # Refreshed from the callback: a thread of its own would be cut short in every forked counting process.
    with Progress(*columns, console=console, auto_refresh=False, transient=True, disable=off) as bar:
        task = bar.add_task("reading")
        start = shown = time.perf_counter()
        before: int | None = None

        def update(counts: Counts, position: int, size: int) -> None:
            nonlocal shown, before
            now = time.perf_counter()
            if now - shown < 0.1:
                return
            shown, tokens = now, counts.tokens
            before = tokens if before is None else before
            speed = f"{tokens:,} tokens  {(tokens - before) / (now - start):,.0f} tokens/s"
            bar.update(task, total=size or None, completed=position, description=speed, refresh=True)

        yield update
