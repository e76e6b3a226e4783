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

from frspec import shipped
from frspec.bench.peers import PEERS
from frspec.cli.options import TOP_P, model_option, model_options, take, tree_options, with_own_tree

if TYPE_CHECKING:
    from frspec.bench.compare import Samples
    from frspec.bench.methods import Method
    from frspec.bench.peers import Subject
    from frspec.engine.llm import LLM

OWN_SIZES = "full,32768,8192"


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
@click.option("--peer", multiple=True, metavar="NAME", help=f"Another program; may be repeated: {', '.join(PEERS)}.")
@click.option("--field", default="text", show_default=True, help="Field of the sources that holds the prompt.")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="Prompts to run.")
@click.option("--skip", type=click.IntRange(0), default=0, show_default=True, help="Prompts to leave out first.")
@click.option("--prompt-tokens", type=click.IntRange(1), metavar="N", help="Cut each text to its first N tokens.")
@click.option("--max-tokens", type=int, default=128, show_default=True, help="New tokens per prompt.")
@click.option("--temperature", type=float, default=0.0, show_default=True, help="0 is greedy.")
@click.option("--top-p", type=float, default=1.0, show_default=True, help=TOP_P)
@click.option("--seed", type=int, default=0, show_default=True, help="Of the first prompt; one more for each.")
@click.option("--draft-noise/--no-draft-noise", default=True, show_default=True, help="Drafts use the target's noise.")
@click.option("--output", "-o", metavar="FILE", help="Write the result, every sample and the provenance as JSON.")
@click.option("--plot", metavar="FILE", help="Draw the table to a PNG or SVG file (needs the plot extra).")
@tree_options
@model_options
def bench(
    draft: tuple[str, ...],
    draft_vocab: str | None,
    ranking: str | None,
    peer: tuple[str, ...],
    output: str | None,
    plot: str | None,
    **options: Any,
) -> None:
    """Generate after the texts in SOURCES with every method and compare.

    Plain decoding always takes part. Methods take turns prompt by prompt; reading a prompt and writing after it are
    timed apart. The last line of stdout is one JSON object.
    """
    from frspec.bench.compare import compare, warm_up
    from frspec.bench.peers import check_names, ready
    from frspec.bench.plot import draw
    from frspec.bench.prompts import read_prompts
    from frspec.bench.table import rows
    from frspec.cli.bench_table import print_table
    from frspec.engine.llm import LLM
    from frspec.types import SamplingParams

    check_names(peer)
    _check_places(output, plot)
    model = options["model"]
    if model == shipped.NAME and not draft:
        draft, ranking, draft_vocab = ("ngram", shipped.NAME), ranking or shipped.NAME, draft_vocab or OWN_SIZES
        options = with_own_tree(options)
    params = SamplingParams(**take(options, ("max_tokens", "temperature", "top_p", "seed")))
    reading = take(options, ("sources", "field", "limit", "skip", "prompt_tokens"))
    drafting = take(options, ("num_speculative_tokens", "tree_depth", "tree_width", "draft_noise"))
    plain = LLM(**options)
    prompts = read_prompts(plain, **reading)
    methods = _own(plain, draft, (draft_vocab or "full").split(","), ranking, **drafting)
    for method in methods:
        warm_up(method, prompts, params)
    peers, missing = ready(peer, _subject(plain, options), lambda method: warm_up(method, prompts, params))
    _report(missing)
    samples, failed = compare([*methods, *peers], prompts, params, lambda done: _show(done, len(prompts)))
    _report(failed)
    peers = [method for method in peers if method.name in samples]
    table = rows(plain.engine.target, [*methods, *peers], prompts, samples, params)
    print_table(table)
    settings = {"model": model, "prompts": len(prompts), "temperature": params.temperature, "top_p": params.top_p}
    settings |= {"max_tokens": params.max_tokens, "seed": params.seed, **drafting}
    result = {**settings, "machine": _machine(plain, peers), "left_out": missing | failed, "methods": table}
    if output is not None:
        _write(Path(output), result, prompts, samples)
    if plot is not None:
        draw(table, f"temperature {params.temperature:g}, {len(prompts)} prompts", plot)
    print(json.dumps(result))


def _check_places(output: str | None, plot: str | None) -> None:
    """Find out before anything is measured whether the results can be written."""
    from frspec.artifacts import check_place
    from frspec.bench.plot import check_plot

    if plot is not None:
        check_plot(plot)
    if output is not None:
        check_place(Path(output))


def _own(
    plain: LLM,
    drafts: Sequence[str],
    sizes: Sequence[str],
    ranking: str | None,
    num_speculative_tokens: int,
    tree_depth: int,
    tree_width: int,
    draft_noise: bool,
) -> list[Method]:
    """Plain decoding, and every drafter named, those with a head once for each size; each once."""
    from frspec.bench.methods import OwnMethod
    from frspec.bench.table import PLAIN
    from frspec.speculation.growth import TreeShape

    shape = TreeShape(num_speculative_tokens, tree_depth, tree_width)
    methods: list[Method] = [OwnMethod(PLAIN, plain)]
    heads = [draft for draft in dict.fromkeys(drafts) if draft not in ("none", "ngram")]
    if "ngram" in drafts:
        methods.append(OwnMethod("ngram", plain.with_draft("ngram", shape=shape)))
    for draft in heads:
        for size in dict.fromkeys(sizes):
            llm = plain.with_draft(draft, size, None if size == "full" else ranking, shape, draft_noise)
            drafter = llm.engine.drafter
            assert drafter is not None
            methods.append(OwnMethod(f"{drafter.name}{f' {draft}' if len(heads) > 1 else ''} {size}", llm))
    return methods


def _subject(plain: LLM, options: dict[str, Any]) -> Subject:
    from frspec import hub
    from frspec.bench.peers import Subject

    target = plain.engine.target
    folder = hub.resolve(options["model"], options["revision"])
    return Subject(folder, target.dtype, target.device, plain.config.stop_token_ids, plain.max_model_len)


def _report(left_out: dict[str, str]) -> None:
    for name, why in left_out.items():
        print(f"frspec: {name} is left out: {why}", file=sys.stderr)


def _show(done: int, total: int) -> None:
    """On a terminal, how many prompts are done."""
    if sys.stderr.isatty():
        print(f"\r{done}/{total} prompts", end="" if done < total else "\n", file=sys.stderr)


def _machine(plain: LLM, peers: Sequence[Method]) -> dict[str, Any]:
    from frspec.bench.machine import machine

    target = plain.engine.target
    packages = dict.fromkeys(PEERS[peer.name] for peer in peers)
    kinds = {"dtype": target.dtype, "activations": target.precision.activations}
    return machine(target.device, packages) | {name: str(kind).removeprefix("torch.") for name, kind in kinds.items()}


def _write(file: Path, result: dict[str, Any], prompts: Sequence[Sequence[int]], samples: Samples) -> None:
    """``result``, and what it was computed from."""
    from dataclasses import asdict

    from frspec.artifacts import atomic_path, provenance

    whole = {"schema": 1, "provenance": provenance(), **result, "prompt_token_ids": prompts}
    whole["samples"] = {name: [asdict(sample) for sample in taken] for name, taken in samples.items()}
    with atomic_path(file) as temporary:
        temporary.write_text(json.dumps(whole) + "\n", "utf-8")
