"""An engine in a thread of its own, for callers that must never wait for a step: a server's event loop.

Knows: threads, who waits, how many may. Does not know: HTTP, how a step works.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Event, Lock, Thread

from frspec.engine.llm import LLM, Prompt
from frspec.engine.stream import EngineFailure, Job, Stream
from frspec.errors import UserError
from frspec.types import SamplingParams, StepStats

__all__ = ["EngineFailure", "Overloaded", "Service", "Snapshot", "Stream"]

log = logging.getLogger("frspec")
TICK = 0.25
"""Seconds after which an idle engine looks whether it is to stop."""


class Overloaded(UserError):  # noqa: N818 - a state, not a mistake
    """Too many wait already, or this one waited too long; it may be asked for again later."""


@dataclass(frozen=True)
class Snapshot:
    """Counts since the start, and what is going on now. Prefix queries and hits are prompt tokens; ``cache_used`` is
    the share of the cache's budget that running texts hold."""

    running: int
    waiting: int
    cache_used: float
    prompt_tokens: int
    generated_tokens: int
    prefix_queries: int
    prefix_hits: int
    preemptions: int
    num_drafts: int
    stats: StepStats
    alive: bool


class Service:
    """``llm``'s engine, which nobody else may use meanwhile.

    max_queue: completions that may wait beyond those that run. max_queue_seconds: how long a prompt may wait.
    """

    def __init__(self, llm: LLM, *, max_queue: int = 256, max_queue_seconds: float | None = None) -> None:
        self.llm, self.engine = llm, llm.engine
        self.max_queue, self.max_queue_seconds = max_queue, max_queue_seconds
        self._orders: SimpleQueue[tuple[str, Job]] = SimpleQueue()
        self._jobs: dict[Job, None] = {}  # the engine thread's own
        self._open, self._lock = 0, Lock()
        self._stop, self._draining, self._ended = Event(), False, False
        self._thread = Thread(target=self._run, name="frspec-engine", daemon=True)

    def start(self) -> None:
        """Begin to work."""
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether the engine's thread runs."""
        return self._thread.is_alive() and not self._ended

    @property
    def draining(self) -> bool:
        """Whether it takes no more requests, because it is about to end."""
        return self._draining

    async def submit(self, prompt: Prompt, params: SamplingParams, *, client: str = "", trace: bool = False) -> Stream:
        """Queue a prompt. client: whose it is; waiting clients take turns. trace: keep every verified tree.

        Raises:
            UserError: when the request cannot be honoured.
            Overloaded: when too many wait, or the service is about to end.
        """
        self._check_alive()
        self._enter(params.n)  # before anything is awaited, or a burst would slip through
        try:
            group = await asyncio.to_thread(self.llm.group, prompt, params)
            for request in group.requests:
                request.client, request.rounds = client, [] if trace else None
            job = Job(group)
            with self._lock:  # what comes after the thread's last look at its orders is refused here
                self._check_alive()
                self._orders.put(("add", job))
        except BaseException:
            self._leave(params.n)
            raise
        return Stream(job, self._cancel)

    def snapshot(self) -> Snapshot:
        """How things stand."""
        scheduler, stats = self.engine.scheduler, StepStats()
        stats.add(self.engine.stats)
        counts, running = scheduler.counts, len(scheduler.running)
        return Snapshot(
            running=running,
            waiting=max(0, self._open - running),
            cache_used=scheduler.used / scheduler.budget if scheduler.budget else 0.0,
            prompt_tokens=counts.prompt_tokens,
            generated_tokens=counts.generated_tokens,
            prefix_queries=counts.prefix_queries,
            prefix_hits=counts.prefix_hits,
            preemptions=counts.preemptions,
            num_drafts=counts.drafts,
            stats=stats,
            alive=self.alive,
        )

    async def drain(self, seconds: float) -> None:
        """Take no more requests and wait for those there are; cancel what has not ended after so many seconds."""
        self._draining = True
        end = time.monotonic() + seconds
        while self._open > 0 and self.alive and time.monotonic() < end:
            await asyncio.sleep(0.02)
        await asyncio.to_thread(self.close)

    def close(self) -> None:
        """Stop the thread; what still runs fails with ``Overloaded``."""
        self._draining = True
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def _enter(self, count: int) -> None:
        with self._lock:
            if self._open + count > self.engine.scheduler.max_num_seqs + self.max_queue:
                raise Overloaded(f"{self._open} completions run or wait already; try again later")
            self._open += count

    def _leave(self, count: int) -> None:
        with self._lock:
            self._open -= count

    def _check_alive(self) -> None:
        if self._draining:
            raise Overloaded("the server is shutting down; try again later")
        if not self.alive:
            raise EngineFailure("the engine has stopped")

    def _cancel(self, job: Job) -> None:
        if not job.over:
            job.cancelled = True
            self._orders.put(("cancel", job))

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                self._follow_orders()
                self._expire()
                self._step()
                self._publish()
        finally:
            self._refuse_rest()

    def _follow_orders(self) -> None:
        """Take in what was asked for since the last step; wait for something where there is nothing to do."""
        wait = not self.engine.busy
        while True:
            try:
                order, job = self._orders.get(block=wait, timeout=TICK)
            except Empty:
                return
            wait = False
            if order == "add":
                self._jobs[job] = None
                for request in job.group.requests:
                    self.engine.add(request)
            if job.cancelled and job in self._jobs:
                self._abort(job)

    def _expire(self) -> None:
        if self.max_queue_seconds is None or not self.engine.scheduler.waiting:
            return
        latest = time.perf_counter() - self.max_queue_seconds
        for job in [job for job in self._jobs if job.waiting and job.since < latest]:
            self._abort(job)
            job.fail(Overloaded(f"no slot came free in {self.max_queue_seconds:g} s; try again later"))

    def _step(self) -> None:
        try:
            if self.engine.busy:
                self.engine.step()
        except Exception as error:
            log.exception("a step failed; the texts in it are lost")
            broken = [job for job in self._jobs if any(r.output.finish_reason == "abort" for r in job.group.requests)]
            for job in broken or list(self._jobs):  # where none was broken off, nothing says who is to blame
                self._abort(job)
                job.fail(error)

    def _abort(self, job: Job) -> None:
        for request in job.group.requests:
            if not request.finished:
                self.engine.abort(request)

    def _publish(self) -> None:
        """Wake those for whom there is something new, each event loop once."""
        told: dict[asyncio.AbstractEventLoop, list[Job]] = {}
        for job in list(self._jobs):
            if job.over or job.gather():
                told.setdefault(job.loop, []).append(job)
            if job.over:
                self._abort(job)  # one of its completions may have failed alone
                del self._jobs[job]
                self._leave(len(job.group.requests))
        for loop, jobs in told.items():
            if not _wake(loop, jobs):
                for job in jobs:
                    self._cancel(job)

    def _refuse_rest(self) -> None:
        """Nothing more will come of what there is, however the thread ended: say so."""
        with self._lock:
            self._ended = True
        left = list(self._jobs)
        while not self._orders.empty():
            order, job = self._orders.get()
            left += [job] if order == "add" else []
        self._jobs.clear()
        for job in left:
            if not job.over:
                job.fail(Overloaded("the server was shut down before this ended"))
            self._leave(len(job.group.requests))
            with contextlib.suppress(Exception):
                self._abort(job)
            _wake(job.loop, [job])


def _wake(loop: asyncio.AbstractEventLoop, jobs: Sequence[Job]) -> bool:
    """Tell those who wait in ``loop``; whether there is anybody: nobody reads where it is closed."""

    def set_all() -> None:
        for job in jobs:
            job.news.set()

    try:
        loop.call_soon_threadsafe(set_all)
    except RuntimeError:
        return False
    return True
