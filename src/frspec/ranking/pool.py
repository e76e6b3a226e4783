"""Blocks to counts, in processes of their own.

Knows: how to hand out blocks, how a process dies. Does not know: where blocks come from, what becomes of the counts.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from typing import TypeVar

from frspec.errors import UserError
from frspec.ranking.counts import Sparse, Tallied
from frspec.ranking.tally import Tally
from frspec.text.bad import HINT, Bad, TooLong
from frspec.text.blocks import Block, documents_of
from frspec.text.document import Piece
from frspec.text.reading import Reading
from frspec.text.records import place_in
from frspec.text.tokenizer import Tokenizer

PARALLEL = "TOKENIZERS_PARALLELISM"
K = TypeVar("K")


def count_block(tally: Tally, block: Block, reading: Reading) -> Tallied:
    """What the documents of ``block`` hold.

    Raises:
        UserError: at a bad record, unless ``reading.skip_bad``.
    """
    pieces, documents = dict[str, list[Piece]](), dict[str, int]()
    bad = list[str]()
    for document in documents_of(block, reading):
        if isinstance(document, Bad):
            if not reading.skip_bad:
                raise UserError(f"{document.reason} {HINT}")
            bad.append(document.reason)
            continue
        pieces.setdefault(document.part, []).extend(document.pieces())
        documents[document.part] = documents.get(document.part, 0) + document.begins
    parts = dict[str, Sparse]()
    for name, some in pieces.items():
        try:
            ids, times = tally.count(some)
        except TooLong as error:
            raise TooLong(f"{block.name}, from {place_in(block, block.first)} on: {error}") from error
        parts[name] = Sparse(ids, times, documents[name], sum(piece.characters for piece in some))
    return Tallied(parts, tuple(bad))


class Pool:
    """``workers`` processes that count blocks; with 1 this process does it, when the result is asked for.

    Made before any thread is started: a forked process has the tally as it stands here, and nothing else may be going
    on at that moment. ``submit`` gives a function that waits for the block's counts and may raise
    ``UserError``.
    """

    def __init__(self, tokenizer: Tokenizer, reading: Reading, workers: int) -> None:
        self._reading = reading
        self._tally = Tally(tokenizer)
        self._processes: ProcessPoolExecutor | None = None
        if workers > 1:
            context = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
            self._processes = ProcessPoolExecutor(workers, context, _start, (self._tally, reading))
            self._processes.submit(_nothing).result()

    def submit(self, blocks: Sequence[Block | None]) -> Callable[[], Iterable[Tallied | None]]:
        """Have each of ``blocks`` counted, None for None, in one process."""
        if self._processes is None:
            tally = self._tally
            return lambda: (_counted(tally, block, self._reading) for block in blocks)
        future: Future[list[Tallied | None]] = self._processes.submit(_count_here, blocks)
        return future.result

    def close(self) -> None:
        """End the processes; what they have not begun is dropped."""
        if self._processes is not None:
            self._processes.shutdown(wait=True, cancel_futures=True)


@contextmanager
def counting(tokenizer: Tokenizer, reading: Reading, workers: int) -> Iterator[Pool]:
    """A ``Pool`` of which every process takes one core, this one too; raises ``UserError`` when one dies."""
    before = os.environ.get(PARALLEL)
    os.environ[PARALLEL] = "false"
    try:
        pool = Pool(tokenizer, reading, workers)
        try:
            yield pool
        finally:
            pool.close()
    except BrokenProcessPool as error:
        raise UserError("a counting process died, perhaps for lack of memory; try fewer --workers") from error
    finally:
        if before is None:
            del os.environ[PARALLEL]
        else:
            os.environ[PARALLEL] = before


def in_order(
    pool: Pool, groups: Iterable[Sequence[tuple[K, Block | None]]], ahead: int
) -> Iterator[tuple[K, Tallied | None]]:
    """Each item with its block's counts (None for None), in order, ``ahead`` groups being counted meanwhile."""
    waiting: deque[tuple[list[K], Callable[[], Iterable[Tallied | None]]]] = deque()

    def first() -> Iterator[tuple[K, Tallied | None]]:
        keys, wait = waiting.popleft()
        return zip(keys, wait(), strict=True)

    for group in groups:
        waiting.append(([key for key, _ in group], pool.submit([block for _, block in group])))
        if len(waiting) > ahead:
            yield from first()
    while waiting:
        yield from first()


_here: tuple[Tally, Reading] | None = None  # of a counting process


def _start(tally: Tally, reading: Reading) -> None:
    global _here
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    parent = multiprocessing.parent_process()
    assert parent is not None
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    _here = tally, reading


def _end_with(parent: BaseProcess) -> None:
    """A parent that is killed takes no leave of its processes."""
    parent.join()
    os._exit(1)


def _nothing() -> None:
    """What a process does to show that it is there."""


def _count_here(blocks: Sequence[Block | None]) -> list[Tallied | None]:
    assert _here is not None
    return [_counted(_here[0], block, _here[1]) for block in blocks]


def _counted(tally: Tally, block: Block | None, reading: Reading) -> Tallied | None:
    return None if block is None else count_block(tally, block, reading)
