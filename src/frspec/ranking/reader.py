"""Threads that read and unpack while others count.

Knows: how to read a bounded number of blocks ahead. Does not know: formats, tokens.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from queue import Empty, Full, Queue

from frspec.errors import UserError
from frspec.text.bad import HINT, TooLong
from frspec.text.blocks import Block, Cut, Mark, blocks
from frspec.text.reading import Reading
from frspec.text.remote import Unreachable
from frspec.text.shards import Shard

AHEAD = 4  # groups of blocks per thread
TOGETHER = 32  # small blocks and ends of shards in a group: to hand over one takes as long as to count it,
SMALL = 1 << 16  # or fewer that have so many bytes
PAUSE = 0.1  # seconds after which a thread looks whether it is still wanted
LEAVE = 3.0  # seconds to wait for one that is no longer; a place that does not answer may hold it for minutes


@dataclass(frozen=True, slots=True)
class Todo:
    """A shard that is not finished, and where to go on in it."""

    index: int
    shard: Shard
    mark: Mark


@dataclass(frozen=True)
class Read:
    """A ``block`` of a shard; None with what went wrong behind the last one, if anything, for its end."""

    index: int
    block: Block | None
    flaw: str | None = None


@contextmanager
def read_ahead(todo: Sequence[Todo], reading: Reading, cut: Cut, threads: int) -> Iterator[Iterable[list[Read]]]:
    """The blocks of every shard, each shard's in order; small ones several at once.

    Raises while iterating:
        UserError: when a file cannot be read, unless ``reading.skip_bad``; always for a place that does not answer.
    """
    ready: Queue[list[Read] | BaseException | None] = Queue(threads * AHEAD)
    stop, rest, lock = threading.Event(), iter(todo), threading.Lock()

    def put(item: list[Read] | BaseException | None) -> bool:
        while not stop.is_set():
            try:
                ready.put(item, timeout=PAUSE)
            except Full:
                continue
            return True
        return False

    def tasks() -> Iterator[Todo]:
        while True:
            with lock:
                task = next(rest, None)
            if task is None:
                return
            yield task

    def work() -> None:
        group, size = list[Read](), 0
        end: BaseException | None = None
        try:
            for read in chain.from_iterable(_read(task, reading, cut) for task in tasks()):
                group.append(read)
                size += read.block.size if read.block else 0
                if size >= SMALL or len(group) >= TOGETHER:
                    if not put(group):
                        return
                    group, size = [], 0
        except BaseException as error:  # whatever it is, whoever waits for blocks must hear of it
            end = error
        put(group)
        put(end)

    def items() -> Iterator[list[Read]]:
        running = threads
        while running:
            try:
                item = ready.get(timeout=PAUSE)
            except Empty:  # waiting in short pieces lets Ctrl-C through everywhere
                continue
            if isinstance(item, BaseException):
                raise item
            if item is None:
                running -= 1
            else:
                yield item

    workers = [threading.Thread(target=work, name="reader", daemon=True) for _ in range(threads)]
    for worker in workers:
        worker.start()
    try:
        yield items()
    finally:
        stop.set()
        for worker in workers:
            worker.join(LEAVE)


def _read(task: Todo, reading: Reading, cut: Cut) -> Iterator[Read]:
    flaw = None
    try:
        for block in blocks(task.shard, reading, cut, task.mark):
            yield Read(task.index, block)
    except (Unreachable, TooLong):
        raise
    except UserError as error:
        if not reading.skip_bad:
            raise UserError(f"{error} {HINT}") from error
        flaw = str(error)
    yield Read(task.index, None, flaw)
