"""What is made of the answers of one server at one number of clients.

Knows: answers, counters, how both are summed up. Does not know: servers, who asked when.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from frspec.bench.serving.answers import Answer

Text = tuple[str, str | None, int]
"""What two servers must agree in: the text, why it ended, and its number of tokens."""


@dataclass(frozen=True)
class Batch:
    """All prompts answered once: their answers in order, what the server's counters grew by meanwhile."""

    answers: Sequence[Answer]
    counts: Mapping[str, float]

    @property
    def tokens_per_second(self) -> float | None:
        """New tokens of all answers over the time from the first question to the last piece."""
        good = _good([self])
        if not good:
            return None
        took = max(answer.last for answer in good) - min(answer.sent for answer in good)
        return sum(answer.tokens for answer in good) / took


def text_of(answer: Answer) -> Text:
    """What has to be the same."""
    return answer.text, answer.reason, answer.tokens


def level(
    concurrency: int, batches: Sequence[Batch], first: Sequence[Batch], expected: Mapping[int, Text] | None
) -> dict[str, Any]:
    """The figures of ``batches``, one a round. first: the first server's, in the same rounds.

    Rates and ratios are medians over rounds, times are medians and 95th percentiles over all answers. expected: texts
    by prompt, None where they are not compared. A figure without any value is None.
    """
    good = _good(batches)
    rates = [batch.tokens_per_second for batch in batches]
    ratios = [own / other.tokens_per_second for own, other in zip(rates, first, strict=True)
              if own and other.tokens_per_second]  # fmt: skip
    failed = [answer.error for batch in batches for answer in batch.answers if answer.error is not None]
    figures: dict[str, Any] = {
        "concurrency": concurrency,
        "tokens_per_second": _percentile(rates, 50, 1),
        "tokens_per_second_of_rounds": [None if rate is None else round(rate, 1) for rate in rates],
        "ratio_to_first": _percentile(ratios, 50, 3),
        **_times("first_token_seconds", [answer.first - answer.sent for answer in good if answer.first is not None]),
        **_times("token_seconds", [
            (answer.last - answer.first) / (answer.tokens - 1)
            for answer in good if answer.first is not None and answer.tokens > 1
        ]),
        "tokens": sum(answer.tokens for answer in good),
        "answers": len(good),
        "errors": len(failed),
        "first_error": failed[0] if failed else None,
        **_drafting(batches),
    }  # fmt: skip
    same = [
        expected is not None and expected.get(number) == text_of(answer)
        for batch in batches for number, answer in enumerate(batch.answers) if answer.error is None
    ]  # fmt: skip
    return figures | {"identical": None if expected is None else sum(same), "compared": len(same)}


def _good(batches: Sequence[Batch]) -> list[Answer]:
    return [answer for batch in batches for answer in batch.answers if answer.error is None]


def _drafting(batches: Sequence[Batch]) -> dict[str, Any]:
    """By vLLM's counters: tokens a verified draft brought, the target's own included, and how many of all tokens were
    drafted. None where the server counts nothing."""
    drafts, accepted, generated = (
        sum(batch.counts.get(name, 0) for batch in batches) for name in ("drafts", "accepted", "generated")
    )
    return {
        "mean_acceptance_length": round(1 + accepted / drafts, 3) if drafts else None,
        "drafted_share": round(accepted / generated, 3) if generated else None,
    }


def _times(name: str, values: Sequence[float]) -> dict[str, float | None]:
    return {name: _percentile(values, 50, 6), f"{name}_p95": _percentile(values, 95, 6)}


def _percentile(values: Sequence[float | None], share: float, digits: int) -> float | None:
    known = [value for value in values if value is not None]
    return round(float(np.percentile(known, share)), digits) if known else None
