"""Who attends to whom: sequences with caches at inference, whole sequences side by side in training.

Knows: where each sequence's rows lie in the flat batch. Does not know: layers, drafting policy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from frspec.models.blocks import Product, spans
from frspec.models.cache import KVCache


@dataclass(frozen=True)
class Segment:
    """``count`` consecutive rows of the flat batch that belong to one sequence.

    ``mask`` [count, cache.drafted + count] bool says which uncommitted rows each new row sees, itself included;
    committed rows are seen by all. None means causal. A cache may appear once in a pass.
    """

    cache: KVCache
    count: int
    mask: Tensor | None = None

    def __post_init__(self) -> None:
        wanted = (self.count, self.cache.drafted + self.count)
        assert self.mask is None or self.mask.shape == wanted, f"mask {tuple(self.mask.shape)} is not {wanted}"


class CachedAttention:
    """Attention of one pass over ``segments``; each segment's rows are written to its cache as layers run.

    Query heads that share a key head are stacked into one matrix product, so keys and values are never repeated,
    and masks cover the uncommitted columns alone. ``finish`` declares the rows drafted.
    """

    def __init__(self, segments: Sequence[Segment], dtype: torch.dtype, device: torch.device) -> None:
        self.segments = segments
        self.counts = [segment.count for segment in segments]
        self.windows = [segment.cache.open(segment.count) for segment in segments]
        self.products: list[list[Product]] = []
        self.dtype, self.device = dtype, device

    def __call__(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        if not self.products:
            self.products = self._plan(k.shape[1], q.shape[1] // k.shape[1])
        mixed = torch.empty(q.shape, dtype=q.dtype, device=q.device)
        if len(self.segments) == 1:
            _one(self.products[0], q, *self.windows[0].write(layer, k, v), mixed)
            return mixed.flatten(1)
        parts = zip(*(x.split_with_sizes(self.counts) for x in (q, k, v, mixed)), strict=True)
        for products, window, (own_q, own_k, own_v, own) in zip(self.products, self.windows, parts, strict=True):
            _one(products, own_q, *window.write(layer, own_k, own_v), own)
        return mixed.flatten(1)

    def finish(self) -> None:
        """Count the written rows as drafted; call it after the last layer."""
        for segment in self.segments:
            segment.cache.drafted += segment.count

    def _plan(self, kv_heads: int, groups: int) -> list[list[Product]]:
        """Each segment's products; all of them use the same room for their scores."""
        parts = [list(spans(s.cache, s.count, s.mask, kv_heads, groups, self.dtype)) for s in self.segments]
        most = max(span.size(groups) for part in parts for span in part)
        room = torch.empty(most, dtype=self.dtype, device=self.device)
        return [[Product(span, groups, room) for span in part] for part in parts]


def _one(products: Sequence[Product], q: Tensor, keys: Tensor, values: Tensor, out: Tensor) -> None:
    """One sequence's rows ``q`` [rows, heads, D] against its layer's keys and values, into ``out``, like ``q``."""
    if len(products) == 1:
        products[0](q, keys, values, out)
        return
    groups = q.shape[1] // keys.shape[0]
    for product in products:
        span = product.span
        heads = slice(span.heads.start * groups, span.heads.stop * groups)
        own = torch.empty(q[span.rows, heads].shape, dtype=q.dtype, device=q.device)
        product(q[span.rows, heads], keys[span.heads, :, : span.keys], values[span.heads, : span.keys], own)
        out[span.rows, heads] = own


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
