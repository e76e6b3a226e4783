"""``frspec rank``: count a corpus' tokens, write the ranking."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from frspec.text.conversations import ROLES

if TYPE_CHECKING:
    from frspec.ranking.count import Counts
    from frspec.text.document import View
    from frspec.text.sources import Documents
    from frspec.text.tokenizer import Tokenizer


@click.command()
@click.option(
    "--tokenizer", "name", required=True, help="Checkpoint folder, hub id, demo, tokenizer.json or *.tiktoken."
)
@click.argument("sources", nargs=-1, required=True)
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="The ranking to write.")
@click.option("--field", default="text", show_default=True, help="Where JSON Lines and Parquet keep the text.")
@click.option("--only", "roles", multiple=True, type=click.Choice(sorted({*ROLES.values()})),
              help="Of conversations, count only what this role says; may be repeated.")  # fmt: skip
@click.option("--chat-template", is_flag=True,
              help="Count conversations as the chat template writes them, with the tokens it adds.")  # fmt: skip
@click.option("--workers", type=click.IntRange(min=1), help="Processes; all cores by default.")
@click.option("--skip-bad", is_flag=True, help="Leave unreadable records and files out, and say how many.")
@click.option("--revision", help="Branch, tag or commit of a hub id.")
def rank(
    name: str,
    sources: tuple[str, ...],
    output: Path,
    field: str,
    roles: tuple[str, ...],
    chat_template: bool,
    workers: int | None,
    skip_bad: bool,
    revision: str | None,
) -> None:
    """Count the tokens of SOURCES and write the ranking.

    SOURCES are JSON Lines (plain, .gz, .xz, .zst), Parquet or text files, folders, or patterns in quotes; on this
    machine or URLs (hf://datasets/..., s3://, gs://, https://).
    """
    from frspec.artifacts import check_place
    from frspec.ranking.count import rank_documents
    from frspec.ranking.formats import check_ranking_name
    from frspec.text.sources import read_documents
    from frspec.text.tokenizer import Tokenizer

    if chat_template and {*roles} - {"assistant"}:
        raise click.UsageError("--chat-template tells only the assistant's words apart; ask for --only assistant")
    check_ranking_name(output)
    check_place(output)
    tokenizer = Tokenizer.load(name, revision)
    documents = read_documents(sources, field, skip_bad, _view(tokenizer, roles, chat_template))
    start = time.perf_counter()
    with _display(documents) as progress:
        ranking = rank_documents(tokenizer, documents, workers, progress)
    seconds = time.perf_counter() - start
    ranking.save(output)
    tokens = ranking.provenance["tokens"]
    skipped = f", {documents.skipped} unreadable skipped" if documents.skipped else ""
    click.echo(
        f"{output}: {tokens:,} tokens of {ranking.provenance['documents']:,} documents{skipped}; "
        f"99 % of them are {len(ranking.covering(0.99)):,} of {len(ranking):,} ids; "
        f"{seconds:.1f} s, {tokens / seconds:,.0f} tokens/s",
        err=True,
    )


def _view(tokenizer: Tokenizer, roles: tuple[str, ...], chat_template: bool) -> View | None:
    from frspec.text.views import Rendered, Spoken

    if chat_template:
        return Rendered(tokenizer, answers=bool(roles))
    return Spoken(roles) if roles else None


@contextmanager
def _display(documents: Documents) -> Iterator[Callable[[Counts], None]]:
    """A bar on stderr that ``count_tokens`` keeps up to date; nothing where stderr is no terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (BarColumn(), TaskProgressColumn(), TextColumn("{task.description}"), TimeRemainingColumn())
    console = Console(stderr=True)
    off = not console.is_terminal
    # Refreshed from the callback: a thread of its own would be cut short in every forked counting process.
    with Progress(*columns, console=console, auto_refresh=False, transient=True, disable=off) as bar:
        task = bar.add_task("reading", total=documents.size or None)
        start = shown = time.perf_counter()

        def update(counts: Counts) -> None:
            nonlocal shown
            now = time.perf_counter()
            if now - shown < 0.1:
                return
            shown, tokens = now, counts.tokens
            speed = f"{tokens:,} tokens  {tokens / (now - start):,.0f} tokens/s"
            bar.update(task, completed=documents.position, description=speed, refresh=True)

        yield update
