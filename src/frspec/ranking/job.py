"""From sources to counts: shards, the part of them that is this machine's, what is done already, and who does the rest.

Knows: the life of a count. Does not know: file formats, how a text becomes tokens, rankings.
"""

from __future__ import annotations

import heapq
import os
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from frspec.errors import UserError
from frspec.ranking.counts import Counts, Tallied
from frspec.ranking.journal import Identity, Journal
from frspec.ranking.ledger import Step, keeping
from frspec.ranking.pool import counting, in_order
from frspec.ranking.reader import Todo, read_ahead
from frspec.text.cutting import Cutter
from frspec.text.reading import Reading, Sources
from frspec.text.shards import Shard, split
from frspec.text.tokenizer import Tokenizer

AHEAD = 2  # blocks per process that are handed out before they are needed
FEW = 1 << 20  # bytes, packed or not, that are counted before processes of their own would have been started
SHARED = 6  # processes that one reading thread keeps busy with .xz, the slowest to unpack

Report = Callable[[Counts, int, int], None]
"""Called with the counts so far, the bytes read, and all bytes; for whoever waits."""


@dataclass(frozen=True)
class Plan:
    """``workers``: processes; left out, as many as there are cores where there is enough to count.
    ``share``: (i, n) counts the i-th of n parts of the work. ``on``: "ray" or "ray:ADDRESS"; this machine otherwise.
    ``journal``: a file to go on from after an interruption."""

    workers: int | None = None
    share: tuple[int, int] | None = None
    on: str | None = None
    journal: Path | None = None


def count_sources(
    tokenizer: Tokenizer, sources: Sources, plan: Plan | None = None, report: Report | None = None
) -> Counts:
    """How often each id occurs in ``sources``, by part, whatever the order of files and who counts.

    No BOS or other token that is not in the text is counted; text that spells a special token counts as the
    tokenizer encodes it. Each message of a conversation is a text of its own, unless a ``View`` chose others.

    Raises:
        UserError: at a bad record or file, unless they are to be skipped; when a place stops answering, a process dies,
            or a journal is of another count. What has been counted stays in the journal.
    """
    plan = plan or Plan()
    if plan.workers is not None and plan.workers < 1:
        raise UserError(f"cannot count with {plan.workers} workers; ask for at least 1")
    shards = split(sources)
    if plan.share is not None:
        shards = share_of(shards, *plan.share)
    journal = None
    if plan.journal is not None:
        journal = Journal(plan.journal, Identity.of(tokenizer, sources.reading, plan.share))
    with keeping(shards, journal, tokenizer.vocab_size) as ledger:
        for name, _ in sources.groups if sources.reading.by is None else ():
            ledger.progress.counts.part(name)  # in the order that they were named
        with closing(_steps(tokenizer, sources.reading, plan, ledger.todo())) as steps:  # whoever stops, all stop
            for step in steps:
                ledger.take(step)
                if report is not None:
                    report(ledger.progress.counts, ledger.position, ledger.size)
    if not ledger.progress.counts.documents and plan.share is None:
        raise UserError(f"no documents in {', '.join(sources.asked)}")
    return ledger.progress.counts


def count_shards(tokenizer: Tokenizer, reading: Reading, todo: Sequence[Todo]) -> Tallied:
    """Shards from their marks on, in this process.

    Raises:
        UserError: as ``count_sources``.
    """
    counts, bad = Counts(tokenizer.vocab_size), list[str]()
    for step in _here(tokenizer, reading, todo, 1):
        counts.add(step.tallied)
        bad += step.tallied.bad
    return counts.tallied(bad)


def share_of(shards: Sequence[Shard], i: int, n: int) -> list[Shard]:
    """The i-th of n parts (from 1) that are about equally large: every shard is in exactly one of them."""
    loads = [(0, part) for part in range(1, min(n, len(shards)) + 1)]  # of more parts than shards the rest are empty
    mine = list[Shard]()
    # By the names that were given: where links lead may differ between machines.
    for shard in sorted(shards, key=lambda shard: (-shard.size, shard.part, shard.file.name, shard.start)):
        load, lightest = loads[0]
        heapq.heapreplace(loads, (load + max(1, shard.size), lightest))
        if lightest == i:
            mine.append(shard)
    return mine


def _steps(tokenizer: Tokenizer, reading: Reading, plan: Plan, todo: Sequence[Todo]) -> Generator[Step]:
    if plan.on is None:
        sizes = [item.shard.size for item in todo]
        few = sum(sizes) < FEW and all(sizes)  # 0 may be any
        return _here(tokenizer, reading, todo, plan.workers or (1 if few else os.cpu_count() or 1))
    from frspec.ranking.on_ray import count_on_ray

    return count_on_ray(tokenizer, reading, todo, plan.on, plan.workers)


def _here(tokenizer: Tokenizer, reading: Reading, todo: Sequence[Todo], workers: int) -> Generator[Step]:
    """On this machine."""
    threads = min(len(todo), -(-workers // SHARED))
    ahead = workers * AHEAD if workers > 1 else 0
    with (
        counting(tokenizer, reading, workers) as pool,
        read_ahead(todo, reading, Cutter(tokenizer).cut, threads) as found,
    ):
        for read, tallied in in_order(pool, ([(read, read.block) for read in group] for group in found), ahead):
            if tallied is None:
                yield Step(read.index, Tallied({}, (read.flaw,) if read.flaw else ()), None)
            else:
                assert read.block is not None
                yield Step(read.index, tallied, read.block.after, read.block.raw)
