"""``/v1/chat/completions``.

Knows: messages, their deltas, tool calls. Does not know: streams, the wire.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fastapi import APIRouter, Request, Response

from frspec.server.answer import Answer, Choice
from frspec.server.calls import Calling, Calls
from frspec.server.conversation import render
from frspec.server.errors import refuse
from frspec.server.logprobs import chat_logprobs, prompt_logprobs
from frspec.server.protocol.answers import ChatAnswer, responses
from frspec.server.protocol.chat import ChatRequest
from frspec.server.running import Asked, Running
from frspec.server.serving import Serving, serving_of
from frspec.types import Delta

router = APIRouter()


@router.post("/v1/chat/completions", responses=responses(ChatAnswer), response_model=None)
async def create_chat_completion(body: ChatRequest, request: Request) -> Response:
    """Answer a conversation."""
    return await Chat(serving_of(request.app), body, request).respond()


class Chat(Answer[ChatRequest]):
    """The answer to a conversation."""

    source, prefix = "messages", "chatcmpl"
    kind, chunk_kind = "chat.completion", "chat.completion.chunk"

    def __init__(self, serving: Serving, body: ChatRequest, request: Request) -> None:
        super().__init__(serving, body, request)
        if None not in (body.max_tokens, body.max_completion_tokens) and body.max_tokens != body.max_completion_tokens:
            raise refuse("max_tokens and max_completion_tokens differ; give one of them", "max_tokens")
        if body.top_logprobs is not None and not body.logprobs:
            raise refuse("top_logprobs goes with logprobs: true", "top_logprobs")
        self._calling = Calling.of(serving, body)
        self._calls: dict[int, Calls] = {}

    def read(self) -> list[Asked]:
        """The conversation as one prompt."""
        body = self.body
        text = render(
            self.tokenizer,
            body.messages,
            tools=self._calling.tools,
            add_generation_prompt=body.add_generation_prompt,
            continue_final_message=body.continue_final_message,
            variables=body.chat_template_kwargs,
        )
        ids = self.tokenizer.encode(text, add_special_tokens=bool(body.add_special_tokens))
        asked = body.max_tokens if body.max_completion_tokens is None else body.max_completion_tokens
        logprobs = (body.top_logprobs or 0) if body.logprobs else None
        more = self._calling.sampling(self.structured())
        return [Asked(text, ids, self.params(ids, asked, None, logprobs=logprobs, **more))]

    def opening(self, run: Running) -> Iterator[tuple[Choice, dict[str, Any]]]:
        """The role of every choice."""
        for index in range(self.n):
            yield self._choice(index, {"delta": {"role": "assistant", "content": ""}}, None), self._prompt_ids(run)

    def piece(self, index: int, delta: Delta) -> Choice | None:
        """New text, or the next part of a call."""
        content, calls = self._read(index, delta)
        said: dict[str, Any] = {}
        if content:
            said["content"] = content
        if calls:
            said["tool_calls"] = calls
        watched = self.body.logprobs or self.body.return_token_ids or self.body.speculation
        if not said and delta.finish_reason is None and not watched:
            return None
        return self._choice(index, {"delta": said}, delta)

    def whole(self, run: Running, number: int, index: int, delta: Delta) -> Choice:  # noqa: ARG002
        """The message."""
        content, calls = self._read(index, delta)
        message: dict[str, Any] = {"role": "assistant", "content": content or (None if calls else ""), "refusal": None}
        if calls:
            message["tool_calls"] = [{key: value for key, value in call.items() if key != "index"} for call in calls]
        return self._choice(index, {"message": message}, delta)

    def besides(self, run: Running) -> dict[str, Any]:
        """What is known of the prompt."""
        scores, top = run.streams[0].prompt_logprobs, self.body.prompt_logprobs
        if scores is None or top is None:
            return self._prompt_ids(run)
        return self._prompt_ids(run) | {"prompt_logprobs": prompt_logprobs(scores, top)}

    def _prompt_ids(self, run: Running) -> dict[str, Any]:
        return {"prompt_token_ids": run.streams[0].prompt_token_ids} if self.body.return_token_ids else {}

    def _read(self, index: int, delta: Delta) -> tuple[str, list[dict[str, Any]]]:
        if index not in self._calls:
            self._calls[index] = Calls(self._calling.parser())
        return self._calls[index].read(delta.text, over=delta.finish_reason is not None)

    def _choice(self, index: int, said: dict[str, Any], delta: Delta | None) -> Choice:
        choice: Choice = {"index": index, **said, "logprobs": None, "finish_reason": None}
        if delta is None:
            return choice
        if delta.logprobs is not None and delta.token_ids:
            top = self.body.top_logprobs or 0
            choice["logprobs"] = chat_logprobs(self.tokenizer, delta.token_ids, delta.logprobs, top)
        if self.body.return_token_ids:
            choice["token_ids"] = delta.token_ids
        if delta.finish_reason is not None:
            called = delta.finish_reason == "stop" and self._calls[index].made
            choice["finish_reason"] = "tool_calls" if called else delta.finish_reason
            choice["stop_reason"] = delta.stop_reason
        return choice
