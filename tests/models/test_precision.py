"""Small bfloat16 models in float32 on 16-bit matrices: against Hugging Face in float32, and row by row."""

import os
import signal
from pathlib import Path

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from frspec import LLM, SamplingParams
from frspec.errors import UserError
from frspec.models import Segment, load_decoder, precision
from frspec.models.layers import split
from frspec.models.layers.linear import Linear, multiplies_half
from frspec.models.precision import LIGHT, Precision, pick_precision
from tests.patience import PATIENCE

from .tiny import make, random_ids, save

CPU = torch.device("cpu")
pytestmark = pytest.mark.skipif(not multiplies_half(CPU), reason="this PyTorch has no FBGEMM")


def in_float32(folder: Path) -> transformers.PreTrainedModel:
    """Hugging Face's model of a checkpoint, its weights widened."""
    return transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()


@pytest.mark.parametrize("name", ["llama", "llama-mha-tied", "llama-biases", "qwen2", "qwen3-biases"])
def test_logits_are_those_of_the_same_weights_in_float32(name: str, tmp_path: Path) -> None:
    save(make(name, torch.bfloat16), tmp_path)
    decoder, model = load_decoder(tmp_path), in_float32(tmp_path)
    assert decoder.precision == Precision(torch.float16, torch.float32)
    assert decoder.dtype == torch.bfloat16
    ids = torch.tensor(random_ids(40))
    with torch.inference_mode():
        features = decoder.forward(ids, torch.arange(40), [Segment(decoder.new_cache(40), 40)])
        found, expected = decoder.logits(features), model(ids[None]).logits[0]
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4 * expected.abs().max().item())


def test_a_row_does_not_depend_on_those_beside_it() -> None:
    generator = torch.Generator().manual_seed(0)
    x, weight = torch.randn(40, 96, generator=generator), torch.randn(130, 96, generator=generator)
    product = Linear(weight.half())
    whole = product(x)
    torch.testing.assert_close(whole, x @ weight.half().float().t(), rtol=1e-5, atol=1e-4)
    for count in range(1, 20):
        assert torch.equal(product(x[:count]), whole[:count])


def test_matrices_out_of_range_and_large_models_run_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "knows_bfloat16", lambda device: True)
    usual, huge = torch.ones(2, 2, dtype=torch.bfloat16), torch.full((2, 2), 1e6, dtype=torch.bfloat16)
    light, heavy = Precision(torch.float16, torch.float32), Precision(torch.bfloat16, torch.bfloat16)
    assert pick_precision(torch.bfloat16, CPU, LIGHT, [usual]) == light
    assert pick_precision(torch.bfloat16, CPU, LIGHT, [usual, huge]) == heavy
    assert pick_precision(torch.bfloat16, CPU, LIGHT, [usual * torch.nan]) == heavy
    assert pick_precision(torch.bfloat16, CPU, LIGHT + 1, [usual]) == heavy
    assert pick_precision(torch.bfloat16, torch.device("cuda"), LIGHT, [usual]) == heavy
    assert not pick_precision(torch.float32, CPU, LIGHT, [usual]).light


def test_a_dtype_that_was_asked_for_is_kept(tmp_path: Path) -> None:
    save(make("llama", torch.bfloat16), tmp_path)
    assert load_decoder(tmp_path, dtype="bfloat16").precision == Precision(torch.bfloat16, torch.bfloat16)


def test_without_fbgemm_nothing_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(torch, "fbgemm_pack_gemm_matrix_fp16")
    save(make("llama", torch.bfloat16), tmp_path)
    assert not load_decoder(tmp_path).precision.light
    output = LLM(tmp_path, skip_tokenizer_init=True).generate({"prompt_token_ids": [3, 4, 5]})[0]
    assert len(output.outputs[0].token_ids) > 0


def test_tiny_weights_are_rounded_less_than_float32_rounds_a_product(tmp_path: Path) -> None:
    save(make("llama", torch.bfloat16), tmp_path)
    file = tmp_path / "model.safetensors"
    tensors = load_file(file)
    for tensor in tensors.values():
        if tensor.ndim == 2:
            tensor[::3] *= 2.0**-14
    save_file(tensors, file, metadata={"format": "pt"})
    decoder, model, ids = load_decoder(tmp_path), in_float32(tmp_path), torch.tensor(random_ids(12))
    with torch.inference_mode():
        features = decoder.forward(ids, torch.arange(12), [Segment(decoder.new_cache(12), 12)])
        expected = model(ids[None]).logits[0]
    torch.testing.assert_close(decoder.logits(features), expected, rtol=1e-4, atol=2e-5 * expected.abs().max().item())


@pytest.fixture
def three_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(split, "LEAST", 1000)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)


@pytest.mark.usefixtures("three_cores")
@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float32])
def test_split_products_are_those_of_the_whole(kind: torch.dtype) -> None:
    weight, x = torch.randn(101, 64).to(kind), torch.randn(5, 64)
    x = x if kind == torch.float16 else x.to(kind)
    divided = split.split(weight)
    assert isinstance(divided, split.Split)
    assert len(divided.parts) == 3
    for _ in range(50):
        torch.testing.assert_close(divided(x), Linear(weight)(x))
    with torch.inference_mode():
        assert divided(x).is_inference()


@pytest.mark.usefixtures("three_cores")
def test_an_error_on_another_core_reaches_the_caller() -> None:
    divided = split.split(torch.randn(101, 64).half())
    with pytest.raises(RuntimeError):
        divided(torch.randn(5, 63))


@pytest.mark.usefixtures("three_cores")
def test_texts_are_the_same_on_several_cores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(make("llama", torch.bfloat16), tmp_path)
    several = LLM(tmp_path, skip_tokenizer_init=True)
    assert isinstance(several.engine.target.project, split.Split)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    one = LLM(tmp_path, skip_tokenizer_init=True)
    params = SamplingParams(temperature=0.8, seed=1, max_tokens=40)
    prompt = {"prompt_token_ids": [3, 4, 5]}
    texts = [llm.generate(prompt, params)[0].outputs[0].token_ids for llm in (several, one)]
    assert texts[0] == texts[1]


@pytest.mark.usefixtures("three_cores")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_multiplies_too() -> None:
    divided, x = split.split(torch.randn(101, 64).half()), torch.randn(5, 64)
    divided(x)
    child = os.fork()
    if child == 0:
        signal.alarm(int(PATIENCE))
        os._exit(0 if divided(x).shape == (5, 101) else 1)
    assert os.waitpid(child, 0)[1] == 0


def test_quantised_weights_are_refused_by_name(tmp_path: Path) -> None:
    save(make("llama", torch.bfloat16), tmp_path)
    file = tmp_path / "model.safetensors"
    tensors = load_file(file)
    name = "model.layers.1.mlp.up_proj.weight"
    save_file(tensors | {name: tensors[name].to(torch.float8_e4m3fn)}, file, metadata={"format": "pt"})
    with pytest.raises(UserError, match=f"{name} is quantised"):
        load_decoder(tmp_path)


def test_one_thread_only_inside_and_only_if_wanted() -> None:
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        with split.one_thread(True):
            assert torch.get_num_threads() == 1
        with split.one_thread(False):
            assert torch.get_num_threads() == 2
        with pytest.raises(KeyError), split.one_thread(True):
            raise KeyError
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
