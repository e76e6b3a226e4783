"""Our forward pass against Hugging Face's, for every family and variant.

The oracle is Hugging Face in float64 on the same stored weights. Rounding is judged by Hugging Face's own: in each
dtype our root-mean-square error may be at most half as large again as theirs, which a wrong formula exceeds by
orders of magnitude and a different order of summation does not.
"""

import copy
import json
from pathlib import Path

import pytest
import torch
from torch import Tensor

from frspec.models import Segment, WholeAttention, blocks, load_decoder
from frspec.models.layers import linear
from frspec.types import TokenTree

from .tiny import CONTEXT, VARIANTS, VOCAB, feed, make, random_ids, save

TOKENS = random_ids(100)


def oracle(model, ids: list[int]) -> tuple[Tensor, float]:
    """Float64 logits [T, V] of a model's weights, and the error of its own dtype."""
    with torch.inference_mode():
        exact = copy.deepcopy(model).double()(torch.tensor([ids])).logits[0]
        own = model(torch.tensor([ids])).logits[0]
    return exact, rms(own.double() - exact)


def rms(x: Tensor) -> float:
    return x.double().square().mean().sqrt().item()


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", VARIANTS)
def test_logits_equal_hugging_face(name: str, dtype: str, tmp_path: Path) -> None:
    model = make(name, getattr(torch, dtype))
    decoder = load_decoder(save(model, tmp_path), device="cpu")
    assert str(decoder.dtype) == f"torch.{dtype}"
    exact, their_error = oracle(model, TOKENS)
    with torch.inference_mode():
        whole = decoder.logits(decoder.run(torch.tensor(TOKENS), torch.arange(100), WholeAttention([100])))
        cached = feed(decoder, decoder.new_cache(1), TOKENS, [100])
        chunked = feed(decoder, decoder.new_cache(1), TOKENS, [7, 1, 30, 2, 60])
        single = feed(decoder, decoder.new_cache(100), TOKENS, [1] * 100)
    assert whole.dtype == torch.float32
    for logits in (whole, cached, chunked, single):
        assert rms(logits - exact) <= 1.5 * their_error


@pytest.mark.parametrize(
    ("name", "window"),
    [
        ("mistral", {"sliding_window": 16}),
        ("qwen2", {"sliding_window": 16, "use_sliding_window": True, "max_window_layers": 1}),
    ],
)
def test_a_sliding_window_changes_nothing_up_to_the_context_length(name: str, window: dict, tmp_path: Path) -> None:
    model = make(name, **window)
    decoder = load_decoder(save(model, tmp_path), device="cpu")
    fitting = decoder.config.context_length
    exact, their_error = oracle(model, TOKENS[: fitting + 1])
    with torch.inference_mode():
        logits = feed(decoder, decoder.new_cache(1), TOKENS[: fitting + 1], [fitting + 1])
    assert fitting == 16
    assert rms((logits - exact)[:fitting]) <= 1.5 * their_error
    assert rms((logits - exact)[fitting:]) > 1000 * their_error, "the bound is not too low either"


@pytest.mark.parametrize("name", ["llama-biases", "qwen3-biases", "qwen2"])
def test_kernels_for_larger_sizes_agree(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tiny models stay below the sizes from which packed matrices and small blocks of scores are used; force both."""
    model = make(name)
    monkeypatch.setattr(linear, "SMALL", 0)
    monkeypatch.setattr(blocks, "MOST", 1000)
    decoder = load_decoder(save(model, tmp_path), device="cpu")
    exact, their_error = oracle(model, TOKENS)
    with torch.inference_mode():
        for chunks in ([100], [40, 60], [1] * 100):
            assert rms(feed(decoder, decoder.new_cache(1), TOKENS, chunks) - exact) <= 1.5 * their_error


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", ["llama", "llama-mqa", "qwen3"])
@pytest.mark.parametrize("by_level", [False, True])
def test_every_path_of_a_tree_equals_its_sequence(name: str, dtype: str, by_level: bool, tmp_path: Path) -> None:
    model = make(name, getattr(torch, dtype))
    decoder = load_decoder(save(model, tmp_path), device="cpu")
    prefix = TOKENS[:20]
    tree = TokenTree(
        torch.tensor([5, 6, 7, 8, 9, 10, 11, 12]),
        torch.tensor([0, 0, 0, 1, 1, 2, 3, 3]),
        torch.tensor([0, 1, 1, 2, 2, 2, 3, 3]),
    )
    tree.check(root=5, vocab_size=VOCAB, room=3, max_nodes=7)
    cache = decoder.new_cache(1)
    sees = tree.ancestors()
    with torch.inference_mode():
        feed(decoder, cache, prefix, [20])
        rows, start = [], 0
        for count in [1, 2, 3, 2] if by_level else [8]:
            part = slice(start, start + count)
            mask = sees[part, : start + count]
            features = decoder.forward(tree.tokens[part], 20 + tree.depths[part], [Segment(cache, count, mask)])
            rows.append(decoder.logits(features))
            start += count
        assert (cache.length, cache.drafted) == (20, 8)
    logits = torch.cat(rows)
    for node in range(8):
        path = sees[node].nonzero().flatten()
        exact, their_error = oracle(model, prefix + tree.tokens[path].tolist())
        assert rms(logits[path] - exact[20:]) <= 2 * their_error  # 2: few rows, so the estimate of theirs is rough


def test_undecided_rows_are_seen_by_those_after_them(tmp_path: Path) -> None:
    """Without a mask a row sees everything before it, drafted or committed."""
    decoder = load_decoder(save(make("llama"), tmp_path), device="cpu")
    cache, logits = decoder.new_cache(1), []
    with torch.inference_mode():
        for rows in (range(4), range(4, 9), range(9, 10), range(10, 12)):
            part = torch.tensor(rows)
            logits.append(
                decoder.logits(decoder.forward(torch.tensor(TOKENS)[part], part, [Segment(cache, len(rows))]))
            )
        assert (cache.length, cache.drafted) == (0, 12)
        expected = feed(decoder, decoder.new_cache(12), TOKENS[:12], [12])
    torch.testing.assert_close(torch.cat(logits), expected, rtol=1e-5, atol=1e-4)


def test_sequences_of_a_batch_do_not_see_each_other(tmp_path: Path) -> None:
    decoder = load_decoder(save(make("llama"), tmp_path), device="cpu")
    texts = [TOKENS[:9], TOKENS[20:23], TOKENS[40:41]]
    flat = torch.tensor([i for text in texts for i in text])
    positions = torch.cat([torch.arange(len(text)) for text in texts])
    parts = [Segment(decoder.new_cache(4), len(text)) for text in texts]
    with torch.inference_mode():
        together = decoder.logits(decoder.forward(flat, positions, parts))
        dense = decoder.logits(decoder.run(flat, positions, WholeAttention([9, 3, 1])))
        alone = torch.cat([feed(decoder, decoder.new_cache(4), text, [len(text)]) for text in texts])
    torch.testing.assert_close(together, alone, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(dense, alone, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["llama-yarn", "llama-llama3", "llama-linear"])
def test_positions_beyond_the_original_context(name: str, tmp_path: Path) -> None:
    """The last quarter of the context, three times beyond what the model was first trained for."""
    model = make(name)
    decoder = load_decoder(save(model, tmp_path), device="cpu")
    ids = random_ids(CONTEXT)
    exact, their_error = oracle(model, ids)
    with torch.inference_mode():
        logits = feed(decoder, decoder.new_cache(1), ids, [CONTEXT])
    assert rms((logits - exact)[96:]) <= 1.5 * their_error


def test_trained_model_against_its_golden_file(stories: Path) -> None:
    """Greedy ids, top-8 logits (5 decimals) and losses that Hugging Face computed without a cache."""
    golden = json.loads((stories / "golden_hf.json").read_text())
    decoder = load_decoder(stories, device="cpu")
    with torch.inference_mode():
        for case in golden["cases"]:
            cache = decoder.new_cache(8)
            logits = feed(decoder, cache, case["prompt_ids"], [len(case["prompt_ids"])])[-1]
            top = logits.topk(8)
            assert top.indices.tolist() == case["top8_ids"]
            torch.testing.assert_close(top.values, torch.tensor(case["top8_logits"]), rtol=0, atol=3e-5)
            greedy = []
            for _ in case["greedy_ids"]:
                greedy.append(int(logits.argmax()))
                logits = feed(decoder, cache, greedy[-1:], [1])[-1]
            assert greedy == case["greedy_ids"]
        for case in golden["nll"]:
            ids = torch.tensor(case["ids"])
            features = decoder.run(ids, torch.arange(len(ids)), WholeAttention([len(ids)]))
            loss = torch.nn.functional.cross_entropy(decoder.logits(features[:-1]), ids[1:]).item()
            assert loss == pytest.approx(case["mean_nll"], abs=2e-6)
