"""Many talks in one go, against plain decoding of each prompt by itself."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from frspec.engine.llm import LLM
from frspec.engine.writing import Answer, seed_of, write_answers
from frspec.errors import UserError
from frspec.types import SamplingParams

PARAMS = SamplingParams(temperature=1.0, max_tokens=24, detokenize=False)
BEGINNINGS = ["Once upon a time", "One day, Tim and his dog went to", '"Hello," said the bird.', "The", "A cat"]


@dataclass
class Ids:
    ids: list[int]


@dataclass
class Talk:
    """Asks its first prompt, then ``later`` more times all that was said with one more token."""

    ids: list[int]
    later: int = 0
    heard: list[list[int]] = field(default_factory=list)

    @property
    def first(self) -> Ids:
        return Ids(self.ids)

    def after(self, answer: Sequence[int]) -> Ids | None:
        self.heard.append(list(answer))
        if len(self.heard) > self.later:
            return None
        return Ids([*self.ids, *(token for said in self.heard for token in [*said, 300])])


def talks(llm: LLM, later: int = 0) -> list[Talk]:
    return [Talk(llm.get_tokenizer().encode(text), later) for text in BEGINNINGS]


def by_key(answers: Sequence[Answer]) -> dict[tuple[int, int], tuple[list[int], str]]:
    assert len({(a.talk, a.turn) for a in answers}) == len(answers)
    return {(a.talk, a.turn): (a.ids.tolist(), a.reason) for a in answers}


def alone(llm: LLM, prompt: list[int], number: int, turn: int) -> tuple[list[int], str]:
    """What ``LLM.generate`` says, one prompt at a time."""
    params = SamplingParams(temperature=1.0, max_tokens=24, seed=seed_of(7, number, turn))
    (output,) = llm.generate({"prompt_token_ids": prompt}, params)
    return output.outputs[0].token_ids, str(output.outputs[0].finish_reason)


@pytest.mark.parametrize("draft", [None, "ngram"])
def test_answers_are_those_of_each_prompt_alone(plain: LLM, draft: str | None) -> None:
    llm = plain.with_draft(draft)
    asked = talks(plain, later=1)
    written = by_key(list(write_answers(llm, asked, PARAMS, 7)))
    assert set(written) == {(number, turn) for number in range(5) for turn in (1, 2)}
    for number, talk in enumerate(talks(plain)):
        first = alone(plain, talk.ids, number, 1)
        second = alone(plain, [*talk.ids, *first[0], 300], number, 2)
        assert (written[number, 1], written[number, 2]) == (first, second)
    assert {reason for _, reason in written.values()} <= {"stop", "length"}
    assert not llm.engine.busy


def test_more_talks_than_slots(stories: object, plain: LLM) -> None:
    llm = LLM(str(stories), max_num_seqs=1)
    assert by_key(list(write_answers(llm, talks(llm, 1), PARAMS, 7))) == by_key(
        list(write_answers(plain, talks(plain, 1), PARAMS, 7))
    )


def test_the_token_that_ends_an_answer_is_in_it(plain: LLM) -> None:
    (stop,) = plain.config.stop_token_ids
    params = SamplingParams(temperature=1.0, max_tokens=400, detokenize=False)
    found = list(write_answers(plain, talks(plain), params, 1))
    whole = [answer for answer in found if answer.reason == "stop"]
    assert whole
    assert all(answer.ids[-1] == stop and stop not in answer.ids[:-1] for answer in whole)


@pytest.mark.parametrize("known", [1, 4, 9, 10])
def test_what_is_known_is_not_asked_again(plain: LLM, known: int) -> None:
    everything = list(write_answers(plain, talks(plain, 1), PARAMS, 7))
    before = plain.engine.scheduler.counts.generated_tokens
    rest = list(write_answers(plain, talks(plain, 1), PARAMS, 7, everything[:known]))
    assert by_key(rest) == by_key(everything[known:])
    assert plain.engine.scheduler.counts.generated_tokens - before == sum(len(answer.ids) for answer in rest)


def test_whoever_stops_leaves_nothing_behind(plain: LLM) -> None:
    answers = write_answers(plain, talks(plain), SamplingParams(max_tokens=400, detokenize=False), 7)
    next(answers)
    assert plain.engine.busy
    answers.close()
    assert not plain.engine.busy


def test_a_prompt_that_cannot_be_honoured_stops_all(plain: LLM) -> None:
    asked = [*talks(plain), Talk([5, 9_999])]
    with pytest.raises(UserError, match="9999"):
        list(write_answers(plain, asked, PARAMS, 7))
    assert not plain.engine.busy
