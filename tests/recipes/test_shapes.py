"""Checkpoints of a given shape, read by the libraries that read published ones."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import transformers
from tokenizers import Tokenizer as Library

from frspec import LLM, SamplingParams, shipped
from frspec.errors import UserError

sys.path.insert(0, str(Path(__file__).parents[2] / "recipes" / "shapes"))

import make_shape as recipe
from cut_tokenizer import cut_tokenizer

TINY = recipe.Shape(64, 3, 4, 2, 16, 96, 2000, True, 5e5, max_position_embeddings=256)
PROMPT = [5, 900, 1999, 17, 300]


@pytest.fixture(scope="module", params=["one file", "sharded"])
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shapes") / "tiny"
    sharded = request.param == "sharded"
    shape = replace(TINY, tie_word_embeddings=not sharded)
    most = 100_000 if sharded else recipe.SHARD_BYTES
    recipe.make_shape(shape, folder, shipped.target() / "tokenizer.json", seed=3, most=most)
    return folder


def test_transformers_reads_it_whole(made: Path) -> None:
    files = {file.name for file in (made / "target").glob("*.safetensors*")}
    model, found = transformers.AutoModelForCausalLM.from_pretrained(made / "target", output_loading_info=True)
    assert not any(found[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    assert model.dtype == torch.bfloat16
    if model.config.tie_word_embeddings:
        assert files == {"model.safetensors"}
    else:
        index = json.loads((made / "target" / "model.safetensors.index.json").read_text())
        assert {*index["weight_map"].values(), "model.safetensors.index.json"} == files
        assert index["metadata"]["total_size"] == sum(2 * p.numel() for p in model.parameters())
    with torch.inference_mode():
        logits = model(torch.tensor([PROMPT])).logits[0].float()
    assert 2 < logits.std() < 4
    assert len(set(logits.argmax(-1).tolist()) - set(PROMPT)) > 1


def test_the_tokenizer_is_the_first_tokens_of_the_larger(made: Path) -> None:
    small = Library.from_file(str(made / "target" / "tokenizer.json"))
    large = Library.from_file(str(shipped.target() / "tokenizer.json"))
    assert small.get_vocab_size() == 2000
    assert all(small.id_to_token(number) == large.id_to_token(number) for number in range(2000))
    text = "Once upon a time, the law said: été, 山水. <|im_end|>"
    assert small.decode(small.encode(text).ids, skip_special_tokens=False) == text
    texts = [json.loads(line)["text"] for line in (made / "prompts.jsonl").read_text().splitlines()]
    assert len(set(texts)) == recipe.PROMPTS
    assert all(len(small.encode(text).ids) > recipe.PROMPT_TOKENS // 2 for text in texts)


def test_frspec_drafts_for_it_and_the_text_stays(made: Path) -> None:
    params = SamplingParams(temperature=1, seed=1, max_tokens=8)
    plain = LLM(made / "target")
    ids = [
        llm.generate({"prompt_token_ids": PROMPT}, params)[0].outputs[0].token_ids
        for llm in (plain, plain.with_draft(str(made / "head"), 500, str(made / "all.txt")))
    ]
    assert ids[0] == ids[1]
    assert [int(line) for line in (made / "all.txt").read_text().split()] == list(range(2000))


def test_sizes_are_the_published_ones() -> None:
    counts = {
        name: sum(torch.Size(size).numel() for _, size in recipe.tensor_shapes(shape))
        for name, shape in recipe.SHAPES.items()
    }
    assert counts == {"llama-3.2-1b": 1_235_814_400, "llama-3-8b": 8_030_261_248}


def test_a_tokenizer_that_is_too_small_is_refused(made: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="has 2000 tokens below id 2001, but 2001 are needed"):
        cut_tokenizer(made / "target" / "tokenizer.json", tmp_path, 2001)
    assert not list(tmp_path.iterdir())


def test_the_same_seed_writes_the_same_weights() -> None:
    first, again = (recipe.fill("a", (4, 9), torch.Generator().manual_seed(5)) for _ in range(2))
    assert torch.equal(first, again)
