"""Generated text as it arrives, with what accepted drafts brought told apart.

Knows: snapshots of one completion, which tokens were drafts. Does not know: how drafts are made.
"""

from __future__ import annotations

from collections import deque
from typing import TextIO

from frspec.cli.terminal import Writer
from frspec.text.detokenizer import Detokenizer
from frspec.text.tokenizer import Tokenizer
from frspec.types import RequestOutput


class Drafted:
    """Cuts the new text of each snapshot where accepted drafts begin and end.

    The first tokens of a target pass are accepted drafts, as many as ``accepted_per_position`` has grown by; the last
    is the target's own. A character counts as the token's that completes it. For requests with one completion and
    without special tokens in its text; where a snapshot covers several passes (another stream shares the engine) their
    drafts are counted as if they came first.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._detokenizer: Detokenizer | None = None
        self._tokens = self._accepted = self._written = self._shown = 0
        self._ends: deque[tuple[int, bool]] = deque()  # where each token's text ends, and whether it was a draft

    def pieces(self, output: RequestOutput) -> list[tuple[str, bool]]:
        """The text that is new since the last call, in order and without gaps, each piece with whether it was drafted.

        A stop string or an unfinished character may hold text back; it comes with a later snapshot.
        """
        completion = output.outputs[0]
        if self._detokenizer is None:
            self._detokenizer = Detokenizer(self._tokenizer, output.prompt_token_ids)
        accepted = sum(output.metrics.accepted_per_position)
        for place, token in enumerate(completion.token_ids[self._tokens :]):
            self._written += len(self._detokenizer.push([token]))
            self._ends.append((self._written, place < accepted - self._accepted))
        self._tokens, self._accepted = len(completion.token_ids), accepted
        return self._cut(completion.text)

    def _cut(self, text: str) -> list[tuple[str, bool]]:
        pieces = []
        while self._shown < len(text):
            while self._ends and self._ends[0][0] <= self._shown:
                self._ends.popleft()
            end, drafted = self._ends[0] if self._ends else (len(text), False)
            piece = text[self._shown : end]
            pieces.append((piece, drafted))
            self._shown += len(piece)
        return pieces


class Stream:
    """Writes one completion to ``out`` while it is generated, accepted drafts in another colour if ``colour``."""

    def __init__(self, out: TextIO, tokenizer: Tokenizer, colour: bool) -> None:
        self._drafted, self._writer = Drafted(tokenizer), Writer(out, colour)

    def open(self, text: str) -> None:
        """Write what the completion goes on from."""
        self._writer.write(text)

    def show(self, output: RequestOutput) -> None:
        """Write what is new in this snapshot."""
        for text, drafted in self._drafted.pieces(output):
            self._writer.write(text, drafted)

    def end(self) -> None:
        """Write what was held back, and end the line."""
        self._writer.end()
