"""Where two outputs part and by how much, against scores from Hugging Face."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from transformers import TopKLogitsWarper, TopPLogitsWarper

from frspec.bench.compare import Round
from frspec.bench.differences import differences
from frspec.bench.memory import Modes
from frspec.bench.methods import OwnMethod, Sample
from frspec.bench.prompts import Prompt
from frspec.bench.table import rows
from frspec.types import SamplingParams
from tests.bench.conftest import LIMIT, PROMPTS
from tests.models.tiny import VOCAB, make

GREEDY = SamplingParams(temperature=0, max_tokens=LIMIT, seed=0)


def parted(prompts: Sequence[list[int]], plain: Sequence[Sample], others: Sequence[Sample], seed: int) -> list[Round]:
    """Rounds of these samples, with a seed more for each prompt."""
    return [
        Round(number, Prompt(prompt), seed + number, {"plain": one, "other": other})
        for number, (prompt, one, other) in enumerate(zip(prompts, plain, others, strict=True))
    ]


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
    ended, far = differences(target, parted(PROMPTS, samples, others, 0), "other", GREEDY)
    assert ended == {"prompt": 1, "position": 2, "plain": samples[1].token_ids[2], "other": None, "gap": None}
    assert (far["prompt"], far["position"], far["other"]) == (3, 4, int(best.indices[1]))
    assert far["gap"] == pytest.approx(float(best.values[0] - best.values[1]), abs=1e-4)
    third = replace(others[3], token_ids=[*written[:4], int(logits.argmin())])
    (far,) = differences(target, parted(PROMPTS[3:4], samples[3:4], [third], 0), "other", GREEDY)
    assert far["gap"] == pytest.approx(float(logits.max() - logits.min()), abs=1e-4)
    assert differences(target, parted(PROMPTS, samples, samples, 0), "other", GREEDY) == []


def test_above_temperature_0_the_noise_counts(plain: OwnMethod) -> None:
    """The token drawn is the best by these scores, so every other one lies below it, by whatever little."""
    params = SamplingParams(temperature=1.3, max_tokens=LIMIT, seed=11)
    drawn = plain.run(PROMPTS[2], params)
    for place, token in enumerate(drawn.token_ids):
        for other in (VOCAB - 1 - token, (token + 1) % VOCAB, (token + 40) % VOCAB):
            changed = replace(drawn, token_ids=[*drawn.token_ids[:place], other])
            rounds = parted(PROMPTS[2:3], [drawn], [changed], 11)
            (found,) = differences(plain.llm.engine.target, rounds, "other", params)
            assert found["position"] == place
            assert found["gap"] > 0
    twice = [replace(drawn, token_ids=[VOCAB - 1 - drawn.token_ids[0]])] * 2
    target, prompts = plain.llm.engine.target, [PROMPTS[2]] * 2
    first, second = differences(target, parted(prompts, [drawn] * 2, twice, 11), "other", params)
    (alone,) = differences(target, parted(prompts[:1], [drawn], twice[:1], 12), "other", params)
    assert first["gap"] != second["gap"] == alone["gap"]


@pytest.mark.parametrize("filtered", [{"top_p": 0.4}, {"top_k": 3}])
def test_a_token_that_a_filter_leaves_out_lies_below_its_border(plain: OwnMethod, filtered: dict[str, float]) -> None:
    """Against the library's own filters: what they remove is never the best, whatever its noise."""
    params = SamplingParams(temperature=1.3, max_tokens=LIMIT, seed=11, **filtered)  # type: ignore[arg-type]
    drawn = plain.run(PROMPTS[2], params)
    warper = TopPLogitsWarper(0.4) if "top_p" in filtered else TopKLogitsWarper(3)
    model, outside = make("llama"), 0
    for place in range(4):
        with torch.inference_mode():
            scaled = model(torch.tensor([PROMPTS[2] + drawn.token_ids[:place]])).logits[0, -1:] / 1.3
        left = warper(None, scaled)[0].isfinite()
        for token in range(0, VOCAB, 7):
            changed = replace(drawn, token_ids=[*drawn.token_ids[:place], token])
            found = differences(plain.llm.engine.target, parted(PROMPTS[2:3], [drawn], [changed], 11), "other", params)
            border = float(scaled[0][left].min() - scaled[0, token])
            if token != drawn.token_ids[place] and not left[token]:
                assert found[0]["gap"] >= border - 1e-4 > -1e-4
                outside += 1
    assert outside > 20


def test_a_peer_is_not_compared_where_it_draws_its_own_numbers_or_is_another_model(plain: OwnMethod) -> None:
    class Peer:
        name, peer, weights = "peer", True, "float32"
        run = plain.run

    for temperature, weights, same in ((0.0, "float32", 2), (1.0, "float32", None), (0.0, "q8_0", None)):
        Peer.weights = weights
        params = replace(GREEDY, temperature=temperature)
        taken = [plain.run(prompt, params) for prompt in PROMPTS[:2]]
        rounds = [
            Round(number, Prompt(prompt), number, {"plain": one, "peer": one})
            for number, (prompt, one) in enumerate(zip(PROMPTS, taken, strict=False))
        ]
        table = rows(plain.llm.engine.target, [plain, Peer()], rounds, params, Modes())
        assert [row["identical_outputs"] for row in table] == [2, same]
        assert table[1]["differences"] == ([] if same else None)
        assert [row["weights"] for row in table] == ["float32", weights]
        assert table[0]["ratio_to_plain"] == 1
