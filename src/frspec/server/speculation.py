"""What an answer tells of its drafts, for those who ask: the ``speculation`` field.

Knows: its two forms. Does not know: how drafts are made.
"""

from __future__ import annotations

from typing import Any

from frspec.server.logprobs import token_text
from frspec.text.tokenizer import Tokenizer
from frspec.types import Delta, RequestMetrics


def counts(metrics: RequestMetrics) -> dict[str, Any]:
    """Tokens drafted and accepted at each depth, and what the passes brought."""
    return {
        "drafted": metrics.drafted_per_position,
        "accepted": metrics.accepted_per_position,
        "target_passes": metrics.target_passes,
        "mean_acceptance_length": metrics.mean_acceptance_length,
    }


def trees(tokenizer: Tokenizer, delta: Delta) -> dict[str, Any]:
    """New tokens with the depths they were drafted at, and the trees that were verified for them."""
    return {
        "tokens": [
            {"id": id, "end": end, "depth": depth}
            for id, end, depth in zip(delta.token_ids, delta.text_ends, delta.depths, strict=True)
        ],
        "rounds": [
            {
                "tokens": one.tokens,
                "texts": [token_text(tokenizer, id) for id in one.tokens],
                "parents": one.parents,
                "depths": one.depths,
                "path": one.path,
                "emitted": one.emitted,
                "draft_seconds": one.draft_seconds,
                "verify_seconds": one.verify_seconds,
            }
            for one in delta.rounds
        ],
    }
