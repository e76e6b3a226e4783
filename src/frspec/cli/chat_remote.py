"""A conversation with the model of a server.

Knows: what a request says, how chunks become an answer. Does not know: HTTP, terminals. A server of ours also tells
token ids and which of them were drafted; of others the ids stay unknown.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from frspec.cli.chat_session import Session
from frspec.cli.conversations import Conversation
from frspec.cli.remote import Remote
from frspec.cli.streaming import Cuts, Piece
from frspec.errors import UserError
from frspec.types import CompletionOutput, RequestMetrics, RequestOutput, SamplingParams

UNKNOWN = -1
"""The id of a token that was counted and not named."""


class RemoteSession(Session):
    """With ``model``, or the first of what ``remote`` serves; ``said``: sampling parameters by OpenAI's and vLLM's
    names. The others are the server's own.

    Raises:
        UserError: when the server can't be asked what it serves.
    """

    def __init__(
        self,
        remote: Remote,
        model: str | None,
        said: Mapping[str, Any],
        params: SamplingParams,
        messages: Conversation,
        system: str | None = None,
        variables: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(params, messages, system, variables)
        served = remote.models()
        about = next((one for one in served if one["id"] == model), served[0])
        self.remote, self.model, self._said = remote, model or str(about["id"]), dict(said)
        self._longest, self._ours = about.get("max_model_len"), about.get("owned_by") == "frspec"
        self._seconds: Counter[str] = Counter()
        self._cuts = Cuts()

    @property
    def max_model_len(self) -> int | None:
        return self._longest

    @property
    def seconds(self) -> Mapping[str, float]:
        return self._seconds

    def cutter(self) -> RemoteSession:
        self._cuts = Cuts()
        return self

    def pieces(self, output: RequestOutput) -> list[Piece]:
        """What is new in the answer under way, and what of it was drafted."""
        return self._cuts.cut(output.outputs[0].text)

    def _outputs(self) -> Iterator[RequestOutput]:
        begun = time.perf_counter()
        answer = CompletionOutput(0, "", [])
        output = RequestOutput("", None, [], [answer], False, UNKNOWN, RequestMetrics())
        for chunk in self.remote.chat(self._request()):
            self._add(chunk, output, time.perf_counter() - begun)
            yield output
        if answer.finish_reason is None:
            raise UserError(f"{self.remote.url} broke off in the middle of the answer")
        output.finished = True
        yield output

    def _request(self) -> dict[str, Any]:
        request = {"model": self.model, "messages": self.messages, **self._said}
        if self.variables is not None:
            request["chat_template_kwargs"] = self.variables
        if self._ours:
            request["speculation"] = "tree"
        return {**request, "stream_options": {"include_usage": True}}

    def _add(self, chunk: Mapping[str, Any], output: RequestOutput, since: float) -> None:
        """Put one chunk into the answer. What a server leaves out stays as it was."""
        answer, told = output.outputs[0], chunk.get("speculation") or {}
        for choice in chunk.get("choices") or ():
            said = (choice.get("delta") or {}).get("content")
            answer.text += said or ""
            answer.finish_reason = choice.get("finish_reason") or answer.finish_reason
            if said:
                self._clock(output.metrics, since)
        self._mark(told, answer)
        if "drafted" in told:
            output.metrics.drafted_per_position = told["drafted"]
            output.metrics.accepted_per_position = told["accepted"]
            output.metrics.target_passes = told["target_passes"]
        if usage := chunk.get("usage"):
            self._count(usage, output)

    def _clock(self, metrics: RequestMetrics, since: float) -> None:
        metrics.last_token_time = since
        if metrics.first_token_time is None:
            metrics.first_token_time = metrics.time_to_first_token = since

    def _mark(self, told: Mapping[str, Any], answer: CompletionOutput) -> None:
        for token in told.get("tokens", ()):
            self._cuts.add(token["end"], token["depth"] > 0)
            answer.token_ids.append(token["id"])
        for passed in told.get("rounds", ()):
            self._seconds["draft"] += passed["draft_seconds"]
            self._seconds["verify"] += passed["verify_seconds"]

    def _count(self, usage: Mapping[str, Any], output: RequestOutput) -> None:
        answer, written = output.outputs[0], int(usage.get("completion_tokens") or 0)
        answer.token_ids += [UNKNOWN] * (written - len(answer.token_ids))
        output.prompt_token_ids = [UNKNOWN] * int(usage.get("prompt_tokens") or 0)
        output.num_cached_tokens = int((usage.get("prompt_tokens_details") or {}).get("cached_tokens") or 0)
        output.metrics.emitted = max(0, written - 1)  # the first comes of reading the prompt
