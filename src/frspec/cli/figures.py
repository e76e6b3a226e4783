"""How figures of speed read, wherever they are printed.

Knows: words and units. Does not know: where they go.
"""

from __future__ import annotations

from collections.abc import Mapping

from frspec.types import RequestOutput, StepStats


def plural(count: int, noun: str) -> str:
    """The count with its noun: 1 token, 2 tokens."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def time_shares(seconds: Mapping[str, float]) -> str:
    """Where the time went, the largest share first: "verify 70%, sampling 30%"."""
    total = sum(seconds.values()) or 1.0
    shares = sorted(seconds.items(), key=lambda item: -item[1])
    return ", ".join(f"{name} {value / total:.0%}" for name, value in shares)


def accepted_shares(stats: StepStats) -> str:
    """In how many of the target passes the draft was right to depth 1, 2, ... as far as it ever was: "61%, 34%"."""
    return ", ".join(f"{accepted / stats.target_passes:.0%}" for accepted in stats.accepted_per_position if accepted)


def speed(output: RequestOutput) -> str:
    """One answer in less than 40 columns: tokens, tokens per second, mean acceptance length."""
    metrics, count = output.metrics, sum(len(completion.token_ids) for completion in output.outputs)
    parts = [plural(count, "token")]
    if metrics.emitted:
        parts.append(f"{metrics.tokens_per_second:.1f} tok/s")
    if metrics.target_passes:
        parts.append(f"{metrics.mean_acceptance_length:.2f} per pass")
    return ", ".join(parts)
