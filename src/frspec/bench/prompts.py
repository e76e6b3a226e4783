"""What methods are asked to continue, turn by turn.

Knows: sources, the chat template. Does not know: methods.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
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

    def again(self) -> Talk:
        """The same question, not asked yet."""
        other = copy.copy(self)
        other._messages, other._later = [*self._question.messages], list(self._question.later)
        return other

    @property
    def turns(self) -> int:
        """How many answers it takes."""
        return 1 + len(self._question.later)

    @property
    def words(self) -> list[Any]:
        """What the answers depend on: the ids of the first prompt, and what is asked later."""
        return [self.first.ids, *self._question.later]

    def record(self, answers: Sequence[Sequence[int]]) -> dict[str, Any]:
        """The question with its ``answers`` (ids) as data sets keep them: ``text``, or ``messages``."""
        decode = self._llm.get_tokenizer().decode
        if self._question.text is not None:
            return {"text": decode([*self.first.ids, *answers[0]])}
        messages = [*self._question.messages, _said("assistant", decode(list(answers[0])))]
        for text, answer in zip(self._question.later, answers[1:], strict=False):
            messages += [_said("user", text), _said("assistant", decode(list(answer)))]
        return {"messages": messages}

    def _prompt(self, turn: int) -> Prompt:
        question = self._question
        return Prompt(self._ids(self._messages), question.task, question.source, question.line, turn)

    def _ids(self, messages: Sequence[Mapping[str, Any]]) -> list[int]:
        if self._question.text is not None:
            return self._llm.get_tokenizer().encode(self._question.text)[: self._cut]
        try:
            ids: list[int] = self._llm.chat_prompt(messages)["prompt_token_ids"]
        except UserError as error:
            raise UserError(f"{self._question.source}:{self._question.line}: {error}") from error
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


def make_talks(
    llm: LLM,
    questions: Iterable[Question],
    prompt_tokens: int | None,
    max_tokens: int,
    left_out: list[str] | None = None,
) -> list[Talk]:
    """``questions`` as prompts, each cut to ``prompt_tokens``; those without a token are left out.

    left_out: takes the reason for each that cannot be asked, instead of an error.

    Raises:
        UserError: when none is left, or one leaves the context no room for an answer.
    """
    talks = list[Talk]()
    for question in questions:
        try:
            talk = Talk(llm, question, prompt_tokens, max_tokens)
        except UserError as error:
            if left_out is None:
                raise
            left_out.append(str(error))
        else:
            talks += [talk] if talk.first.ids else []
    if not talks:
        raise UserError("none of the prompts can be asked: they are empty, or were left out; give others")
    return talks


def read_questions(
    sources: Sequence[str], field: str, limit: int | None, skip: int, left_out: list[str] | None = None
) -> list[Question]:
    """``limit`` questions (None: all) after the first ``skip``.

    Documents stand in their order; a conversation is asked up to its last question. With suites among ``sources``
    the tasks take turns. left_out: takes the reason for each that cannot be read, instead of an error.

    Raises:
        UserError: when there are none.
    """
    end = None if limit is None else skip + limit
    questions = spread(list(_questions(sources, field, end, left_out)))[skip:end]
    if not questions:
        raise UserError(f"no prompts in {', '.join(sources)} after skipping {skip}; give more text or a smaller --skip")
    return questions


def _questions(sources: Sequence[str], field: str, most: int | None, left_out: list[str] | None) -> Iterator[Question]:
    """All of the suites, and the first documents, for these may be many."""
    for source in filter(is_suite, sources):
        yield from read_suite(source)
    files = [source for source in sources if not is_suite(source)]
    if not files:
        return
    documents = read_documents(files, field=field, skip_bad=left_out is not None)
    for document in islice(documents, most):
        messages = () if document.messages is None else _asked(document.messages)
        yield Question(TEXTS, document.source, document.line, document.text, messages)
    if left_out is not None:
        left_out += ["unreadable"] * documents.skipped


def _asked(messages: Sequence[dict[str, Any]]) -> tuple[dict[str, Any], ...]:
    """A conversation up to its last question."""
    asked = [place for place, message in enumerate(messages, 1) if message["role"] == "user"]
    return tuple(messages[: asked[-1]] if asked else messages)


def _said(role: str, text: str) -> dict[str, str]:
    return {"role": role, "content": text}
