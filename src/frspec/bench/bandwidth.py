"""How fast this machine reads memory at the moment.

Knows: one plain read by as many threads as PyTorch uses. Does not know: what else is measured, or what ran meanwhile.
A decoding step can be no faster than its weights are read. On virtual machines that rate changes within minutes
(40 to 53 GB/s and 75 to 87 on one of two cores), so timings mean something beside the rate they were taken at.
"""

from __future__ import annotations

import time
from functools import cache
from pathlib import Path
from statistics import median

import torch
from torch import Tensor

LEAST = 256 << 20
"""Bytes read at once, or eight last-level caches where that is more."""
ROW = 1 << 16
"""Floats a thread adds up in one go."""
CACHE_SIZES = Path("/sys/devices/system/cpu/cpu0/cache")


def read_rate(passes: int = 5) -> float:
    """Gigabytes (1e9 bytes) a second at which memory is read now: the median of some 5 ms long ``passes``.

    The read is a sum along the rows of a matrix. Of ten ways to read tried beside each other (sums, maxima of five
    types, counts, products) it is with the fastest, and on data in the cache it runs at three times the rate, so
    memory alone limits it. Small reads that happen to be in a cache are not what this measures.
    """
    block = _block()
    with torch.inference_mode():
        seconds = [_timed(block) for _ in range(passes)]
    return block.nbytes / median(seconds) / 1e9


def _timed(block: Tensor) -> float:
    start = time.perf_counter()
    block.sum(1)
    return time.perf_counter() - start


@cache
def _block() -> Tensor:
    """[rows, ROW] float32, written once: memory that was never written is not there to be read. Kept until the end."""
    size = max(LEAST, 8 * _last_level_cache())
    return torch.ones(size // (4 * ROW), ROW)


def _last_level_cache() -> int:
    """Bytes of the largest cache that core 0 reads through; 0 where the system does not say (only Linux does)."""
    sizes = [file.read_text().strip() for file in CACHE_SIZES.glob("index*/size")]
    return max((int(size.removesuffix("K")) << 10 for size in sizes), default=0)
