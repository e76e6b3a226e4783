"""Whose turn it is, and what figures come of samples counted by hand."""

from collections.abc import Sequence

import pytest

from frspec.bench.compare import compare, warm_up
from frspec.bench.methods import Sample
from frspec.bench.table import figures
from frspec.types import SamplingParams, StepStats

PROMPTS = [[number, number + 1, number + 2] for number in range(12)]


class Recorder:
    peer = False

    def __init__(self, name: str, diary: list[tuple[str, list[int], SamplingParams]]) -> None:
        self.name, self.diary = name, diary

    def run(self, prompt: Sequence[int], params: SamplingParams) -> Sample:
        self.diary.append((self.name, list(prompt), params))
        return Sample([1], 0.1, 0.0, StepStats())


def test_warm_up_on_other_prompts() -> None:
    diary: list[tuple[str, list[int], SamplingParams]] = []
    warm_up(Recorder("one", diary), PROMPTS, SamplingParams(max_tokens=500))
    assert diary
    for _, prompt, params in diary:
        assert prompt not in PROMPTS
        assert (params.max_tokens or 0) < 500


def test_turns_prompt_by_prompt_in_changing_order() -> None:
    diary: list[tuple[str, list[int], SamplingParams]] = []
    names, done = ["one", "two", "three"], list[int]()
    samples, failed = compare([Recorder(name, diary) for name in names], PROMPTS, SamplingParams(seed=7), done.append)
    assert {name: len(taken) for name, taken in samples.items()} == dict.fromkeys(names, len(PROMPTS))
    assert failed == {}
    assert done == list(range(1, len(PROMPTS) + 1))
    rounds = [diary[start : start + 3] for start in range(0, len(diary), 3)]
    for number, turn in enumerate(rounds):
        assert {name for name, _, _ in turn} == set(names)
        assert all(prompt == PROMPTS[number] and params.seed == 7 + number for _, prompt, params in turn)
    assert {turn[0][0] for turn in rounds} == set(names)


@pytest.mark.parametrize("peer", [True, False])
def test_a_peer_that_fails_on_the_way_leaves_no_row(peer: bool) -> None:
    class Fragile(Recorder):
        def run(self, prompt: Sequence[int], params: SamplingParams) -> Sample:
            if prompt == PROMPTS[5]:
                raise ValueError("lost\nat prompt 5")
            return super().run(prompt, params)

    fragile = Fragile("fragile", [])
    fragile.peer = peer
    methods = [Recorder("one", []), fragile]
    if not peer:
        with pytest.raises(ValueError, match="lost"):
            compare(methods, PROMPTS, SamplingParams(seed=0))
        return
    samples, failed = compare(methods, PROMPTS, SamplingParams(seed=0))
    assert list(samples) == ["one"]
    assert len(samples["one"]) == len(PROMPTS)
    assert failed == {"fragile": "it failed (ValueError: lost)"}


def sample(emitted: int, seconds: float, passes: int, first: float = 0.5, **split: float) -> Sample:
    stats = StepStats(passes, emitted, 0, [passes] * (passes > 0), [1] * (passes > 0))
    return Sample([0] * (emitted + 1), first, seconds, stats, split)


def test_medians_quartiles_and_ratios_of_pairs() -> None:
    own = [sample(10, 1.0, 5, 0.1, head=1.0), sample(40, 2.0, 10, 0.2, head=1.0, rest=6.0), sample(90, 3.0, 15, 0.9)]
    plain = [sample(10, 2.0, 10), sample(10, 1.0, 10), sample(10, 1.0, 10)]
    row = figures(own, plain)
    assert (row["tokens_per_second"], row["tokens_per_second_quartiles"]) == (20, [15, 25])
    assert (row["ratio_to_plain"], row["ratio_to_plain_quartiles"]) == (2, [2, 2.5])  # of 10/5, 20/10, 30/10
    assert row["first_token_seconds"] == 0.2
    assert (row["tokens"], row["decode_tokens"], row["decode_seconds"]) == (143, 140, 6)
    assert row["mean_acceptance_length"] == round(140 / 30, 3)
    assert (row["drafted_per_pass"], row["accepted_per_pass_at_position"]) == (1, [0.1])
    assert row["time_share"] == {"head": 0.25, "rest": 0.75}


def test_answers_of_one_token_have_no_speed() -> None:
    short, long = sample(0, 0.0, 0), sample(10, 2.0, 10)
    row = figures([short, long], [long, short])
    assert (row["tokens_per_second"], row["ratio_to_plain"]) == (5, None)
    row = figures([short], [short])
    assert (row["tokens_per_second"], row["tokens_per_second_quartiles"], row["mean_acceptance_length"]) == (None,) * 3
    assert row["first_token_seconds"] == pytest.approx(0.5)
