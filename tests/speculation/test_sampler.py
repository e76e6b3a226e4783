"""The sampler against Hugging Face's processors, and its picks against the distribution they stand for."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from transformers.generation.logits_process import (
    LogitsProcessorList,
    MinPLogitsWarper,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from frspec.errors import UserError
from frspec.speculation.sampler import Sampler, describe
from frspec.types import SamplingParams


def survivors(params: SamplingParams, logits: torch.Tensor) -> dict[int, float]:
    """Ids the filters leave, with their scaled logits."""
    scaled = logits / params.temperature
    ids = Sampler(params, 0, []).candidates(scaled)
    kept = range(len(logits)) if ids is None else ids.tolist()
    return {id: scaled[id].item() for id in kept}


@settings(max_examples=200)
@given(
    st.integers(0, 10**6),
    st.floats(0.3, 2.0),
    st.integers(1, 60),
    st.one_of(st.just(1.0), st.floats(0.05, 0.999)),  # nearer to 1 float32 sums cannot tell, theirs nor ours
    st.sampled_from([0.0, 0.05, 0.3]),
)
def test_filters_keep_what_hugging_face_keeps(
    seed: int, temperature: float, top_k: int, top_p: float, min_p: float
) -> None:
    logits = torch.randn(50, generator=torch.Generator().manual_seed(seed)) * 3
    params = SamplingParams(temperature=temperature, top_k=top_k, top_p=top_p, min_p=min_p)
    warpers = LogitsProcessorList([TemperatureLogitsWarper(temperature)])
    if min_p:
        warpers.append(MinPLogitsWarper(min_p))
    warpers.append(TopKLogitsWarper(min(top_k, 50)))
    if top_p < 1:
        warpers.append(TopPLogitsWarper(top_p))
    expected = warpers(torch.zeros(1, 0, dtype=torch.long), logits[None].clone())[0]
    kept = expected.isfinite().nonzero().squeeze(1).tolist()
    assert survivors(params, logits) == pytest.approx({i: float(expected[i]) for i in kept})


def test_top_p_looks_past_its_first_candidates() -> None:
    logits = torch.randn(5000, generator=torch.Generator().manual_seed(0)) * 0.1
    expected = TopPLogitsWarper(0.9)(torch.zeros(1, 0, dtype=torch.long), logits[None].clone())[0]
    kept = survivors(SamplingParams(top_p=0.9), logits)
    # Nearly equal probabilities: summing in another order may move the border by one of some 4,500 ids.
    assert abs(len(kept) - int(expected.isfinite().sum())) <= 1
    assert len(kept) > 1024


def test_ties_at_the_border_stay() -> None:
    assert set(survivors(SamplingParams(top_k=2), torch.tensor([1.0, 3.0, 1.0, 1.0, 0.0]))) == {0, 1, 2, 3}


@given(st.integers(0, 10**6), st.floats(0.5, 3.0))
def test_repetition_penalty_is_hugging_faces(seed: int, penalty: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(20, generator=generator) * 3
    history = torch.randint(0, 20, (8,), generator=generator).tolist()
    sampler = Sampler(SamplingParams(repetition_penalty=penalty, temperature=0), 0, history[:5])
    for token in history[5:]:
        sampler.observe(token)
    expected = RepetitionPenaltyLogitsProcessor(penalty)(torch.tensor([history]), logits[None].clone())[0]
    assert torch.allclose(sampler._reshape(logits.clone()), expected)


def test_presence_and_frequency_count_the_output_only() -> None:
    sampler = Sampler(SamplingParams(presence_penalty=0.5, frequency_penalty=0.25, temperature=0), 0, [0, 0, 1])
    for step, token in enumerate([2, 2, 3]):
        if step == 1:  # the counters are made at first use and kept up from there on
            sampler.pick(torch.zeros(5))
        sampler.observe(token)
    assert sampler._reshape(torch.zeros(5)).tolist() == [0, 0, -1.0, -0.75, 0]


def test_bias_bad_words_and_min_tokens() -> None:
    params = SamplingParams(temperature=0, logit_bias={4: 10.0}, min_tokens=2, max_tokens=5)
    sampler = Sampler(params, 0, [9], stop_ids=[4], bad_word_ids=[[2], [1, 3]])
    logits = torch.tensor([0.0, 1.0, 9.0, 8.0, 5.0])
    assert sampler.pick(logits) == 3  # 2 is a bad word, 4 would end too early
    sampler.observe(1)
    assert sampler.pick(logits) == 1  # after 1, token 3 would complete a bad word
    sampler.observe(0)
    assert sampler.pick(logits) == 4
    assert logits.tolist() == [0.0, 1.0, 9.0, 8.0, 5.0]


def test_only_allowed_tokens() -> None:
    logits = torch.tensor([3.0, 1.0, 2.0])
    assert Sampler(SamplingParams(temperature=0, allowed_token_ids=[1, 2]), 0, []).pick(logits) == 2
    hot = SamplingParams(temperature=5.0, allowed_token_ids=[1, 2])
    assert {Sampler(hot, seed, []).pick(logits) for seed in range(50)} == {1, 2}


def test_restrictions_that_leave_nothing_are_an_error_not_a_token() -> None:
    params = SamplingParams(allowed_token_ids=[1, 2], min_tokens=1)
    with pytest.raises(UserError, match="leave no token"):
        Sampler(params, 0, [], stop_ids=[1], bad_word_ids=[[2]]).pick(torch.zeros(4))


def test_bad_words_look_at_the_output_only() -> None:
    sampler = Sampler(SamplingParams(temperature=0), 0, [1], bad_word_ids=[[1, 3]])
    logits = torch.tensor([0.0, 0.0, 0.0, 5.0])
    assert sampler.pick(logits) == 3
    sampler.observe(1)
    assert sampler.pick(logits) == 0


@pytest.mark.parametrize("temperature", [0.0, 1e-6, 1e-40])
def test_a_tiny_temperature_is_greedy(temperature: float) -> None:
    assert Sampler(SamplingParams(temperature=temperature), 0, []).pick(torch.tensor([5.0, 30.0, 29.9])) == 1


def test_greedy_takes_the_lowest_id_on_a_tie() -> None:
    assert Sampler(SamplingParams(temperature=0), 0, []).pick(torch.tensor([0.0, 2.0, 2.0, 1.0])) == 1


@pytest.mark.parametrize(
    "params",
    [
        SamplingParams(),
        SamplingParams(temperature=0.5),
        SamplingParams(temperature=1.5, top_k=4),
        SamplingParams(top_p=0.8),
        SamplingParams(min_p=0.2),
    ],
)
def test_picks_follow_the_processed_softmax(params: SamplingParams) -> None:
    logits = torch.tensor([1.0, 0.2, -0.5, 2.0, 0.0, -3.0])
    kept = survivors(params, logits)
    expected = torch.tensor(list(kept.values()), dtype=torch.float64).softmax(0) * 20_000
    counts = dict.fromkeys(kept, 0)
    for seed in range(20_000):
        counts[Sampler(params, seed, [7, 7]).pick(logits)] += 1
    assert stats.chisquare(list(counts.values()), expected.numpy()).pvalue > 1e-4


def test_describe_gives_log_probabilities_and_ranks() -> None:
    logits = torch.tensor([0.0, 3.0, 1.0, 2.0])
    entry = describe(logits, token=2, top=2)
    assert {i: e.rank for i, e in entry.items()} == {2: 3, 1: 1, 3: 2}
    assert entry[1].logprob == pytest.approx(float(logits.log_softmax(0)[1]))
