"""Modes of the memory's speed, found in readings of which the mode is known."""

import numpy as np
import pytest

from frspec.bench.memory import Modes


@pytest.mark.parametrize("share", [0.1, 0.5, 0.95])
def test_two_modes_are_told_apart(share: float) -> None:
    generator = np.random.default_rng(int(share * 100))
    fast = generator.random(200) < share
    readings = np.where(fast, generator.uniform(75, 87, 200), generator.uniform(41, 53, 200)).tolist()
    modes = Modes.of(readings)
    assert [modes.of_sample((reading, reading)) == "fast" for reading in readings] == fast.tolist()
    assert modes.of_sample((45, 80)) is modes.of_sample((80, 45)) is None
    assert modes.of_sample(None) == "all"
    summary = modes.summary(readings)
    assert {name: mode["readings"] for name, mode in summary.items()} == {"fast": fast.sum(), "slow": (~fast).sum()}
    assert 41 <= summary["slow"]["gb_per_second"] <= 53 < 75 <= summary["fast"]["gb_per_second"] <= 87


OUTLIER = [50.1, 49.9, 50.3, 50.0, 51.2, 52.3, 33.5, 33.5, 33.5, 33.5]


@pytest.mark.parametrize("readings", [[], OUTLIER, [50.0], [50, 52, 47, 51], [50.0] * 9, list(np.linspace(40, 80, 50))])
def test_one_mode_is_not_split(readings: list[float]) -> None:
    modes = Modes.of(readings)
    assert modes.border is None
    assert all(modes.of_sample((reading, 40)) == "all" for reading in readings)
    assert list(modes.summary(readings)) == ["all"] * bool(readings)


def test_noise_around_one_rate_is_one_mode() -> None:
    for seed in range(20):
        readings = np.random.default_rng(seed).lognormal(np.log(50), 0.15, 60).tolist()
        assert Modes.of(readings).border is None
