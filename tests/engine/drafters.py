"""Drafters for tests: hopeless ones, and one that knows the future."""

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from frspec.clock import Clock
from frspec.speculation.drafters.base import DraftState
from frspec.types import TokenTree


def tree_of(tokens: list[int], parents: list[int]) -> TokenTree:
    depths = [0]
    for parent in parents[1:]:
        depths.append(depths[parent] + 1)
    return TokenTree(torch.tensor(tokens), torch.tensor(parents), torch.tensor(depths))


class Guesser:
    """Grows random trees; ``guess`` says which tokens stand under a node with this text."""

    name, max_nodes, row_bytes = "guesser", 12, 0

    def __init__(self, vocab_size: int, seed: int = 0) -> None:
        self.vocab_size, self.generator = vocab_size, torch.Generator().manual_seed(seed)
        self.trees: list[TokenTree] = []

    def random(self, high: int) -> int:
        return int(torch.randint(high, (1,), generator=self.generator))

    def guess(self, text: list[int]) -> int:
        return self.random(self.vocab_size)

    def propose(self, states: Sequence[DraftState], clock: Clock) -> list[TokenTree]:
        self.trees = [self.grow(state) for state in states]
        return self.trees

    def grow(self, state: DraftState) -> TokenTree:
        texts, parents = [state.tokens], [0]
        for _ in range(self.random(self.max_nodes + 1)):
            parent = max(self.random(len(texts)), self.random(len(texts)))  # deep rather than broad
            text = [*texts[parent], self.guess(texts[parent])]
            if text not in texts and len(text) - len(state.tokens) <= state.room:
                texts.append(text)
                parents.append(parent)
        return tree_of([text[-1] for text in texts], parents)

    def observe(self, state: DraftState, tokens: Sequence[int], features: Tensor, clock: Clock) -> None:
        assert len(tokens) == len(features)

    def resume(self, memory: Any, rows: int, copy: bool) -> tuple[Any, int]:
        return None, rows


class Oracle(Guesser):
    """Knows what plain decoding wrote and says it, except now and then."""

    name = "oracle"

    def __init__(self, vocab_size: int, texts: list[list[int]], honesty: float = 0.7) -> None:
        super().__init__(vocab_size)
        self.texts, self.honesty = texts, honesty

    def guess(self, text: list[int]) -> int:
        for known in self.texts:
            if known[: len(text)] == text and len(known) > len(text) and self.random(1000) < 1000 * self.honesty:
                return known[len(text)]
        return super().guess(text)


class Wrong(Oracle):
    """Knows the truth and never says it."""

    name = "wrong"

    def guess(self, text: list[int]) -> int:
        truth = {known[len(text)] for known in self.texts if known[: len(text)] == text and len(known) > len(text)}
        return next(t for t in iter(lambda: self.random(self.vocab_size), None) if t not in truth)


class Constant(Guesser):
    """One token for ever."""

    name = "constant"

    def guess(self, text: list[int]) -> int:
        return 7


class Silent(Guesser):
    """Nothing at all."""

    name = "silent"

    def grow(self, state: DraftState) -> TokenTree:
        return TokenTree.chain(state.tokens[-1:])


class Malformed(Guesser):
    """Trees that are none: each ``kind`` is wrong in its own way."""

    name = "malformed"
    KINDS: ClassVar = {
        "another root": ([5, 6], [0, 0], [0, 1]),
        "no such token": ([-1, 10**6], [0, 0], [0, 1]),
        "negative token": ([-1, -7], [0, 0], [0, 1]),
        "wrong depth": ([-1, 6, 7], [0, 0, 1], [0, 1, 1]),
        "parent after child": ([-1, 6, 7], [0, 2, 0], [0, 2, 1]),
        "twins": ([-1, 6, 6], [0, 0, 0], [0, 1, 1]),
        "too deep": ([-1, *[6] * 11], [0, *range(11)], [*range(12)]),
        "too many": ([-1, *range(3, 20)], [0] * 18, [0, *[1] * 17]),
        "nothing": None,
        "float tokens": ([-1.0, 6.5], [0, 0], [0, 1]),
        "float depths": ([-1, 6], [0, 0], [0.0, 1.0]),
        "a depth too many": ([-1, 6], [0, 0], [0, 1, 1]),
        "two dimensions": ([[-1, 6]], [[0, 0]], [[0, 1]]),
    }

    def __init__(self, vocab_size: int, kind: str) -> None:
        super().__init__(vocab_size)
        self.kind = kind

    def grow(self, state: DraftState) -> TokenTree:
        if self.KINDS[self.kind] is None:
            return None  # type: ignore[return-value]
        tokens, parents, depths = (torch.tensor(part) for part in self.KINDS[self.kind])
        if self.kind != "another root":
            tokens.view(-1)[0] = state.tokens[-1]
        return TokenTree(tokens, parents, depths)


class Crashing(Guesser):
    """Breaks at its third draft, or while it learns."""

    name = "crashing"

    def __init__(self, vocab_size: int, in_observe: bool = False) -> None:
        super().__init__(vocab_size)
        self.calls, self.in_observe = 0, in_observe

    def propose(self, states: Sequence[DraftState], clock: Clock) -> list[TokenTree]:
        self.calls += 1
        if self.calls == 3 and not self.in_observe:
            raise RuntimeError("the draft model broke")
        return super().propose(states, clock)

    def observe(self, state: DraftState, tokens: Sequence[int], features: Tensor, clock: Clock) -> None:
        if self.calls == 3 and self.in_observe:
            self.in_observe = False
            raise RuntimeError("the draft model broke")
