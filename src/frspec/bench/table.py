"""Figures of many samples: medians over rounds, and speed relative to other methods.

Knows: rounds, the target they are of. Does not know: how they were taken, how figures are shown.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from frspec.bench.compare import Round
from frspec.bench.differences import differences
from frspec.bench.memory import Modes
from frspec.bench.methods import PLAIN, Method, OwnMethod, Sample, Setting
from frspec.models.decoder import Decoder
from frspec.types import SamplingParams, StepStats

FULL = "full"
APART: dict[str, Any] = {"draft_vocab": None, "draft_vocab_size": None, "synthetic": None}
"""In what a method may differ from the one that searches the full vocabulary."""


def rows(
    target: Decoder, methods: Sequence[Method], rounds: Sequence[Round], params: SamplingParams, modes: Modes
) -> list[dict[str, Any]]:
    """One row a method, in their order; one of them is ``PLAIN``. ``tasks`` holds the main figures of each task.

    ``differences`` and ``identical_outputs`` compare ids with plain decoding's. Above temperature 0 a peer writes other
    texts with the same right, by its own random numbers, one whose ``weights`` are rounded otherwise is another model,
    and with synthetic acceptance no text means anything: there both are None.
    """
    table, tasks = [], dict.fromkeys(round.prompt.task for round in rounds)
    weights = next(method.weights for method in methods if method.name == PLAIN)
    for method in methods:
        setting = setting_of(method)
        comparable = not setting.synthetic and (params.greedy or not method.peer) and method.weights == weights
        found = differences(target, rounds, method.name, params) if comparable else None
        others = {"plain": PLAIN, "full": _full(method, methods)}
        row = {"method": method.name, "peer": method.peer, "weights": method.weights, **asdict(setting)}
        row |= {**speeds(rounds, method.name, others, modes), **totals([r.samples[method.name] for r in rounds])}
        row["memory_gb_per_second"] = _memory(rounds, method.name)
        row |= {"identical_outputs": None if found is None else len(rounds) - len(found), "differences": found}
        row["tasks"] = {
            task: speeds([round for round in rounds if round.prompt.task == task], method.name, others, modes)
            for task in tasks
        }
        table.append(row)
    return table


def setting_of(method: Method) -> Setting:
    """How it drafts, if it is one of ours."""
    return method.setting if isinstance(method, OwnMethod) else Setting()


def _full(method: Method, methods: Sequence[Method]) -> str | None:
    """The name of the method that differs only in searching the full vocabulary."""
    own = setting_of(method)
    if own.draft_vocab in (None, FULL):
        return None
    same = [
        other.name
        for other in methods
        if (setting := setting_of(other)).draft_vocab == FULL and replace(setting, **APART) == replace(own, **APART)
    ]
    return same[0] if same else None


def speeds(rounds: Sequence[Round], name: str, others: dict[str, str | None], modes: Modes) -> dict[str, Any]:
    """Speed and acceptance of ``name`` over these rounds, and its speed over that of each of ``others``.

    ``tokens_per_second`` is decoding alone. A ratio is that of the two speeds in one round, if memory was in the same
    mode for both (``ratio_pairs`` of them). These are medians over rounds, with their quartiles beside them. An answer
    of one token has no speed; a figure without any value is None.
    """
    samples = [round.samples[name] for round in rounds]
    taken = [sample.tokens_per_second for sample in samples]
    figures = {
        "outputs": len(samples),
        **_middle("tokens_per_second", taken, 1),
        "tokens_per_second_by_mode": _by_mode(taken, _modes(rounds, name, modes)) if modes.border else {},
        "mean_acceptance_length": _acceptance(_total(samples)),
    }
    for key, other in others.items():
        pairs = [] if other is None else _ratios(rounds, name, other, modes)
        figures |= {**_middle(f"ratio_to_{key}", pairs, 3), f"ratio_to_{key}_pairs": len(pairs)}
    return figures


def totals(samples: Sequence[Sample]) -> dict[str, Any]:
    """Sums or means over all samples; the time of the first token and of each part of a pass are medians."""
    stats = _total(samples)
    passes = stats.target_passes
    return {
        **_middle("first_token_seconds", (sample.first_token_seconds for sample in samples), 5),
        "tokens": sum(len(sample.token_ids) for sample in samples),
        "decode_tokens": stats.emitted,
        "decode_seconds": round(sum(sample.decode_seconds for sample in samples), 4),
        "target_passes": passes,
        "accepted_per_pass_at_position": [round(count / passes, 3) for count in stats.accepted_per_position],
        "drafted_per_pass": round(sum(stats.drafted_per_position) / passes, 2) if passes else None,
        "time_share": _shares([sample.time_split for sample in samples]),
        "seconds_per_pass": _per_pass(samples),
    }


def _memory(rounds: Sequence[Round], name: str) -> float | None:
    """The median of the readings beside its samples."""
    readings = [reading for each in rounds for reading in each.readings.get(name, ())]
    return round(float(np.median(readings)), 1) if readings else None


def _modes(rounds: Sequence[Round], name: str, modes: Modes) -> list[str | None]:
    return [modes.of_sample(round.readings.get(name)) for round in rounds]


def _by_mode(speeds: Sequence[float | None], modes: Sequence[str | None]) -> dict[str, float | None]:
    """Medians; the samples between two modes are left out."""
    pairs = list(zip(speeds, modes, strict=True))
    return {mode: _middle("", (speed for speed, own in pairs if own == mode), 1)[""] for mode in ("slow", "fast")}


def _ratios(rounds: Sequence[Round], name: str, other: str, modes: Modes) -> list[float]:
    pairs = []
    for round, mine, theirs in zip(rounds, _modes(rounds, name, modes), _modes(rounds, other, modes), strict=True):
        own, speed = (round.samples[method].tokens_per_second for method in (name, other))
        if own and speed and mine is not None and mine == theirs:
            pairs.append(own / speed)
    return pairs


def _total(samples: Sequence[Sample]) -> StepStats:
    stats = StepStats()
    for sample in samples:
        stats.add(sample.stats)
    return stats


def _acceptance(stats: StepStats) -> float | None:
    return round(stats.mean_acceptance_length, 3) if stats.target_passes else None


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


def _per_pass(samples: Sequence[Sample]) -> dict[str, float]:
    """Seconds of each part: a sample that was disturbed counts no more than another."""
    taken = dict[str, list[float]]()
    for sample in samples:
        for name, seconds in sample.time_split.items():
            if sample.stats.target_passes:
                taken.setdefault(name, []).append(seconds / sample.stats.target_passes)
    return {name: round(float(np.median(values)), 7) for name, values in taken.items()}
