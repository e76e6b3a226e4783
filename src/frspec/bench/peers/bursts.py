"""From what came when to a sample.

Knows: bursts, the end of a text. Does not know: who wrote it.
"""

from __future__ import annotations

from collections.abc import Sequence

from frspec.bench.methods import Sample
from frspec.types import StepStats

Burst = tuple[float, list[int]]
"""When ids came, and the ids that one pass brought."""


def sample_of(started: float, bursts: Sequence[Burst], stop_ids: Sequence[int]) -> Sample:
    """What was written in one burst or more, up to and with the first of ``stop_ids``; times on one clock."""
    (first_time, first), *later = bursts
    ids = first + [token for _, burst in later for token in burst]
    end = next((place for place, token in enumerate(ids, 1) if token in stop_ids), len(ids))
    stats = StepStats(target_passes=len(later), emitted=max(0, end - len(first)))
    last_time = later[-1][0] if later else first_time
    return Sample(ids[:end], first_time - started, last_time - first_time, stats)
