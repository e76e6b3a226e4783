"""Generated text as it arrives, with what accepted drafts brought told apart.

Knows: snapshots of one completion, which tokens were drafts. Does not know: how drafts are made.
"""

from __future__ import annotations

from collections import deque
from typing import Protocol, TextIO

from frspec.cli.terminal import Writer
from frspec.types import RequestOutput

Piece = tuple[str, bool]
"""Some text, and whether an accepted draft brought it."""


class Cuts:
    """Cuts a text that grows where accepted drafts begin and end."""

    def __init__(self) -> None:
        self._shown = 0
        self._ends: deque[tuple[int, bool]] = deque()

    def add(self, end: int, drafted: bool) -> None:
        """One token more: the characters of the whole text after it, and whether it was a draft."""
        self._ends.append((end, drafted))

    def cut(self, text: str) -> list[Piece]:
        """What of the whole ``text`` is new since the last call, in order and without gaps."""
        pieces = []
        while self._shown < len(text):
            while self._ends and self._ends[0][0] <= self._shown:
                self._ends.popleft()
            end, drafted = self._ends[0] if self._ends else (len(text), False)
            piece = text[self._shown : end]
            pieces.append((piece, drafted))
            self._shown += len(piece)
        return pieces


class Cutter(Protocol):
    """Tells what is new in each snapshot of an answer."""

    def pieces(self, output: RequestOutput) -> list[Piece]:
        """The text that is new since the last call."""
        ...


class Drafted:
    """A ``Cutter`` for answers of an engine in this process, with one completion each.

    A character counts as the token's that completes it.
    """

    def __init__(self) -> None:
        self._tokens = 0
        self._cuts = Cuts()

    def pieces(self, output: RequestOutput) -> list[Piece]:
        """The text that is new since the last call, in order and without gaps, each piece with whether it was drafted.

        A stop string or an unfinished character may hold text back; it comes with a later snapshot.
        """
        completion, new = output.outputs[0], slice(self._tokens, None)
        for end, depth in zip(completion.text_ends[new], completion.depths[new], strict=True):
            self._cuts.add(end, depth > 0)
        self._tokens = len(completion.text_ends)
        return self._cuts.cut(completion.text)


class Stream:
    """Writes one completion to ``out`` while it is generated, accepted drafts in another colour if ``colour``."""

    def __init__(self, out: TextIO, cutter: Cutter, colour: bool) -> None:
        self._cutter, self._writer = cutter, Writer(out, colour)

    def open(self, text: str) -> None:
        """Write what the completion goes on from."""
        self._writer.write(text)

    def show(self, output: RequestOutput) -> None:
        """Write what is new in this snapshot."""
        for text, drafted in self._cutter.pieces(output):
            self._writer.write(text, drafted)

    def end(self) -> None:
        """Write what was held back, and end the line."""
        self._writer.end()
