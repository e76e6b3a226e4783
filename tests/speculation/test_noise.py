"""The noise: the published generators, the right distribution, no dependence on what else is asked for."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from frspec.speculation import noise
from frspec.speculation.noise import gumbel, gumbel_of, position_key, rough_gumbel, token_bits

# The first outputs of SplitMix64 seeded with 1234567, as published with the reference implementations.
SPLITMIX = [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431, 16408922859458223821]
GOLDEN = 0x9E3779B97F4A7C15

seeds = st.integers(-(2**63), 2**63 - 1)


def lowbias32(words: np.ndarray, between: int) -> np.ndarray:
    """The published C function in unsigned arithmetic, with a word added before its second round."""
    words = words ^ (words >> np.uint32(16))
    words = words * np.uint32(0x21F0AAAD) + np.uint32(between)
    words = words ^ (words >> np.uint32(15))
    words = words * np.uint32(0xD35A2D97)
    return words ^ (words >> np.uint32(15))


def test_position_keys_come_from_the_splitmix64_stream() -> None:
    assert [noise._mix((1234567 + (i + 1) * GOLDEN) % 2**64) for i in range(5)] == SPLITMIX
    assert position_key(5, 3) == noise._mix((noise._mix(5) + 4 * GOLDEN) % 2**64)


@given(st.integers(0, 2**64 - 1))
def test_token_bits_are_the_published_hash(key: int) -> None:
    ids = np.arange(0, 300_000, 977, dtype=np.uint32)
    expected = lowbias32(ids * np.uint32(0x9E3779B9) + np.uint32(key % 2**32), key >> 32)
    found = token_bits(key, torch.from_numpy(ids.astype(np.int32))).numpy().view(np.uint32)
    assert (found == expected).all()


@given(seeds, st.integers(0, 10**6), st.lists(st.integers(0, 200_000), min_size=1, max_size=50))
def test_noise_of_an_id_does_not_depend_on_the_others(seed: int, position: int, ids: list[int]) -> None:
    together = gumbel(seed, position, torch.tensor(ids))
    assert together.isfinite().all()
    assert together.tolist() == [gumbel(seed, position, torch.tensor([i])).item() for i in ids]


@given(seeds, st.integers(0, 1000))
def test_noise_is_gumbel_and_uncorrelated_between_positions_and_seeds(seed: int, position: int) -> None:
    ids = torch.arange(20_000)
    here = gumbel(seed, position, ids).numpy()
    assert stats.kstest(here, stats.gumbel_r.cdf).pvalue > 1e-6
    for other in (gumbel(seed, position + 1, ids), gumbel(seed ^ 1, position, ids)):
        assert abs(np.corrcoef(here, other.numpy())[0, 1]) < 0.05
    assert abs(np.corrcoef(here[:-1], here[1:])[0, 1]) < 0.05


def test_neighbours_are_independent() -> None:
    """Pairs of the upper and of the lower five bits of neighbouring ids, and of one id at neighbouring positions."""
    ids = torch.arange(2000, dtype=torch.int32)
    table = np.stack([token_bits(position_key(0, position), ids).numpy().view(np.uint32) for position in range(200)])
    for part in (table >> np.uint32(27), table & np.uint32(31)):
        for one, other in ((part[:, :-1], part[:, 1:]), (part[:-1], part[1:])):
            counts = np.bincount((one * 32 + other).ravel(), minlength=1024)
            assert stats.chisquare(counts).pvalue > 1e-4


def test_picks_are_as_frequent_as_their_probability() -> None:
    """The Gumbel-max trick over many positions of one text: what the noise is for."""
    probability = np.array([0.6, 0.2, 0.1, 0.05, 0.03, 0.02])
    scores, ids = torch.from_numpy(np.log(probability)), torch.arange(6) * 20_000
    picks = [int((scores + gumbel(1, position, ids)).argmax()) for position in range(20_000)]
    assert stats.chisquare(np.bincount(picks, minlength=6), probability * len(picks)).pvalue > 1e-4


def test_the_ends_of_the_range() -> None:
    """By the formula in exact numbers: u = 2^-33 and 1 - 2^-33."""
    ends = torch.tensor([-(2**31), 2**31 - 1], dtype=torch.int32)
    lowest, highest = gumbel_of(ends).tolist()
    assert np.isclose(lowest, -np.log(33 * np.log(2)), rtol=1e-12)
    assert np.isclose(highest, 33 * np.log(2), rtol=1e-9)
    assert rough_gumbel(ends).isfinite().all()


def test_rough_noise_is_near() -> None:
    bits = token_bits(7, torch.arange(200_000, dtype=torch.int32))
    exact, rough = gumbel_of(bits), rough_gumbel(bits).double()
    usual = exact < 10
    assert (exact - rough)[usual].abs().max() < 0.1
    assert (exact - rough)[exact < 6].abs().max() < 0.01
    assert torch.equal(exact.topk(10).indices.sort().values, rough.topk(10).indices.sort().values)


def test_keys_differ() -> None:
    keys = {position_key(seed, position) for seed in range(100) for position in range(100)}
    assert len(keys) == 10_000
