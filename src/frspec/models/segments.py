"""Who attends to whom: sequences with caches at inference, whole sequences side by side in training.

Knows: where each sequence's rows lie in the flat batch. Does not know: layers, drafting policy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from frspec.models.cache import KVCache, Views

SDPA_SCORES = 1 << 22
"""From this many attention scores on, torch's fused attention, which never holds them all, is the faster one.

Measured on one CPU core, float32 and bfloat16: equal near 4 million scores (512 × 512 × 16 heads), two-fold above."""


@dataclass(frozen=True)
class Segment:
    """``count`` consecutive rows of the flat batch that belong to one sequence.

    ``mask`` [count, cache.drafted + count] bool says which uncommitted rows each new row sees, itself included;
    committed rows are seen by all. None means causal. A cache may appear once in a pass.
    """

    cache: KVCache
    count: int
    mask: Tensor | None = None


class CachedAttention:
    """Attention of one pass over ``segments``; each segment's rows are written to its cache as layers run.

    Query heads that share a key head are stacked into one matrix product, so keys and values are never repeated,
    and masks cover the uncommitted columns alone. ``finish`` declares the rows drafted.
    """

    def __init__(self, segments: Sequence[Segment], dtype: torch.dtype, device: torch.device) -> None:
        self.segments = segments
        self.counts = [segment.count for segment in segments]
        self.biases = [_bias(segment, dtype, device) for segment in segments]
        self.views = [segment.cache.open(segment.count) for segment in segments]
        self.nothing = torch.empty((1, 1, 1), dtype=dtype, device=device)

    def __call__(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        if len(self.segments) == 1:
            return self._one(layer, self.views[0], self.biases[0], q, k, v)
        parts = zip(self.views, self.biases, *(x.split_with_sizes(self.counts) for x in (q, k, v)), strict=True)
        return torch.cat([self._one(layer, *part) for part in parts])

    def finish(self) -> None:
        """Count the written rows as drafted; call it after the last layer."""
        for segment in self.segments:
            segment.cache.drafted += segment.count

    def _one(
        self, layer: int, views: tuple[Views, Views], bias: Tensor | None, q: Tensor, k: Tensor, v: Tensor
    ) -> Tensor:
        keys, values = written(views, layer, k, v)
        rows, heads, width = q.shape
        groups = heads // keys.shape[0]
        if rows == 1 and bias is None:
            return self._mix(q.view(-1, groups, width), keys, values, None).view(1, -1)
        grouped = q.view(rows, -1, groups, width).permute(1, 2, 0, 3)
        if heads * rows * keys.shape[1] >= SDPA_SCORES:
            mixed = _fused(grouped, keys, values, bias)
        else:
            mixed = self._mix(grouped.reshape(-1, groups * rows, width), keys, values, bias).view(grouped.shape)
        return mixed.permute(2, 0, 1, 3).reshape(rows, -1)

    def _mix(self, q: Tensor, keys: Tensor, values: Tensor, bias: Tensor | None) -> Tensor:
        """``q`` [kv_heads, n, D] against ``keys`` and ``values`` [kv_heads, L, D]; ``bias`` on the last columns."""
        scale = q.shape[-1] ** -0.5
        scores = torch.baddbmm(self.nothing, q, keys.transpose(1, 2), beta=0, alpha=scale)
        if bias is not None:
            tail = scores.view(q.shape[0], -1, bias.shape[0], keys.shape[1])[..., -bias.shape[1] :]
            tail.add_(bias)
        return torch.bmm(torch.softmax(scores, -1, dtype=torch.float32).to(q.dtype), values)


def written(views: tuple[Views, Views], layer: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    """Put ``k`` and ``v`` [n, kv_heads, D] into the room that ``KVCache.open`` gave; that layer's keys and values."""
    room, whole = views
    room[2 * layer].copy_(k.transpose(0, 1))
    room[2 * layer + 1].copy_(v.transpose(0, 1))
    return whole[2 * layer], whole[2 * layer + 1]


def _bias(segment: Segment, dtype: torch.dtype, device: torch.device) -> Tensor | None:
    """[count, drafted + count]: 0 where a row sees, -inf where it does not; None when a lone row sees everything."""
    if segment.count == 1 and segment.mask is None:
        return None
    width = segment.cache.drafted + segment.count
    mask = segment.mask
    if mask is None:
        hidden = torch.full((segment.count, width), -torch.inf, dtype=dtype, device=device)
        return hidden.triu_(segment.cache.drafted + 1)
    assert mask.shape == (segment.count, width), f"mask {tuple(mask.shape)} is not [{segment.count}, {width}]"
    return torch.where(mask, 0.0, -torch.inf).to(dtype)


def _fused(q: Tensor, keys: Tensor, values: Tensor, bias: Tensor | None) -> Tensor:
    """Torch's fused attention for ``q`` [kv_heads, groups, n, D]; key heads are broadcast over their groups."""
    shape = (keys.shape[0], q.shape[1], *keys.shape[1:])
    assert bias is not None, "more than one row always has a mask"
    whole = F.pad(bias, (keys.shape[1] - bias.shape[1], 0))
    return F.scaled_dot_product_attention(
        q, keys[:, None].expand(shape), values[:, None].expand(shape), attn_mask=whole
    )


class WholeAttention:
    """Causal attention over whole sequences of ``lengths`` rows side by side, with no cache; gradients flow."""

    def __init__(self, lengths: Sequence[int]) -> None:
        self.lengths = list(lengths)

    def __call__(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:  # noqa: ARG002 - no layer differs
        parts = zip(*(x.split_with_sizes(self.lengths) for x in (q, k, v)), strict=True)
        return torch.cat([_causal(*part) for part in parts])


def _causal(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    rows, heads, width = q.shape
    grouped = q.view(rows, k.shape[1], -1, width).permute(1, 2, 0, 3)
    shape = (k.shape[1], heads // k.shape[1], rows, width)
    keys, values = (part.transpose(0, 1)[:, None].expand(shape) for part in (k, v))
    mixed = F.scaled_dot_product_attention(grouped, keys, values, is_causal=True)
    return mixed.permute(2, 0, 1, 3).reshape(rows, -1)
