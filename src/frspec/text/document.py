"""What is read from files: a text or a conversation, and which parts of it are meant.

Knows: where a document stands. Does not know: files, tokens.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

Spans = tuple[tuple[int, int], ...]
"""First and last character (exclusive) of parts of a text, in order."""


@dataclass(frozen=True)
class Piece:
    """A text to be encoded as a whole; with ``spans`` only the tokens that touch one of them are meant."""

    text: str
    spans: Spans | None = None

    @property
    def characters(self) -> int:
        """How many characters are meant."""
        return len(self.text) if self.spans is None else sum(end - start for start, end in self.spans)


@dataclass(frozen=True)
class Document:
    """One text or one conversation, and where it comes from (line or row, from 1).

    ``view``: the parts that a ``View`` chose of it; without one all of it is meant. ``part``: the group it counts for.
    Of a long text that is read in several goes only the first ``begins`` it; each then has its pieces as ``view``.
    """

    source: str
    line: int
    text: str | None = None
    messages: list[dict[str, Any]] | None = None
    view: tuple[Piece, ...] | None = None
    part: str = ""
    begins: bool = True

    def texts(self) -> list[str]:
        """The text, or what each message says."""
        if self.text is not None:
            return [self.text]
        return [message["content"] for message in self.messages or []]

    def pieces(self) -> tuple[Piece, ...]:
        """What is meant of it."""
        return tuple(Piece(text) for text in self.texts()) if self.view is None else self.view


class View(Protocol):
    """A choice of what is meant of each document; ``facts`` say which, for provenance."""

    facts: Mapping[str, Any]

    def __call__(self, document: Document) -> tuple[Piece, ...]:
        """The parts that are meant; raises ``UserError`` (without the place) where that cannot be told."""
        ...
