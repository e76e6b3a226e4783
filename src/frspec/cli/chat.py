"""``frspec chat``: a conversation on the terminal.

Knows: flags, what a conversation begins with. Does not know: turns, how text is made.
"""

from __future__ import annotations

import sys
from typing import Any

import click

from frspec.cli.conversations import Conversation, read_conversation, template_variables
from frspec.cli.figures import plural
from frspec.cli.options import (
    SAMPLING,
    colour_option,
    draft_options,
    model_option,
    model_options,
    sampling_options,
    take,
    tree_options,
    with_own_draft,
    with_tuned,
)
from frspec.errors import UserError


@click.command()
@model_option
@click.option("--system", metavar="TEXT", help="System message at the beginning.")
@click.option("--messages", metavar="FILE", help="Resume a conversation: what /save wrote.")
@click.option("--chat-template-kwargs", metavar="JSON", help="Variables for the chat template.")
@colour_option
@draft_options
@sampling_options
@tree_options
@model_options
def chat(
    model: str,
    system: str | None,
    messages: str | None,
    chat_template_kwargs: str | None,
    colour: bool | None,
    **options: Any,
) -> None:
    """Talk with a model; /help lists the commands, Ctrl-D leaves.

    Answers go to stdout, everything else to stderr, so questions may come from a pipe and answers go to one.
    """
    variables = template_variables(chat_template_kwargs)
    history = _history(messages, system)
    from frspec.cli.chat_input import Reader
    from frspec.cli.chat_session import Session
    from frspec.cli.chat_turns import Talk
    from frspec.cli.terminal import Notices, wants_colour
    from frspec.engine.llm import LLM
    from frspec.types import SamplingParams

    params = SamplingParams(**take(options, SAMPLING))
    options = with_tuned(model, with_own_draft(model, options), params.greedy)
    title = [model, *([f"draft {options['draft']}"] if options["draft"] else [])]
    title += [f"{plural(len(history), 'message')} so far"] if history else []
    llm = LLM(model, enable_prefix_caching=True, **options)
    if llm.get_tokenizer().chat_template is None:
        raise UserError(f"{model} has no chat template; use frspec generate")
    session = Session(llm, params, history, system, variables)
    talk = Talk(session, Reader(), Notices(wants_colour(colour, sys.stderr)), wants_colour(colour, sys.stdout))
    talk.run(", ".join(title))


def _history(path: str | None, system: str | None) -> Conversation:
    if path is None:
        return []
    if path == "-":
        raise UserError("--messages - would take the questions' place on stdin; name a file")
    history = read_conversation(path)
    if system is not None and history[0]["role"] == "system":
        raise UserError(f"{path} begins with a system message of its own; leave --system out")
    return history
