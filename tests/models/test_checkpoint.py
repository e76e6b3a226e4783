"""Every file layout gives the same decoder; everything damaged or unexpected is one clear line."""

import json
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from frspec.errors import UserError
from frspec.models import Decoder, WholeAttention, load_decoder
from frspec.models.layers import linear
from frspec.models.layers.linear import SMALL, Linear

from .tiny import CLASSES, make, random_ids, save

IDS = torch.tensor(random_ids(12))


def logits(decoder: Decoder) -> torch.Tensor:
    with torch.inference_mode():
        return decoder.logits(decoder.run(IDS, torch.arange(12), WholeAttention([12])))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return save(make("llama"), tmp_path / "whole")


def as_bin(folder: Path, shards: int = 1) -> None:
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    if shards == 1:
        torch.save(tensors, folder / "pytorch_model.bin")
        return
    names, where = list(tensors), {}
    for shard in range(shards):
        own = {name: tensors[name] for name in names[shard::shards]}
        torch.save(own, folder / f"pytorch_model-{shard}.bin")
        where |= dict.fromkeys(own, f"pytorch_model-{shard}.bin")
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps({"metadata": {}, "weight_map": where}))


def as_shards(folder: Path) -> None:
    model = make("llama")
    (folder / "model.safetensors").unlink()
    model.save_pretrained(folder, max_shard_size="60KB")
    assert len(list(folder.glob("*.safetensors"))) > 3


def as_old_bin(folder: Path) -> None:
    as_bin(folder)
    file = folder / "pytorch_model.bin"
    torch.save(torch.load(file), file, _use_new_zipfile_serialization=False)


@pytest.mark.parametrize("change", [as_shards, as_bin, lambda f: as_bin(f, 3), as_old_bin])
def test_every_layout_gives_the_same_decoder(change: Callable[[Path], Any], folder: Path) -> None:
    expected = logits(load_decoder(folder, device="cpu"))
    change(folder)
    assert torch.equal(logits(load_decoder(folder, device="cpu")), expected)


def test_dtype_is_the_configs_unless_asked_for(folder: Path) -> None:
    assert load_decoder(folder, "bfloat16", "cpu").dtype == torch.bfloat16
    edit_config(folder, dtype="bfloat16")
    assert load_decoder(folder, device="cpu").dtype == torch.bfloat16
    edit_config(folder, dtype=None)
    assert load_decoder(folder, device="cpu").dtype == torch.float32
    edit_config(folder, dtype="float64")
    assert load_decoder(folder, "float32", "cpu").dtype == torch.float32
    with pytest.raises(UserError, match="float64 checkpoint; pass --dtype bfloat16 or --dtype float32"):
        load_decoder(folder, device="cpu")


@pytest.mark.parametrize("said", ["float16", None])
def test_float16_runs_in_float32_and_says_so(
    said: str | None, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Against Hugging Face in float64 on the same float16 values: only float32's rounding is left."""
    folder = save(make("llama", torch.float16), tmp_path)
    exact = CLASSES["llama"][1].from_pretrained(folder, dtype=torch.float64)
    edit_config(folder, dtype=said)
    decoder = load_decoder(folder, device="cpu")
    assert decoder.dtype == torch.float32
    with torch.inference_mode():
        torch.testing.assert_close(logits(decoder).double(), exact(IDS[None]).logits[0], rtol=1e-4, atol=1e-4)
    (warning,) = caplog.messages
    assert warning.startswith(f"{folder}: float16 weights run in float32")


@pytest.mark.parametrize("name", ["lm_head.weight", "model.embed_tokens.weight"])
def test_a_tied_checkpoint_may_use_either_name_or_both(name: str, tmp_path: Path) -> None:
    folder = save(make("llama-mha-tied"), tmp_path)
    decoder = load_decoder(folder, device="cpu")
    assert decoder.head is decoder.embedding
    tensors = load_file(folder / "model.safetensors")
    matrix = tensors["model.embed_tokens.weight"]
    both = tensors | {"lm_head.weight": matrix.clone()}
    save_file(both, folder / "model.safetensors")
    assert torch.equal(logits(load_decoder(folder, device="cpu")), logits(decoder))
    del both["lm_head.weight"], both["model.embed_tokens.weight"]
    save_file(both | {name: matrix}, folder / "model.safetensors")
    assert torch.equal(logits(load_decoder(folder, device="cpu")), logits(decoder))
    save_file(both | {name: matrix, "lm_head.weight": matrix + 1, "model.embed_tokens.weight": matrix},
              folder / "model.safetensors")  # fmt: skip
    with pytest.raises(UserError, match=r"lm_head\.weight differs"):
        load_decoder(folder, device="cpu")


def test_rotary_buffers_of_old_checkpoints_are_ignored(folder: Path) -> None:
    edit_tensors(folder, lambda t: t.update({"model.layers.0.self_attn.rotary_emb.inv_freq": torch.ones(4)}))
    load_decoder(folder, device="cpu")


def edit_config(folder: Path, **values: Any) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | values))


def edit_tensors(folder: Path, change: Callable[[dict[str, torch.Tensor]], Any]) -> None:
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors")


def truncate(file: Path, keep: float) -> None:
    whole = file.read_bytes()
    file.write_bytes(whole[: int(len(whole) * keep)])


UP = "model.layers.1.mlp.up_proj.weight"
BROKEN: dict[str, tuple[Callable[[Path], Any], str]] = {
    "no weights": (lambda f: (f / "model.safetensors").unlink(), "holds no weights"),
    "missing tensor": (lambda f: edit_tensors(f, lambda t: t.pop(UP)), f"lacks the tensor {UP}"),
    "unexpected tensor": (lambda f: edit_tensors(f, lambda t: t.update(x=torch.ones(2))), "holds x"),
    "another shape": (lambda f: edit_tensors(f, lambda t: t.update({UP: torch.ones(80, 63)})), r"has shape \[80, 63"),
    "another width": (lambda f: edit_config(f, intermediate_size=81), r"\[80, 64\].*\[81, 64\]"),
    "bias not declared": (
        lambda f: edit_tensors(f, lambda t: t.update({"model.layers.0.self_attn.q_proj.bias": torch.ones(64)})),
        r"q_proj\.bias",
    ),
    "bias declared": (lambda f: edit_config(f, attention_bias=True), r"q_proj\.bias"),
    "integers": (lambda f: edit_tensors(f, lambda t: t.update({UP: t[UP].char()})), f"{UP} is quantised"),
    "truncated": (lambda f: truncate(f / "model.safetensors", 0.7), r"model\.safetensors is truncated"),
    "truncated in the header": (lambda f: truncate(f / "model.safetensors", 0.001), r"model\.safetensors is truncated"),
    "empty": (lambda f: (f / "model.safetensors").write_bytes(b""), r"model\.safetensors is truncated"),
    "text": (lambda f: (f / "model.safetensors").write_text("<html>" * 99), r"model\.safetensors is truncated"),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_refuses_in_one_line(name: str, folder: Path) -> None:
    change, match = BROKEN[name]
    change(folder)
    with pytest.raises(UserError, match=match) as refusal:
        load_decoder(folder, device="cpu")
    assert "\n" not in str(refusal.value)


def mislabel(folder: Path, change: Callable[[dict[str, str]], Any]) -> None:
    index = folder / "model.safetensors.index.json"
    content = json.loads(index.read_text())
    change(content["weight_map"])
    index.write_text(json.dumps(content))


def swap(where: dict[str, str]) -> None:
    where[UP] = next(file for file in where.values() if file != where[UP])


SHARDS: dict[str, tuple[Callable[[Path], Any], str]] = {
    "shard missing": (lambda f: sorted(f.glob("*.safetensors"))[1].unlink(), r"-00002-of-.* is missing"),
    "shard truncated": (lambda f: truncate(sorted(f.glob("*.safetensors"))[1], 0.5), r"-00002-of-.* is truncated"),
    "tensor in another shard": (lambda f: mislabel(f, swap), f"lacks {UP}"),
    "tensor not in the index": (lambda f: mislabel(f, lambda w: w.pop(UP)), f"holds {UP}, which"),
    "tensor in no shard": (lambda f: mislabel(f, lambda w: w.update(x=w[UP])), "lacks x"),
    "shard elsewhere": (lambda f: mislabel(f, lambda w: w.update(x="../x.safetensors")), "not a file beside"),
    "index empty": (lambda f: mislabel(f, dict.clear), "no weight_map"),
}


@pytest.mark.parametrize("name", SHARDS)
def test_refuses_mislabelled_shards(name: str, folder: Path) -> None:
    as_shards(folder)
    change, match = SHARDS[name]
    change(folder)
    with pytest.raises(UserError, match=match):
        load_decoder(folder, device="cpu")


class Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return (print, ("code from a checkpoint ran",))


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda f: torch.save({"x": Evil()}, f), "not a file of plain tensors"),
        (lambda f: torch.save([torch.ones(2)], f), "not a plain map"),
        (lambda f: torch.save({"x": {"y": torch.ones(2)}}, f), "not a plain map"),
        (lambda f: truncate(f, 0.6), "truncated"),
        (lambda f: f.write_bytes(b""), "truncated"),
    ],
)
def test_refuses_unsafe_archives(
    change: Callable[[Path], Any], match: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    as_bin(folder)
    change(folder / "pytorch_model.bin")
    with pytest.raises(UserError, match=match):
        load_decoder(folder, device="cpu")
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"dtype": "float16"}, "float16"),
        ({"dtype": "int3"}, "int3"),
        ({"device": "tpu9"}, "tpu9"),
        ({"device": "cuda:99"}, "cuda:99"),
        ({"device": "meta"}, "meta"),
    ],
)
def test_refuses_impossible_options(options: dict[str, str], match: str, folder: Path) -> None:
    with pytest.raises(UserError, match=match):
        load_decoder(folder, **options)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("size", [SMALL // 64 - 64, SMALL // 64])
@pytest.mark.parametrize("biased", [False, True])
def test_packed_products_equal_plain_ones(dtype: torch.dtype, size: int, biased: bool) -> None:
    """On both sides of the size from which only the packed matrix is kept, and of the rows from which it is used."""
    weight, bias = torch.randn(size, 64).to(dtype), torch.randn(size).to(dtype) if biased else None
    product = Linear(weight, bias)
    for rows in (1, 2, 33):
        x = torch.randn(rows, 64).to(dtype)
        exact = torch.nn.functional.linear(x.double(), weight.double(), None if bias is None else bias.double())
        torch.testing.assert_close(product(x).double(), exact, rtol=2e-2 if dtype == torch.bfloat16 else 1e-5,
                                   atol=5e-2 if dtype == torch.bfloat16 else 1e-4)  # fmt: skip


def test_a_weight_that_is_trained_is_not_packed() -> None:
    weight = torch.randn(8, 4, requires_grad=True)
    Linear(weight)(torch.ones(3, 4)).sum().backward()
    assert torch.equal(weight.grad, torch.full((8, 4), 3.0))


def test_a_converted_head_is_held_only_while_somebody_wants_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linear, "SMALL", 0)  # the plain copy of a small matrix is kept beside the packed one
    model = make("llama-mha-tied", torch.bfloat16)
    decoder = load_decoder(save(model, tmp_path), dtype="float32", device="cpu")
    head = decoder.head
    assert head.dtype == decoder.dtype == torch.float32
    assert decoder.head is head
    torch.testing.assert_close(head, model.lm_head.weight.float(), rtol=0, atol=0)
    gone = weakref.ref(head)
    del head
    assert gone() is None
    torch.testing.assert_close(decoder.head, model.lm_head.weight.float(), rtol=0, atol=0)
    wide = CLASSES["llama"][1].from_pretrained(tmp_path, dtype=torch.float32)
    torch.testing.assert_close(logits(decoder), wide(IDS[None]).logits[0], rtol=1e-4, atol=1e-4)


def test_narrowed_weights_are_those_that_were_narrowed_before(tmp_path: Path) -> None:
    """The embedding is converted as rows are taken from it, which must be the same as all at once."""
    model = make("qwen2")
    converted = load_decoder(save(model, tmp_path / "wide"), dtype="bfloat16", device="cpu")
    stored = load_decoder(save(model.bfloat16(), tmp_path / "narrow"), dtype="bfloat16", device="cpu")
    assert converted.dtype == stored.dtype == torch.bfloat16
    assert converted.embedding.dtype == torch.float32, "not the test it was meant to be"
    with torch.inference_mode():
        assert torch.equal(logits(converted), logits(stored))
