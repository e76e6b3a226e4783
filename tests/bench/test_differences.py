"""Where two outputs part and by how much, against scores from Hugging Face."""

from dataclasses import replace

import pytest
import torch

from frspec.bench.differences import differences
from frspec.bench.methods import OwnMethod
from frspec.bench.table import rows
from frspec.types import SamplingParams
from tests.bench.conftest import LIMIT, PROMPTS
from tests.models.tiny import VOCAB, make

GREEDY = SamplingParams(temperature=0, max_tokens=LIMIT, seed=0)


def test_the_gap_is_the_distance_of_the_logits(plain: OwnMethod) -> None:
    samples = [plain.run(prompt, GREEDY) for prompt in PROMPTS]
    prompt, written = PROMPTS[3], samples[3].token_ids
    with torch.inference_mode():
        logits = make("llama")(torch.tensor([prompt + written[:4]])).logits[0, -1]
    best = logits.topk(2)
    assert best.indices[0] == written[4]
    others = list(samples)
    others[3] = replace(samples[3], token_ids=[*written[:4], int(best.indices[1]), 9, 9])
    others[1] = replace(samples[1], token_ids=samples[1].token_ids[:2])
    target = plain.llm.engine.target
    ended, parted = differences(target, PROMPTS, samples, others, GREEDY)
    assert ended == {"prompt": 1, "position": 2, "plain": samples[1].token_ids[2], "other": None, "gap": None}
    assert (parted["prompt"], parted["position"], parted["other"]) == (3, 4, int(best.indices[1]))
    assert parted["gap"] == pytest.approx(float(best.values[0] - best.values[1]), abs=1e-4)
    third = replace(others[3], token_ids=[*written[:4], int(logits.argmin())])
    (far,) = differences(target, PROMPTS[3:4], samples[3:4], [third], GREEDY)
    assert far["gap"] == pytest.approx(float(logits.max() - logits.min()), abs=1e-4)
    assert differences(target, PROMPTS, samples, samples, GREEDY) == []


def test_above_temperature_0_the_noise_counts(plain: OwnMethod) -> None:
    """The token drawn is the best by these scores, so every other one lies below it, by whatever little."""
    params = SamplingParams(temperature=1.3, max_tokens=LIMIT, seed=11)
    drawn = plain.run(PROMPTS[2], params)
    for place, token in enumerate(drawn.token_ids):
        for other in (VOCAB - 1 - token, (token + 1) % VOCAB, (token + 40) % VOCAB):
            changed = replace(drawn, token_ids=[*drawn.token_ids[:place], other])
            (found,) = differences(plain.llm.engine.target, PROMPTS[2:3], [drawn], [changed], params)
            assert found["position"] == place
            assert found["gap"] > 0
    one_seed_on = replace(params, seed=12)
    twice = [replace(drawn, token_ids=[VOCAB - 1 - drawn.token_ids[0]])] * 2
    first, second = differences(plain.llm.engine.target, [PROMPTS[2]] * 2, [drawn] * 2, twice, params)
    (alone,) = differences(plain.llm.engine.target, PROMPTS[2:3], [drawn], twice[:1], one_seed_on)
    assert first["gap"] != second["gap"] == alone["gap"]


def test_a_peer_is_not_compared_where_it_draws_its_own_numbers(plain: OwnMethod) -> None:
    class Peer:
        name, peer = "peer", True
        run = plain.run

    for temperature, same in ((0.0, 2), (1.0, None)):
        params = replace(GREEDY, temperature=temperature)
        taken = [plain.run(prompt, params) for prompt in PROMPTS[:2]]
        both = {"plain": taken, "peer": taken}
        table = rows(plain.llm.engine.target, [plain, Peer()], PROMPTS[:2], both, params)
        assert [row["identical_outputs"] for row in table] == [2, same]
        assert table[1]["differences"] == ([] if same else None)
        assert table[0]["ratio_to_plain"] == 1
