"""Many conversations answered in one go: the engine is kept full, and each answer is handed out when it is whole.

Knows: turns, and which seed is whose. Does not know: where prompts come from, what becomes of answers.
An answer depends on the seed, its talk's number, its turn and what was said before, not on what else is being written;
so a writing that was broken off goes on as if nothing had happened.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Protocol

from frspec.engine.group import Group
from frspec.engine.llm import LLM
from frspec.types import SamplingParams

AHEAD = 2
"""Talks under way for each of the engine's slots: no slot waits for a next prompt."""


class Prompt(Protocol):
    """Token ids to be continued."""

    @property
    def ids(self) -> list[int]: ...


class Talk(Protocol):
    """The first prompt, and the one that follows an answer; None after the last."""

    @property
    def first(self) -> Prompt: ...

    def after(self, answer: Sequence[int]) -> Prompt | None: ...


@dataclass(frozen=True)
class Answer:
    """What the model emitted in ``turn`` (from 1) of the talk of that number (from 0), and why it ended.

    ``ids``: the very tokens, the one that ended it among them. ``reason``: "stop" or "length".
    """

    talk: int
    turn: int
    ids: array[int]
    reason: str


@dataclass(frozen=True)
class _Turn:
    number: int
    talk: Talk
    turn: int
    group: Group

    @property
    def answer(self) -> Answer:
        output = self.group.requests[0].output
        return Answer(self.number, self.turn, array("i", output.token_ids), str(output.finish_reason))


def write_answers(
    llm: LLM, talks: Sequence[Talk], params: SamplingParams, seed: int, known: Iterable[Answer] = ()
) -> Iterator[Answer]:
    """Every answer of ``talks`` that is not ``known`` already, in the order in which they end.

    params: of all of them but for the seed, which each has its own of (``seed_of``). Talks are asked once: they move on
    with their answers.

    Raises:
        UserError: when a prompt cannot be honoured, or a text broke.
    """
    had = {(answer.talk, answer.turn): answer.ids for answer in known}
    waiting, running = iter(enumerate(talks)), list[_Turn]()

    def ask(number: int, talk: Talk, turn: int, prompt: Prompt | None) -> None:
        while prompt is not None and (number, turn) in had:
            prompt, turn = talk.after(had[number, turn]), turn + 1
        if prompt is not None:
            own = replace(params, seed=seed_of(seed, number, turn))
            running.append(_Turn(number, talk, turn, llm.group({"prompt_token_ids": prompt.ids}, own)))
            llm.engine.add(running[-1].group.requests[0])

    most = AHEAD * llm.engine.scheduler.max_num_seqs
    try:
        while True:
            while len(running) < most and (following := next(waiting, None)) is not None:
                ask(*following, 1, following[1].first)
            if not running:
                return
            llm.engine.step()
            for one in [one for one in running if one.group.finished]:
                one.group.check()
                running.remove(one)
                yield one.answer
                ask(one.number, one.talk, one.turn + 1, one.talk.after(one.answer.ids))
    finally:
        for one in running:
            llm.engine.abort(one.group.requests[0])


def seed_of(seed: int, *keys: int) -> int:
    """A seed of 56 bits that depends on nothing but its arguments."""
    return int.from_bytes(sha256(" ".join(map(str, (seed, *keys))).encode()).digest()[:7], "little")
