"""Dynamic trees against a slow, literal reading of EAGLE-2, with a made-up draft model."""

import math
from collections.abc import Sequence

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from frspec.clock import Clock
from frspec.models.layers.linear import Linear
from frspec.speculation.drafters.base import DraftState
from frspec.speculation.growth import grow
from frspec.speculation.head import DraftHead
from frspec.speculation.noise import gumbel
from frspec.speculation.plan import Plan, TreeShape
from frspec.speculation.vocabulary import DraftVocabulary

VOCAB, HIDDEN = 11, 6


class Recurrent:
    """A draft model whose feature depends on the whole path above a node, as an EAGLE head's does."""

    def __init__(self, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.embedding = torch.randn(VOCAB, HIDDEN, generator=generator)
        self.head = torch.randn(VOCAB, HIDDEN, generator=generator) * 2
        self.fed: list[tuple[Tensor, Tensor]] = []

    def step(self, feature: Tensor, token: Tensor) -> Tensor:
        return torch.tanh(feature * 0.7 + self.embedding[token])

    def catch_up(self, states: Sequence[DraftState]) -> Tensor:
        return torch.stack([self.read(state.tokens) for state in states])

    def read(self, tokens: list[int]) -> Tensor:
        feature = torch.zeros(HIDDEN)
        for token in tokens:
            feature = self.step(feature, torch.tensor(token))
        return feature

    def extend(
        self, states: Sequence[DraftState], depth: int, tokens: Tensor, features: Tensor, masks: Tensor | None
    ) -> Tensor:
        if masks is None:
            assert tokens.shape[1] == 1
            masks = torch.ones((len(states), 1, depth), dtype=torch.bool)
        assert masks.shape == (len(states), tokens.shape[1], depth * tokens.shape[1])
        assert (masks.sum(-1) == depth).all(), "a node of this depth sees its ancestors and itself"
        self.fed.append((tokens, masks))
        return self.step(features, tokens)

    def drop(self, states: Sequence[DraftState]) -> None:
        for row in range(len(states)):  # what a node saw must be its own path, token by token
            rows = torch.cat([tokens[row] for tokens, _ in self.fed]) if self.fed else torch.empty(0)
            for tokens, masks in self.fed:
                for node, mask in enumerate(masks[row]):
                    assert rows[: len(mask)][mask][-1] == tokens[row, node]
        self.fed = []


def draft_head(model: Recurrent, ids: list[int]) -> DraftHead:
    vocabulary = DraftVocabulary(torch.tensor(ids), VOCAB)
    return DraftHead({len(ids): Linear(vocabulary.rows(model.head))}, vocabulary, torch.device("cpu"))


def literal(model: Recurrent, state: DraftState, ids: list[int], shape: TreeShape) -> dict[tuple[int, ...], float]:
    """Path -> score of the tree that EAGLE-2 describes, found with lists and recursion only."""

    def children(path: tuple[int, ...], width: int) -> list[tuple[float, int]]:
        logits = model.head[ids] @ model.read([*state.tokens, *path])
        if state.temperature:
            position = len(state.tokens) + len(path)
            logits = logits + state.temperature * gumbel(state.seed, position, torch.tensor(ids)).float()
        scores = logits.log_softmax(0).tolist()
        return sorted(zip(scores, ids, strict=True), reverse=True)[:width]

    width = min(shape.width, len(ids), shape.nodes)
    frontier: dict[tuple[int, ...], float] = {(): 0.0}
    seen: dict[tuple[int, ...], float] = {}
    for _ in range(min(shape.depth, state.room)):
        level = {(*p, t): s + own for p, s in frontier.items() for own, t in children(p, width)}
        seen |= level
        frontier = dict(sorted(level.items(), key=lambda item: -item[1])[:width])
    return dict(sorted(seen.items(), key=lambda item: -item[1])[: shape.nodes])


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 1000),
    st.integers(1, 20),
    st.integers(1, 5),
    st.integers(1, 6),
    st.sampled_from([0.0, 0.8]),
    st.permutations(range(VOCAB)),
    st.integers(1, VOCAB),
)
def test_trees_are_eagle_2s(
    seed: int, nodes: int, depth: int, width: int, temperature: float, order: list[int], size: int
) -> None:
    shape, ids = TreeShape(nodes, depth, width), list(order)[:size]
    model = Recurrent(seed)
    head = draft_head(model, ids)
    states = [DraftState([1, 2, 3], 5, temperature, room=9), DraftState([4], 6, temperature, room=2)]
    for state, tree in zip(states, grow(model, head, states, Plan(shape), Clock()), strict=True):
        tree.check(state.tokens[-1], VOCAB, state.room, shape.nodes)
        expected = literal(model, state, ids, shape)
        paths = [()]
        for node in range(1, len(tree)):
            paths.append((*paths[int(tree.parents[node])], int(tree.tokens[node])))
        got = {path: sum_score(model, state, ids, path) for path in paths[1:]}
        assert sorted(got.values()) == pytest.approx(sorted(expected.values()), abs=1e-4)
        assert max(map(len, paths)) <= min(shape.depth, state.room)
        assert set(tree.tokens[1:].tolist()) <= set(ids)


def sum_score(model: Recurrent, state: DraftState, ids: list[int], path: tuple[int, ...]) -> float:
    total = 0.0
    for i, token in enumerate(path):
        logits = model.head[ids] @ model.read([*state.tokens, *path[:i]])
        if state.temperature:
            noise = gumbel(state.seed, len(state.tokens) + i, torch.tensor(ids)).float()
            logits = logits + state.temperature * noise
        total += float(logits.log_softmax(0)[ids.index(token)])
    return total


def test_a_tie_goes_to_the_parent() -> None:
    """A draft that is certain scores its child as high as itself; the child must not outlive its parent."""
    model = Recurrent(0)
    model.head.zero_()
    model.head[3] = 1e4
    model.embedding.zero_()
    model.embedding[3] = 1.0
    head = draft_head(model, list(range(VOCAB)))
    state = DraftState([3], 0, 0.0, room=9)
    for nodes in range(1, 6):
        (tree,) = grow(model, head, [state], Plan(TreeShape(nodes, 5, 2)), Clock())
        tree.check(3, VOCAB, 9, nodes)
        assert tree.depths.tolist() == list(range(nodes + 1))
        assert math.isclose(sum_score(model, state, list(range(VOCAB)), (3,)), 0.0)
