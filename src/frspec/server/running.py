"""The streams of one HTTP request: opened together, followed together, closed whatever happens.

Knows: the gate, the service, who is first. Does not know: what an answer looks like.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from frspec.engine.service import Stream
from frspec.server.limits import check_params
from frspec.server.metrics import Watch
from frspec.server.serving import Serving
from frspec.types import Delta, RequestMetrics, SamplingParams


@dataclass(frozen=True)
class Asked:
    """One prompt and what is wanted after it. ``text`` is None where ids were given. ``hidden``: nothing is wanted; the
    one token that has to be made is not shown.
    """

    text: str | None
    ids: list[int]
    params: SamplingParams
    hidden: bool = False


class Running:
    """All streams of a request; ``streams[i]`` is the i-th prompt's."""

    def __init__(self, asked: Sequence[Asked], streams: Sequence[Stream], watches: Sequence[Watch]) -> None:
        self.streams, self._watches = streams, watches
        self._hidden = asked[0].hidden
        self.completion_tokens = 0

    async def follow(self) -> AsyncGenerator[tuple[int, Delta], None]:
        """What comes of every prompt, with the prompt's number; to be closed."""
        if len(self.streams) == 1:
            async for deltas in self.streams[0]:
                for delta in self._saw(0, deltas):
                    yield 0, delta
            return
        async with aclosing(_merged(self.streams)) as merged:
            async for number, deltas in merged:
                for delta in self._saw(number, deltas):
                    yield number, delta

    def _saw(self, number: int, deltas: Sequence[Delta]) -> Sequence[Delta]:
        self._watches[number].saw(deltas)
        if self._hidden:
            return [Delta(delta.index, finish_reason=delta.finish_reason and "length") for delta in deltas]
        self.completion_tokens += sum(len(delta.token_ids) for delta in deltas)
        return deltas

    def usage(self) -> dict[str, Any]:
        """OpenAI's ``usage``, as things stand."""
        prompt = sum(len(stream.prompt_token_ids) for stream in self.streams)
        return {
            "prompt_tokens": prompt,
            "completion_tokens": self.completion_tokens,
            "total_tokens": prompt + self.completion_tokens,
            "prompt_tokens_details": {"cached_tokens": sum(stream.num_cached_tokens for stream in self.streams)},
        }

    def metrics(self) -> RequestMetrics:
        """Those of all completions together."""
        return RequestMetrics.merge([metrics for stream in self.streams for metrics in stream.metrics])


@asynccontextmanager
async def running(
    serving: Serving, client: str, read: Callable[[], Sequence[Asked]], trace: bool
) -> AsyncIterator[Running]:
    """The streams of what ``read`` returns, which may take its time: it runs in a thread.

    Raises:
        ApiError, UserError, EngineFailure: when the request cannot be honoured, now or at all.
    """
    with serving.gate.entered(client):
        asked = await asyncio.to_thread(read)
        for one in asked:
            check_params(serving.settings, one.params, len(asked))
        async with AsyncExitStack() as stack:
            streams, watches = [], []
            for one in asked:
                prompt = {"prompt": one.text, "prompt_token_ids": one.ids}
                stream = await serving.service.submit(prompt, one.params, client=client, trace=trace)
                streams.append(await stack.enter_async_context(stream))
                watches.append(stack.enter_context(serving.metrics.watch(stream)))
            yield Running(asked, streams, watches)


async def _merged(streams: Sequence[Stream]) -> AsyncGenerator[tuple[int, list[Delta]], None]:
    """All streams' deltas as they come. One that fails ends all."""
    waiting = {asyncio.ensure_future(anext(stream)): number for number, stream in enumerate(streams)}
    try:
        while waiting:
            done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for task in sorted(done, key=waiting.__getitem__):
                number = waiting.pop(task)
                try:
                    deltas = task.result()
                except StopAsyncIteration:
                    continue
                waiting[asyncio.ensure_future(anext(streams[number]))] = number
                yield number, deltas
    finally:
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
