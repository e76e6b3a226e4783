"""The ceiling of a report is what the engine reaches with a drafter that is right whenever its vocabulary lets it."""

from dataclasses import replace

import numpy as np
import pytest

from frspec.engine.llm import LLM
from frspec.ranking.runs import passes
from frspec.speculation.drafters.base import DraftState
from frspec.types import TokenTree
from tests.engine.conftest import PROMPTS, WARM, ids, whole
from tests.engine.drafters import Oracle, tree_of


class Limited(Oracle):
    """Knows the texts, and proposes chains of what its vocabulary has of them."""

    name = "limited"

    def __init__(self, texts: list[list[int]], vocabulary: set[int], depth: int) -> None:
        super().__init__(0, texts)
        self.vocabulary, self.depth = vocabulary, depth

    def grow(self, state: DraftState) -> TokenTree:
        known = next(text for text in self.texts if text[: len(state.tokens)] == state.tokens)
        chain = known[len(state.tokens) :][: min(self.depth, state.room)]
        end = next((place for place, token in enumerate(chain) if token not in self.vocabulary), len(chain))
        return tree_of([state.tokens[-1], *chain[:end]], [0, *range(end)])


@pytest.mark.parametrize("depth", [1, 5])
@pytest.mark.parametrize("size", [0, 60, 300, 2048])
def test_the_engine_reaches_it_and_no_more(plain: LLM, depth: int, size: int) -> None:
    params = replace(WARM, max_tokens=90)
    first = plain.generate(PROMPTS, params)
    texts = ids(first)
    common = sorted(range(plain.config.vocab_size), key=lambda token: (-sum(t.count(token) for t in texts), token))
    vocabulary = set(common[:size])
    drafted = plain.with_draft(Limited(whole(first), vocabulary, depth)).generate(PROMPTS, params)
    assert ids(drafted) == texts
    for output, text in zip(drafted, texts, strict=True):
        rest = text[1:]  # the prompt's own pass brings the first
        covered = np.array([token in vocabulary for token in rest])
        assert output.metrics.target_passes == passes(covered, np.array([len(rest)]), depth)
        assert output.metrics.emitted == len(rest)
