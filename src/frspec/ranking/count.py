"""From documents to token counts, on all cores.

Knows: how to hand texts to processes and add up what they count. Does not know: file formats, rankings' files.
A document is encoded whole, so one huge document takes memory in proportion to its own length.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from itertools import chain

import numpy as np
import numpy.typing as npt

from frspec.artifacts import provenance
from frspec.errors import UserError
from frspec.ranking.ranking import Ids, Ranking
from frspec.text.document import Document, Piece
from frspec.text.sources import Documents
from frspec.text.tokenizer import Tokenizer

CHUNK = 1 << 18  # characters handed to a process at once; documents are not cut
PARALLEL = "TOKENIZERS_PARALLELISM"
AHEAD = 3  # chunks per process that are read before they are needed


@dataclass
class Counts:
    """``by_id`` int64 [V]: how often each id occurred; and what has been read so far."""

    by_id: Ids
    documents: int = 0
    characters: int = 0

    @property
    def tokens(self) -> int:
        """How many tokens have been counted."""
        return int(self.by_id.sum())


def rank_documents(
    tokenizer: Tokenizer,
    documents: Documents,
    workers: int | None = None,
    progress: Callable[[Counts], None] | None = None,
) -> Ranking:
    """The ranking of ``documents``, with its provenance.

    Raises:
        UserError: when the documents hold no token at all.
    """
    counts = count_tokens(tokenizer, documents, workers, progress)
    if counts.tokens == 0:
        raise UserError("the documents hold no text, so there is nothing to rank; look at --field")
    facts = provenance(
        tokenizer=tokenizer.name,
        sources=list(documents.sources),
        files=len(documents.files),
        documents=counts.documents,
        characters=counts.characters,
        tokens=counts.tokens,
        skipped=documents.skipped,
        **(documents.view.facts if documents.view else {}),
    )
    return Ranking.from_counts(counts.by_id, tokenizer.fingerprint, facts)


def count_tokens(
    tokenizer: Tokenizer,
    documents: Iterable[Document],
    workers: int | None = None,
    progress: Callable[[Counts], None] | None = None,
) -> Counts:
    """How often each id occurs in ``documents``, whatever their order and the number of ``workers``.

    No BOS or other token that is not in the text is counted; text that spells a special token counts as the
    tokenizer encodes it. Each message of a conversation is a text of its own, unless a ``View`` chose others.
    ``workers``: processes, all cores by
    default; 1 counts in this one. ``progress`` is called with the counts so far after every chunk.

    Raises:
        UserError: when a process dies.
    """
    if workers is not None and workers < 1:
        raise UserError(f"cannot count with {workers} workers; ask for at least 1")
    workers = workers or os.cpu_count() or 1
    counts = Counts(np.zeros(tokenizer.vocab_size, dtype=np.int64))
    for chunk, (ids, times) in _map(tokenizer, _chunks(documents), workers):
        counts.by_id[ids] += times
        counts.documents += chunk.documents
        counts.characters += chunk.characters
        if progress is not None:
            progress(counts)
    return counts


@dataclass
class Chunk:
    """Some whole documents."""

    texts: list[str] = field(default_factory=list)
    parts: list[Piece] = field(default_factory=list)  # texts of which not every token is meant
    documents: int = 0
    characters: int = 0


def _chunks(documents: Iterable[Document]) -> Iterator[Chunk]:
    chunk = Chunk()
    for document in documents:
        pieces = document.pieces()
        chunk.texts += [piece.text for piece in pieces if piece.spans is None]
        chunk.parts += [piece for piece in pieces if piece.spans is not None]
        chunk.documents += 1
        chunk.characters += sum(piece.characters for piece in pieces)
        if chunk.characters >= CHUNK:
            yield chunk
            chunk = Chunk()
    yield chunk


Counted = tuple[Ids, Ids]


def _map(tokenizer: Tokenizer, chunks: Iterator[Chunk], workers: int) -> Iterator[tuple[Chunk, Counted]]:
    """Each chunk with its counts, in order, a bounded number of chunks ahead."""
    if workers == 1:
        yield from ((chunk, _count(tokenizer, chunk.texts, chunk.parts)) for chunk in chunks)
        return
    # A forked process has the tokenizer without loading it again. It only encodes and counts, so no lock another
    # thread may have held at that moment is ever asked for.
    context = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
    pool = ProcessPoolExecutor(workers, context, _start, (tokenizer,))
    waiting: deque[tuple[Chunk, Future[Counted]]] = deque()
    before = os.environ.get(PARALLEL)
    os.environ[PARALLEL] = "false"  # for the processes to inherit: one core each
    try:
        for chunk in chunks:
            future = pool.submit(_count_here, chunk.texts, chunk.parts)
            waiting.append((Chunk(documents=chunk.documents, characters=chunk.characters), future))
            if len(waiting) > workers * AHEAD:
                done, future = waiting.popleft()
                yield done, future.result()
        for done, future in waiting:
            yield done, future.result()
    except BrokenProcessPool as error:
        raise UserError("a counting process died, perhaps for lack of memory; try fewer --workers") from error
    finally:
        if before is None:
            del os.environ[PARALLEL]
        else:
            os.environ[PARALLEL] = before
        pool.shutdown(wait=True, cancel_futures=True)


_tokenizer: Tokenizer | None = None  # of a counting process


def _start(tokenizer: Tokenizer) -> None:
    global _tokenizer
    _tokenizer = tokenizer
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle


def _count_here(texts: list[str], parts: list[Piece]) -> Counted:
    assert _tokenizer is not None
    return _count(_tokenizer, texts, parts)


def _count(tokenizer: Tokenizer, texts: list[str], parts: list[Piece]) -> Counted:
    """The ids that occur in ``texts`` and in what is meant of ``parts``, and how often."""
    encoded = tokenizer.encode_batch(texts, add_special_tokens=False)
    ids = np.fromiter(chain(chain.from_iterable(encoded), _meant(tokenizer, parts)), dtype=np.int64)
    by_id: npt.NDArray[np.int64] = np.bincount(ids)
    used = np.flatnonzero(by_id)
    return used, by_id[used]


def _meant(tokenizer: Tokenizer, parts: list[Piece]) -> Iterator[int]:
    """The ids of those tokens that touch a span."""
    encodings = tokenizer.backend.encode_batch([part.text for part in parts], add_special_tokens=False)
    for part, encoding in zip(parts, encodings, strict=True):
        ids, offsets = np.array(encoding.ids, np.int64), np.array(encoding.offsets, np.int64).reshape(-1, 2)
        spans = np.array([*(part.spans or ()), (len(part.text) + 1, len(part.text) + 2)])  # the last one meets nothing
        start, end = offsets[:, 0], np.maximum(offsets[:, 1], offsets[:, 0] + 1)  # a token may stand for no character
        nearest = np.searchsorted(spans[:, 1], start, side="right")  # the first span that ends behind it
        yield from ids[end > spans[nearest, 0]].tolist()
