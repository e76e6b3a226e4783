"""Where two methods' outputs part, and how close the decision was.

Knows: ids, the target's scores. Does not know: which method is right. In 16 bits the order of a sum decides near-ties:
a difference with a tiny gap is rounding, one with a large gap is a mistake.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from typing import Any

import torch
from torch import Tensor

from frspec.bench.compare import Round
from frspec.bench.methods import PLAIN
from frspec.models.decoder import Decoder
from frspec.models.segments import Segment
from frspec.speculation.noise import gumbel
from frspec.speculation.sampler import Sampler
from frspec.types import SamplingParams


def differences(target: Decoder, rounds: Sequence[Round], name: str, params: SamplingParams) -> list[dict[str, Any]]:
    """For each round in which ``name`` wrote other ids than ``PLAIN``: the prompt's number, the first differing
    ``position`` (0: the first new token), the two ids there (None: that output had ended), and the ``gap`` (see
    ``_gap``; None without two ids)."""
    found = []
    for round in rounds:
        plain, other = round.samples[PLAIN].token_ids, round.samples[name].token_ids
        pairs = list(zip_longest(plain, other))
        position = next((place for place, (a, b) in enumerate(pairs) if a != b), None)
        if position is None:
            continue
        ids = pairs[position]
        text = [*round.prompt.ids, *plain[:position]]
        gap = None if None in ids else _gap(target, text, ids, params, round.seed)
        found.append({"prompt": round.number, "position": position, "plain": ids[0], "other": ids[1], "gap": gap})
    return found


@torch.inference_mode()
def _gap(target: Decoder, text: Sequence[int], ids: tuple[int, int], params: SamplingParams, seed: int) -> float:
    """How far the worse of the two tokens after ``text`` lies below the target's best one.

    In logits of one pass over the whole text; above temperature 0, divided by it and with the noise of ``seed``. A
    token that top-p and its like leave out lies at least as far below as below their border, which has no noise.
    """
    tokens = torch.tensor(text, device=target.device)
    cache = target.new_cache(len(text))
    positions = torch.arange(len(text), device=target.device)
    features = target.forward(tokens, positions, [Segment(cache, len(text))])
    scores = target.logits(features[-1:])[0]
    if params.greedy:
        return round(float(scores.max() - scores[list(ids)].min()), 6)
    scaled = scores / params.temperature
    left = Sampler(params, seed, text).candidates(scaled)
    left = torch.arange(len(scaled), device=target.device) if left is None else left
    best = (scaled[left] + gumbel(seed, len(text), left)).max()
    return round(max(_below(scaled, token, best, left, len(text), seed) for token in ids), 6)


def _below(scaled: Tensor, token: int, best: Tensor, left: Tensor, position: int, seed: int) -> float:
    noisy = scaled[token] + gumbel(seed, position, torch.tensor([token], device=scaled.device))
    return max(0.0, float(best - noisy), float(scaled[left].min() - scaled[token]))
