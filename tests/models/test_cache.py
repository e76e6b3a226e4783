"""The cache against a plain list, and a rolled-back decoder against a fresh one."""

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from frspec.models import KVCache, Segment, load_decoder
from frspec.types import TokenTree

from .tiny import feed, make, random_ids, save

operations = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.integers(1, 6)),
        st.tuples(st.just("commit"), st.randoms(use_true_random=False)),
        st.tuples(st.just("truncate"), st.floats(0, 1)),
    ),
    max_size=25,
)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@given(steps=operations)
def test_behaves_like_a_list(dtype: torch.dtype, steps) -> None:
    cache = KVCache(2, 3, 4, 1, dtype, torch.device("cpu"))
    committed: list[int] = []
    drafted: list[int] = []
    made = 0
    for what, how in steps:
        if what == "write":
            values = torch.arange(made, made + how, dtype=torch.float32)
            drafted += values.int().tolist()
            made += how
            window = cache.open(how)
            for layer in range(2):
                rows = values[:, None, None].expand(how, 3, 4)
                keys, values_seen = window.write(layer, rows, -rows)
                assert keys[:, 0, : window.end].tolist() == [committed + drafted] * 3
                assert torch.equal(values_seen, -keys.transpose(1, 2))
                assert keys.isfinite().all()
            cache.drafted += how
        elif what == "commit":
            kept = sorted(how.sample(range(len(drafted)), how.randint(0, len(drafted))))
            cache.commit(len(kept) if kept == list(range(len(kept))) else kept)
            committed += [drafted[i] for i in kept]
            drafted = []
        else:
            length = round(how * len(committed))
            cache.truncate(length)
            committed, drafted = committed[:length], []
        assert (cache.length, cache.drafted) == (len(committed), len(drafted))
        assert cache.capacity >= cache.length + cache.drafted


def test_commit_leaves_the_prefix_where_it_is() -> None:
    cache = KVCache(1, 1, 2, 8, torch.float32, torch.device("cpu"))
    keys, _ = cache.open(6).write(0, torch.arange(12.0).view(6, 1, 2), torch.zeros(6, 1, 2))
    address = keys.data_ptr()
    cache.drafted += 6
    cache.commit(2)
    cache.drafted = 4
    cache.commit(torch.tensor([1, 3]))
    keys, _ = cache.open(1).write(0, torch.zeros(1, 1, 2), torch.zeros(1, 1, 2))
    assert keys.data_ptr() == address
    assert keys[0, 0, :4].tolist() == [0.0, 2.0, 6.0, 10.0]


def test_refuses_what_was_not_drafted() -> None:
    cache = KVCache(1, 1, 2, 8, torch.float32, torch.device("cpu"))
    for wrong in (1, [0], -1):
        with pytest.raises(AssertionError):
            cache.commit(wrong)
    with pytest.raises(AssertionError):
        cache.truncate(1)


@pytest.mark.parametrize("name", ["llama", "qwen3"])
def test_rolled_back_cache_equals_a_fresh_prefill(name: str, tmp_path: Path) -> None:
    """Feed trees, keep one path of each, drop the rest; then the next logits are those of the kept text alone."""
    decoder = load_decoder(save(make(name), tmp_path), device="cpu")
    generator = torch.Generator().manual_seed(1)
    text = random_ids(10)
    cache = decoder.new_cache(1)
    with torch.inference_mode():
        feed(decoder, cache, text, [10])
        for round_number in range(6):
            tree = TokenTree(
                torch.randint(0, 96, (6,), generator=generator),
                torch.tensor([0, 0, 0, 1, 3, 2]),
                torch.tensor([0, 1, 1, 2, 3, 2]),
            )
            positions = cache.length + tree.depths
            decoder.forward(tree.tokens, positions, [Segment(cache, 6, tree.ancestors())])
            path = [[0, 1, 3, 4], [0, 2, 5], [0], [0, 1], [], [0, 2]][round_number]
            cache.commit(path)
            text += tree.tokens[path].tolist()
        cache.truncate(cache.length - 2)
        text = text[:-2]
        assert cache.length == len(text)
        fresh = decoder.new_cache(1)
        expected = feed(decoder, fresh, [*text, 3], [len(text) + 1])[-1]
        got = feed(decoder, cache, [3], [1])[-1]
    # float32, logits of order 10: rows computed in batches of other sizes differ by rounding only
    torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-4)
