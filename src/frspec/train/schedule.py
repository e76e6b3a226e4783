"""The learning rate over a run: warm-up, stable, decay (WSD, MiniCPM, arXiv 2404.06395). Knows: step numbers."""

from __future__ import annotations

WARM_UP, DECAY = 0.02, 0.1
"""Shares of all steps: a linear rise at the start, a linear fall to zero at the end."""


def learning_rate(step: int, steps: int, peak: float, decay: float = DECAY) -> float:
    """The rate of step ``step``, counted from 0 to ``steps`` - 1; it falls over the last ``decay`` share of them."""
    rising = (step + 1) / max(1.0, WARM_UP * steps)
    falling = (steps - step) / max(1.0, decay * steps)
    return peak * min(1.0, rising, falling)
