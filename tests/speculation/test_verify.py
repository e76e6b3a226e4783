"""The acceptance rule by itself: what is accepted is exactly what the target picks."""

import itertools
from collections import Counter
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from frspec.speculation.verify import verify

VOCABULARY, LENGTH = 3, 3


def chances(context: tuple[int, ...]) -> list[Fraction]:
    """A made-up target: next-token probabilities that depend on the whole context."""
    weights = [
        1 + (sum(t * (i + 2) for i, t in enumerate(context)) + len(context) + v * v) % 5 for v in range(VOCABULARY)
    ]
    return [Fraction(w, sum(weights)) for w in weights]


@st.composite
def trees(draw: st.DrawFn) -> tuple[list[int], list[int]]:
    tokens, parents = [0], [0]
    for _ in range(draw(st.integers(0, 8))):
        parent, token = draw(st.integers(0, len(tokens) - 1)), draw(st.integers(0, VOCABULARY - 1))
        if (parent, token) not in zip(parents[1:], tokens[1:], strict=True):
            tokens.append(token)
            parents.append(parent)
    return tokens, parents


def above(node: int, tokens: list[int], parents: list[int]) -> tuple[int, ...]:
    """The drafted tokens from below the root down to ``node``."""
    return (*above(parents[node], tokens, parents), tokens[node]) if node else ()


@given(trees())
def test_the_output_distribution_is_the_targets_exactly(tree: tuple[list[int], list[int]]) -> None:
    """Enumerates every choice the target's noise can make, with exact fractions.

    A pick is made for the node that ``verify`` asks about, from the probabilities after *that node's* tokens; had the
    walk gone astray, they would not be those of the text that comes out.
    """
    tokens, parents = tree
    reached: Counter[tuple[int, ...]] = Counter()
    for choices in itertools.product(range(VOCABULARY), repeat=LENGTH):
        output: tuple[int, ...] = ()
        weight = Fraction(1)
        while len(output) < LENGTH:
            before = output

            def pick(node: int, before=before, choices=choices) -> tuple[int, bool]:
                nonlocal weight
                context = before + above(node, tokens, parents)
                token = choices[len(context)]
                weight *= chances(context)[token]
                return token, len(context) + 1 == LENGTH

            path, emitted = verify(tokens, parents, pick)
            output += tuple(emitted)
            assert len(path) == len(emitted)
        reached[output] += weight
    for output in itertools.product(range(VOCABULARY), repeat=LENGTH):
        expected = Fraction(1)
        for i, token in enumerate(output):
            expected *= chances(output[:i])[token]
        assert reached[output] == expected


@given(trees(), st.lists(st.integers(0, 2), min_size=10, max_size=10), st.integers(1, 10))
def test_the_path_follows_the_picks_and_ends_with_the_text(
    tree: tuple[list[int], list[int]], picks: list[int], end: int
) -> None:
    tokens, parents = tree
    made: list[int] = []

    def pick(node: int) -> tuple[int, bool]:
        assert not made or tokens[node] == made[-1]
        made.append(picks[len(made)])
        return made[-1], len(made) == end

    path, emitted = verify(tokens, parents, pick)
    assert emitted == made == picks[: len(emitted)]
    assert [tokens[node] for node in path[1:]] == emitted[: len(path) - 1]
    assert all(parents[child] == parent for parent, child in itertools.pairwise(path))
    after = (path[-1], emitted[-1])
    assert len(emitted) == end or after not in zip(parents[1:], tokens[1:], strict=True)
