"""How often each id occurs in texts, as the ``tokenizers`` library would have it.

Knows: which texts go which way: by their words, or whole through the library. Does not know: documents, files,
processes.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from itertools import chain

import numpy as np

from frspec.ranking.classes import UntranslatableError
from frspec.ranking.ranking import Ids
from frspec.ranking.words import Words
from frspec.text.cutting import Cutter
from frspec.text.document import Piece
from frspec.text.tokenizer import Tokenizer

LONG = 1 << 20  # characters from which on a text is cut
ENOUGH = 1 << 22  # characters whose words are held at once
BATCH = 1 << 18  # characters whose tokens are held at once where the library makes them


class Tally:
    """Counts for one ``tokenizer``; whoever counts in several processes has one in each."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._cutter = Cutter(tokenizer)
        self._sums = np.zeros(tokenizer.vocab_size, dtype=np.int64)  # what a few words need of it is zeroed again
        self._words: Words | None = None
        with contextlib.suppress(UntranslatableError):
            self._words = Words(tokenizer)

    def __reduce__(self) -> tuple[type[Tally], tuple[Tokenizer]]:
        return Tally, (self._tokenizer,)  # a process that is not forked makes its own

    def count(self, pieces: Iterable[Piece]) -> tuple[Ids, Ids]:
        """The ids that occur in ``pieces``, ascending, and how often; both int64 [N].

        No BOS or other token that is not in the text is counted; text that spells a special token counts as the
        tokenizer encodes it. Of a piece with spans only the tokens that touch one count. Memory does not grow with
        the length of a piece without spans.

        Raises:
            UserError: when a text holds half of a surrogate pair.
        """
        used = np.empty(0, dtype=np.int64)
        try:
            for ids, times in self._counts(pieces):
                used = np.union1d(used, ids)
                np.add.at(self._sums, ids, times)
            return used, self._sums[used]
        finally:
            self._sums[used] = 0

    def _counts(self, pieces: Iterable[Piece]) -> Iterator[tuple[Ids, Ids | int]]:
        if self._words is not None:
            self._words.take()  # what an error may have left
        held = left = 0
        batch = list[str]()
        for piece in pieces:
            if piece.spans is not None:
                yield self._meant(piece), 1
                continue
            for text in self._cutter.cut([piece.text]) if len(piece.text) > LONG else [piece.text]:
                if self._words is not None and self._words.add(text):
                    held += len(text)
                    if held >= ENOUGH:
                        yield self._words.take()
                        held = 0
                else:
                    batch.append(text)
                    left += len(text)
                    if left >= BATCH:
                        yield self._whole(batch), 1
                        batch, left = [], 0
        if batch:
            yield self._whole(batch), 1
        if self._words is not None:
            yield self._words.take()

    def _whole(self, texts: list[str]) -> Ids:
        encoded = self._tokenizer.encode_batch(texts, add_special_tokens=False)
        return np.fromiter(chain.from_iterable(encoded), dtype=np.int64)

    def _meant(self, piece: Piece) -> Ids:
        """The ids of those tokens that touch a span."""
        (encoding,) = self._tokenizer.place_batch([piece.text])
        ids, offsets = np.array(encoding.ids, np.int64), np.array(encoding.offsets, np.int64).reshape(-1, 2)
        spans = np.array([*(piece.spans or ()), (len(piece.text) + 1, len(piece.text) + 2)])  # the last meets nothing
        start, end = offsets[:, 0], np.maximum(offsets[:, 1], offsets[:, 0] + 1)  # a token may stand for no character
        nearest = np.searchsorted(spans[:, 1], start, side="right")  # the first span that ends behind it
        meant: Ids = ids[end > spans[nearest, 0]]
        return meant
