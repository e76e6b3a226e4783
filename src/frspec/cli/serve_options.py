"""The options of ``frspec serve`` that no other verb has, named as in vLLM where it has them.

Knows: flags and the arguments of ``Settings``, ``Service`` and ``LLM`` they stand for. Does not know: what these do.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from frspec.cli.options import Command, stack
from frspec.cli.serve_config import KEYS
from frspec.server.settings import Settings

COUNT = click.IntRange(min=1)


def _setting(flag: str, help: str, **how: Any) -> Callable[[Command], Command]:
    """An option whose default is the one in ``Settings``."""
    name = flag.removeprefix("--").replace("-", "_")
    default = getattr(Settings, name)
    return click.option(flag, default=default, show_default=default not in (None, ""), help=help, **how)


def listening_options(command: Command) -> Command:
    """Where the server listens, and who may come in."""
    return stack(
        _setting("--host", "Address to listen at; 0.0.0.0 is every IPv4 address of the machine.", metavar="HOST"),
        _setting("--port", "0 takes one that is free, and says which.", type=click.IntRange(0, 65535), metavar="N"),
        click.option("--api-key", multiple=True, metavar="KEY", envvar=KEYS[:2],
                     help="Ask clients for this key; repeatable. Rather set FRSPEC_API_KEY: others see flags."),
        click.option("--served-model-name", multiple=True, metavar="NAME",
                     help="What clients may call the model, instead of MODEL; repeatable, answers have the first."),
        _setting("--root-path", "Path that a proxy puts before all others, such as /llm.", metavar="PATH"),
        click.option("--allowed-origins", multiple=True, metavar="ORIGIN",
                     help="Web pages from this origin may use the server, * for all; repeatable."),
        click.option("--allowed-hosts", multiple=True, metavar="NAME",
                     help="Name in the Host header that is served besides localhost, * for all; repeatable."),
        _setting("--timeout-graceful-shutdown", "Seconds that running requests get at the end.", type=float,
                 metavar="S"),
        click.option("--log-requests", "--enable-log-requests", is_flag=True, help="Write prompts to the log."),
        click.option("--access-log", is_flag=True, help="Write a line for each request: address, path, status."),
        click.option("--vllm-metrics", is_flag=True, help="Metrics under vLLM's names too."),
    )(command)  # fmt: skip


def limit_options(command: Command) -> Command:
    """How much one request may ask for, and how many may be open or wait."""
    return stack(
        _setting("--max-body-bytes", "Of a request.", type=COUNT, metavar="N"),
        _setting("--timeout-body", "Seconds that a request may take to arrive.", type=float, metavar="S"),
        _setting("--max-prompt-tokens", "In a prompt; if left out, what the context holds.", type=COUNT, metavar="N"),
        _setting("--max-output-tokens", "In an answer; if left out, what the context holds.", type=COUNT, metavar="N"),
        _setting("--max-n", "Completions of one request.", type=COUNT, metavar="N"),
        _setting("--max-stop", "Stop strings.", type=int, metavar="N"),
        _setting("--max-stop-length", "Characters of a stop string.", type=int, metavar="N"),
        _setting("--max-logprobs", "Log-probabilities for each token.", type=int, metavar="N"),
        _setting("--max-list-items", "Entries of logit_bias, stop_token_ids and bad_words.", type=int, metavar="N"),
        _setting("--max-grammar-bytes", "Of a schema, expression, grammar, or of tools.", type=COUNT, metavar="N"),
        _setting("--max-streams", "Requests open at a time.", type=COUNT, metavar="N"),
        _setting("--max-streams-per-client", "The same of one key, or address without keys.", type=COUNT, metavar="N"),
        click.option("--max-queue", type=click.IntRange(min=0), default=256, show_default=True, metavar="N",
                     help="Completions that may wait for a slot."),
        click.option("--max-queue-seconds", type=click.FloatRange(min=0), metavar="S",
                     help="How long; no limit if left out."),
    )(command)  # fmt: skip


def serving_options(command: Command) -> Command:
    """``LLM``'s arguments that matter for many requests, and how chats are read."""
    return stack(
        click.option("--max-num-seqs", type=COUNT, default=16, show_default=True, metavar="N",
                     help="Completions that run at a time."),
        click.option("--max-num-batched-tokens", type=COUNT, default=512, show_default=True, metavar="N",
                     help="Prompt tokens in one pass."),
        click.option("--kv-cache-memory-bytes", type=COUNT, metavar="N",
                     help="Of all texts' caches; those that do not fit wait. If left out, half of what is free."),
        click.option("--enable-prefix-caching/--no-enable-prefix-caching", default=True, show_default=True,
                     help="Keep caches for prompts that begin alike, such as a conversation's next turn."),
        click.option("--seed", type=int, metavar="N", help="Makes the seeds of requests without one reproducible."),
        click.option("--chat-template", metavar="FILE", help="Jinja file to use instead of the model's own template."),
        click.option("--generation-config", metavar="auto|none|FOLDER", default="auto", show_default=True,
                     help="Whose generation_config.json gives sampling parameters to requests that do not say; "
                     "auto is the model's."),
        click.option("--tool-call-parser", metavar="NAME",
                     help="Format of the model's tool calls, by vLLM's names; if left out, as its template shows."),
    )(command)  # fmt: skip
