"""The account of a count: what has been added up of which shards, and what is left to do.

Knows: when to keep it. Does not know: who counts, how a journal is written.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from frspec.ranking.counts import Counts, Tallied
from frspec.ranking.journal import Journal, Progress, shard_key
from frspec.ranking.reader import Todo
from frspec.text.blocks import Mark
from frspec.text.shards import Shard

SAVED = 1.0  # seconds after which the journal is written again,
WRITING = 0.05  # or longer, where writing takes more than these: a corpus may be a million files
LOGGED = 10  # bad records that are named; the rest are counted

log = logging.getLogger("frspec")


@dataclass(frozen=True)
class Step:
    """What came of some work on a shard: counts, and where to go on; no ``mark`` means that the shard is done.

    ``also``: shards that are done with it, because their counts are among these.
    """

    index: int
    tallied: Tallied
    mark: Mark | None
    raw: int = 0
    also: tuple[int, ...] = ()


class Ledger:
    """What has been counted of ``shards``, and what is left to do."""

    def __init__(self, shards: Sequence[Shard], progress: Progress, journal: Journal | None) -> None:
        self.shards, self.progress = shards, progress
        self.size = sum(shard.size for shard in shards)
        self._journal = journal
        self._saved, self._pause = time.monotonic(), SAVED
        self._keys = [shard_key(shard) for shard in shards]
        self._read = [shard.size if key in progress.done else 0 for key, shard in zip(self._keys, shards, strict=True)]
        self.position = sum(self._read)  # bytes of the files that have been counted; packed ones as they lie there
        self._named = 0
        self._whole = True

    def todo(self) -> list[Todo]:
        """The shards that are not done; the large ones first, so that no process is left alone with one at the end."""
        left = [i for i, key in enumerate(self._keys) if key not in self.progress.done]
        left.sort(key=lambda i: -self.shards[i].size)
        return [Todo(i, self.shards[i], self.progress.marks.get(self._keys[i], Mark())) for i in left]

    def take(self, step: Step) -> None:
        """Add what was counted, and keep it if the last time is a while ago."""
        self._whole = False
        self.progress.counts.add(step.tallied)
        if step.mark is not None:
            self.progress.marks[self._keys[step.index]] = step.mark
            self._move(step.index, step.raw)
        for index in () if step.mark is not None else (step.index, *step.also):
            self.progress.marks.pop(self._keys[index], None)
            self.progress.done.add(self._keys[index])
            self._move(index, self.shards[index].size)
        self._whole = True
        for flaw in step.tallied.bad[: LOGGED - self._named]:
            log.warning("skipped: %s", flaw)
            self._named += 1
        if time.monotonic() - self._saved > self._pause:
            self.save()

    def save(self) -> None:
        """Write the journal, where there is one and something to keep; not with a step that Ctrl-C left half taken."""
        start = time.monotonic()
        if self._journal is not None and self._whole and self.progress.counts.tokens:
            begun = self.progress.done | set(self.progress.marks)
            files = (shard.file for key, shard in zip(self._keys, self.shards, strict=True) if key in begun)
            self._journal.save(self.progress, {file.key: file.stamp for file in files})
        self._saved = time.monotonic()
        self._pause = SAVED * max(1.0, (self._saved - start) / WRITING)

    def _move(self, index: int, raw: int) -> None:
        self.position += raw - self._read[index]
        self._read[index] = raw


@contextmanager
def keeping(shards: Sequence[Shard], journal: Journal | None, vocab_size: int) -> Iterator[Ledger]:
    """A ledger that goes on where the journal stops, and leaves a journal whatever happens."""
    progress = journal.load(shards) if journal else Progress(Counts(vocab_size))
    if progress.counts.documents:
        log.warning("going on behind the %d documents that have been counted", progress.counts.documents)
    ledger = Ledger(shards, progress, journal)
    try:
        yield ledger
    finally:
        ledger.save()
