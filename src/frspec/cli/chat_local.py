"""A conversation with a model in this process.

Knows: ``LLM``. Does not know: terminals, commands.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from frspec.cli.chat_session import Session
from frspec.cli.conversations import Conversation
from frspec.cli.streaming import Drafted
from frspec.engine.llm import LLM
from frspec.errors import UserError
from frspec.types import RequestOutput, SamplingParams


class LocalSession(Session):
    """With ``llm``, whose cache of the turns so far should be kept."""

    def __init__(
        self,
        llm: LLM,
        params: SamplingParams,
        messages: Conversation,
        system: str | None = None,
        variables: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(params, messages, system, variables)
        self.llm = llm

    @property
    def max_model_len(self) -> int:
        return self.llm.max_model_len

    @property
    def seconds(self) -> Mapping[str, float]:
        return self.llm.engine.clock.seconds

    def cutter(self) -> Drafted:
        return Drafted()

    def _outputs(self) -> Iterator[RequestOutput]:
        prompt = self.llm.chat_prompt(self.messages, chat_template_kwargs=self.variables)
        self._check_room(len(prompt["prompt_token_ids"]))
        return self.llm.stream(prompt, self.params)

    def _check_room(self, count: int) -> None:
        if count >= self.llm.max_model_len:
            raise UserError(
                f"the context is full: with this message the conversation has {count} tokens and the model holds "
                f"{self.llm.max_model_len}; the message was not sent; /save FILE keeps the conversation, /reset begins "
                "a new one"
            )
