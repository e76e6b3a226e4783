"""Who runs: slots, the caches' budget, and how much of which prompt is read next.

Knows: requests, what their caches take. Does not know: drafts, what a pass computes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from frspec.engine.line import Line
from frspec.engine.prefixes import Kept, Prefixes, common
from frspec.engine.request import Request
from frspec.models.decoder import Decoder
from frspec.speculation.drafters.base import Drafter

NEW_ROWS = 256
"""Rows a new cache has beyond its prompt, at most: later it grows."""
TREE_ROWS = 64
"""Rows beyond a text's end that drafts may need for a moment."""
WORTH_WAITING = 32
"""Prompt tokens that another request is about to read, for which a new one rather waits than reads them too."""


@dataclass
class Counts:
    """Since the start. Prompt tokens count as asked for, whether they had to be read or not; a prefix query is a prompt
    token that was looked for, a hit one that was found."""

    prompt_tokens: int = 0
    generated_tokens: int = 0
    prefix_queries: int = 0
    prefix_hits: int = 0
    preemptions: int = 0
    drafts: int = 0


class Scheduler:
    """``waiting`` requests become ``running`` ones, and those are retired.

    max_num_seqs: slots. budget: bytes for caches, kept ones among them; None for no limit. One text alone may always
    run. kept: finished texts whose caches are kept. chunk: prompt tokens in one pass; beside: as many of each prompt
    while others are being written, for whom every pass would otherwise take as long as a chunk.
    """

    def __init__(self, target: Decoder, max_num_seqs: int, budget: int | None, kept: int, chunk: int, beside: int):
        self.target, self.max_num_seqs, self.budget = target, max_num_seqs, budget
        self.chunk, self.beside = chunk, beside
        self.drafter: Drafter | None = None
        self.waiting = Line()
        self.running: list[Request] = []
        self.prefixes = Prefixes(kept)
        self.counts = Counts()
        self._target_row = target.new_cache(1).row_bytes

    @property
    def row_bytes(self) -> int:
        """What one position of one text takes, the drafter's memory of it included."""
        return self._target_row + (self.drafter.row_bytes if self.drafter else 0)

    @property
    def used(self) -> int:
        """Bytes that the caches of running texts take."""
        caches = [request.cache for request in self.running]  # others ask too, while the engine takes some away
        return self.row_bytes * sum(cache.capacity for cache in caches if cache is not None)

    def admit(self) -> None:
        """Give slots to those who wait, in their turn, as far as there is room."""
        if not self.waiting or len(self.running) >= self.max_num_seqs:
            return
        for request in self.waiting:
            if len(self.running) >= self.max_num_seqs:
                return
            if self._sees_it_coming(request):
                continue
            rows = len(request.tokens) + min(request.left, NEW_ROWS)
            if self.running and not self._has_room(rows):
                return  # nobody overtakes a long one, or it would wait for ever
            self.waiting.take(request)
            try:
                self._open(request, rows)
                self.running.append(request)
            except Exception as error:  # no memory for its cache; others may need less
                request.fail(error)

    def make_room(self, tree: int) -> None:
        """Before a step whose trees have up to ``tree`` rows: see that caches may grow, if need be by taking the slot
        of whoever came last. It loses nothing: what it had is read again, and it goes on where it stood."""
        if self.budget is None:
            return
        while not self._has_room(self._growth(tree)) and len(self.running) > 1:
            youngest = self.running.pop()
            youngest.cache, youngest.draft.memory = None, None
            self.waiting.put_back(youngest)
            self.counts.preemptions += 1

    def chunks(self) -> Iterator[tuple[Request, int]]:
        """How many tokens of which prompt to read in this pass: those that need little get it, others like shares."""
        reading = [request for request in self.running if request.unread > 0]
        alone = len(reading) == len(self.running)
        left = self.chunk if alone else min(self.chunk, self.beside * len(reading))
        for place, request in enumerate(sorted(reading, key=lambda request: request.unread)):
            count = min(request.unread, -(-left // (len(reading) - place)))
            left -= count
            if count > 0:
                yield request, count

    def retire(self) -> None:
        """Free the slots of those that have ended, and keep their caches for others."""
        if not any(request.finished for request in self.running):
            return
        for request in self.running:
            if request.finished:
                cache, memory = request.cache, request.draft.memory
                request.cache, request.draft.memory = None, None
                if cache is not None and request.error is None:
                    self.prefixes.keep(request.tokens, cache, memory)
        self.running = [request for request in self.running if not request.finished]
        self._has_room(0)

    def _has_room(self, rows: int) -> bool:
        """Whether so many rows more fit, once kept caches have made way for them."""
        if self.budget is None:
            return True
        most = self.budget - self.used - rows * self.row_bytes
        while self.prefixes.rows * self.row_bytes > most:
            if not self.prefixes.drop_oldest():
                return False
        return most >= 0

    def _growth(self, tree: int) -> int:
        """Rows by which caches will have grown after a pass."""
        grown = 0
        for request in self.running:
            if request.cache is not None:
                end = request.cache.length + (min(request.unread, self.chunk) or tree)
                grown += request.cache.room_for(end) - request.cache.capacity
        return grown

    def _sees_it_coming(self, request: Request) -> bool:
        """Whether somebody is just reading what this one begins with."""
        if request.params.prompt_logprobs is not None:
            return False
        for other in self.running:
            if other.unread > WORTH_WAITING and other.cache is not None:
                shared = common(request.tokens, other.tokens) - 1
                if shared > other.cache.length + WORTH_WAITING:
                    return True
        return False

    def _open(self, request: Request, rows: int) -> None:
        """Give a request its cache: one that already holds how it begins, or an empty one."""
        kept = None
        if request.params.prompt_logprobs is None:  # those need the scores of every prompt token
            running = [Kept(r.tokens, r.cache, r.draft.memory) for r in self.running if r.cache is not None]
            unread = request.tokens[:-1] if request.output.token_ids else request.tokens  # the next root is not read
            kept = self.prefixes.take(unread, self.drafter, running)
        request.cache = self.target.new_cache(rows) if kept is None else kept.cache
        request.cache.most = len(request.tokens) + request.left + TREE_ROWS
        if kept is not None:
            request.draft.memory = kept.memory
        if not request.opened:
            request.opened = True
            request.cached = request.cache.length
            self.counts.prompt_tokens += request.prompt_length
            self.counts.prefix_queries += request.prompt_length
            self.counts.prefix_hits += request.cached
