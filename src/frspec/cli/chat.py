"""``frspec chat``: a conversation on the terminal.

Knows: turns, what is printed around them. Does not know: how text is made, how input is read.
Answers go to stdout, everything else to stderr.
"""

from __future__ import annotations

import sys
from collections.abc import Generator
from contextlib import closing, nullcontext
from typing import TYPE_CHECKING, Any

import click

from frspec.cli.conversations import Conversation, read_conversation, template_variables
from frspec.cli.figures import speed
from frspec.cli.options import SAMPLING, draft_options, model_options, sampling_options, take, tree_options
from frspec.errors import UserError

if TYPE_CHECKING:
    from frspec.cli.chat_input import Reader
    from frspec.cli.chat_session import Session
    from frspec.cli.terminal import Notices
    from frspec.types import RequestOutput


@click.command()
@click.option("--model", required=True, metavar="MODEL", help="Checkpoint folder or hub id, with a chat template.")
@click.option("--system", metavar="TEXT", help="System message at the beginning.")
@click.option("--messages", metavar="FILE", help="Resume a conversation: what /save wrote.")
@click.option("--chat-template-kwargs", metavar="JSON", help="Variables for the chat template.")
@click.option(
    "--colour/--no-colour",
    "--color/--no-color",
    "colour",
    default=None,
    help="Text of accepted drafts in another colour; by itself on terminals, unless NO_COLOR is set.",
)
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
    from frspec.cli.terminal import Notices, wants_colour
    from frspec.engine.llm import LLM
    from frspec.types import SamplingParams

    params = SamplingParams(**take(options, SAMPLING))
    title = f"{model}, draft {options['draft']}" if options["draft"] else model
    llm = LLM(model, enable_prefix_caching=True, **options)
    if llm.get_tokenizer().chat_template is None:
        raise UserError(f"{model} has no chat template; use frspec generate")
    session = Session(llm, params, history, system, variables)
    talk = Talk(session, Reader(), Notices(wants_colour(colour, sys.stderr)), wants_colour(colour, sys.stdout))
    talk.run(title)


def _history(path: str | None, system: str | None) -> Conversation:
    if path is None:
        return []
    if path == "-":
        raise UserError("--messages - would take the questions' place on stdin; name a file")
    history = read_conversation(path)
    if system is not None and history[0]["role"] == "system":
        raise UserError(f"{path} begins with a system message of its own; leave --system out")
    return history


class Talk:
    """Turns until the input ends. Where it is no terminal, a message that failed makes the exit status 1."""

    def __init__(self, session: Session, reader: Reader, notices: Notices, colour: bool) -> None:
        self._session, self._reader, self._notices, self._colour = session, reader, notices, colour
        self._failed = False

    def run(self, title: str) -> None:
        """Until /exit or the end of the input."""
        if self._reader.interactive:
            self._notices.say(f"{title}. /help lists the commands, Ctrl-D leaves.")
        more = True
        while more:
            try:
                more = self._turn()
            except UserError as error:
                self._failed = True
                self._notices.say(str(error))
            except KeyboardInterrupt:
                if not self._reader.interactive:
                    raise
                print(file=sys.stderr)
                self._notices.say("/exit or Ctrl-D leaves")
        if self._failed and not self._reader.interactive:
            sys.exit(1)

    def _turn(self) -> bool:
        """One entry; returns whether there may be another."""
        from frspec.cli.chat_commands import run_command

        if self._session.waiting:
            self._follow(self._session.answer())
            return True
        entry = self._reader.read()
        if entry is None:
            return False
        if entry.command:
            return run_command(entry.text, self._session, self._notices)
        if entry.text.strip():
            self._follow(self._session.ask(entry.text))
        return True

    def _follow(self, answer: Generator[RequestOutput, None, None]) -> None:
        """Show an answer to its end or to Ctrl-C, and say how it went."""
        from frspec.cli.chat_input import CtrlC
        from frspec.cli.streaming import Stream

        stream = Stream(sys.stdout, self._session.llm.get_tokenizer(), self._colour)
        press, output = CtrlC(), None
        try:
            with press if self._reader.interactive else nullcontext(), closing(answer):
                for output in answer:
                    press.writing = True
                    stream.show(output)
                    if press.pressed:
                        break
        except KeyboardInterrupt:
            if not self._reader.interactive:
                raise
        finally:
            if press.writing:
                stream.end()
        self._report(output, press.pressed)

    def _report(self, output: RequestOutput | None, pressed: bool) -> None:
        """The figures of a turn, and why it ended if not by itself."""
        session, notices = self._session, self._notices
        if output is None or output is not session.last:
            notices.say("stopped before the first word; the message was taken back")
            return
        notices.say(speed(output))
        if session.full:
            notices.say(
                f"the context of {session.llm.max_model_len} tokens is full; /save FILE keeps the conversation, "
                "/reset begins a new one"
            )
        elif output.outputs[0].finish_reason == "length":
            notices.say(f"cut off at --max-tokens {session.params.max_tokens}")
        elif pressed and not output.finished:
            notices.say("stopped; what was written stays in the conversation")
