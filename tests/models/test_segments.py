"""Attention over a cache, in blocks of any size, against Hugging Face's plain one with a whole mask."""

from collections.abc import Sequence
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from transformers.models.llama.modeling_llama import eager_attention_forward

from frspec.models import KVCache, Segment, blocks
from frspec.models.segments import CachedAttention

CPU = torch.device("cpu")
WIDTH = 16


class Sequence64:
    """A sequence's keys and values as plain lists of rows, and what its new rows see of them."""

    def __init__(self, length: int, drafted: int, count: int, tree: bool, kv_heads: int, groups: int, seed: int):
        generator = torch.Generator().manual_seed(seed)
        rows = length + drafted + count
        self.k, self.v = torch.randn(2, rows, kv_heads, WIDTH, generator=generator)
        self.q = torch.randn(count, kv_heads * groups, WIDTH, generator=generator)
        self.sees = torch.ones(count, rows, dtype=torch.bool).tril(length + drafted)
        if tree:
            self.sees[:, length:] &= torch.rand(count, drafted + count, generator=generator) < 0.5
            self.sees[torch.arange(count), length + drafted + torch.arange(count)] = True
        self.length, self.drafted, self.count, self.tree = length, drafted, count, tree

    def cache(self, dtype: torch.dtype) -> KVCache:
        """One that holds all but the new rows, after it grew."""
        cache = KVCache(1, self.k.shape[1], WIDTH, 1, dtype, CPU)
        for first, last in ((0, self.length), (self.length, self.length + self.drafted)):
            if first < last:
                cache.open(last - first).write(0, self.k[first:last].to(dtype), self.v[first:last].to(dtype))
                cache.drafted += last - first
            if last == self.length:
                cache.commit(cache.drafted)
        return cache

    def segment(self, dtype: torch.dtype) -> Segment:
        return Segment(self.cache(dtype), self.count, self.sees[:, self.length :] if self.tree else None)

    def expected(self, dtype: torch.dtype, rounded: torch.dtype) -> Tensor:
        """By Hugging Face's plain attention in ``dtype``, of what ``rounded`` holds."""
        q, k, v = (x.to(rounded).to(dtype).transpose(0, 1)[None] for x in (self.q, self.k, self.v))
        bias = torch.where(self.sees, 0.0, -torch.inf).to(dtype)[None, None]
        layer = SimpleNamespace(num_key_value_groups=self.q.shape[1] // self.k.shape[1], training=False)
        return eager_attention_forward(layer, q, k, v, bias, scaling=WIDTH**-0.5)[0][0].flatten(1)


def attend(sequences: Sequence[Sequence64], dtype: torch.dtype) -> Tensor:
    segments = [sequence.segment(dtype) for sequence in sequences]
    new = [slice(s.length + s.drafted, None) for s in sequences]
    attention = CachedAttention(segments, dtype, CPU)
    q, k, v = (
        torch.cat(parts).to(dtype)
        for parts in (
            [s.q for s in sequences],
            [s.k[rows] for s, rows in zip(sequences, new, strict=True)],
            [s.v[rows] for s, rows in zip(sequences, new, strict=True)],
        )
    )
    mixed = attention(0, q, k, v)
    attention.finish()
    assert [segment.cache.drafted for segment in segments] == [s.drafted + s.count for s in sequences]
    return mixed


shapes = st.builds(
    Sequence64,
    length=st.integers(0, 200),
    drafted=st.integers(0, 12),
    count=st.integers(1, 90),
    tree=st.booleans(),
    kv_heads=st.just(2),
    groups=st.just(3),
    seed=st.integers(0, 9),
)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@given(sequences=st.lists(shapes, min_size=1, max_size=3), most=st.sampled_from([1, 700, 9000, 1 << 22]))
@settings(deadline=None, max_examples=25)
def test_blocks_of_any_size_give_the_same(dtype: torch.dtype, sequences: list[Sequence64], most: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "MOST", most)
        found = attend(sequences, dtype)
    exact = torch.cat([sequence.expected(torch.float32, dtype) for sequence in sequences])
    if dtype == torch.float32:  # sums of at most 300 products of order 1, in another order
        torch.testing.assert_close(found, exact, rtol=0, atol=2e-6)
    else:  # as near as Hugging Face in this type, which rounds scores twice where we round once
        theirs = torch.cat([sequence.expected(dtype, dtype) for sequence in sequences])
        error, their_error = ((mixed.float() - exact).square().mean().sqrt() for mixed in (found, theirs))
        assert error <= 1.5 * their_error


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_long_prompt_needs_few_scores_at_a_time(dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    """512 rows of 6 heads over 2,000 keys are 6 million scores; the room is the bound and no more."""
    monkeypatch.setattr(blocks, "MOST", 1 << 16)
    sequence = Sequence64(1488, 0, 512, False, 2, 3, 0)
    spans = list(blocks.spans(sequence.cache(dtype), 512, None, 2, 3, dtype))
    assert max(span.size(3) for span in spans) <= 1 << 16
    assert sum(span.size(3) for span in spans) > 5_000_000
    assert all(span.bias is None or span.bias.shape[-1] <= blocks.ROWS + 64 for span in spans), "no mask of the prefix"
    torch.testing.assert_close(
        attend([sequence], dtype).float(),
        sequence.expected(torch.float32, dtype),
        rtol=0,
        atol=2e-6 if dtype == torch.float32 else 4e-3,
    )


def test_a_mask_of_another_shape_is_refused() -> None:
    cache = KVCache(1, 1, WIDTH, 8, torch.float32, CPU)
    with pytest.raises(AssertionError, match="mask"):
        Segment(cache, 2, torch.ones(2, 3, dtype=torch.bool))
