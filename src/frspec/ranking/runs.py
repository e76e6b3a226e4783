"""How far drafts could reach in a text, if only the vocabulary limited them.

Knows: samples of a text in its order, passes. Does not know: rankings, how figures are shown.

A chain of depth d, or a tree of that depth, proposes nothing outside its vocabulary. The drafter that is right
whenever it can be therefore ends a pass, which also brings the target's own token, right behind a token outside the
vocabulary, or after d + 1 tokens, or with the text. No drafter needs fewer passes, for one that stops earlier is never
ahead of it: tokens divided by its passes bound the mean acceptance length from above.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from frspec.errors import UserError
from frspec.ranking.ranking import Ids
from frspec.text.bad import TooLong
from frspec.text.blocks import blocks
from frspec.text.cutting import Cutter
from frspec.text.document import Document, Piece
from frspec.text.reading import Sources
from frspec.text.records import documents_of
from frspec.text.remote import Unreachable
from frspec.text.shards import split
from frspec.text.tokenizer import Tokenizer

TOKENS = 1_000_000
"""Of all texts together, about."""
WINDOW = 1 << 14  # characters; longer texts are sampled in windows, each a text of its own
BATCH = 1 << 18  # characters that are encoded at once


@dataclass(frozen=True, eq=False)
class Sample:
    """``ids`` [N] int64 of some texts in their order; ``ends`` [M]: behind the last id of each."""

    ids: Ids
    ends: Ids


def passes(covered: npt.NDArray[np.bool_], ends: Ids, depth: int) -> int:
    """How many passes the drafter above needs for texts whose tokens [N] are ``covered`` or not."""
    stops = np.union1d(np.flatnonzero(~covered) + 1, ends)
    lengths = np.diff(stops, prepend=0)
    return int((-(-lengths // (depth + 1))).sum())


def expected_length(share: float, depth: int) -> float:
    """Tokens per pass if each token were covered with this probability, whatever those before it: 1 + c + ... + c^d."""
    return sum(share**k for k in range(depth + 1))


def read_samples(tokenizer: Tokenizer, sources: Sources, tokens: Mapping[str, int]) -> dict[str, Sample]:
    """A sample of each part of ``sources``, evenly spaced; ``tokens`` says how many each part has.

    Of a text of which not everything is meant each span is a text of its own, as the model writes it at one go.

    Raises:
        UserError: when a source cannot be read, unless that is to be skipped.
    """
    present = {part: count for part, count in tokens.items() if count}
    budget = max(1, TOKENS // max(1, len(present)))
    gathered = {part: _Gathered(tokenizer, max(1, round(count / budget))) for part, count in present.items()}
    for document in _documents(tokenizer, sources):
        if document.part in gathered:
            for piece in _windows(document):
                gathered[document.part].offer(piece)
    return {part: each.sample() for part, each in gathered.items()}


def _documents(tokenizer: Tokenizer, sources: Sources) -> Iterator[Document]:
    """All that can be read, long ones in parts; what cannot be read was spoken of when it was counted."""
    reading, cut = sources.reading, Cutter(tokenizer).cut
    for shard in split(sources):
        try:
            for block in blocks(shard, reading, cut):
                yield from (found for found in documents_of(block, reading) if isinstance(found, Document))
        except (Unreachable, TooLong):
            raise
        except UserError:
            if not reading.skip_bad:
                raise


def _windows(document: Document) -> Iterator[Piece]:
    for piece in document.pieces():
        if piece.spans is not None:
            yield piece
        else:
            yield from (Piece(piece.text[start : start + WINDOW]) for start in range(0, len(piece.text), WINDOW))


class _Gathered:
    """Every ``step``-th piece that holds something; the next one where that was not yet a token."""

    def __init__(self, tokenizer: Tokenizer, step: int) -> None:
        self._tokenizer, self._step = tokenizer, step
        self._seen = self._characters = 0
        self._waiting = list[Piece]()
        self._texts = list[Ids]()

    def offer(self, piece: Piece) -> None:
        """Take the piece, or not."""
        if not piece.characters:
            return
        if self._seen % self._step == 0 or not (self._texts or self._waiting):
            self._waiting.append(piece)
            self._characters += len(piece.text)
        self._seen += 1
        if self._characters >= BATCH or not self._texts:
            self._encode()

    def sample(self) -> Sample:
        """All that was taken."""
        self._encode()
        lengths = np.array([len(text) for text in self._texts], dtype=np.int64)
        return Sample(np.concatenate(self._texts or [lengths]), np.cumsum(lengths))

    def _encode(self) -> None:
        encodings = self._tokenizer.place_batch([p.text for p in self._waiting])
        for piece, encoding in zip(self._waiting, encodings, strict=True):
            ids = np.array(encoding.ids, dtype=np.int64)
            if piece.spans is None:
                texts = [ids]
            else:
                offsets = np.array(encoding.offsets, dtype=np.int64).reshape(-1, 2)
                texts = [ids[touching(offsets, *span)] for span in piece.spans]
            self._texts += [text for text in texts if len(text)]
        self._waiting.clear()
        self._characters = 0


def touching(offsets: Ids, start: int, end: int) -> npt.NDArray[np.bool_]:
    """Which tokens, by their ``offsets`` [T, 2] in characters, touch the span; one of no character at its place."""
    ends = np.maximum(offsets[:, 1], offsets[:, 0] + 1)
    touches: npt.NDArray[np.bool_] = (offsets[:, 0] < end) & (ends > start)
    return touches
