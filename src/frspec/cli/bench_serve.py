"""``frspec bench serve``: servers under load, side by side.

Knows: who is asked what, the table. Does not know: HTTP, how anything is measured.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from frspec import shipped
from frspec.cli.figures import plural
from frspec.errors import UserError

HEADINGS = ("server", "clients", "tok/s", "× first", "first token, ms", "p95", "per token, ms", "p95", "per draft",
            "drafted", "identical", "errors")  # fmt: skip
PIPE_WIDTH = 140
"""Where there is no terminal to fit."""


@click.command()
@click.argument("sources", nargs=-1, required=True)
@click.option(
    "--model", metavar="MODEL", help=f"Checkpoint to start servers of; {shipped.NAME} unless others are named."
)
@click.option("--start", multiple=True, metavar="NAME=COMMAND", help="A server to start; {port} in it is replaced.")
@click.option("--url", multiple=True, metavar="NAME=URL", help="A server that runs already; may be repeated.")
@click.option(
    "--peer", multiple=True, metavar="vllm[=PYTHON]", help="vLLM's server, in that interpreter's environment."
)
@click.option("--api-key", envvar="FRSPEC_API_KEY", metavar="KEY", help="For all of them; or set FRSPEC_API_KEY.")
@click.option("--max-concurrency", default="1,2,4,8,16", show_default=True, metavar="N,...", help="Clients at a time.")
@click.option("--num-prompts", type=click.IntRange(1), default=80, show_default=True, help="Questions to ask.")
@click.option("--repeat", type=click.IntRange(1), default=1, show_default=True, help="Rounds of all of it.")
@click.option("--field", default="text", show_default=True, help="Field of the sources that holds the prompt.")
@click.option("--skip", type=click.IntRange(0), default=0, show_default=True, help="Questions to leave out first.")
@click.option("--max-tokens", type=click.IntRange(1), default=128, show_default=True, help="New tokens per prompt.")
@click.option("--temperature", type=click.FloatRange(0), default=0.0, show_default=True, help="0 is greedy.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the first prompt; one more for each.")
@click.option("--output", "-o", metavar="FILE", type=click.Path(path_type=Path), help="Write the result as JSON.")
def serve(
    sources: tuple[str, ...],
    model: str | None,
    start: tuple[str, ...],
    url: tuple[str, ...],
    peer: tuple[str, ...],
    api_key: str | None,
    max_concurrency: str,
    repeat: int,
    output: Path | None,
    **options: Any,
) -> None:
    """Ask OpenAI-compatible servers what SOURCES hold, by so many clients at a time, and compare.

    Each client asks its next question when it has its answer. Unless --start or --url name servers, frspec's own are
    started: without drafts, and for demo with its own. Only one works at a time, the others are stopped. The last line
    of stdout is one JSON object.
    """
    import torch

    from frspec.artifacts import atomic_path, check_place, provenance
    from frspec.bench.machine import machine
    from frspec.bench.prompts import read_questions
    from frspec.bench.serving.programs import make_servers
    from frspec.bench.serving.run import KIND, SCHEMA, Asking, run

    levels = _numbers(max_concurrency)
    if output is not None:
        check_place(output)
    questions = read_questions(sources, options["field"], options["num_prompts"], options["skip"])
    if len(questions) < levels[-1]:
        raise UserError(f"{levels[-1]} clients need as many questions, and there are {len(questions)}; give more")
    if model is None and not (start or url):
        model = shipped.NAME
    asked = {name: options[name] for name in ("temperature", "max_tokens", "seed")}
    servers = make_servers(model, start, url, peer, api_key, levels[-1])
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # not at once: what was started must end too
    try:
        found = asyncio.run(run(servers, Asking(questions, **asked), levels, repeat, _tell, _show))
    finally:
        for server in servers:
            server.close()
        signal.signal(signal.SIGTERM, before)
    _print_table(found["servers"])
    result = {"model": model, "sources": sources, "prompts": len(questions), "repeat": repeat, **asked,
              "machine": machine(torch.device("cpu")), **found}  # fmt: skip
    if output is not None:
        whole = {"kind": KIND, "schema": SCHEMA, "provenance": provenance(), **result}
        with atomic_path(output) as temporary:
            temporary.write_text(json.dumps(whole) + "\n", "utf-8")
    print(json.dumps(result))


def _numbers(words: str) -> list[int]:
    """Ascending, each once."""
    try:
        numbers = sorted({int(word) for word in words.split(",")})
    except ValueError:
        numbers = [0]
    if numbers[0] < 1:
        raise UserError(f"--max-concurrency {words} is no list of numbers of clients, such as 1,4,16")
    return numbers


def _tell(name: str, why: str) -> None:
    print(f"frspec: {name} is left out: {why}", file=sys.stderr)


def _show(done: str) -> None:
    """On a terminal, what goes on."""
    if sys.stderr.isatty():
        print(f"\r\033[K{done}", end="", file=sys.stderr, flush=True)


def _print_table(servers: Sequence[Mapping[str, Any]]) -> None:
    """A block for each number of clients, a line for each server; below it what went wrong."""
    from rich.console import Console
    from rich.table import Table

    table = Table()
    for heading in HEADINGS:
        table.add_column(heading, justify="left" if heading == "server" else "right")
    for number in range(len(servers[0]["levels"])):
        for server in servers:
            table.add_row(server["server"], *_figures(server["levels"][number]), end_section=server is servers[-1])
    Console(width=None if sys.stdout.isatty() else PIPE_WIDTH, markup=False, highlight=False).print(table)
    for server in servers:
        for level in server["levels"]:
            if level["errors"]:
                errors = plural(level["errors"], "error")
                print(f"{server['server']}, {level['concurrency']} at a time: {errors}, such as {level['first_error']}")


def _figures(level: Mapping[str, Any]) -> list[str]:
    same = level["identical"]
    return [
        str(level["concurrency"]),
        _figure(level["tokens_per_second"], ".0f"),
        _figure(level["ratio_to_first"], ".2f"),
        *(_milliseconds(level[f"first_token_seconds{which}"], ".0f") for which in ("", "_p95")),
        *(_milliseconds(level[f"token_seconds{which}"], ".2f") for which in ("", "_p95")),
        _figure(level["mean_acceptance_length"], ".2f"),
        _figure(level["drafted_share"], ".0%"),
        "–" if same is None else f"{same}/{level['compared']}",
        str(level["errors"]),
    ]


def _milliseconds(seconds: float | None, form: str) -> str:
    return "–" if seconds is None else format(seconds * 1000, form)


def _figure(value: float | None, form: str) -> str:
    return "–" if value is None else format(value, form)
