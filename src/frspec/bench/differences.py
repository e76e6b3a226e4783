"""Where two methods' outputs part, and how close the decision was.

Knows: ids, the target's scores. Does not know: which method is right. In 16 bits the order of a sum decides near-ties:
a difference with a tiny gap is rounding, one with a large gap is a mistake.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from typing import Any

import torch

from frspec.bench.methods import Sample
from frspec.models.decoder import Decoder
from frspec.models.segments import Segment
from frspec.speculation.noise import gumbel
from frspec.types import SamplingParams


def differences(
    target: Decoder,
    prompts: Sequence[Sequence[int]],
    plain: Sequence[Sample],
    others: Sequence[Sample],
    params: SamplingParams,
) -> list[dict[str, Any]]:
    """For each prompt whose outputs differ: its number, the first differing ``position`` (0: the first new token), the
    two ids there (None: that output had ended), and the ``gap`` (see ``_gap``; None without two ids)."""
    found = []
    for number, (prompt, one, other) in enumerate(zip(prompts, plain, others, strict=True)):
        pairs = list(zip_longest(one.token_ids, other.token_ids))
        position = next((place for place, (a, b) in enumerate(pairs) if a != b), None)
        if position is None:
            continue
        ids = pairs[position]
        text = [*prompt, *one.token_ids[:position]]
        gap = None if None in ids else _gap(target, text, ids, params, (params.seed or 0) + number)
        found.append({"prompt": number, "position": position, "plain": ids[0], "other": ids[1], "gap": gap})
    return found


@torch.inference_mode()
def _gap(target: Decoder, text: Sequence[int], ids: tuple[int, int], params: SamplingParams, seed: int) -> float:
    """How far the worse of the two tokens after ``text`` lies below the target's best one.

    In logits of one pass over the whole text; above temperature 0, divided by it and with the noise of ``seed``.
    """
    tokens = torch.tensor(text, device=target.device)
    cache = target.new_cache(len(text))
    positions = torch.arange(len(text), device=target.device)
    features = target.forward(tokens, positions, [Segment(cache, len(text))])
    scores = target.logits(features[-1:])[0]
    if not params.greedy:
        everything = torch.arange(len(scores), device=target.device)
        scores = scores / params.temperature + gumbel(seed, len(text), everything)
    return round(float(scores.max() - scores[list(ids)].min()), 6)
