"""``frspec bench``: drafting methods and other programs against plain decoding, in one run.

Knows: what is compared and where the results go. Does not know: how anything is measured, how a table looks.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from frspec import shipped
from frspec.bench.peers import PEERS
from frspec.cli.options import TOP_P, model_option, model_options, take, tree_options
from frspec.cli.parted import Parted
from frspec.errors import UserError

if TYPE_CHECKING:
    from frspec.bench.lineup import Shapes
    from frspec.bench.peers import Subject
    from frspec.engine.llm import LLM

OWN_SIZES = "full,32768,8192"
DRAFT_TYPES = {"none": None, "int8": "int8"}


@click.command(cls=Parted, parts=("micro", "serve"))
@click.argument("sources", nargs=-1, required=True)
@model_option
@click.option(
    "--draft",
    multiple=True,
    metavar="none|ngram|HEAD|MODEL",
    help="A drafter to compare; may be repeated. If left out: for demo ngram and its own head, else none.",
)
@click.option(
    "--draft-vocab", metavar="N|SHARE[@PART],full,auto", help=f"Sizes to compare; full, or for demo's own {OWN_SIZES}."
)
@click.option("--ranking", metavar="FILE", help="Ranking that the sizes are taken from.")
@click.option(
    "--draft-quantize",
    metavar="none,int8",
    default="none",
    help="Drafters' matrices to compare: as the target's, in 8 bits.",
)
@click.option("--shapes", metavar="SHAPE,...", help="Drafts to compare: auto, chain:TOKENS, tree:TOKENS/DEPTH/WIDTH.")
@click.option(
    "--peer",
    multiple=True,
    metavar="NAME[=PYTHON]",
    help=f"Another program, in the environment of that interpreter; may be repeated: {', '.join(PEERS)}.",
)
@click.option("--field", default="text", show_default=True, help="Field of the sources that holds the prompt.")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="Questions to ask.")
@click.option("--skip", type=click.IntRange(0), default=0, show_default=True, help="Questions to leave out first.")
@click.option("--repeat", type=click.IntRange(1), default=1, show_default=True, help="Rounds of each prompt.")
@click.option("--prompt-tokens", type=click.IntRange(1), metavar="N", help="Cut each text to its first N tokens.")
@click.option("--max-tokens", type=int, default=128, show_default=True, help="New tokens per prompt.")
@click.option("--temperature", type=float, default=0.0, show_default=True, help="0 is greedy.")
@click.option("--top-p", type=float, default=1.0, show_default=True, help=TOP_P)
@click.option("--seed", type=int, default=0, show_default=True, help="Of the first prompt; one more for each.")
@click.option("--draft-noise/--no-draft-noise", default=True, show_default=True, help="Drafts use the target's noise.")
@click.option(
    "--acceptance",
    metavar="synthetic:RATES",
    help="Draw it instead of earning it, for untrained heads: 0.8,0.7,... by depth, or full=3.89,8192=3.13 by length.",
)
@click.option("--output", "-o", metavar="FILE", help="Write the result, every sample and the provenance as JSON.")
@click.option("--plot", metavar="FILE", help="Draw the table to a PNG or SVG file (needs the plot extra).")
@tree_options
@model_options
def bench(
    draft: tuple[str, ...],
    draft_vocab: str | None,
    ranking: str | None,
    peer: tuple[str, ...],
    repeat: int,
    output: str | None,
    plot: str | None,
    **options: Any,
) -> None:
    """Ask what SOURCES hold with every method and compare.

    A source is a file, folder or pattern of texts or conversations, or a suite: spec-bench, mt-bench, gsm8k, humaneval
    or eagle, each with =PATH, or without in $FRSPEC_BENCH_DATA. Plain decoding always takes part. Methods take turns
    prompt by prompt; reading a prompt and writing after it are timed apart. The last line of stdout is one JSON object.

    `frspec bench micro` measures a model's single operations instead, `frspec bench serve` servers under load.
    """
    from frspec.bench.lineup import check_drafts, own_methods
    from frspec.bench.peers import check_names
    from frspec.bench.plots import draw
    from frspec.bench.prompts import make_talks, read_questions
    from frspec.bench.run import run, write_result
    from frspec.cli.bench_table import print_table
    from frspec.engine.llm import LLM
    from frspec.ranking.formats import load_ranking
    from frspec.types import SamplingParams

    check_names(peer)
    check_places(output, plot)
    model = options["model"]
    if model == shipped.NAME and not draft:
        draft, ranking, draft_vocab = ("ngram", shipped.NAME), ranking or shipped.NAME, draft_vocab or OWN_SIZES
    params = SamplingParams(**take(options, ("max_tokens", "temperature", "top_p", "seed")))
    reading, prompt_tokens = take(options, ("sources", "field", "limit", "skip")), options.pop("prompt_tokens")
    drafting = _drafting(options, (draft_vocab or "full").split(","))
    ranked = None if ranking is None else load_ranking(ranking)
    check_drafts(model, options["revision"], draft, drafting["sizes"], ranked)
    questions = read_questions(**reading)
    plain = LLM(**options)
    talks = make_talks(plain, questions, prompt_tokens, params.max_tokens or 0)
    methods = own_methods(plain, draft, ranking=ranked, **drafting)
    found, rounds = run(
        methods,
        peer,
        _subject(plain, draft, options),
        talks,
        params,
        repeat,
        _tell,
        lambda done: show(done, len(talks)),
    )
    print_table(found["methods"], found["memory"])
    asked = {"model": model, "prompts": 1 + max(round.number for round in rounds), "repeat": repeat}
    asked |= {name: getattr(params, name) for name in ("temperature", "top_p", "max_tokens", "seed")}
    result = {**asked, "sources": reading["sources"], "draft_noise": drafting["draft_noise"], **found}
    if output is not None:
        write_result(Path(output), result, rounds)
    if plot is not None:
        draw("speed", [result], Path(plot))
    print(json.dumps(result))


def check_places(output: str | None, plot: str | None) -> None:
    """Find out before anything is measured whether the results can be written."""
    from frspec.artifacts import check_place
    from frspec.bench.plots import check_plot

    if plot is not None:
        check_plot(Path(plot))
    if output is not None:
        check_place(Path(output))


def _drafting(options: dict[str, Any], sizes: list[str]) -> dict[str, Any]:
    """Sizes, shapes and acceptance to compare; taken out of ``options``, and checked before anything is loaded."""
    from frspec.bench.acceptance import Acceptance
    from frspec.bench.lineup import check_sizes, read_shapes

    words, acceptance, kinds = options.pop("shapes"), options.pop("acceptance"), options.pop("draft_quantize")
    noise, shapes = options.pop("draft_noise"), _one_shape(options, asked=words is not None)
    if words is not None:
        shapes = read_shapes(words)
    check_sizes(sizes, shapes)
    drawn = None if acceptance is None else Acceptance.parse(acceptance)
    if drawn is not None:
        drawn.check(sizes, shapes)
    quantize = [DRAFT_TYPES.get(kind, kind) for kind in kinds.split(",")]
    if unknown := set(quantize) - set(DRAFT_TYPES.values()):
        raise UserError(f"--draft-quantize {min(map(str, unknown))} is unknown; compare {' and '.join(DRAFT_TYPES)}")
    return {"sizes": sizes, "shapes": shapes, "draft_noise": noise, "acceptance": drawn, "quantize": quantize}


def _one_shape(options: dict[str, Any], asked: bool) -> Shapes:
    """The shape that the tree options give; they and --shapes (``asked``) exclude each other."""
    from frspec.speculation.plan import tree_shape

    names = ("num_speculative_tokens", "tree_depth", "tree_width")
    source = click.get_current_context().get_parameter_source
    given = [f"--{name.replace('_', '-')}" for name in names if source(name) not in (None, ParameterSource.DEFAULT)]
    if asked and given:
        raise UserError(f"--shapes and {given[0]} both say how large drafts are; give one of them")
    return [tree_shape(*(options.pop(name) for name in names))]


def _subject(plain: LLM, drafts: Sequence[str], options: dict[str, Any]) -> Subject:
    """What peers are told; of the drafters, the first EAGLE head."""
    from frspec import hub
    from frspec.bench.peers import Subject
    from frspec.models.eagle import is_eagle

    target = plain.engine.target
    folder = hub.resolve(options["model"], options["revision"])
    named = [draft for draft in drafts if draft not in ("none", "ngram")]
    folders = (shipped.head() if draft == shipped.NAME else hub.resolve(draft) for draft in named)
    head = next(filter(is_eagle, folders), None)
    return Subject(folder, target.dtype, target.device, plain.config.stop_token_ids, plain.max_model_len, head)


def _tell(name: str, why: str) -> None:
    print(f"frspec: {name} is left out: {why}", file=sys.stderr)


def show(done: int, total: int) -> None:
    """On a terminal, how many questions are done."""
    if sys.stderr.isatty():
        print(f"\r{done}/{total} questions", end="" if done < total else "\n", file=sys.stderr)
