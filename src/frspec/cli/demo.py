"""``frspec demo``: one prompt, three ways, to watch what the ranking brings.

Knows: the terminal, the three ways. Does not know: how text is made.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from frspec.cli.options import model_options, take, tree_options
from frspec.errors import UserError

if TYPE_CHECKING:
    from frspec.engine.llm import LLM
    from frspec.types import RequestOutput, SamplingParams

WARM_UP = 8
"""Tokens of the run that pays for what only a first run does."""


@click.command()
@click.option("--model", required=True, metavar="MODEL", help="Checkpoint folder or hub id.")
@click.option("--draft", required=True, metavar="HEAD|MODEL", help="EAGLE head or smaller model that drafts.")
@click.option("--ranking", required=True, metavar="FILE", help="Ranking of the model's tokenizer.")
@click.option("--draft-vocab", metavar="N|SHARE", help="Size of the ranked vocabulary; a quarter if left out.")
@click.option("--prompt", default="Once upon a time", show_default=True, help="What the text begins with.")
@click.option("--max-tokens", type=int, default=128, show_default=True, help="New tokens, each way.")
@click.option("--temperature", type=float, default=0.0, show_default=True, help="0 is greedy.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the sampling, the same each way.")
@click.option("--colour/--no-colour", "--color/--no-color", "colour", default=None, help="As in frspec chat.")
@tree_options
@model_options
def demo(
    model: str,
    draft: str,
    ranking: str,
    draft_vocab: str | None,
    prompt: str,
    colour: bool | None,
    **options: Any,
) -> None:
    """Generate the same text three ways: plainly, with EAGLE-2, and with EAGLE-2 on the ranked vocabulary.

    Text that accepted drafts brought is shown in another colour.
    """
    from frspec.cli.terminal import wants_colour
    from frspec.engine.llm import LLM
    from frspec.speculation.growth import TreeShape
    from frspec.types import SamplingParams

    params = SamplingParams(**take(options, ("max_tokens", "temperature", "seed")))
    tree = take(options, ("num_speculative_tokens", "tree_depth", "tree_width"))
    shape = TreeShape(tree["num_speculative_tokens"], tree["tree_depth"], tree["tree_width"])
    plain = LLM(model, **options)
    ways = {
        "plain decoding": plain,
        "drafts from the full vocabulary": plain.with_draft(draft, "full", shape=shape),
        "drafts from the ranked vocabulary": plain.with_draft(draft, draft_vocab, ranking, shape),
    }
    rows = []
    for name, llm in ways.items():
        print(f"\n── {name} ──\n{prompt}", end="", flush=True)
        rows.append((name, llm, _show(llm, prompt, params, wants_colour(colour, sys.stdout))))
    _print(rows)
    if len({tuple(output.outputs[0].token_ids) for _, _, output in rows}) > 1:
        raise UserError("the outputs differ: near-ties of a 16-bit model can do that; --exact rules it out")


def _show(llm: LLM, prompt: str, params: SamplingParams, colour: bool) -> RequestOutput:
    from frspec.cli.streaming import Stream

    llm.with_draft(llm.engine.drafter).generate(prompt, replace(params, max_tokens=WARM_UP))
    stream, output = Stream(sys.stdout, llm.get_tokenizer(), colour), None
    for output in llm.stream(prompt, params):
        stream.show(output)
    stream.end()
    assert output is not None
    return output


def _print(rows: list[tuple[str, LLM, RequestOutput]]) -> None:
    """The table, whether all texts are the same, and what to try next."""
    from rich.console import Console
    from rich.table import Table

    table, plain = Table(), rows[0][2].metrics.tokens_per_second
    for heading in ("", "tok/s", "× plain", "per pass", "draft head"):
        table.add_column(heading, justify="left" if not heading else "right")
    for name, llm, output in rows:
        seconds, rate = llm.engine.clock.seconds, output.metrics.tokens_per_second
        share = seconds.get("draft head", 0.0) / (sum(seconds.values()) or 1.0)
        length = output.metrics.mean_acceptance_length
        ratio = f"{rate / plain:.2f}" if plain else "–"
        table.add_row(name, f"{rate:.0f}", ratio, f"{length:.2f}", f"{share:.0%}")
    print()
    Console().print(table)
    texts = {tuple(output.outputs[0].token_ids) for _, _, output in rows}
    print(f"identical output: {'yes' if len(texts) == 1 else 'no'}")
    print("\nnext: frspec chat --model MODEL      frspec generate PROMPT --model MODEL      frspec rank --help")
