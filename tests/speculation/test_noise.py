"""The noise: the published generator, the right distribution, no dependence on what else is asked for."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from frspec.speculation.noise import gumbel, position_key, token_bits

# The first outputs of SplitMix64 seeded with 1234567, as published with the reference implementations.
SPLITMIX = [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431, 16408922859458223821]

seeds = st.integers(-(2**63), 2**63 - 1)


def test_token_bits_are_the_splitmix64_stream() -> None:
    bits = token_bits(1234567, torch.arange(5))
    assert bits.numpy().view(np.uint64).tolist() == SPLITMIX


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


def test_keys_differ() -> None:
    keys = {position_key(seed, position) for seed in range(100) for position in range(100)}
    assert len(keys) == 10_000
