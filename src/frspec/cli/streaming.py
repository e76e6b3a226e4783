"""Generated text as it arrives, with what accepted drafts brought told apart.

Knows: snapshots of one completion, which tokens were drafts. Does not know: how drafts are made.
"""

from __future__ import annotations

from collections import deque
from typing import Protocol, TextIO

from frspec.cli.terminal import Writer
from frspec.text.detokenizer import Detokenizer
from frspec.text.tokenizer import Tokenizer
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
    """A ``Cutter`` for answers of an engine in this process.

    The first tokens of a target pass are accepted drafts, as many as ``accepted_per_position`` has grown by; the last
    is the target's own. A character counts as the token's that completes it. For requests with one completion and
    without special tokens in its text; where a snapshot covers several passes (another stream shares the engine) their
    drafts are counted as if they came first.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._detokenizer: Detokenizer | None = None
        self._tokens = self._accepted = self._written = 0
        self._cuts = Cuts()

    def pieces(self, output: RequestOutput) -> list[Piece]:
        """The text that is new since the last call, in order and without gaps, each piece with whether it was drafted.

        A stop string or an unfinished character may hold text back; it comes with a later snapshot.
        """
        completion = output.outputs[0]
        if self._detokenizer is None:
            self._detokenizer = Detokenizer(self._tokenizer, output.prompt_token_ids)
        accepted = sum(output.metrics.accepted_per_position)
        for place, token in enumerate(completion.token_ids[self._tokens :]):
            self._written += len(self._detokenizer.push([token]))
            self._cuts.add(self._written, place < accepted - self._accepted)
        self._tokens, self._accepted = len(completion.token_ids), accepted
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
