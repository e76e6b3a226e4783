"""``/v1/completions``.

Knows: texts and what comes after them, echoes, where tokens begin in a text. Does not know: streams, the wire.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from fastapi import APIRouter, Request, Response

from frspec.server.answer import Answer, Choice
from frspec.server.errors import refuse
from frspec.server.limits import check_logprobs, check_n
from frspec.server.logprobs import prompt_logprobs, text_logprobs
from frspec.server.protocol.answers import CompletionAnswer, responses
from frspec.server.protocol.completions import CompletionRequest
from frspec.server.running import Asked, Running
from frspec.server.serving import Serving, serving_of
from frspec.text.detokenizer import Detokenizer
from frspec.types import Delta

DEFAULT_TOKENS = 16
router = APIRouter()


@router.post("/v1/completions", responses=responses(CompletionAnswer), response_model=None)
async def create_completion(body: CompletionRequest, request: Request) -> Response:
    """Go on with one text or several."""
    return await Completion(serving_of(request.app), body, request).respond()


class Completion(Answer[CompletionRequest]):
    """The texts that come after those of the request."""

    source, prefix = "prompt", "cmpl"
    kind, chunk_kind = "text_completion", "text_completion"

    def __init__(self, serving: Serving, body: CompletionRequest, request: Request) -> None:
        super().__init__(serving, body, request)
        check_n(serving.settings, self.n * len(body.prompts))
        check_logprobs(serving.settings, "logprobs", body.logprobs)
        if body.best_of not in (None, self.n):
            raise refuse("best_of is the same as n, or left out: all completions are returned", "best_of")
        if body.max_tokens == 0 and not body.echo:
            raise refuse("max_tokens 0 goes with echo: there would be no text", "max_tokens")
        self._echoed: dict[int, int] = {}  # by choice: characters of the prompt before its text
        self._end: dict[int, int] = {}  # and where its next token begins

    def read(self) -> list[Asked]:
        """Each prompt by itself."""
        body = self.body
        special = body.add_special_tokens is not False
        scores = [body.prompt_logprobs, body.logprobs if body.echo else None]
        most = max((score for score in scores if score is not None), default=None)
        read = []
        for prompt in body.prompts:
            text = prompt if isinstance(prompt, str) else None
            ids = self.tokenizer.encode(prompt, special) if isinstance(prompt, str) else prompt
            asked = body.max_tokens or (1 if body.max_tokens == 0 else None)
            params = self.params(ids, asked, DEFAULT_TOKENS, logprobs=body.logprobs)
            params = replace(params, prompt_logprobs=most, structured_outputs=self.structured())
            read.append(Asked(text, ids, params, hidden=body.max_tokens == 0))
        return read

    def opening(self, run: Running) -> Iterator[tuple[Choice, dict[str, Any]]]:
        """The prompts, if they were asked for."""
        if self.body.echo or self.body.return_token_ids:
            for number in range(len(run.streams)):
                for index in range(number * self.n, (number + 1) * self.n):
                    yield self._prompt(run, number, index), {}

    def piece(self, index: int, delta: Delta) -> Choice | None:
        """New text."""
        body = self.body
        watched = body.logprobs is not None or body.return_token_ids or body.speculation
        if not delta.text and delta.finish_reason is None and not watched:
            return None
        choice: Choice = {
            "index": index,
            "text": delta.text,
            "logprobs": self._logprobs(index, delta),
            "finish_reason": delta.finish_reason,
        }
        if body.return_token_ids:
            choice["token_ids"] = delta.token_ids
        if delta.finish_reason is not None:
            choice["stop_reason"] = delta.stop_reason
        return choice

    def whole(self, run: Running, number: int, index: int, delta: Delta) -> Choice:
        """The text, after its prompt if it was asked for."""
        begin = self._prompt(run, number, index)
        choice = self.piece(index, delta)
        assert choice is not None  # it is finished
        for name, value in begin.items():
            if isinstance(value, str | list):
                choice[name] = value + choice.get(name, type(value)())
            elif isinstance(value, dict):
                choice[name] = {key: some + choice[name][key] for key, some in value.items()}
        if (scores := run.streams[number].prompt_logprobs) is not None and self.body.prompt_logprobs is not None:
            choice["prompt_logprobs"] = prompt_logprobs(scores, self.body.prompt_logprobs)
        return choice

    def _prompt(self, run: Running, number: int, index: int) -> Choice:
        """What comes before a choice's own text."""
        stream = run.streams[number]
        choice: Choice = {"index": index, "text": "", "logprobs": None, "finish_reason": None}
        if self.body.return_token_ids:
            choice |= {"prompt_token_ids": stream.prompt_token_ids, "token_ids": []}
        if self.body.echo:
            skip = self.body.skip_special_tokens is not False
            ids = stream.prompt_token_ids
            choice["text"] = stream.prompt if stream.prompt is not None else self.tokenizer.decode(ids, skip)
            self._echoed[index] = self._end[index] = len(choice["text"])
            if self.body.logprobs is not None and stream.prompt_logprobs is not None:
                offsets = self._offsets(ids, skip)
                top = self.body.logprobs
                choice["logprobs"] = text_logprobs(self.tokenizer, ids, stream.prompt_logprobs, offsets, top)
        return choice

    def _offsets(self, ids: list[int], skip: bool) -> list[int]:
        """Where each token of a prompt begins in its text."""
        detokenizer, offsets = Detokenizer(self.tokenizer, (), skip), [0]
        for id in ids:
            offsets.append(offsets[-1] + len(detokenizer.push([id])))
        return offsets[:-1]

    def _logprobs(self, index: int, delta: Delta) -> dict[str, Any] | None:
        ends = [self._end.get(index, 0), *(self._echoed.get(index, 0) + end for end in delta.text_ends)]
        self._end[index] = ends.pop()
        if self.body.logprobs is None:
            return None
        return text_logprobs(self.tokenizer, delta.token_ids, delta.logprobs or [], ends, self.body.logprobs)
