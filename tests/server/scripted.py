"""A service whose model says what a test wrote: for what no real one would say on demand, such as a break midway."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any

from frspec.engine.llm import LLM
from frspec.types import Delta, RequestMetrics

Script = Sequence[str | Exception]


class ScriptedStream:
    """Says the pieces one by one, a token each, then ends."""

    def __init__(self, script: Script, prompt_ids: list[int]) -> None:
        self._script, self.prompt, self.prompt_token_ids = script, None, prompt_ids
        self.request_id, self.seed, self.num_cached_tokens, self.prompt_logprobs = "0", 0, 0, None
        self.metrics, self.created, self.queued_seconds = [RequestMetrics()], time.time(), 0.0
        self.cancelled = False
        self._said = self._say()

    async def _say(self) -> AsyncIterator[list[Delta]]:
        length = 0
        for place, piece in enumerate(self._script, 1):
            await asyncio.sleep(0)
            if isinstance(piece, Exception):
                raise piece
            length += len(piece)
            reason = "stop" if place == len(self._script) else None
            yield [Delta(0, piece, [0], [length], [0], finish_reason=reason)]

    def __aiter__(self) -> ScriptedStream:
        return self

    async def __anext__(self) -> list[Delta]:
        return await anext(self._said)

    def cancel(self) -> None:
        self.cancelled = True

    async def __aenter__(self) -> ScriptedStream:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.cancel()


class ScriptedService:
    """What a server needs of a ``Service``; ``script`` is what the next requests get, or the exception they meet."""

    alive, draining = True, False

    def __init__(self, llm: LLM) -> None:
        self.llm, self.script = llm, list[str | Exception]()
        self.refusal: Exception | None = None
        self.asked: list[tuple[Any, Any]] = []
        self.streams: list[ScriptedStream] = []

    async def submit(self, prompt: Any, params: Any, *, client: str = "", trace: bool = False) -> ScriptedStream:
        self.asked.append((prompt, params))
        if self.refusal is not None:
            raise self.refusal
        self.streams.append(ScriptedStream(self.script, prompt["prompt_token_ids"]))
        return self.streams[-1]
