"""The acceptance rule by itself: what is accepted is exactly what the target picks."""

import itertools
from collections import Counter
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from frspec.speculation.verify import verify


def text_of(context: tuple[int, ...], vocabulary: int) -> list[Fraction]:
    """A made-up target: next-token probabilities that depend on the whole context."""
    weights = [1 + (sum(context) * 7 + len(context) * 3 + v * v) % 5 for v in range(vocabulary)]
    return [Fraction(w, sum(weights)) for w in weights]


@st.composite
def trees(draw: st.DrawFn, vocabulary: int = 3) -> tuple[list[int], list[int]]:
    tokens, parents = [0], [0]
    for _ in range(draw(st.integers(0, 8))):
        parent, token = draw(st.integers(0, len(tokens) - 1)), draw(st.integers(0, vocabulary - 1))
        if (parent, token) not in zip(parents[1:], tokens[1:], strict=True):
            tokens.append(token)
            parents.append(parent)
    return tokens, parents


@given(trees())
def test_the_output_distribution_is_the_targets_exactly(tree: tuple[list[int], list[int]]) -> None:
    """Enumerates every choice the target's noise can make over two passes, with exact fractions."""
    tokens, parents = tree
    length, vocabulary = 3, 3
    reached: Counter[tuple[int, ...]] = Counter()
    for choices in itertools.product(range(vocabulary), repeat=length):
        output: list[int] = []
        weight = Fraction(1)
        while len(output) < length:

            def pick(_node: int, output=output, choices=choices) -> tuple[int, bool]:
                nonlocal weight
                token = choices[len(output)]
                weight *= text_of(tuple(output), vocabulary)[token]
                output.append(token)
                return token, len(output) == length

            path, emitted = verify(tokens, parents, pick)
            assert emitted == output[-len(emitted) :]
            assert len(path) == len(emitted)
        reached[tuple(output)] += weight
    for output in itertools.product(range(vocabulary), repeat=length):
        expected = Fraction(1)
        for i, token in enumerate(output):
            expected *= text_of(output[:i], vocabulary)[token]
        assert reached[output] == expected
    assert sum(reached.values()) == 1


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
