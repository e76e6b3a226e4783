"""``frspec chat``: a conversation on the terminal.

Knows: flags, what a conversation begins with. Does not know: turns, how text is made.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

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

if TYPE_CHECKING:
    from frspec.cli.chat_session import Session


@click.command()
@model_option
@click.option("--url", metavar="URL", help="Talk with a server's model instead; --model then chooses among its names.")
@click.option("--api-key", metavar="KEY", envvar="FRSPEC_API_KEY", help="With --url: its key, or FRSPEC_API_KEY.")
@click.option("--system", metavar="TEXT", help="System message at the beginning.")
@click.option("--messages", metavar="FILE", help="Resume a conversation: what /save wrote.")
@click.option("--chat-template-kwargs", metavar="JSON", help="Variables for the chat template.")
@colour_option
@draft_options
@sampling_options
@tree_options
@model_options
@click.pass_context
def chat(
    ctx: click.Context,
    /,
    model: str,
    url: str | None,
    api_key: str | None,
    system: str | None,
    messages: str | None,
    chat_template_kwargs: str | None,
    colour: bool | None,
    **options: Any,
) -> None:
    """Talk with a model; /help lists the commands, Ctrl-D leaves.

    Answers go to stdout, everything else to stderr, so questions may come from a pipe and answers go to one.
    """
    beginning = _history(messages, system), system, template_variables(chat_template_kwargs)
    from frspec.cli.chat_input import Reader
    from frspec.cli.chat_turns import Talk
    from frspec.cli.terminal import Notices, wants_colour

    sampling = take(options, SAMPLING)
    if url is None:
        if _given(ctx, "api_key"):
            raise UserError("--api-key is for a server; give --url too, or leave it out")
        session, title = _here(model, options, sampling, beginning)
    else:
        _check_remote(ctx, options)
        said = {name: value for name, value in sampling.items() if _given(ctx, name)}
        session, title = _there(url, api_key, model if _given(ctx, "model") else None, said, beginning)
    title += [f"{plural(len(beginning[0]), 'message')} so far"] if beginning[0] else []
    talk = Talk(session, Reader(), Notices(wants_colour(colour, sys.stderr)), wants_colour(colour, sys.stdout))
    talk.run(", ".join(title))


Beginning = tuple[Conversation, str | None, dict[str, Any] | None]
"""Messages so far, the system message, the template's variables."""


def _here(
    model: str, options: dict[str, Any], sampling: dict[str, Any], beginning: Beginning
) -> tuple[Session, list[str]]:
    from frspec.cli.chat_local import LocalSession
    from frspec.engine.llm import LLM
    from frspec.types import SamplingParams

    params = SamplingParams(**sampling)
    options = with_tuned(model, with_own_draft(model, options), params.greedy)
    llm = LLM(model, enable_prefix_caching=True, **options)
    if llm.get_tokenizer().chat_template is None:
        raise UserError(f"{model} has no chat template; use frspec generate")
    drafts = [f"draft {options['draft']}"] if options["draft"] else []
    return LocalSession(llm, params, *beginning), [model, *drafts]


def _there(
    url: str, key: str | None, model: str | None, said: dict[str, Any], beginning: Beginning
) -> tuple[Session, list[str]]:
    from frspec.cli.chat_remote import RemoteSession
    from frspec.cli.remote import Remote, plain
    from frspec.types import SamplingParams

    params = SamplingParams(**{"max_tokens": None, **said})  # looks at the values
    session = RemoteSession(Remote(url, key), model, said, params, *beginning)
    return session, [f"{plain(session.model)} at {url}"]


def _given(ctx: click.Context, name: str) -> bool:
    return ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE


def _check_remote(ctx: click.Context, options: dict[str, Any]) -> None:
    """What a model is run with is its server's business.

    Raises:
        UserError: naming the option that was given nevertheless.
    """
    for name in (*options, "threads"):
        if _given(ctx, name):
            flag = name.replace("_", "-")
            raise UserError(f"--{flag} is for a model of this process; leave it out: with --url the server decides")


def _history(path: str | None, system: str | None) -> Conversation:
    if path is None:
        return []
    if path == "-":
        raise UserError("--messages - would take the questions' place on stdin; name a file")
    history = read_conversation(path)
    if system is not None and history[0]["role"] == "system":
        raise UserError(f"{path} begins with a system message of its own; leave --system out")
    return history
