"""Figures of many samples: medians over prompts, and speed relative to plain decoding.

Knows: samples, the target they are of. Does not know: how they were taken, how figures are shown.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from frspec.bench.differences import differences
from frspec.bench.methods import Method, Sample
from frspec.models.decoder import Decoder
from frspec.types import SamplingParams, StepStats

PLAIN = "plain"


def rows(
    target: Decoder,
    methods: Sequence[Method],
    prompts: Sequence[Sequence[int]],
    samples: Mapping[str, Sequence[Sample]],
    params: SamplingParams,
) -> list[dict[str, Any]]:
    """One row a method, in their order; one of them is ``PLAIN``.

    ``differences`` and ``identical_outputs`` compare ids with plain decoding's. Above temperature 0 a peer writes other
    texts with the same right, by its own random numbers: there both are None.
    """
    plain, table = samples[PLAIN], []
    for method in methods:
        own = samples[method.name]
        comparable = params.greedy or not method.peer
        found = differences(target, prompts, plain, own, params) if comparable else None
        row = {"method": method.name, "peer": method.peer, **figures(own, plain), "outputs": len(own)}
        row |= {"identical_outputs": None if found is None else len(own) - len(found), "differences": found}
        table.append(row)
    return table


def figures(samples: Sequence[Sample], plain: Sequence[Sample]) -> dict[str, Any]:
    """A method's row, from its samples and plain decoding's of the same prompts.

    ``tokens_per_second`` is decoding alone; ``ratio_to_plain`` that of the two speeds on one prompt; these and
    ``first_token_seconds`` are medians over prompts, with their quartiles beside them. A prompt on which nothing came
    after the first token has no speed; without any the figure is None. The rest are sums or means over all prompts.
    """
    stats = StepStats()
    for sample in samples:
        stats.add(sample.stats)
    passes = stats.target_passes
    speeds = [sample.tokens_per_second for sample in samples]
    pairs = zip(speeds, (sample.tokens_per_second for sample in plain), strict=True)
    return {
        **_middle("tokens_per_second", speeds, 1),
        **_middle("ratio_to_plain", (own / other for own, other in pairs if own and other), 3),
        **_middle("first_token_seconds", (sample.first_token_seconds for sample in samples), 5),
        "tokens": sum(len(sample.token_ids) for sample in samples),
        "decode_tokens": stats.emitted,
        "decode_seconds": round(sum(sample.decode_seconds for sample in samples), 4),
        "mean_acceptance_length": round(stats.mean_acceptance_length, 3) if passes else None,
        "accepted_per_pass_at_position": [round(count / passes, 3) for count in stats.accepted_per_position],
        "drafted_per_pass": round(sum(stats.drafted_per_position) / passes, 2) if passes else None,
        "time_share": _shares([sample.time_split for sample in samples]),
    }


def _middle(name: str, values: Iterable[float | None], digits: int) -> dict[str, Any]:
    known = [value for value in values if value is not None]
    if not known:
        return {name: None, f"{name}_quartiles": None}
    low, middle, high = (round(float(value), digits) for value in np.percentile(known, [25, 50, 75]))
    return {name: middle, f"{name}_quartiles": [low, high]}


def _shares(splits: Sequence[dict[str, float]]) -> dict[str, float]:
    seconds: dict[str, float] = {}
    for split in splits:
        for name, value in split.items():
            seconds[name] = seconds.get(name, 0.0) + value
    total = sum(seconds.values())
    return {name: round(value / total, 3) for name, value in seconds.items()} if total else {}
