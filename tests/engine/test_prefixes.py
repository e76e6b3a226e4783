"""Kept caches: a next turn reads only what is new, and says the same as if it had read everything."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from frspec import LLM, SamplingParams
from frspec.engine.prefixes import Prefixes
from frspec.models.cache import KVCache
from frspec.models.eagle import EagleHead, new_head
from frspec.speculation.drafters.base import Drafter
from frspec.speculation.drafters.eagle import EagleDrafter
from frspec.speculation.drafters.model import ModelDrafter
from frspec.speculation.drafters.ngram import NgramDrafter
from frspec.speculation.head import DraftHead
from frspec.speculation.plan import TreeShape
from frspec.speculation.vocabulary import DraftVocabulary
from tests.engine.conftest import ids

TURNS = [" Then", " The dog said:", " And the sun", " One"]


def drafters(llm: LLM) -> dict[str, Drafter | None]:
    target = llm.engine.target
    head = DraftHead.of(target, DraftVocabulary.whole(llm.config.vocab_size))
    eagle = EagleHead(*new_head(target, torch.Generator().manual_seed(0)), target)
    return {
        "none": None,
        "ngram": NgramDrafter(6),
        "model": ModelDrafter(target, head, TreeShape()),
        "eagle": EagleDrafter(eagle, head, TreeShape()),
    }


@pytest.mark.parametrize("name", ["none", "ngram", "model", "eagle"])
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_turns_reuse_what_was_read(plain: LLM, name: str, temperature: float) -> None:
    drafter = drafters(plain)[name]
    keeping, fresh = plain.with_draft(drafter), plain.with_draft(drafter)
    keeping.engine.scheduler.prefixes = Prefixes(2)
    params = SamplingParams(temperature=temperature, seed=9, max_tokens=25, ignore_eos=True)
    text = plain.get_tokenizer().encode("Once upon a time there was a dog.")
    for number, turn in enumerate(TURNS):
        text = text + plain.get_tokenizer().encode(turn, add_special_tokens=False)
        one, other = keeping.generate([text], params)[0], fresh.generate([text], params)[0]
        assert ids([one]) == ids([other])
        assert one.metrics.accepted_per_position == other.metrics.accepted_per_position, "the draft is as good"
        assert other.num_cached_tokens == 0
        assert (one.num_cached_tokens > len(text) - 12) == (number > 0)
        text = text + one.outputs[0].token_ids


def test_a_changed_turn_goes_back_to_where_it_changed(plain: LLM) -> None:
    keeping = plain.with_draft(drafters(plain)["eagle"])
    keeping.engine.scheduler.prefixes = Prefixes(1)
    params = SamplingParams(temperature=0, max_tokens=20)
    text = plain.get_tokenizer().encode("Once upon a time there was a cat. The cat was red and it sat on a")
    keeping.generate([text], params)
    changed = [*text[:9], 77, 78, 79]
    again = keeping.generate([changed], params)[0]
    assert again.num_cached_tokens == 8
    assert ids([again]) == ids(plain.generate([changed], params))


def test_prompt_logprobs_read_everything(plain: LLM) -> None:
    keeping = plain.with_draft(None)
    keeping.engine.scheduler.prefixes = Prefixes(1)
    params = SamplingParams(temperature=0, max_tokens=5)
    prompt = plain.get_tokenizer().encode("One day, Tim went to the park with his mom")
    keeping.generate([prompt], params)
    output = keeping.generate([prompt], replace(params, prompt_logprobs=1))[0]
    assert output.num_cached_tokens == 0
    assert len(output.prompt_logprobs or []) == len(prompt)


def test_a_stopped_answer_can_be_gone_on_from(plain: LLM) -> None:
    for drafter in drafters(plain).values():
        keeping = plain.with_draft(drafter)
        keeping.engine.scheduler.prefixes = Prefixes(1)
        params = SamplingParams(temperature=1.0, seed=2, max_tokens=60, ignore_eos=True)
        prompt = plain.get_tokenizer().encode("Once upon a time")
        stream = keeping.stream([prompt], params)
        for _ in range(6):
            partial = next(stream)
        stream.close()
        longer = prompt + partial.outputs[0].token_ids + [50, 51]
        output = keeping.generate([longer], params)[0]
        assert output.num_cached_tokens > 0
        assert ids([output]) == ids(plain.generate([longer], params))


@given(st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=8), max_size=6), st.integers(0, 3))
def test_the_longest_beginning_is_found(texts: list[list[int]], most: int) -> None:
    prefixes = Prefixes(most)
    for text in texts[:-1]:
        cache = KVCache(1, 1, 2, 8, torch.float32, torch.device("cpu"))
        cache.length = len(text) - 1
        prefixes.keep(text, cache, None)
    if not texts:
        return
    wanted = texts[-1]
    kept: list[list[int]] = []
    for text in texts[:-1]:  # the last `most`, those left out that a later one goes on from
        kept = [*(old for old in kept if len(old) > len(text) or text[: len(old) - 1] != old[:-1]), text]
        kept = kept[-most:] if most else []
    shared = [sum(1 for i in range(1, min(len(t), len(wanted)) + 1) if t[:i] == wanted[:i]) - 1 for t in kept]
    best = max(shared, default=0)
    found = prefixes.take(wanted, None)
    assert (found.cache.length if found else 0) == max(best, 0)
    if found:
        assert found.tokens == wanted[: found.cache.length]
