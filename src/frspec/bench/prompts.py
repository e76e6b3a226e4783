"""What methods are asked to continue, turn by turn.

Knows: sources, the chat template. Does not know: methods.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from frspec.bench.suites import Question, is_suite, read_suite, spread
from frspec.errors import UserError
from frspec.text.sources import read_documents

if TYPE_CHECKING:
    from frspec.engine.llm import LLM

TEXTS = "texts"
"""The task of documents that are of no suite."""
log = logging.getLogger("frspec")


@dataclass(frozen=True)
class Prompt:
    """Token ids to be continued, of which task, and where they are from (line and turn from 1)."""

    ids: list[int]
    task: str = TEXTS
    source: str = ""
    line: int = 0
    turn: int = 1


class Talk:
    """The prompts of one question: ``first``, and what ``after`` makes of an answer.

    Raises:
        UserError: when it leaves the context no room for answers of ``max_tokens``.
    """

    def __init__(self, llm: LLM, question: Question, prompt_tokens: int | None, max_tokens: int) -> None:
        self._llm, self._question, self._cut = llm, question, prompt_tokens
        self._messages, self._later = [*question.messages], list(question.later)
        self.first = self._prompt(1)
        self._check(len(self.first.ids), 0)
        waiting = [message for text in self._later for message in (_said("assistant", "."), _said("user", text))]
        if waiting:
            self._check(len(self._ids([*self._messages, *waiting])), max_tokens * len(self._later))

    def after(self, answer: Sequence[int]) -> Prompt | None:
        """The next turn, the model's own ``answer`` (ids) being part of the conversation; None after the last."""
        if not self._later:
            return None
        said = self._llm.get_tokenizer().decode(list(answer))
        self._messages += [_said("assistant", said), _said("user", self._later.pop(0))]
        prompt = self._prompt(len(self._question.later) - len(self._later) + 1)
        if len(prompt.ids) >= self._llm.max_model_len:
            log.warning(
                "%s, line %d, turn %d left out: %d tokens", prompt.source, prompt.line, prompt.turn, len(prompt.ids)
            )
            return None
        return prompt

    def _prompt(self, turn: int) -> Prompt:
        question = self._question
        return Prompt(self._ids(self._messages), question.task, question.source, question.line, turn)

    def _ids(self, messages: Sequence[Mapping[str, Any]]) -> list[int]:
        if self._question.text is not None:
            return self._llm.get_tokenizer().encode(self._question.text)[: self._cut]
        ids: list[int] = self._llm.chat_prompt(messages)["prompt_token_ids"]
        return ids[: self._cut]

    def _check(self, length: int, answers: int) -> None:
        most, question = self._llm.max_model_len, self._question
        if length + answers >= most:
            before, or_answers = (
                (f" and answers of {answers}", " or answers with --max-tokens") if answers else ("", "")
            )
            raise UserError(
                f"{question.source}:{question.line} has {length} tokens{before}, but the context holds {most}, "
                f"the output included; cut prompts with --prompt-tokens{or_answers}"
            )


def read_talks(
    llm: LLM, sources: Sequence[str], field: str, limit: int, skip: int, prompt_tokens: int | None, max_tokens: int
) -> list[Talk]:
    """``read_questions`` as prompts, each cut to ``prompt_tokens``.

    Raises:
        UserError: when there are none, or one leaves the context no room for an answer.
    """
    chosen = read_questions(sources, field, limit, skip)
    talks = [talk for question in chosen if (talk := Talk(llm, question, prompt_tokens, max_tokens)).first.ids]
    if not talks:
        raise UserError(f"no prompts in {', '.join(sources)} after skipping {skip}; give more text or a smaller --skip")
    return talks


def read_questions(sources: Sequence[str], field: str, limit: int, skip: int) -> list[Question]:
    """``limit`` questions after the first ``skip``.

    Documents stand in their order; a conversation is asked up to its last question. With suites among ``sources``
    the tasks take turns.
    """
    return spread(list(_questions(sources, field, skip + limit)))[skip : skip + limit]


def _questions(sources: Sequence[str], field: str, most: int) -> Iterator[Question]:
    """All of the suites, and the first documents, for these may be many."""
    for source in filter(is_suite, sources):
        yield from read_suite(source)
    files = [source for source in sources if not is_suite(source)]
    for document in islice(read_documents(files, field=field), most) if files else ():
        messages = () if document.messages is None else _asked(document.messages)
        yield Question(TEXTS, document.source, document.line, document.text, messages)


def _asked(messages: Sequence[dict[str, Any]]) -> tuple[dict[str, Any], ...]:
    """A conversation up to its last question."""
    asked = [place for place, message in enumerate(messages, 1) if message["role"] == "user"]
    return tuple(messages[: asked[-1]] if asked else messages)


def _said(role: str, text: str) -> dict[str, str]:
    return {"role": role, "content": text}
