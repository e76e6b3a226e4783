"""``frspec bench``: drafting methods against plain decoding, in one run.

Knows: the terminal. Does not know: how anything is measured.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

import click

from frspec import shipped
from frspec.cli.options import TOP_P, model_option, model_options, take, tree_options
from frspec.errors import UserError

if TYPE_CHECKING:
    from frspec.bench.compare import Method
    from frspec.engine.llm import LLM

OWN_SIZES = "full,32768,8192"
Rows = list[dict[str, Any]]


@click.command()
@click.argument("sources", nargs=-1, required=True)
@model_option
@click.option(
    "--draft",
    multiple=True,
    metavar="none|ngram|HEAD|MODEL",
    help="A drafter to compare; may be repeated. If left out: for demo ngram and its own head, else none.",
)
@click.option("--draft-vocab", metavar="N,SHARE,full", help=f"Sizes to compare; full, or for demo's own {OWN_SIZES}.")
@click.option("--ranking", metavar="FILE", help="Ranking that the sizes are taken from.")
@click.option("--field", default="text", show_default=True, help="Field of the sources that holds the prompt.")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="Prompts to run.")
@click.option("--skip", type=click.IntRange(0), default=0, show_default=True, help="Prompts to leave out first.")
@click.option("--prompt-tokens", type=click.IntRange(1), metavar="N", help="Cut each text to its first N tokens.")
@click.option("--max-tokens", type=int, default=128, show_default=True, help="New tokens per prompt.")
@click.option("--temperature", type=float, default=0.0, show_default=True, help="0 is greedy.")
@click.option("--top-p", type=float, default=1.0, show_default=True, help=TOP_P)
@click.option("--seed", type=int, default=0, show_default=True, help="Of the first prompt; one more for each.")
@click.option("--draft-noise/--no-draft-noise", default=True, show_default=True, help="Drafts use the target's noise.")
@click.option("--plot", metavar="FILE", help="Draw the table to a PNG or SVG file (needs the plot extra).")
@tree_options
@model_options
def bench(
    model: str,
    draft: tuple[str, ...],
    draft_vocab: str | None,
    ranking: str | None,
    draft_noise: bool,
    plot: str | None,
    **options: Any,
) -> None:
    """Generate after the texts in SOURCES with every method and compare.

    Plain decoding always takes part. The last line of stdout is one JSON object.
    """
    from frspec.bench.compare import PLAIN, Method, compare
    from frspec.bench.plot import check_plot, draw
    from frspec.engine.llm import LLM
    from frspec.types import SamplingParams

    if plot is not None:
        check_plot(plot)
    if model == shipped.NAME and not draft:
        draft, ranking, draft_vocab = ("ngram", shipped.NAME), ranking or shipped.NAME, draft_vocab or OWN_SIZES
    params = SamplingParams(**take(options, ("max_tokens", "temperature", "top_p", "seed")))
    reading = take(options, ("sources", "field", "limit", "skip", "prompt_tokens"))
    tree = take(options, ("num_speculative_tokens", "tree_depth", "tree_width"))
    plain = LLM(model, **options)
    prompts = _prompts(plain, **reading)
    drafted = _drafted(plain, draft, (draft_vocab or "full").split(","), ranking, tree, draft_noise)
    methods = [Method(PLAIN, plain), *drafted]
    *_, rows = _followed(compare(methods, prompts, params), len(prompts))
    _print(rows)
    settings = {"model": model, "prompts": len(prompts), "temperature": params.temperature, "top_p": params.top_p}
    settings |= {"max_tokens": params.max_tokens, "draft_noise": draft_noise}
    print(json.dumps({**settings, **tree, "methods": rows}))
    if plot is not None:
        draw(rows, f"temperature {params.temperature:g}, {len(prompts)} prompts", plot)


def _drafted(
    plain: LLM, drafts: tuple[str, ...], sizes: list[str], ranking: str | None, tree: dict[str, int], noise: bool
) -> list[Method]:
    from frspec.bench.compare import PLAIN, Method
    from frspec.speculation.growth import TreeShape

    shape = TreeShape(tree["num_speculative_tokens"], tree["tree_depth"], tree["tree_width"])
    methods = []
    for draft in drafts:
        if draft == PLAIN:
            continue
        if draft == "ngram":
            methods.append(Method(draft, plain.with_draft(draft, shape=shape)))
            continue
        for size in sizes:
            llm = plain.with_draft(draft, size, None if size == "full" else ranking, shape, noise)
            drafter = llm.engine.drafter
            assert drafter is not None
            which = f" {draft}" if sum(other != "ngram" for other in drafts) > 1 else ""
            methods.append(Method(f"{drafter.name}{which} {size}", llm))
    return methods


def _prompts(
    llm: LLM, sources: tuple[str, ...], field: str, limit: int, skip: int, prompt_tokens: int | None
) -> list[list[int]]:
    from frspec.text.sources import read_documents

    documents = islice(read_documents(sources, field=field), skip, skip + limit)
    tokenizer = llm.get_tokenizer()
    prompts = []
    for document in documents:
        if document.messages is not None:
            prompts.append(llm.chat_prompt(_asked(document.messages))["prompt_token_ids"])
        else:
            prompts.append(tokenizer.encode(document.text or ""))
    prompts = [prompt[:prompt_tokens] for prompt in prompts if prompt]
    if not prompts:
        raise UserError(f"no prompts in {', '.join(sources)} after skipping {skip}; give more text or a smaller --skip")
    return prompts


def _asked(messages: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """A conversation up to its last question."""
    asked = [place for place, message in enumerate(messages, 1) if message["role"] == "user"]
    return list(messages[: asked[-1]]) if asked else list(messages)


def _followed(tables: Iterable[tuple[int, Rows]], total: int) -> Iterator[Rows]:
    """The tables as they come; on a terminal, how many prompts are done."""
    for done, rows in tables:
        if sys.stderr.isatty():
            print(f"\r{done}/{total} prompts", end="" if done < total else "\n", file=sys.stderr)
        yield rows


def _print(rows: Rows) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table()
    for heading in ("method", "mean acceptance length", "tok/s", "× plain", "identical", "time"):
        table.add_column(heading, justify="left" if heading in ("method", "time") else "right")
    for row in rows:
        shares = sorted(row["time_share"].items(), key=lambda item: -item[1])[:3]
        table.add_row(
            row["method"],
            f"{row['mean_acceptance_length']:.2f}",
            f"{row['tokens_per_second']:.0f}",
            f"{row['ratio_to_plain']:.2f}",
            f"{row['identical_outputs']}/{row['outputs']}",
            ", ".join(f"{name} {share:.0%}" for name, share in shares),
        )
    Console(markup=False, emoji=False).print(table)
