"""``frspec serve``: the OpenAI API, and a page to talk with the model.

Knows: flags, in which order a server comes up. Does not know: HTTP, how text is made.
"""

from __future__ import annotations

import contextlib
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from frspec import hub, shipped
from frspec.cli.options import draft_options, model_options, take, tree_options, with_own_draft, with_tuned
from frspec.cli.serve_config import PREFIX, SOURCES, config_option
from frspec.cli.serve_options import limit_options, listening_options, serving_options
from frspec.errors import UserError

if TYPE_CHECKING:
    from frspec.engine.llm import LLM
    from frspec.server.settings import Settings

SETTINGS = (
    "host", "port", "root_path", "allowed_origins", "allowed_hosts", "max_body_bytes", "timeout_body",
    "max_prompt_tokens", "max_output_tokens", "max_n", "max_stop", "max_stop_length", "max_logprobs", "max_list_items",
    "max_grammar_bytes", "max_streams", "max_streams_per_client", "tool_call_parser", "log_requests", "vllm_metrics",
    "timeout_graceful_shutdown",
)  # fmt: skip
"""Options that go by the same name in ``Settings``."""


@click.command(context_settings=SOURCES)
@click.argument("model", default=shipped.NAME, envvar=f"{PREFIX}_MODEL")
@listening_options
@config_option
@serving_options
@draft_options
@tree_options
@model_options
@limit_options
def serve(model: str, **options: Any) -> None:
    """Serve MODEL (the one that comes with frspec, if left out) to OpenAI's clients and at / to people.

    Every option may also come from the environment, as FRSPEC_SERVE_<NAME>, or from a TOML file.
    """
    revision, generation = options["revision"], options.pop("generation_config")
    queue = {name: options.pop(name) for name in ("max_queue", "max_queue_seconds")}
    template, access_log = _template(options.pop("chat_template")), options.pop("access_log")
    settings = _settings(model, options)
    from frspec.engine.llm import LLM
    from frspec.engine.service import Service
    from frspec.server.app import make_app
    from frspec.server.defaults import chosen_sampling
    from frspec.server.run import bind, run
    from frspec.text.tool_calls import find_format

    find_format(settings.tool_call_parser, None)  # refuses an unknown name before anything is loaded
    settings = replace(settings, default_sampling=chosen_sampling(generation, model, revision))
    place = bind(settings)
    options = with_tuned(model, with_own_draft(model, options), greedy=False)
    options["kv_cache_memory_bytes"] = options["kv_cache_memory_bytes"] or "auto"
    llm = LLM(model, **options)
    if template is not None:
        llm.get_tokenizer().use_chat_template(template)
        llm.chat_prompt([{"role": "user", "content": "Hi"}])  # a broken one fails here rather than in every request
    _prepare_forms(llm)
    service = Service(llm, **queue)
    print(f"frspec: {_summary(llm, options)}", file=sys.stderr)
    run(make_app(service, settings), service, settings, place, access_log=access_log)


def _prepare_forms(llm: LLM) -> None:
    """Make the vocabulary that structured outputs need: later it would hold up every stream for half a second."""
    from frspec.types import SamplingParams, StructuredOutputs

    with contextlib.suppress(UserError):  # who asks for a form will be told
        llm.group([0], SamplingParams(structured_outputs=StructuredOutputs(choice=["yes"])))


def _settings(model: str, options: dict[str, Any]) -> Settings:
    from frspec.server.settings import Settings

    return Settings(
        api_keys=options.pop("api_key"),
        served_model_names=options.pop("served_model_name") or (_name(model),),
        **take(options, SETTINGS),
    )


def _name(model: str) -> str:
    """A hub id as it is; of a folder its name, since where it lies is nobody's business."""
    path = hub.local(model)
    return path.resolve().name if model != shipped.NAME and path.is_dir() else model


def _template(file: str | None) -> str | None:
    try:
        return None if file is None else Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read the chat template {file}: {error}; give a Jinja file") from error


def _summary(llm: LLM, options: dict[str, Any]) -> str:
    draft = options["draft"]
    drafts = "nothing drafts" if draft in (None, "none") else f"{draft} drafts"
    return f"loaded; {llm.max_model_len} positions, {options['max_num_seqs']} texts at a time, {drafts}"
