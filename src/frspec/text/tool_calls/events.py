"""What a tool parser says: text for the reader, or calls for the program that offered the tools.

Knows: the events, and what ids calls may have. Does not know: formats.
"""

from __future__ import annotations

import secrets
import string
import uuid
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Content:
    """Text that belongs to no call."""

    text: str


@dataclass(frozen=True)
class CallStart:
    """Call number ``index`` (from 0) of this completion begins; its name is whole."""

    index: int
    id: str
    name: str


@dataclass(frozen=True)
class CallArguments:
    """The next piece of the arguments of call ``index``, a JSON object as text."""

    index: int
    text: str


Event = Content | CallStart | CallArguments


def call_id() -> str:
    """An id in OpenAI's style."""
    return f"call_{uuid.uuid4().hex[:24]}"


def short_call_id() -> str:
    """Nine letters and digits: what Mistral's templates accept."""
    return "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(9))


def merge(events: Iterable[Event]) -> list[Event]:
    """The same events with neighbouring pieces of one text joined."""
    merged: list[Event] = []
    for event in events:
        last = merged[-1] if merged else None
        if isinstance(event, Content) and isinstance(last, Content):
            merged[-1] = Content(last.text + event.text)
        elif isinstance(event, CallArguments) and isinstance(last, CallArguments) and event.index == last.index:
            merged[-1] = CallArguments(event.index, last.text + event.text)
        else:
            merged.append(event)
    return merged
