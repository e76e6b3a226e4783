"""The quick searches against the plain functions they stand for."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from frspec.speculation import search
from frspec.speculation.noise import gumbel_of, token_bits

sizes = st.integers(search.FEW - 2, 3 * search.FEW)
draws = st.integers(0, 2**32 - 1)
KINDS = ["smooth", "coarse", "hidden", "flat"]


def scores(kind: str, seed: int, *shape: int) -> torch.Tensor:
    """Scores of one kind: all different, full of equals, mostly -inf, or nearly the same."""
    made = torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * 3
    if kind == "coarse":
        return made.round()
    if kind == "hidden":
        return made.masked_fill(made < 4, -torch.inf)
    return made * 0.01 if kind == "flat" else made


@given(st.sampled_from(KINDS), draws, sizes)
def test_argmax_is_the_first_largest(kind: str, seed: int, size: int) -> None:
    made = scores(kind, seed, size)
    assert search.argmax(made) == int((made == made.max()).nonzero()[0])


@pytest.mark.parametrize("place", [0, 4095, 4096, 4999])
def test_argmax_finds_any_place(place: int) -> None:
    made = torch.zeros(5000)
    made[place] = 1.0
    assert search.argmax(made) == place


@pytest.mark.parametrize("place", [7, 4999])
def test_argmax_shows_what_is_no_number(place: int) -> None:
    made = torch.zeros(5000)
    made[place] = torch.nan
    made[4990] = 1.0
    assert search.argmax(made) == place


@given(st.sampled_from(KINDS), draws, sizes, st.sampled_from([0.1, 1.0, 10.0]))
def test_noisy_argmax_is_that_of_the_sums(kind: str, seed: int, size: int, temperature: float) -> None:
    made = scores(kind, seed, size) / temperature
    bits = token_bits(seed, torch.arange(size, dtype=torch.int32))
    sums = made.double() + gumbel_of(bits)
    assert search.noisy_argmax(made, bits) == int((sums == sums.max()).nonzero()[0])


def test_noisy_argmax_of_equal_sums_is_the_first() -> None:
    made, bits = torch.zeros(5000), torch.zeros(5000, dtype=torch.int32)
    assert search.noisy_argmax(made, bits) == 0
    made[[4990, 77, 3000]] = 1.0
    assert search.noisy_argmax(made, bits) == 77


@given(st.sampled_from(["smooth", "flat"]), draws, sizes, st.integers(1, 40))
def test_top_is_topk(kind: str, seed: int, size: int, count: int) -> None:
    made = scores(kind, seed, 3, size)
    values, places = search.top(made, count)
    assert torch.equal(values, made.topk(count).values)
    assert torch.equal(made.gather(1, places), values)
    assert all(len(set(row)) == count for row in places.tolist())


@given(st.sampled_from(["smooth", "coarse", "flat"]), draws, st.integers(1, 5000))
def test_log_shares_are_those_of_the_softmax(kind: str, seed: int, size: int) -> None:
    made = scores(kind, seed, 2, size)
    values, places = made.topk(min(size, 3))
    expected = made.log_softmax(-1).gather(1, places)
    torch.testing.assert_close(search.log_shares(made.clone(), values), expected, rtol=1e-5, atol=1e-5)
