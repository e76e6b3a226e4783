"""``frspec generate``: one prompt in, streamed text out, where the time went on stderr.

Knows: the terminal. Does not know: how text is made.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from frspec.cli.conversations import read_conversation, template_variables
from frspec.cli.figures import plural, time_shares
from frspec.cli.options import (
    REPORT,
    SAMPLING,
    draft_options,
    model_option,
    model_options,
    report_options,
    sampling_options,
    structure_options,
    take,
    take_structure,
    tree_options,
    with_own_draft,
    with_tuned,
)
from frspec.errors import UserError

if TYPE_CHECKING:
    from frspec.engine.llm import LLM
    from frspec.types import RequestOutput


@click.command()
@click.argument("prompt", required=False)
@model_option
@click.option("--prompt-file", metavar="FILE", help="Read the prompt from a file.")
@click.option(
    "--messages", metavar="FILE", help="A conversation: JSON list of {role, content}; uses the chat template."
)
@click.option("--chat-template-kwargs", metavar="JSON", help="With --messages: variables for the chat template.")
@draft_options
@sampling_options
@structure_options
@report_options
@tree_options
@model_options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")
def generate(
    prompt: str | None,
    model: str,
    prompt_file: str | None,
    messages: str | None,
    chat_template_kwargs: str | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Generate text after PROMPT ("-" reads stdin), streamed to stdout.

    Two lines on stderr say how fast it went and where the time went. The text is the target's own: no draft
    option changes it.
    """
    if [prompt, prompt_file, messages].count(None) != 2:
        raise UserError("give one of PROMPT, --prompt-file and --messages")
    if chat_template_kwargs is not None and not messages:
        raise UserError("--chat-template-kwargs needs a chat template to go to; give --messages")
    talk = read_conversation(messages) if messages else None
    variables = template_variables(chat_template_kwargs)
    text = _read(prompt, prompt_file) if talk is None else None
    from frspec.engine.llm import LLM
    from frspec.types import SamplingParams

    params = SamplingParams(**take(options, SAMPLING + REPORT), structured_outputs=take_structure(options))
    llm = LLM(model, **with_tuned(model, with_own_draft(model, options), params.greedy))
    source = llm.chat_prompt(talk, chat_template_kwargs=variables) if talk is not None else text
    assert source is not None
    output, interrupted = _follow(llm, source, params, show=not as_json and params.n == 1)
    if output is not None and as_json:
        print(json.dumps(_as_json(output, llm)))
    elif output is not None and params.n > 1:
        for completion in output.outputs:
            print(f"--- {completion.index} ---\n{completion.text}")
    _summary(llm, output)
    if interrupted:
        sys.exit(130)


def _follow(llm: LLM, source: Any, params: Any, show: bool) -> tuple[RequestOutput | None, bool]:
    """Run to the end or to Ctrl-C; returns the last state and whether it was cut short."""
    shown, output = 0, None
    try:
        for output in llm.stream(source, params):
            if show:
                text = output.outputs[0].text
                sys.stdout.write(text[shown:])
                sys.stdout.flush()
                shown = len(text)
    except KeyboardInterrupt:
        for completion in output.outputs if output else ():
            completion.finish_reason = completion.finish_reason or "abort"
        return output, True
    finally:
        if show:
            print()
    return output, False


def _read(prompt: str | None, prompt_file: str | None) -> str:
    try:
        if prompt_file is not None:
            return Path(prompt_file).read_text(encoding="utf-8")
        return sys.stdin.read() if prompt == "-" else str(prompt)
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read the prompt from {prompt_file or 'stdin'}: {error}; give a UTF-8 text") from error


def _as_json(output: RequestOutput, llm: LLM) -> dict[str, Any]:
    metrics = output.metrics
    return {
        **asdict(output),
        "tokens_per_second": metrics.tokens_per_second,
        "mean_acceptance_length": metrics.mean_acceptance_length,
        "seconds": llm.engine.clock.seconds,
    }


def _summary(llm: LLM, output: RequestOutput | None) -> None:
    """What there is to say: a single token, or a single burst, has no speed."""
    seconds, stats = llm.engine.clock.seconds, llm.engine.stats
    figures = [plural(sum(len(completion.token_ids) for completion in output.outputs) if output else 0, "token")]
    if output and output.metrics.tokens_per_second:
        figures.append(f"{output.metrics.tokens_per_second:.1f} tok/s")
    if stats.target_passes:
        passes = f"{stats.target_passes} target pass{'' if stats.target_passes == 1 else 'es'}"
        figures.append(f"mean acceptance length {stats.mean_acceptance_length:.2f} over {passes}")
    if output:
        figures.append(f"seed {output.seed}")
    print(", ".join(figures), file=sys.stderr)
    if stats.draft_failures:
        print(f"the drafter failed {stats.draft_failures} times; the text went on without it", file=sys.stderr)
    print(f"time: {time_shares(seconds)}", file=sys.stderr)
