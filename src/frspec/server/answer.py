"""From a request for text to its HTTP answer, whole or streamed; what chats and completions have in common.

Knows: when the answer begins and how it ends, well or not. Does not know: what a choice looks like.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, aclosing
from typing import Any, ClassVar, Generic, TypeVar

from fastapi import Request, Response

from frspec.server.errors import as_api_error, refuse
from frspec.server.limits import check_grammar, check_prompt, output_tokens
from frspec.server.protocol.base import TextRequest
from frspec.server.protocol.formats import structured
from frspec.server.running import Asked, Running, running
from frspec.server.serving import Serving, client_of
from frspec.server.speculation import counts, trees
from frspec.server.sse import DONE, EventStream, dumps, event, while_connected
from frspec.types import Delta, SamplingParams, StructuredOutputs

B = TypeVar("B", bound=TextRequest)
Choice = dict[str, Any]


class Answer(ABC, Generic[B]):
    """The answer to one request.

    source: the field that holds the prompt. prefix: what ids begin with. kind, chunk_kind: what an answer, and a chunk
    of one, says it is.
    """

    source: ClassVar[str]
    prefix: ClassVar[str]
    kind: ClassVar[str]
    chunk_kind: ClassVar[str]

    def __init__(self, serving: Serving, body: B, request: Request) -> None:
        self.serving, self.body, self.request = serving, body, request
        self.tokenizer = serving.tokenizer
        self.n = body.n or 1
        options = body.stream_options
        if options is not None and not body.stream:
            raise refuse("stream_options goes with stream", "stream_options")
        if body.stream and body.prompt_logprobs is not None:
            raise refuse("prompt_logprobs does not go with stream", "prompt_logprobs")
        if body.speculation == "tree" and not body.stream:
            raise refuse('speculation "tree" goes with stream; "counts" goes without', "speculation")
        self._usage_last = options is not None and options.include_usage
        self._usage_always = options is not None and options.continuous_usage_stats
        self._head = {
            "id": f"{self.prefix}-{secrets.token_hex(16)}",
            "object": self.chunk_kind if body.stream else self.kind,
            "created": int(time.time()),
            "model": serving.model(body.model),
            "system_fingerprint": serving.fingerprint,
        }
        self._start = dumps(self._head)[:-1]

    @abstractmethod
    def read(self) -> Sequence[Asked]:
        """The prompts with their parameters. It may take its time, in a thread of its own."""

    @abstractmethod
    def opening(self, run: Running) -> Iterator[tuple[Choice, dict[str, Any]]]:
        """What a stream begins with, choice by choice, and what its chunk says besides."""

    @abstractmethod
    def piece(self, index: int, delta: Delta) -> Choice | None:
        """What a chunk says of a choice; None for nothing."""

    @abstractmethod
    def whole(self, run: Running, number: int, index: int, delta: Delta) -> Choice:
        """A finished choice, of the ``number``-th prompt."""

    def besides(self, run: Running) -> dict[str, Any]:  # noqa: ARG002
        """What an answer that is not streamed says besides its choices."""
        return {}

    async def respond(self) -> Response:
        """The HTTP response. Nothing is sent before the model's first word, so that errors keep their status.

        Raises:
            ApiError, UserError, EngineFailure: when there is no such word.
        """
        if self.body.stream:
            events = self._events()
            return EventStream(await while_connected(self.request, anext(events)), events)
        return Response(await while_connected(self.request, self._collect()), media_type="application/json")

    def _running(self) -> AbstractAsyncContextManager[Running]:
        return running(self.serving, client_of(self.request), self.read, trace=self.body.speculation == "tree")

    async def _collect(self) -> str:
        async with self._running() as run, aclosing(run.follow()) as news:
            whole: dict[tuple[int, int], Delta] = {}
            async for number, delta in news:
                _append(whole.setdefault((number, delta.index), Delta(delta.index)), delta)
            return await asyncio.to_thread(self._write, run, whole)  # log-probabilities can be a lot

    def _write(self, run: Running, whole: Mapping[tuple[int, int], Delta]) -> str:
        choices = [
            self.whole(run, number, number * self.n + delta.index, delta)
            for (number, _), delta in sorted(whole.items())
        ]
        told = {} if self.body.speculation is None else {"speculation": counts(run.metrics())}
        return dumps({**self._head, "choices": choices, "usage": run.usage(), **self.besides(run), **told})

    async def _events(self) -> AsyncGenerator[bytes, None]:
        begun, left = False, 0
        try:
            async with self._running() as run, aclosing(run.follow()) as news:
                async for number, delta in news:
                    if not begun:
                        begun, left = True, len(run.streams) * self.n
                        for choice, besides in self.opening(run):
                            yield self._chunk(run, [choice], **besides)
                    left -= delta.finish_reason is not None
                    if (chunk := self._next(run, number, delta, last=left == 0)) is not None:
                        yield chunk
                if self._usage_last:
                    told = {} if self.body.speculation is None else {"speculation": counts(run.metrics())}
                    yield self._chunk(run, [], usage=run.usage(), **told)
        except Exception as error:
            if not begun:
                raise
            yield event(as_api_error(error).text())
        yield DONE

    def _next(self, run: Running, number: int, delta: Delta, last: bool) -> bytes | None:
        choice, told = self.piece(number * self.n + delta.index, delta), dict[str, Any]()
        if self.body.speculation == "tree":
            told |= trees(self.tokenizer, delta)
        if self.body.speculation is not None and last and not self._usage_last:
            told |= counts(run.metrics())
        if choice is None:
            return None
        return self._chunk(run, [choice], **({"speculation": told} if told else {}))

    def _chunk(self, run: Running, choices: list[Choice], **more: Any) -> bytes:
        """An event; what is the same in all of them was written once."""
        if self._usage_always:
            more.setdefault("usage", run.usage())
        elif self._usage_last:
            more.setdefault("usage", None)
        return event(f"{self._start},{dumps({'choices': choices, **more})[1:]}")

    def params(self, ids: Sequence[int], most: int | None, default: int | None, **more: Any) -> SamplingParams:
        """The parameters for a prompt. most: ``max_tokens`` as asked; default: where nothing was; None for all there is
        room for.

        Raises:
            ApiError, UserError: when prompt and answer don't fit, or values contradict each other.
        """
        check_prompt(self.serving.settings, len(ids))
        context = self.serving.max_model_len
        room = context - len(ids)
        if room < max(most or 1, 1):
            asked = f" and max_tokens asks for {most}" if room > 0 else ""
            raise refuse(
                f"the context holds {context} tokens, prompt and answer together; the prompt has {len(ids)}{asked}",
                "max_tokens" if room > 0 else self.source,
                "context_length_exceeded",
            )
        defaults = dict(self.serving.settings.default_sampling)
        usual = output_tokens(self.serving.settings, room)
        usual = min(usual, default or usual, defaults.pop("max_tokens", None) or usual)
        return self.body.sampling(defaults, max_tokens=usual if most is None else most, **more)

    def structured(self) -> StructuredOutputs | None:
        """What the text must follow."""
        for name in ("response_format", "structured_outputs"):
            if (asked := getattr(self.body, name)) is not None:
                check_grammar(self.serving.settings, name, asked.model_dump(by_alias=True, exclude_none=True))
        return structured(self.body.response_format, self.body.structured_outputs)


def _append(whole: Delta, delta: Delta) -> None:
    whole.text += delta.text
    whole.token_ids += delta.token_ids
    whole.text_ends += delta.text_ends
    whole.depths += delta.depths
    if delta.logprobs is not None:
        whole.logprobs = (whole.logprobs or []) + delta.logprobs
    whole.finish_reason, whole.stop_reason = delta.finish_reason, delta.stop_reason
