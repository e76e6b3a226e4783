"""From texts to the ids that they hold, by the tokenizers library."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

import numpy as np
import numpy.typing as npt

from frspec.ranking.ranking import Ids
from frspec.text.document import Piece
from frspec.text.tokenizer import Tokenizer


class Tally:
    """Counts for one tokenizer."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer

    def count(self, pieces: Iterable[Piece]) -> tuple[Ids, Ids]:
        """The ids that occur in what is meant of ``pieces``, ascending, and how often."""
        some = list(pieces)
        whole = [piece.text for piece in some if piece.spans is None]
        encoded = self._tokenizer.encode_batch(whole, add_special_tokens=False)
        parts = [piece for piece in some if piece.spans is not None]
        ids = np.fromiter(chain(chain.from_iterable(encoded), _meant(self._tokenizer, parts)), dtype=np.int64)
        by_id: npt.NDArray[np.int64] = np.bincount(ids)
        used = np.flatnonzero(by_id)
        return used, by_id[used]


def _meant(tokenizer: Tokenizer, parts: Sequence[Piece]) -> Iterator[int]:
    """The ids of those tokens that touch a span."""
    encodings = tokenizer.backend.encode_batch([part.text for part in parts], add_special_tokens=False)
    for part, encoding in zip(parts, encodings, strict=True):
        ids, offsets = np.array(encoding.ids, np.int64), np.array(encoding.offsets, np.int64).reshape(-1, 2)
        spans = np.array([*(part.spans or ()), (len(part.text) + 1, len(part.text) + 2)])  # the last one meets nothing
        start, end = offsets[:, 0], np.maximum(offsets[:, 1], offsets[:, 0] + 1)  # a token may stand for no character
        nearest = np.searchsorted(spans[:, 1], start, side="right")  # the first span that ends behind it
        yield from ids[end > spans[nearest, 0]].tolist()
