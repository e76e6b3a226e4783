"""Exact mode: not nearly equal but the same bits, in every dtype."""

from dataclasses import replace
from pathlib import Path

import pytest

from frspec.engine.llm import LLM
from frspec.speculation.drafters.model import ModelDrafter
from frspec.speculation.head import DraftHead
from frspec.speculation.plan import TreeShape
from frspec.speculation.vocabulary import DraftVocabulary
from frspec.types import SamplingParams
from tests.engine.conftest import PROMPTS, whole
from tests.engine.drafters import Guesser, Oracle


def printed(llm: LLM, params: SamplingParams, together: bool) -> list[tuple[list[int], list[dict[int, float]]]]:
    """Ids and the log-probabilities of the ten best at every step, as the computer has them."""
    prompts = [PROMPTS] if together else [[prompt] for prompt in PROMPTS]
    outputs = [output.outputs[0] for batch in prompts for output in llm.generate(batch, params)]
    assert all(output.logprobs for output in outputs)
    return [(o.token_ids, [{i: e.logprob for i, e in step.items()} for step in o.logprobs or []]) for o in outputs]


@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_same_bits_for_any_drafter_batch_and_chunk(stories: Path, dtype: str, temperature: float) -> None:
    llm = LLM(stories, dtype=dtype, exact=True)
    params = SamplingParams(temperature=temperature, seed=3, max_tokens=40, logprobs=10)
    expected = printed(llm, params, together=False)
    texts = whole(llm.generate(PROMPTS, replace(params, logprobs=None)))
    target, size = llm.engine.target, llm.config.vocab_size
    head = DraftHead.of(target, DraftVocabulary.whole(size))
    for drafter in (None, Oracle(size, texts), Guesser(size), ModelDrafter(target, head, TreeShape(30, 6, 6))):
        for chunk in (1, 5, 512):
            drafted = llm.with_draft(drafter)
            drafted.engine.scheduler.chunk = chunk
            assert printed(drafted, params, together=True) == expected


def test_exact_logits_are_the_models(stories: Path) -> None:
    """Another order of summation, the same model."""
    params = SamplingParams(temperature=0, max_tokens=20, logprobs=5)
    exact, usual = (printed(LLM(stories, exact=flag), params, together=False) for flag in (True, False))
    for (ids, steps), (other_ids, other_steps) in zip(exact, usual, strict=True):
        assert ids == other_ids
        for step, other in zip(steps, other_steps, strict=True):
            assert step == pytest.approx(other, abs=1e-4)
