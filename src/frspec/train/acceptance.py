"""How many drafted tokens the target accepts, position by position, on prompts the head was not trained on.

Knows: the engine with a head in the making as its drafter. Does not know: training.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from torch import Tensor

from frspec.engine.llm import LLM
from frspec.models import EagleHead, ModelConfig
from frspec.speculation.drafters.eagle import EagleDrafter
from frspec.speculation.head import DraftHead
from frspec.speculation.plan import TreeShape
from frspec.speculation.vocabulary import DraftVocabulary
from frspec.types import SamplingParams

TOKENS = 64
"""Tokens generated per prompt, greedily and past any end, so that every measurement has the same size."""


@dataclass(frozen=True)
class Acceptance:
    """``length``: mean tokens per target pass. ``per_position``: shares of passes that accept depth 1, 2, ..."""

    length: float
    per_position: list[float]

    def facts(self) -> dict[str, float | list[float]]:
        """For provenance."""
        return asdict(self)


def measure(
    llm: LLM, config: ModelConfig, tensors: Mapping[str, Tensor], prompts: Sequence[Sequence[int]]
) -> Acceptance:
    """Draft with the head of ``tensors`` over the whole vocabulary, in trees of the default shape."""
    target = llm.engine.target
    frozen = {name: tensor.detach().to(target.dtype) for name, tensor in tensors.items()}
    head = DraftHead.of(target, DraftVocabulary.whole(target.config.vocab_size))
    drafting = llm.with_draft(EagleDrafter(EagleHead(config, frozen, target), head, TreeShape()))
    given = [{"prompt_token_ids": list(prompt)} for prompt in prompts]
    drafting.generate(given, SamplingParams(temperature=0, max_tokens=TOKENS, ignore_eos=True))
    stats = drafting.engine.stats
    passes = max(1, stats.target_passes)
    return Acceptance(
        round(stats.mean_acceptance_length, 4), [round(count / passes, 4) for count in stats.accepted_per_position]
    )
