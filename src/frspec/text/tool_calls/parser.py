"""What all parsers of tool calls share: text in, events out.

Knows: when an event may go out, what becomes of a call that turns out to be none, which white space belongs to calls.
Does not know: how any format writes a call.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar

from frspec.text.tool_calls.events import CallArguments, CallStart, Content, Event, call_id, merge
from frspec.text.tool_calls.incoming import Incoming, Markers, Reading, markers
from frspec.text.tool_calls.json_scanner import JsonScanner

Tool = Mapping[str, Any]  # {"type": "function", "function": {"name": ..., "parameters": {...}}}


class ToolParser(ABC):
    """Reads one completion.

    tools: those of the request, for formats whose values have types only there. new_id: makes the calls' ids.
    hidden: texts of special tokens that are to be left out wherever they stand; those of the format's own markers are
    left out where they introduce no call after all.

    eager: send a call's name and arguments as they are written. Arguments that break after that cannot be taken back:
    they are passed on as they are, up to where the call ends, as OpenAI's API does. Otherwise calls are held until
    they are whole. Whatever breaks before it is sent comes back as content, untouched.

    White space next to calls is part of the format, and no content.
    """

    opening: ClassVar[str] = ""  # what stands before calls, if anything does
    closing: ClassVar[str] = ""  # and behind each
    markers: ClassVar[tuple[str, ...]] = ()  # these and any others that may be special tokens

    def __init__(
        self,
        tools: Sequence[Tool] = (),
        new_id: Callable[[], str] = call_id,
        hidden: Iterable[str] = (),
        eager: bool = True,
    ) -> None:
        self.calls = 0  # begun so far
        self._functions = {tool["function"]["name"]: tool["function"] for tool in tools}
        self._new_id = new_id
        self._hidden = frozenset(hidden)
        self._eager = eager
        self._raw = Incoming()
        self._in = Incoming()
        self._out: list[Event] = []
        self._held: list[Event] = []
        self._certain_calls = 0  # ``calls``, less those of a stretch that may still break
        self._open = False  # a call has been sent, its arguments not to the end
        self._space = ""  # may belong to a call that comes
        self._after_call = False
        self._removing = self._remove(markers(*sorted(self._hidden - set(self.markers))))
        self._reading = self._read()

    def push(self, text: str) -> list[Event]:
        """What ``text`` makes certain."""
        self._raw.feed(text)
        next(self._removing, None)
        next(self._reading, None)
        return self._taken()

    def close(self) -> list[Event]:
        """The rest; the text has ended."""
        self._raw.ended = True
        next(self._removing, None)
        self._in.ended = True
        next(self._reading, None)
        if self._space and not self._after_call:
            self._out.append(Content(self._space))
        return self._taken()

    @abstractmethod
    def _read(self) -> Reading[None]:
        """Read the whole text, calling the methods below."""

    def _taken(self) -> list[Event]:
        events, self._out = merge(self._out), []
        return events

    def _remove(self, hidden: Markers) -> Reading[None]:
        while (yield from self._raw.until(hidden, self._in.feed)):
            pass

    def _content(self, text: str) -> None:
        text = self._space + text
        shown = text.rstrip()
        self._space = text[len(shown) :]
        if shown:
            self._out.append(Content(shown))
            self._after_call = False

    def _rest(self) -> Reading[None]:
        """All that is left is text."""
        yield from self._in.follow(lambda text, _: len(text), self._content)

    def _tagged(self, call: Callable[[], Reading[bool]]) -> Reading[None]:
        """The whole text, each call between ``opening`` and ``closing``; the last may lack the latter."""
        while (yield from self._in.until(markers(self.opening), self._content)):
            yield from self._attempt(self._in_tags(call()), self.opening)

    def _in_tags(self, call: Reading[bool]) -> Reading[bool]:
        yield from self._in.skip_space()
        if not (yield from call):
            return False
        yield from self._in.skip_space()
        ended = (yield from self._in.peek()) == ""
        return ended or (yield from self._in.expect(self.closing))

    def _attempt(self, reading: Reading[bool], marker: str = "") -> Reading[bool]:
        """Read a stretch of calls after ``marker``; whether it was one."""
        self._in.record("" if marker in self._hidden else marker)
        good = yield from reading
        if good:
            self._send()
        elif self._open:
            yield from self._in.until(markers(self.closing or self.opening), self._arguments, take=False)
            yield from self._in.expect(self.closing)
            self._finish()
        else:
            self._held.clear()
            self.calls = self._certain_calls
            self._content(self._in.recorded)
        return good

    def _start(self, name: str, id: str | None = None) -> None:
        """A call's name is known, and that arguments follow."""
        self._held.append(CallStart(self.calls, id or self._new_id(), name))
        self.calls += 1
        if self._eager:
            self._open = True
            self._send()

    def _arguments(self, text: str) -> None:
        self._held.append(CallArguments(self.calls - 1, text))
        if self._eager:
            self._send()

    def _finish(self) -> None:
        """What has been read of the call is sound, its arguments whole: nothing that follows can undo it."""
        if self._eager:
            self._open = False
            self._in.record()

    def _send(self) -> None:
        if self._held:
            self._space, self._after_call = "", True
            self._certain_calls = self.calls
            self._out += self._held
            self._held = []

    def _json(self, send: Callable[[str], None]) -> Reading[bool]:
        """Pass on a JSON value; whether it was one."""
        scanner = JsonScanner()
        yield from self._in.follow(scanner.scan, send)
        return scanner.done

    def _string(self) -> Reading[str | None]:
        """Read a JSON string; None if there is none, or one that no encoding of text has."""
        pieces: list[str] = []
        if (yield from self._in.peek()) != '"' or not (yield from self._json(pieces.append)):
            return None
        text = str(json.loads("".join(pieces)))
        try:
            text.encode()
        except UnicodeEncodeError:  # half of a surrogate pair
            return None
        return text
