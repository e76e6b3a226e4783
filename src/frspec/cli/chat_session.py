"""A conversation with one model: its messages, and figures of all its answers.

Knows: messages. Does not know: where text is made, terminals, commands.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator, Iterator, Mapping
from typing import Any

from frspec.cli.conversations import Conversation
from frspec.cli.streaming import Cutter
from frspec.errors import UserError
from frspec.types import RequestOutput, SamplingParams, StepStats


class Totals:
    """What the answers so far add up to."""

    def __init__(self) -> None:
        self.metrics = StepStats()
        self.seconds = 0.0
        self.answers = self.tokens = self.prompt_tokens = self.cached_tokens = 0

    @property
    def tokens_per_second(self) -> float:
        """Tokens after each answer's first over the time since then."""
        return self.metrics.emitted / self.seconds if self.seconds else 0.0

    def add(self, output: RequestOutput) -> None:
        """One answer more."""
        self.metrics.add(output.metrics)
        self.seconds += output.metrics.decode_seconds
        self.answers += 1
        self.tokens += len(output.outputs[0].token_ids)
        self.prompt_tokens += len(output.prompt_token_ids)
        self.cached_tokens += output.num_cached_tokens


class Session(ABC):
    """``messages`` is the history, ``last`` the last answer in it, whole or cut short.

    system: a system message to begin with. variables: for the chat template.
    """

    def __init__(
        self,
        params: SamplingParams,
        messages: Conversation,
        system: str | None = None,
        variables: dict[str, Any] | None = None,
    ) -> None:
        self.params, self.variables = params, variables
        self.messages = [] if system is None else [{"role": "system", "content": system}]
        self.messages += messages
        self.totals = Totals()
        self.last: RequestOutput | None = None

    @property
    @abstractmethod
    def max_model_len(self) -> int | None:
        """Tokens a conversation may have, where that is known."""

    @property
    @abstractmethod
    def seconds(self) -> Mapping[str, float]:
        """Where the time went so far, by names."""

    @abstractmethod
    def cutter(self) -> Cutter:
        """One for the next answer."""

    @abstractmethod
    def _outputs(self) -> Iterator[RequestOutput]:
        """The answer to the last message as it grows.

        Raises:
            UserError: when there is none, or no more of it.
        """

    @property
    def waiting(self) -> bool:
        """Whether the last message is the user's, still without an answer."""
        return bool(self.messages) and self.messages[-1]["role"] == "user"

    @property
    def full(self) -> bool:
        """Whether the last answer ended because the context did."""
        if self.last is None or self.last.outputs[0].finish_reason != "length" or self.max_model_len is None:
            return False
        return len(self.last.prompt_token_ids) + len(self.last.outputs[0].token_ids) >= self.max_model_len

    def reset(self) -> None:
        """Forget all messages but a system message at the beginning."""
        self.last = None
        self.messages = [message for message in self.messages[:1] if message["role"] == "system"]

    def take_back(self) -> None:
        """Forget the last answer, so that its question waits for another.

        Raises:
            UserError: when the conversation does not end with an answer to a question.
        """
        if [message["role"] for message in self.messages[-2:]] != ["user", "assistant"]:
            raise UserError("there is no answer to give again")
        self.messages.pop()

    def ask(self, text: str) -> Generator[RequestOutput, None, None]:
        """Add the user's message and yield its answer as it grows; see ``answer``."""
        self.messages.append({"role": "user", "content": text})
        yield from self.answer()

    def answer(self) -> Generator[RequestOutput, None, None]:
        """Yield the answer to the last message as it grows, and add it to the history.

        However it ends (by itself, the generator closed, an error, Ctrl-C), what was written stays. If nothing was, the
        message is taken back, since most chat templates want an answer to each.

        Raises:
            UserError: when the conversation does not fit in the context or the template rejects it.
        """
        output = None
        try:
            for output in self._outputs():
                yield output
        finally:
            self._conclude(output)

    def _conclude(self, output: RequestOutput | None) -> None:
        if output is not None and (output.finished or output.outputs[0].text):
            self.messages.append({"role": "assistant", "content": output.outputs[0].text})
            self.totals.add(output)
            self.last = output
        else:
            self.messages.pop()
