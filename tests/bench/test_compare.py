"""Whose turn it is, and what figures come of samples counted by hand."""

from collections.abc import Sequence
from typing import Any

import pytest

from frspec.bench.compare import Round, compare, warm_up
from frspec.bench.memory import Memory, Modes
from frspec.bench.methods import Sample
from frspec.bench.prompts import Prompt
from frspec.bench.table import speeds, totals
from frspec.types import SamplingParams, StepStats

PROMPTS = [[number, number + 1, number + 2] for number in range(12)]
ONE_MODE = Modes()
Diary = list[tuple[str, list[int], SamplingParams]]


class Recorder:
    peer = False

    def __init__(self, name: str, diary: Diary, answer: int = 1) -> None:
        self.name, self.diary, self.answer = name, diary, answer

    def run(self, prompt: Sequence[int], params: SamplingParams) -> Sample:
        self.diary.append((self.name, list(prompt), params))
        return Sample([self.answer], 0.1, 0.0, StepStats())


class Script:
    """A talk of one turn more for each of ``later``, in which the answer comes first."""

    def __init__(self, ids: list[int], *later: list[int]) -> None:
        self.first, self.later = Prompt(ids, "chat"), list(later)

    def after(self, answer: Sequence[int]) -> Prompt | None:
        return Prompt([*answer, *self.later.pop(0)], "chat", turn=2) if self.later else None


def test_warm_up_on_other_prompts() -> None:
    diary: Diary = []
    warm_up(Recorder("one", diary), PROMPTS, SamplingParams(max_tokens=500))
    assert diary
    for _, prompt, params in diary:
        assert prompt not in PROMPTS
        assert (params.max_tokens or 0) < 500


def test_turns_prompt_by_prompt_in_changing_order() -> None:
    diary: Diary = []
    names, done = ["plain", "two", "three"], list[int]()
    methods, talks = [Recorder(name, diary) for name in names], [Script(prompt) for prompt in PROMPTS]
    rounds, failed = compare(methods, talks, SamplingParams(seed=7), progress=done.append)
    assert [round.number for round in rounds] == list(range(len(PROMPTS)))
    assert all(set(round.samples) == set(names) for round in rounds)
    assert failed == {}
    assert done == list(range(1, len(PROMPTS) + 1))
    turns = [diary[start : start + 3] for start in range(0, len(diary), 3)]
    for number, turn in enumerate(turns):
        assert {name for name, _, _ in turn} == set(names)
        assert all(prompt == PROMPTS[number] and params.seed == 7 + number for _, prompt, params in turn)
    assert {turn[0][0] for turn in turns} == set(names)


def test_the_next_turn_holds_plain_decodings_answer_for_all() -> None:
    diary: Diary = []
    methods = [Recorder("plain", diary, answer=50), Recorder("other", diary, answer=60)]
    rounds, _ = compare(methods, [Script([1], [2], [3]), Script([4])], SamplingParams(seed=0), repeat=2)
    assert [round.prompt.ids for round in rounds[::2]] == [[1], [50, 2], [50, 3], [4]]
    assert [round.number for round in rounds] == [0, 0, 1, 1, 2, 2, 3, 3]
    for name in ("plain", "other"):
        assert [prompt for who, prompt, _ in diary if who == name] == [round.prompt.ids for round in rounds]
        assert [params.seed for who, _, params in diary if who == name] == [0, 0, 1, 1, 2, 2, 3, 3]


def test_memory_is_read_before_and_after_each_sample() -> None:
    time, readings = [0.0], iter(range(10, 100))

    class Slow(Recorder):
        def run(self, prompt: Sequence[int], params: SamplingParams) -> Sample:
            time[0] += 0.2 if prompt[0] < 2 else 1.0
            return super().run(prompt, params)

    memory = Memory(lambda: float(next(readings)), lambda: time[0])
    rounds, _ = compare([Slow("plain", [])], [Script([n]) for n in range(4)], SamplingParams(), memory=memory)
    assert [round.readings["plain"] for round in rounds] == [(10, 10), (10, 10), (10, 11), (11, 12)]


@pytest.mark.parametrize("peer", [True, False])
def test_a_peer_that_fails_on_the_way_leaves_no_row(peer: bool) -> None:
    class Fragile(Recorder):
        def run(self, prompt: Sequence[int], params: SamplingParams) -> Sample:
            if prompt == PROMPTS[5]:
                raise ValueError("lost\nat prompt 5")
            return super().run(prompt, params)

    fragile, talks = Fragile("fragile", []), [Script(prompt) for prompt in PROMPTS]
    fragile.peer = peer
    methods = [Recorder("plain", []), fragile]
    if not peer:
        with pytest.raises(ValueError, match="lost"):
            compare(methods, talks, SamplingParams(seed=0))
        return
    rounds, failed = compare(methods, talks, SamplingParams(seed=0))
    assert [list(round.samples) for round in rounds] == [["plain"]] * len(PROMPTS)
    assert failed == {"fragile": "it failed (ValueError: lost)"}


def sample(emitted: int, seconds: float, passes: int, first: float = 0.5, **split: float) -> Sample:
    stats = StepStats(passes, emitted, 0, [passes] * (passes > 0), [1] * (passes > 0))
    return Sample([0] * (emitted + 1), first, seconds, stats, split)


def figures(own: list[Sample], plain: list[Sample], readings: Any = (), modes: Modes = ONE_MODE) -> dict[str, Any]:
    rounds = [
        Round(number, Prompt([1]), 0, {"own": mine, "plain": theirs}, dict(zip(("own", "plain"), pair, strict=True)))
        for number, (mine, theirs, pair) in enumerate(
            zip(own, plain, readings or [((50, 50), (50, 50))] * len(own), strict=True)
        )
    ]
    return {**speeds(rounds, "own", {"plain": "plain", "full": None}, modes), **totals(own)}


def test_medians_quartiles_and_ratios_of_pairs() -> None:
    own = [sample(10, 1.0, 5, 0.1, head=1.0), sample(40, 2.0, 10, 0.2, head=1.0, rest=6.0), sample(90, 3.0, 15, 0.9)]
    plain = [sample(10, 2.0, 10), sample(10, 1.0, 10), sample(10, 1.0, 10)]
    row = figures(own, plain)
    assert (row["tokens_per_second"], row["tokens_per_second_quartiles"]) == (20, [15, 25])
    assert (row["ratio_to_plain"], row["ratio_to_plain_quartiles"]) == (2, [2, 2.5])  # of 10/5, 20/10, 30/10
    assert (row["ratio_to_full"], row["ratio_to_full_pairs"], row["ratio_to_plain_pairs"]) == (None, 0, 3)
    assert row["tokens_per_second_by_mode"] == {}
    assert row["first_token_seconds"] == 0.2
    assert (row["tokens"], row["decode_tokens"], row["decode_seconds"]) == (143, 140, 6)
    assert row["mean_acceptance_length"] == round(140 / 30, 3)
    assert (row["drafted_per_pass"], row["accepted_per_pass_at_position"]) == (1, [0.1])
    assert row["time_share"] == {"head": 0.25, "rest": 0.75}
    assert row["seconds_per_pass"] == {"head": 0.15, "rest": 0.6}  # medians of 1/5 and 1/10, of 6/10


def test_ratios_are_taken_within_a_mode_of_the_memory() -> None:
    own = [sample(10, 1.0, 5), sample(20, 1.0, 5), sample(40, 1.0, 5), sample(80, 1.0, 5)]
    plain = [sample(10, 1.0, 5)] * 4
    slow, fast, between = (45.0, 46.0), (80.0, 81.0), (46.0, 81.0)
    readings = [(slow, slow), (slow, fast), (fast, fast), (between, fast)]
    row = figures(own, plain, readings, Modes(60.0))
    assert (row["ratio_to_plain"], row["ratio_to_plain_pairs"]) == (2.5, 2)  # of 1 and 4
    assert row["tokens_per_second_by_mode"] == {"slow": 15, "fast": 40}
    assert figures(own, plain, readings)["ratio_to_plain_pairs"] == 4


def test_answers_of_one_token_have_no_speed() -> None:
    short, long = sample(0, 0.0, 0), sample(10, 2.0, 10)
    row = figures([short, long], [long, short])
    assert (row["tokens_per_second"], row["ratio_to_plain"]) == (5, None)
    row = figures([short], [short])
    assert (row["tokens_per_second"], row["tokens_per_second_quartiles"], row["mean_acceptance_length"]) == (None,) * 3
    assert row["first_token_seconds"] == pytest.approx(0.5)
