"""Hugging Face ``generate`` as a peer: it writes what frspec writes, samples what it should, and is counted alike."""

from itertools import pairwise

import pytest
import torch
from scipy.stats import chisquare

from frspec.bench.methods import OwnMethod
from frspec.bench.peers import Subject
from frspec.bench.peers.transformers_peer import Arrivals, load
from frspec.types import SamplingParams
from tests.bench.conftest import LIMIT, PROMPTS
from tests.models.tiny import VOCAB, make

NAMES = ["transformers", "transformers-prompt-lookup"]
GREEDY = SamplingParams(temperature=0, max_tokens=LIMIT, seed=0)


@pytest.mark.parametrize("name", NAMES)
def test_the_same_ids_counted_alike(plain: OwnMethod, subject: Subject, name: str) -> None:
    peer, ended = load(name, subject), 0
    for prompt in PROMPTS:
        own, other = plain.run(prompt, GREEDY), peer.run(prompt, GREEDY)
        assert other.token_ids == own.token_ids
        assert not set(own.token_ids[:-1]) & set(subject.stop_ids)
        ended += own.token_ids[-1] in subject.stop_ids and len(own.token_ids) < LIMIT
        assert own.stats.emitted == len(own.token_ids) - 1
        for sample in (own, other):
            assert sample.first_token_seconds > 0
            assert sample.stats.target_passes <= sample.stats.emitted < len(sample.token_ids)
            assert (sample.decode_seconds > 0) == (sample.stats.target_passes > 0)
    assert ended


def test_prompt_lookup_drafts_and_plain_does_not(subject: Subject) -> None:
    lookup, one_by_one = (load(name, subject) for name in ("transformers-prompt-lookup", "transformers"))
    passes = {method.name: 0 for method in (lookup, one_by_one)}
    for method in (lookup, one_by_one):
        for prompt in PROMPTS:
            own = method.run(prompt, GREEDY)
            again = method.run([*prompt, *own.token_ids[:-1], *prompt], GREEDY)
            passes[method.name] += again.stats.target_passes
            assert method is lookup or again.stats.target_passes == again.stats.emitted == len(again.token_ids) - 1
    assert passes["transformers-prompt-lookup"] < passes["transformers"]


@pytest.mark.parametrize(("name", "temperature"), [("transformers", 1.5), ("transformers-prompt-lookup", 3.0)])
def test_it_samples_the_plain_softmax(subject: Subject, name: str, temperature: float) -> None:
    """None of the checkpoint's settings (top_k 3, ...) and none of the library's (top_k 50) are in force."""
    peer, prompt, count = load(name, subject), PROMPTS[-1], 400
    drawn = [
        peer.run(prompt, SamplingParams(temperature=temperature, max_tokens=1, seed=seed)).token_ids[0]
        for seed in range(count)
    ]
    with torch.inference_mode():
        logits = make("llama")(torch.tensor([prompt])).logits[0, -1].double()
    expected = (logits / temperature).softmax(0) * count
    rare = expected < 5
    found = torch.bincount(torch.tensor(drawn), minlength=VOCAB).double()
    pooled = [torch.cat((counts[~rare], counts[rare].sum()[None])) for counts in (found, expected)]
    assert chisquare(*pooled).pvalue > 1e-3
    assert len(set(drawn)) > 50


def test_the_same_seed_draws_the_same_text(subject: Subject) -> None:
    peer = load("transformers", subject)
    texts = [peer.run(PROMPTS[0], SamplingParams(max_tokens=8, seed=seed)).token_ids for seed in (4, 4, 5)]
    assert texts[0] == texts[1] != texts[2]


def test_the_context_ends_where_ours_does(plain: OwnMethod, subject: Subject) -> None:
    prompt = [number % 7 + 3 for number in range(subject.context - 4)]
    long = SamplingParams(temperature=0, max_tokens=500, seed=0)
    for name in NAMES:
        assert load(name, subject).run(prompt, long).token_ids == plain.run(prompt, long).token_ids
    assert len(plain.run(prompt, long).token_ids) == 4


def test_bursts_are_cut_after_the_end_of_sequence() -> None:
    bursts = [[1, 1, 1], [10, 11], [12], [13, 2, 14]]
    arrivals = Arrivals()
    for burst in bursts:
        arrivals.put(torch.tensor([burst]))
    sample = arrivals.sample(stop_ids=[2])
    assert sample.token_ids == [10, 11, 12, 13, 2]
    assert (sample.stats.emitted, sample.stats.target_passes) == (3, 2)
    at_once = Arrivals()
    for burst in ([1], [10, 2, 11]):
        at_once.put(torch.tensor([burst]))
    assert at_once.sample([2]).token_ids == [10, 2]
    assert at_once.sample([2]).tokens_per_second is None


def test_both_ways_share_one_copy_of_the_weights(subject: Subject) -> None:
    models = [load(name, subject)._model for name in NAMES]
    assert all(one is other for one, other in pairwise(models))
