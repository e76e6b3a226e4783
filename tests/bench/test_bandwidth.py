"""The memory probe: that it reads memory rather than a cache, and counts what it reads."""

from pathlib import Path

import numpy as np
import pytest
import torch

from frspec.bench import bandwidth


def test_the_rate_is_bytes_over_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bandwidth, "_block", lambda: torch.ones(10, 25))
    seconds = iter([4e-6, 1e-6, 2e-6])
    monkeypatch.setattr(bandwidth, "_timed", lambda block: next(seconds))
    assert bandwidth.read_rate(passes=3) == pytest.approx(1000 / 2e-6 / 1e9)


def test_the_block_is_written_and_larger_than_any_cache() -> None:
    block = bandwidth._block()
    assert block.nbytes >= max(bandwidth.LEAST, 8 * bandwidth._last_level_cache())
    assert np.asarray(block).strides[1] == 4
    assert torch.equal(block.sum(1), torch.full((len(block),), float(bandwidth.ROW)))


def test_the_last_level_cache_is_what_the_system_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for index, size in enumerate(("48K", "1024K", "32768K")):
        (tmp_path / f"index{index}").mkdir()
        (tmp_path / f"index{index}" / "size").write_text(size + "\n")
    monkeypatch.setattr(bandwidth, "CACHE_SIZES", tmp_path)
    assert bandwidth._last_level_cache() == 32 << 20
    monkeypatch.setattr(bandwidth, "CACHE_SIZES", tmp_path / "absent")
    assert bandwidth._last_level_cache() == 0


def test_it_answers_a_rate() -> None:
    assert bandwidth.read_rate(passes=1) > 0
