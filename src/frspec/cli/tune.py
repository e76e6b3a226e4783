"""``frspec tune``: draft vocabularies and shapes against each other on the user's own prompts; the best one is kept.

Knows: what is compared, what is said of it. Does not know: how anything is measured, where the choice is kept.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from frspec import shipped
from frspec.cli.bench_table import print_curve, print_table
from frspec.cli.options import PLACE, model_options, take
from frspec.errors import UserError

if TYPE_CHECKING:
    from frspec.bench.lineup import Shapes
    from frspec.engine.llm import LLM
    from frspec.ranking.ranking import Ranking

SHAPES = "auto,chain:3,chain:5,tree:15/5/4"
PICTURES = ("curve", "grid")


@click.command()
@click.argument("model", default=shipped.NAME)
@click.option("--draft", metavar="HEAD|MODEL", help="What drafts; demo has its own.")
@click.option("--ranking", metavar="FILE", help="Ranking that sizes are taken from; demo has its own.")
@click.option(
    "--prompts", multiple=True, required=True, metavar="SOURCE", help="Prompts, or a suite, as frspec bench takes."
)
@click.option(
    "--draft-vocab",
    metavar="N|SHARE[@PART],full,auto",
    help="Sizes to compare; if left out: auto, full, a quarter, and where the ranking's curve covers 90 to 99.5 %.",
)
@click.option("--shapes", default=SHAPES, show_default=True, metavar="SHAPE,...", help="Drafts to compare.")
@click.option("--field", default="text", show_default=True, help="Field of the sources that holds the prompt.")
@click.option("--limit", type=click.IntRange(1), default=8, show_default=True, help="Questions to ask.")
@click.option("--skip", type=click.IntRange(0), default=0, show_default=True, help="Questions to leave out first.")
@click.option("--prompt-tokens", type=click.IntRange(1), metavar="N", help="Cut each text to its first N tokens.")
@click.option("--max-tokens", type=int, default=64, show_default=True, help="New tokens per prompt.")
@click.option("--temperature", type=float, default=0.0, show_default=True, help="0 is greedy.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the first prompt; one more for each.")
@click.option("--output", "-o", metavar="FILE", help="Write the result, every sample and the provenance as JSON.")
@click.option("--plot", metavar="FILE", help="Draw it to a PNG or SVG file (needs the plot extra).")
@click.option(
    "--kind",
    type=click.Choice(PICTURES),
    default=PICTURES[0],
    show_default=True,
    help="What to draw: speed and coverage over sizes; speed by size and shape.",
)
@model_options
def tune(
    model: str,
    draft: str | None,
    ranking: str | None,
    draft_vocab: str | None,
    shapes: str,
    prompts: tuple[str, ...],
    output: str | None,
    plot: str | None,
    kind: str,
    **options: Any,
) -> None:
    """Find what drafts fastest for MODEL with a head and a ranking, on your prompts and your machine.

    Every size of draft vocabulary is run with every shape, and plainly. What each size covers, of the ranking and of
    the text that was written, stands beside its speed and what measured costs had promised. `frspec generate` and
    `chat` use the best from then on, wherever neither size nor shape is said. The text is the same with all. The last
    line of stdout is one JSON object.
    """
    if model == shipped.NAME:
        draft, ranking = draft or shipped.NAME, ranking or shipped.NAME
    if draft is None or draft in ("none", "ngram") or ranking is None:
        raise UserError(f"to tune {model} name what drafts and a ranking: --draft HEAD --ranking FILE")
    from frspec.bench.curve import curve
    from frspec.bench.lineup import check_drafts, own_methods, read_shapes
    from frspec.bench.peers import Subject
    from frspec.bench.prompts import make_talks, read_questions
    from frspec.bench.run import run, write_result
    from frspec.cli.bench import check_places, show
    from frspec.engine.llm import LLM
    from frspec.ranking.ranking import Ranking
    from frspec.types import SamplingParams

    check_places(output, plot)
    params = SamplingParams(**(asked := take(options, ("max_tokens", "temperature", "seed"))))
    prompt_tokens = options.pop("prompt_tokens")
    drafts, ranked = read_shapes(shapes), Ranking.load(ranking)
    place = {name: options.get(name) for name in PLACE} | {"noisy": not params.greedy}
    named = None if draft_vocab is None else _named(draft_vocab, drafts)
    check_drafts(model, options["revision"], [draft], named or ["full"], ranked)
    questions = read_questions(prompts, **take(options, ("field", "limit", "skip")))
    plain = LLM(model, **options)
    talks = make_talks(plain, questions, prompt_tokens, asked["max_tokens"])
    methods = own_methods(plain, [draft], named or _interesting(ranked, plain, drafts), drafts, ranked)
    nobody = Subject(Path(), plain.engine.target.dtype, plain.engine.target.device, (), 0, None)
    found, rounds = run(methods, [], nobody, talks, params, progress=lambda done: show(done, len(talks)))
    points = curve(found["methods"], methods, rounds, ranked, noisy=not params.greedy)
    print_table(found["methods"], found["memory"])
    print_curve(points)
    best = max(found["methods"], key=lambda row: row["ratio_to_plain"] or 0.0)
    about = {"model": model, "prompts": len(talks), "repeat": 1, "top_p": 1.0, **asked, "sources": list(prompts)}
    result = {**about, **found, "curve": points}
    if output is not None:
        write_result(Path(output), result, rounds)
    if plot is not None:
        from frspec.bench.plots import draw

        draw(kind, [result], Path(plot))
    _keep(model, draft, ranking, place, best, result)
    print(json.dumps({**result, "best": best["method"]}))


def _named(draft_vocab: str, shapes: Shapes) -> list[str]:
    from frspec.bench.lineup import check_sizes

    sizes = draft_vocab.split(",")
    check_sizes(sizes, shapes)
    return sizes


def _interesting(ranking: Ranking, plain: LLM, shapes: Shapes) -> list[str]:
    """Everything the controller may choose from, if there is one, and sizes along the ranking's curve."""
    from frspec.bench.curve import sizes
    from frspec.bench.lineup import AUTO

    adaptive = [AUTO] if None in shapes else []
    return [*adaptive, "full", *map(str, sizes(ranking, plain.config.vocab_size))]


def _keep(
    model: str, draft: str, ranking: str, place: dict[str, Any], best: dict[str, Any], result: dict[str, Any]
) -> None:
    """Keep the best way to draft, or that there is none; and say so."""
    from frspec.artifacts import provenance
    from frspec.bench.lineup import AUTO, read_shapes
    from frspec.engine.tuning import Choice, Subject, forget, keep

    subject = Subject(model, draft, ranking, **place)
    if best["draft"] is None:
        forget(subject)
        print("nothing was faster than plain decoding; nothing is kept: without a choice, measured costs decide")
        return
    (shape,) = read_shapes(best["shape"])
    sides = None if shape is None else (shape.nodes, shape.depth, shape.width)
    size = None if best["draft_vocab"] == AUTO else best["draft_vocab"]
    choice = Choice(size, sides, best["ratio_to_plain"], provenance()["date"])
    file = keep(subject, choice, result)
    print(f"best: {best['method']}, {choice.ratio:.2f} × plain; kept for frspec generate and chat in {file}")
