"""One prompt's way back from the engine's thread to whoever waits for its texts.

Knows: what of each completion was handed over, event loops. Does not know: HTTP, when steps happen.
The engine's thread gathers what is new, the waiting side takes all of it at once: a slow reader gets fewer and larger
pieces, and nothing piles up.
"""

from __future__ import annotations

import asyncio
import time
import weakref
from collections.abc import AsyncIterator, Callable
from threading import Lock
from types import TracebackType

from frspec.engine.group import Group
from frspec.engine.request import Request
from frspec.errors import UserError
from frspec.types import Delta, Logprob, RequestMetrics


class EngineFailure(RuntimeError):  # noqa: N818 - it says so
    """Something broke while this text was made; the text is lost, others are not."""


class Job:
    """What the engine's thread holds of a ``Stream``: the group, and what of it nobody has taken yet."""

    def __init__(self, group: Group) -> None:
        self.group = group
        self.loop = asyncio.get_running_loop()
        self.news = asyncio.Event()
        self.since = time.perf_counter()
        self.queued_seconds: float | None = None
        self.cancelled = self.over = False
        self._error: Exception | None = None
        self._shown = [_Shown() for _ in group.requests]
        self._pending: dict[int, Delta] = {}
        self._lock = Lock()

    @property
    def waiting(self) -> bool:
        """Whether none of its completions has begun."""
        return self.queued_seconds is None

    def gather(self) -> bool:
        """Add what is new to what is pending; whether there is any. Ends the job with its last completion."""
        if self.waiting:  # many may, and each step asks all of them
            if not any(request.opened or request.finished for request in self.group.requests):
                return False
            self.queued_seconds = time.perf_counter() - self.since
        failed = next((request.error for request in self.group.requests if request.error is not None), None)
        if failed is not None:
            return self.fail(failed)
        with self._lock:
            new = [
                shown.add_to(self._pending, request)
                for shown, request in zip(self._shown, self.group.requests, strict=True)
            ]
            self.over = self.group.finished
        return any(new) or self.over

    def fail(self, error: Exception) -> bool:
        """End it with an error for the waiting side to raise."""
        self._error, self.over = error, True
        return True

    def take(self) -> list[Delta]:
        """All that is pending.

        Raises:
            UserError, EngineFailure: when the job failed, once all is taken that came before.
        """
        with self._lock:
            taken, self._pending, over = self._pending, {}, self.over
        if not taken and over and self._error is not None:
            if isinstance(self._error, UserError | EngineFailure):
                raise self._error
            raise EngineFailure(f"{type(self._error).__name__} in the engine") from self._error
        return [taken[index] for index in sorted(taken)]


class _Shown:
    """How much of one completion has been handed over."""

    def __init__(self) -> None:
        self.tokens = self.text = self.rounds = 0
        self.finished = False

    def add_to(self, pending: dict[int, Delta], request: Request) -> bool:
        """Put what is new into the completion's pending delta; whether there was anything."""
        output, rounds = request.output, request.rounds or []
        tokens, text = len(output.token_ids), len(output.text)
        if self.finished or ((tokens, text) == (self.tokens, self.text) and not request.finished):
            return False
        delta = pending.setdefault(request.index, Delta(request.index))
        delta.text += output.text[self.text :]
        delta.token_ids += output.token_ids[self.tokens :]
        delta.text_ends += output.text_ends[self.tokens :]
        delta.depths += output.depths[self.tokens :]
        delta.rounds += rounds[self.rounds :]
        if output.logprobs is not None:
            delta.logprobs = (delta.logprobs or []) + output.logprobs[self.tokens :]
        delta.finish_reason, delta.stop_reason = output.finish_reason, output.stop_reason
        self.tokens, self.text, self.rounds, self.finished = tokens, text, len(rounds), request.finished
        return True


class Stream:
    """The completions of one prompt as they grow: ``async for deltas in stream``, once, by one reader.

    As a context manager it cancels on leaving what still runs. ``request_id``, ``seed``, ``prompt``,
    ``prompt_token_ids`` are the request's. Dropping a stream cancels it too.
    """

    def __init__(self, job: Job, cancel: Callable[[Job], None]) -> None:
        group = job.group
        self.request_id, self.seed = group.request_id, group.seed
        self.prompt, self.prompt_token_ids = group.prompt, group.prompt_ids
        self.created = time.time()
        self._job = job
        self._finalizer = weakref.finalize(self, cancel, job)
        self._finalizer.atexit = False

    @property
    def num_cached_tokens(self) -> int:
        """Prompt tokens that needn't be read; known from the first delta on."""
        return self._job.group.requests[0].cached

    @property
    def prompt_logprobs(self) -> list[dict[int, Logprob] | None] | None:
        """As in ``RequestOutput``, from the first delta on."""
        first = self._job.group.requests[0]
        return None if first.params.prompt_logprobs is None else first.prompt_logprobs

    @property
    def metrics(self) -> list[RequestMetrics]:
        """Those of each completion."""
        return [request.metrics for request in self._job.group.requests]

    @property
    def queued_seconds(self) -> float | None:
        """How long it waited for a slot; None while it does."""
        return self._job.queued_seconds

    def __aiter__(self) -> AsyncIterator[list[Delta]]:
        return self

    async def __anext__(self) -> list[Delta]:
        """What came since the last time, at most one ``Delta`` for each completion.

        Raises:
            UserError: when the request cannot be honoured, or waited too long.
            EngineFailure: when something broke.
        """
        while True:
            over = self._job.over
            deltas = self._job.take()
            if deltas:
                return deltas
            if over:
                raise StopAsyncIteration
            self._job.news.clear()
            if not self._job.over:
                await self._job.news.wait()

    def cancel(self) -> None:
        """Stop what still runs; its slots are free at the next step. May be called from any thread, and again."""
        self._finalizer()

    async def __aenter__(self) -> Stream:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.cancel()
