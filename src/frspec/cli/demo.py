"""``frspec demo``: one prompt, three ways, to watch what the ranking brings.

Knows: the terminal, the three ways. Does not know: how text is made.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from frspec import shipped
from frspec.cli.options import colour_option, model_option, model_options, take, tree_options
from frspec.errors import UserError

if TYPE_CHECKING:
    from frspec.engine.llm import LLM
    from frspec.types import RequestOutput, SamplingParams

QUESTION, BEGINNING = "Tell me a story about a little girl and a bird.", "Once upon a time"
WARM_UP = 8
"""Tokens of the run that pays for what only a first run does."""
NEXT = """\
next:
  frspec chat
  frspec generate PROMPT --model MODEL
  frspec rank --help"""

ROWS = ("plain", "full drafts", "ranked drafts")

Row = tuple["LLM", "RequestOutput"]


@click.command()
@model_option
@click.option("--draft", metavar="HEAD|MODEL", help="What drafts; demo has its own.")
@click.option("--ranking", metavar="FILE", help="Ranking of the model's tokenizer; demo has its own.")
@click.option(
    "--draft-vocab", metavar="N|SHARE[@PART]", help="Size of the ranked vocabulary; if left out, costs decide."
)
@click.option(
    "--prompt", metavar="TEXT", help="A question; a beginning to go on with for models without chat template."
)
@click.option("--max-tokens", type=int, default=128, show_default=True, help="New tokens, each way.")
@click.option("--temperature", type=float, default=0.0, show_default=True, help="0 is greedy.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the sampling, the same each way.")
@colour_option
@tree_options
@model_options
def demo(
    model: str,
    draft: str | None,
    ranking: str | None,
    draft_vocab: str | None,
    prompt: str | None,
    colour: bool | None,
    **options: Any,
) -> None:
    """Generate the same text three ways: plainly, with EAGLE-2, and with EAGLE-2 on the ranked vocabulary.

    Text that accepted drafts brought is shown in another colour.
    """
    if model == shipped.NAME:
        draft, ranking = draft or shipped.NAME, ranking or shipped.NAME
    if draft is None or ranking is None:
        raise UserError(f"to show drafting for {model} name what drafts and a ranking: --draft HEAD --ranking FILE")
    from frspec.bench.lineup import AUTO, check_drafts
    from frspec.cli.terminal import wants_colour
    from frspec.engine.llm import LLM
    from frspec.speculation.plan import tree_shape
    from frspec.types import SamplingParams

    params = SamplingParams(**take(options, ("max_tokens", "temperature", "seed")))
    tree = take(options, ("num_speculative_tokens", "tree_depth", "tree_width"))
    shape = tree_shape(tree["num_speculative_tokens"], tree["tree_depth"], tree["tree_width"])
    coloured = wants_colour(colour, sys.stdout)
    check_drafts(model, options["revision"], [draft], ["full", draft_vocab or AUTO], ranking)
    plain = LLM(model, **options)
    ways = {
        "plain decoding": plain,
        "drafts from the full vocabulary": plain.with_draft(draft, "full", shape=shape),
        "drafts from the ranked vocabulary": plain.with_draft(draft, draft_vocab, ranking, shape),
    }
    source, opening = _begin(plain, prompt)
    rows = []
    for name, llm in ways.items():
        print(f"\n── {name} ──", flush=True)
        rows.append((llm, _show(llm, source, opening, params, coloured)))
    _conclude(rows, coloured)


def _begin(llm: LLM, prompt: str | None) -> tuple[Any, str]:
    """What the model reads, and what is shown of it before its text."""
    if llm.get_tokenizer().chat_template is None:
        text = prompt or BEGINNING
        return text, text
    question = prompt or QUESTION
    return llm.chat_prompt([{"role": "user", "content": question}]), f"> {question}\n\n"


def _show(llm: LLM, source: Any, opening: str, params: SamplingParams, colour: bool) -> RequestOutput:
    from frspec.cli.streaming import Drafted, Stream

    llm.with_draft(llm.engine.drafter).generate(source, replace(params, max_tokens=WARM_UP))
    stream, output = Stream(sys.stdout, Drafted(), colour), None
    stream.open(opening)
    for output in llm.stream(source, params):
        stream.show(output)
    stream.end()
    assert output is not None
    return output


def _conclude(rows: list[Row], colour: bool) -> None:
    """The table, whether all texts are the same, and what to try next."""
    from rich.console import Console

    console = Console(markup=False, emoji=False, highlight=False, color_system="auto" if colour else None)
    same = len({tuple(output.outputs[0].token_ids) for _, output in rows}) == 1
    print()
    console.print(_table(rows))
    console.print("per pass: tokens that one pass of the model yields. draft head: its share of the time.", style="dim")
    print(f"\nidentical output: {'yes' if same else 'no'}\n\n{NEXT}")
    if not same:
        raise UserError("the outputs differ: near-ties of a 16-bit model can do that; --exact rules it out")


def _table(rows: list[Row]) -> Any:
    """Narrow enough for a terminal of 40 columns."""
    from rich import box
    from rich.table import Table

    table, plain = (
        Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0)),
        rows[0][1].metrics.tokens_per_second,
    )
    for heading in ("", "tok/s", "×\nplain", "per\npass", "draft\nhead"):
        table.add_column(heading, justify="right" if heading else "left", no_wrap=True)
    for name, (llm, output) in zip(ROWS, rows, strict=True):
        seconds, rate = llm.engine.clock.seconds, output.metrics.tokens_per_second
        share = seconds.get("draft head", 0.0) / (sum(seconds.values()) or 1.0)
        ratio = f"{rate / plain:.2f}" if plain else "–"
        table.add_row(name, f"{rate:.0f}", ratio, f"{output.metrics.mean_acceptance_length:.2f}", f"{share:.0%}")
    return table
