"""The turns of ``frspec chat``: answers on stdout, everything else on stderr.

Knows: what follows what, what is printed around an answer. Does not know: how text is made, how input is read.
"""

from __future__ import annotations

import sys
from collections.abc import Generator
from contextlib import closing, nullcontext

from frspec.cli.chat_commands import run_command
from frspec.cli.chat_input import CtrlC, Reader
from frspec.cli.chat_session import Session
from frspec.cli.figures import speed
from frspec.cli.streaming import Stream
from frspec.cli.terminal import Notices
from frspec.errors import UserError
from frspec.types import RequestOutput


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
        stream = Stream(sys.stdout, self._session.cutter(), self._colour)
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
        if output.outputs[0].token_ids:  # there are servers that do not count
            notices.say(speed(output))
        if session.full:
            notices.say(
                f"the context of {session.max_model_len} tokens is full; /save FILE keeps the conversation, "
                "/reset begins a new one"
            )
        elif output.outputs[0].finish_reason == "length":
            limit = session.params.max_tokens
            notices.say("cut off by the server" if limit is None else f"cut off at --max-tokens {limit}")
        elif pressed and not output.finished:
            notices.say("stopped; what was written stays in the conversation")
