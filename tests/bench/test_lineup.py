"""What the words of --shapes and --acceptance stand for."""

import pytest

from frspec.bench.acceptance import Acceptance, describe
from frspec.bench.lineup import read_shapes
from frspec.errors import UserError
from frspec.speculation.plan import TreeShape

PAPER = {"full": 3.89, "65536": 3.80, "32768": 3.63, "16384": 3.40, "8192": 3.13}


def test_shapes() -> None:
    shapes = [None, TreeShape(4, 4, 1), TreeShape(15, 5, 4)]
    assert read_shapes("auto, chain:4,tree:15/5/4,chain:4") == shapes
    assert read_shapes(",".join(str(shape) for shape in shapes if shape)) == shapes[1:]


@pytest.mark.parametrize("word", ["", "chain", "chain:", "chain:4/2", "tree:4", "tree:1/2/3/4", "star:3", "chain:x"])
def test_no_shape(word: str) -> None:
    with pytest.raises(UserError, match="is no shape of a draft; the shapes are auto, chain:TOKENS"):
        read_shapes(word)


def test_rates_are_for_every_size_and_shape() -> None:
    asked = Acceptance.parse("synthetic:0.8,0.7,0.6")
    for size in ("full", "8192"):
        for shape in (None, TreeShape(4, 4, 1)):
            assert asked.of(size, shape).rates == (0.8, 0.7, 0.6)
    length = 1 + 0.8 + 0.8 * 0.7 + 0.8 * 0.7 * 0.6 * (1 + 0.6)
    assert describe(asked.of("full", None), TreeShape(4, 4, 1))["mean_acceptance_length"] == pytest.approx(
        length, abs=1e-3
    )
    assert describe(asked.of("full", None), None) == {"rates": [0.8, 0.7, 0.6], "mean_acceptance_length": None}


def test_lengths_are_for_one_size_each() -> None:
    asked = Acceptance.parse("synthetic:" + ",".join(f"{size}={length}" for size, length in PAPER.items()))
    shapes = [TreeShape(6, 6, 1), TreeShape(60, 6, 10), TreeShape(4, 5, 1)]
    asked.check(list(PAPER), shapes)
    for size, length in PAPER.items():
        for shape in shapes:
            (rate,) = asked.of(size, shape).rates
            depth = min(shape.depth, shape.nodes)
            assert sum(rate**level for level in range(depth + 1)) == pytest.approx(length, abs=1e-6)
            assert describe(asked.of(size, shape), shape)["mean_acceptance_length"] == length
    with pytest.raises(UserError, match="no length for --draft-vocab 4096; add 4096=LENGTH"):
        asked.check(["full", "4096"], shapes)
    with pytest.raises(UserError, match="lies from 1 to 3"):
        asked.check(["full"], [TreeShape(2, 2, 1)])


@pytest.mark.parametrize(
    "text", ["0.8", "real:0.8", "synthetic:", "synthetic:a", "synthetic:full=x", "synthetic:1=2=3"]
)
def test_what_is_not_understood(text: str) -> None:
    with pytest.raises(UserError, match=r"is not understood; write synthetic:0\.8"):
        Acceptance.parse(text)
