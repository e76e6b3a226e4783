"""How fast the machine read memory while a sample was taken, and in which mode it was.

Knows: readings in GB/s, when they were taken. Does not know: methods, how a reading is made.
A decoding step reads the target's weights, so its speed is memory's, and virtual machines change that within minutes
by up to a factor of two. Samples of different modes are not compared.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter

import numpy as np

FRESH = 0.5
"""Seconds for which a reading stands: one takes 20 to 40 ms, which a short sample could not bear twice."""
APART, DEVIATIONS = 1.25, 4.5
"""Two modes are at least this factor apart, and so many standard deviations of what is within them: the halves of an
even spread are 3.5 apart."""
LEAST = 3
"""Readings that make a mode; fewer were disturbed."""


class Memory:
    """Takes readings by ``read`` (GB/s), each used until it is ``FRESH`` seconds old by ``now``."""

    def __init__(self, read: Callable[[], float], now: Callable[[], float] = perf_counter) -> None:
        self._read, self._now = read, now
        self._last = self._taken = -np.inf

    def rate(self) -> float:
        """GB/s, now or a moment ago."""
        if self._now() - self._taken > FRESH:
            self._last = round(self._read(), 2)
            self._taken = self._now()
        return self._last


Readings = tuple[float, float]
"""Before and after one sample."""


@dataclass(frozen=True)
class Modes:
    """``border`` in GB/s between a slow and a fast mode; None: there was one."""

    border: float | None = None

    @staticmethod
    def of(readings: Sequence[float]) -> Modes:
        """Two clusters where there are two: the best split of the sorted logarithms in two (exact 1-D k-means).

        A reading that several samples share counts once.
        """
        logs = np.log(np.unique(np.asarray(readings, dtype=float)))
        count = len(logs)
        if count < 2 * LEAST:
            return Modes()
        places = range(LEAST, count - LEAST + 1)
        within = [place * logs[:place].var() + (count - place) * logs[place:].var() for place in places]
        place = places[int(np.argmin(within))]
        deviation = np.sqrt(min(within) / count)
        apart = np.median(logs[place:]) - np.median(logs[:place])
        if apart < max(np.log(APART), DEVIATIONS * deviation):
            return Modes()
        return Modes(float(np.exp((logs[place - 1] + logs[place]) / 2)))

    def of_sample(self, readings: Readings | None) -> str | None:
        """ "slow", "fast" or, where there is one mode or none was looked for, "all"; None: it changed meanwhile."""
        if self.border is None or readings is None:
            return "all"
        before, after = (reading > self.border for reading in readings)
        return None if before != after else "fast" if before else "slow"

    def summary(self, readings: Sequence[float]) -> dict[str, dict[str, float]]:
        """The median of each mode in GB/s, and how many readings it had."""
        by_mode = dict[str, list[float]]()
        for reading in readings:
            by_mode.setdefault(self.of_sample((reading, reading)) or "all", []).append(reading)
        return {
            mode: {"gb_per_second": round(float(np.median(taken)), 1), "readings": len(taken)}
            for mode, taken in sorted(by_mode.items())
        }
