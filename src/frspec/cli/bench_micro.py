"""``frspec bench micro``: what each part of a step costs, beside the rate at which memory is read.

Knows: which model, which table. Does not know: how anything is measured.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from frspec.bench.shapes import SHAPES
from frspec.errors import UserError

if TYPE_CHECKING:
    from frspec.bench.micro import Cost
    from frspec.models.decoder import Decoder

KIND, SCHEMA = "frspec bench micro", 1
PIPE_WIDTH = 120
"""Where there is no terminal to fit."""


def _counts(ctx: click.Context, param: click.Parameter, value: str) -> tuple[int, ...]:  # noqa: ARG001
    try:
        counts = tuple(sorted({int(word) for word in value.split(",")}))
    except ValueError as error:
        raise click.BadParameter(f"{value!r} is not a list of numbers, such as 1,8,16") from error
    if counts[0] < 1:
        raise click.BadParameter(f"{value!r} holds a number below 1")
    return counts


@click.command()
@click.option("--shape", type=click.Choice(list(SHAPES)), help="Sizes to measure, on random weights.  [llama-3.2-1b]")
@click.option("--model", metavar="MODEL", help="Instead: a checkpoint folder, hub id, or demo.")
@click.option("--dtype", type=click.Choice(["auto", "float32", "bfloat16"]), default="auto", show_default=True)
@click.option("--quantize", type=click.Choice(["int8"]), help="Matrices in 8 bits.")
@click.option(
    "--rows", callback=_counts, default="1,2,4,8,16,32", show_default=True, metavar="N,...", help="Tokens in a pass."
)
@click.option(
    "--contexts",
    callback=_counts,
    default="128,1024,4096",
    show_default=True,
    metavar="N,...",
    help="Tokens that attention looks back on.",
)
@click.option("--output", "-o", metavar="FILE", type=click.Path(path_type=Path), help="Write all figures as JSON.")
def micro(
    shape: str | None,
    model: str | None,
    dtype: str,
    quantize: str | None,
    rows: tuple[int, ...],
    contexts: tuple[int, ...],
    output: Path | None,
) -> None:
    """What every part of a model's step costs on this CPU, and how near that is to the speed of its memory.

    GB/s counts what must be read once, and "of memory" compares that with a plain read right before. The columns of
    other numbers of tokens say how many times as much they cost as the fewest.
    """
    from frspec.artifacts import atomic_path, check_place, provenance
    from frspec.bench.machine import machine
    from frspec.bench.micro import measure

    if shape and model:
        raise UserError("--shape and --model both say what to measure; give one of them")
    if output is not None:
        check_place(output)
    name = model or shape or next(iter(SHAPES))
    decoder = _load(model, name, dtype, quantize)
    parts: list[Sequence[Cost]] = []
    for part in measure(decoder, rows, contexts):
        parts.append(part)
        _show(part[0].part)
    _show("")
    _print_table(parts, rows)
    precision = decoder.precision
    kinds = {"dtype": decoder.dtype, "matrices": precision.matrices, "activations": precision.activations}
    facts = machine(decoder.device) | {key: str(kind).removeprefix("torch.") for key, kind in kinds.items()}
    result = {"model": name, "machine": facts, "costs": [cost.as_json() for part in parts for cost in part]}
    if output is not None:
        whole = {"kind": KIND, "schema": SCHEMA, "provenance": provenance(), **result}
        with atomic_path(output) as temporary:
            temporary.write_text(json.dumps(whole) + "\n", "utf-8")
    print(json.dumps(result))


def _load(model: str | None, shape: str, dtype: str, quantize: str | None) -> Decoder:
    """The checkpoint, or random weights of that shape."""
    from frspec import hub
    from frspec.bench.random_model import random_decoder, shape_config
    from frspec.models.checkpoint import load_decoder

    if model is not None:
        return load_decoder(hub.resolve(model), dtype, "cpu", quantize)
    return random_decoder(shape_config(SHAPES[shape]), dtype, quantize)


def _print_table(parts: Sequence[Sequence[Cost]], rows: Sequence[int]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column("one row of" if rows[0] == 1 else f"{rows[0]} rows of")
    for heading in ("MB", "µs", "GB/s", "of memory", *(f"×{count}" for count in rows[1:])):
        table.add_column(heading, justify="right")
    for part in parts:
        table.add_row(part[0].part, *_figures(part[0]), *(f"{cost.relative:.2f}" for cost in part[1:]))
    Console(width=None if sys.stdout.isatty() else PIPE_WIDTH, markup=False, highlight=False).print(table)


def _figures(cost: Cost) -> tuple[str, str, str, str]:
    """Megabytes, microseconds, rate and share of the memory's; no rate where memory is not what limits it."""
    time = f"{cost.seconds * 1e6:,.0f}"
    if not cost.bytes:
        return "", time, "", ""
    return f"{cost.bytes / 1e6:,.1f}", time, f"{cost.rate:.1f}", f"{cost.rate / cost.memory:.0%}"


def _show(done: str) -> None:
    """On a terminal, what was measured last."""
    if sys.stderr.isatty():
        print(f"\r\033[K{done}", end="", file=sys.stderr, flush=True)
