"""The promise: whatever drafts, the ids are those of plain decoding."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from frspec.engine.engine import Engine
from frspec.engine.llm import LLM
from frspec.engine.request import Request
from frspec.models import decoder as decoder_module
from frspec.models import eagle as eagle_module
from frspec.models import segments
from frspec.models.eagle import EagleHead, new_head
from frspec.speculation.drafters import model as model_drafter
from frspec.speculation.drafters import tree as tree_module
from frspec.speculation.drafters.base import Drafter
from frspec.speculation.drafters.eagle import EagleDrafter
from frspec.speculation.drafters.model import ModelDrafter
from frspec.speculation.drafters.ngram import NgramDrafter
from frspec.speculation.head import DraftHead
from frspec.speculation.noise import gumbel
from frspec.speculation.plan import TreeShape
from frspec.speculation.vocabulary import DraftVocabulary
from frspec.types import SamplingParams
from tests.engine.conftest import GREEDY, PROMPTS, WARM, ids, whole
from tests.engine.drafters import Constant, Crashing, Guesser, Malformed, Oracle, Silent, Wrong

PARAMS = {
    "greedy": GREEDY,
    "warm": WARM,
    "hot": replace(WARM, temperature=1.7),
    "top-p": replace(WARM, temperature=0.7, top_p=0.9),
    "top-k": replace(WARM, top_k=20, seed=-3),
    "min-p": replace(WARM, min_p=0.05),
    "all filters": replace(WARM, top_k=50, top_p=0.95, min_p=0.01),
    "penalties": replace(WARM, repetition_penalty=1.3, presence_penalty=0.5, frequency_penalty=0.4),
    "greedy penalties": replace(GREEDY, repetition_penalty=1.2, frequency_penalty=1.0),
    "greedy min tokens": replace(GREEDY, min_tokens=9, stop_token_ids=[3, 15, 20]),
    "bias": replace(GREEDY, logit_bias={5: 3.0, 9: -100.0}),
    "bad words": replace(GREEDY, bad_words=["the", "little girl", "was"]),
    "min tokens": replace(WARM, temperature=1.5, min_tokens=40, stop_token_ids=[3, 15, 20]),
}
VOCABULARIES = ["full", "quarter", "one", "unlikely", "no stop"]
SHAPES = [TreeShape(1, 1, 1), TreeShape(4, 4, 1), TreeShape(6, 2, 8), TreeShape(15, 5, 4), TreeShape(60, 6, 10)]


def vocabulary(kind: str, plain: LLM) -> DraftVocabulary:
    size = plain.config.vocab_size
    common = torch.tensor(
        list(dict.fromkeys(token for text in whole(plain.generate(PROMPTS, GREEDY)) for token in text))
    )
    ids_of = {
        "full": torch.arange(size),
        "quarter": torch.cat([common, torch.arange(size // 4 - len(common)) + size // 2]).unique().flip(0),
        "one": common[-1:],
        "unlikely": torch.arange(size)[~torch.isin(torch.arange(size), common)],
        "no stop": torch.arange(3, size),
    }
    return DraftVocabulary(ids_of[kind], size)


def eagle(plain: LLM, kind: str, shape: TreeShape) -> Drafter:
    target = plain.engine.target
    head = EagleHead(*new_head(target, torch.Generator().manual_seed(1)), target)
    return EagleDrafter(head, DraftHead.of(target, vocabulary(kind, plain)), shape)


def model(plain: LLM, kind: str, shape: TreeShape) -> Drafter:
    target = plain.engine.target
    return ModelDrafter(target, DraftHead.of(target, vocabulary(kind, plain)), shape)


def test_plain_decoding_is_hugging_faces(stories: Path, plain: LLM) -> None:
    cases = json.loads((stories / "golden_hf.json").read_text())["cases"]
    prompts = [{"prompt_token_ids": case["prompt_ids"]} for case in cases]
    params = SamplingParams(temperature=0, max_tokens=len(cases[0]["greedy_ids"]), ignore_eos=True)
    assert ids(plain.generate(prompts, params)) == [case["greedy_ids"] for case in cases]


@pytest.mark.parametrize("name", PARAMS)
def test_every_drafter_under_every_sampling(plain: LLM, name: str) -> None:
    params, size = PARAMS[name], plain.config.vocab_size
    expected = plain.generate(PROMPTS, params)
    oracle = Oracle(size, whole(expected))
    drafters: list[Drafter] = [
        oracle, Wrong(size, whole(expected)), Guesser(size), Constant(size), Silent(size), NgramDrafter(6),
        eagle(plain, "full", SHAPES[3]), model(plain, "quarter", SHAPES[3]),
    ]  # fmt: skip
    for drafter in drafters:
        drafted = plain.with_draft(drafter)
        assert ids(drafted.generate(PROMPTS, params)) == ids(expected), drafter.name
        if drafter is oracle:
            assert drafted.engine.stats.mean_acceptance_length > 1.3, "the test should see paths accepted"


@pytest.mark.parametrize("kind", VOCABULARIES)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("make", [eagle, model])
def test_every_vocabulary_and_tree_shape(plain: LLM, make, kind: str, shape: TreeShape) -> None:
    for params in (GREEDY, WARM):
        drafted = plain.with_draft(make(plain, kind, shape))
        assert ids(drafted.generate(PROMPTS, params)) == ids(plain.generate(PROMPTS, params))
        deepest = len(drafted.engine.stats.drafted_per_position)
        assert 1 <= deepest <= shape.depth
        passes = drafted.engine.stats.target_passes
        assert sum(drafted.engine.stats.drafted_per_position) <= passes * shape.nodes


def test_a_perfect_draft_model_is_always_accepted(plain: LLM) -> None:
    """The drafter is the target itself and knows the noise, so whole chains are accepted at any temperature."""
    for params in (replace(GREEDY, ignore_eos=True), replace(WARM, ignore_eos=True)):
        drafted = plain.with_draft(model(plain, "full", TreeShape(4, 4, 1)))
        drafted.generate(PROMPTS, params)
        stats = drafted.engine.stats
        assert stats.accepted_per_position == stats.drafted_per_position
        assert stats.mean_acceptance_length > 4


@pytest.mark.parametrize("params", [GREEDY, WARM, PARAMS["penalties"]], ids=["greedy", "warm", "penalties"])
@pytest.mark.parametrize("seqs", [1, 2, 16])
@pytest.mark.parametrize("chunk", [1, 3, 512])
def test_batch_composition_and_chunking(plain: LLM, params: SamplingParams, seqs: int, chunk: int) -> None:
    alone = [output for prompt in PROMPTS for output in plain.generate(prompt, params)]
    for drafter in (None, Oracle(plain.config.vocab_size, whole(alone)), eagle(plain, "quarter", SHAPES[3])):
        batched = plain.with_draft(drafter)
        batched.engine.scheduler.max_num_seqs, batched.engine.scheduler.chunk = seqs, chunk
        assert ids(batched.generate(PROMPTS, params)) == ids(alone)


@pytest.mark.parametrize("in_observe", [False, True])
def test_a_crashing_drafter_changes_nothing(plain: LLM, in_observe: bool) -> None:
    drafted = plain.with_draft(Crashing(plain.config.vocab_size, in_observe))
    outputs = drafted.generate(PROMPTS, WARM)
    assert ids(outputs) == ids(plain.generate(PROMPTS, WARM))
    assert drafted.engine.stats.draft_failures >= 1
    assert sum(output.metrics.draft_failures for output in outputs) >= 1
    again = drafted.generate(PROMPTS, WARM)
    assert ids(again) == ids(outputs)
    assert sum(again[0].metrics.drafted_per_position) > 0, "other requests are drafted for again"


@pytest.mark.parametrize("kind", Malformed.KINDS)
def test_a_tree_that_is_none_changes_nothing(plain: LLM, kind: str) -> None:
    params = replace(GREEDY, max_tokens=8)
    drafted = plain.with_draft(Malformed(plain.config.vocab_size, kind))
    assert ids(drafted.generate(PROMPTS, params)) == ids(plain.generate(PROMPTS, params))
    assert drafted.engine.stats.draft_failures == 1


def test_a_long_prompt_is_read_in_pieces(plain: LLM, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the drafter, no pass sees more than a chunk of a long text at once."""
    longest = []
    seen = segments.CachedAttention.__init__

    def watched(self, parts, *rest) -> None:
        longest.append(sum(part.count for part in parts))
        seen(self, parts, *rest)

    for home in (segments, decoder_module, eagle_module):
        monkeypatch.setattr(home.CachedAttention, "__init__", watched)
    monkeypatch.setattr(tree_module, "CHUNK", 64)
    monkeypatch.setattr(model_drafter, "CHUNK", 64)
    prompt = (plain.get_tokenizer().encode("Once upon a time there was a cat. ") * 50)[:450]
    params = replace(GREEDY, max_tokens=24)
    expected = ids(plain.generate([prompt], params))
    for make in (eagle, model):
        longest.clear()
        drafted = plain.with_draft(make(plain, "full", SHAPES[3]))
        drafted.engine.scheduler.chunk = 64
        assert ids(drafted.generate([prompt], params)) == expected
        assert max(longest) == 64


def test_random_weights(random_llm: LLM) -> None:
    prompts = [[1, 5, 9], [1], [7] * 30, list(range(3, 40))]
    for params in (replace(GREEDY, max_tokens=150), replace(WARM, max_tokens=150), replace(WARM, temperature=3.0)):
        expected = random_llm.generate(prompts, params)
        for drafter in (
            Oracle(61, whole(expected)),
            Guesser(61),
            eagle_of(random_llm),
            ModelDrafter(random_llm.engine.target, DraftHead.of(random_llm.engine.target, cut(61, 20)), SHAPES[3]),
        ):
            assert ids(random_llm.with_draft(drafter).generate(prompts, params)) == ids(expected)


def eagle_of(llm: LLM, rows: int = 30) -> Drafter:
    target = llm.engine.target
    head = EagleHead(*new_head(target, torch.Generator().manual_seed(3)), target)
    return EagleDrafter(head, DraftHead.of(target, cut(llm.config.vocab_size, rows)), SHAPES[3])


def cut(size: int, rows: int) -> DraftVocabulary:
    return DraftVocabulary(torch.randperm(size, generator=torch.Generator().manual_seed(0))[:rows], size)


def test_the_cache_after_rollback_is_a_fresh_prefill(plain: LLM) -> None:
    expected = plain.generate(PROMPTS[0], GREEDY)
    target = plain.engine.target
    engine = Engine(target, Oracle(plain.config.vocab_size, whole(expected)))
    prompt = expected[0].prompt_token_ids
    request = Request(prompt, GREEDY, 0, plain.config.stop_token_ids, plain.max_model_len)
    engine.add(request)
    while not request.finished:
        engine.step()
        if request.cache is None:
            break
        fresh = Request(request.tokens[: request.cache.length], GREEDY, 0, (), plain.max_model_len)
        other = Engine(target)
        other.add(fresh)
        other.step()
        assert fresh.cache is not None
        length = request.cache.length
        assert length == fresh.cache.length
        assert request.cache.drafted == 0
        own, new = request.cache.open(0), fresh.cache.open(0)
        for held, read in zip([*own.keys, *own.values], [*new.keys, *new.values], strict=True):
            assert held.numel() > 0
            assert torch.allclose(held, read, atol=2e-5, rtol=1e-4)
    assert engine.stats.mean_acceptance_length > 1.3


@pytest.mark.parametrize("temperature", [0.0, 0.5, 1.0, 1.5])
def test_bfloat16_differs_only_at_near_ties(stories: Path, temperature: float) -> None:
    """A first difference must be a step whose two picks are, noise included, within the documented bound."""
    plain = LLM(stories, dtype="bfloat16")
    size = plain.config.vocab_size
    for seed in range(4):
        params = SamplingParams(temperature=temperature, seed=seed, logprobs=size, max_tokens=60, ignore_eos=True)
        expected = plain.generate(PROMPTS, params)
        drafted = plain.with_draft(Oracle(size, whole(expected), honesty=0.95)).generate(PROMPTS, params)
        for one, other in zip(expected, drafted, strict=True):
            first, second = one.outputs[0], other.outputs[0]
            pairs = enumerate(zip(first.token_ids, second.token_ids, strict=True))
            step = next((i for i, (a, b) in pairs if a != b), None)
            if step is None:
                continue
            assert first.logprobs is not None
            picks = torch.tensor([first.token_ids[step], second.token_ids[step]])
            scores = torch.tensor([first.logprobs[step][int(pick)].logprob for pick in picks]).double()
            if temperature:
                position = len(one.prompt_token_ids) + step
                scores = scores / temperature + gumbel(seed, position, picks)
            bound = 0.02 * 25 / (temperature or 1)  # logits of this model reach about 25
            assert abs(scores[0] - scores[1]) < bound
