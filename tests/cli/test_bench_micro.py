"""``frspec bench micro``: its figures add up, whatever they are."""

import json
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from frspec.bench import micro as measuring
from frspec.bench import shapes
from frspec.bench.random_model import random_decoder, shape_config
from frspec.cli.bench_micro import micro
from frspec.errors import UserError
from frspec.models.precision import Precision

TINY = {
    "model_type": "llama", "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 96, "head_dim": 16,
    "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "rms_norm_eps": 1e-5, "rope_theta": 1e4,
    "max_position_embeddings": 512,
}  # fmt: skip


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(shapes.SHAPES, "llama-3.2-1b", TINY)
    monkeypatch.setattr(measuring, "SAMPLES", 2)
    monkeypatch.setattr(measuring, "MOST_AT_ONCE", 1000)
    monkeypatch.setattr(measuring, "read_rate", lambda passes: 50.0)


@pytest.mark.parametrize("options", [[], ["--dtype", "bfloat16"], ["--dtype", "float32", "--quantize", "int8"]])
def test_every_part_is_measured(options: list[str], tmp_path: Path) -> None:
    file = tmp_path / "micro.json"
    arguments = ["--rows", "3,1", "--contexts", "20", "-o", str(file), *options]
    found = CliRunner().invoke(micro, arguments, catch_exceptions=False)
    result = json.loads(found.stdout.splitlines()[-1])
    written = json.loads(file.read_text())
    assert written["kind"] == "frspec bench micro"
    assert written["costs"] == result["costs"]
    size = 1 if "int8" in options else 4 if "float32" in options else 2
    byte_counts = {cost["part"]: cost["bytes"] for cost in result["costs"]}
    assert byte_counts["queries, keys, values 128 × 64"] == 128 * 64 * size
    assert byte_counts["gate and up 192 × 64"] == 192 * 64 * size
    assert byte_counts["head 96 × 64"] == 96 * 64 * size
    assert byte_counts["head / 4"] == 24 * 64 * size
    activations = getattr(torch, result["machine"]["activations"]).itemsize
    weights = 2 * 64 * (128 + 64 + 192 + 96) + 96 * 64
    assert byte_counts["whole step"] == weights * size + 2 * 2 * 128 * 2 * 16 * activations
    for cost in result["costs"]:
        assert cost["rate"] == pytest.approx(cost["bytes"] / cost["seconds"] / 1e9)
        assert cost["share"] == pytest.approx(cost["rate"] / 50)
        assert cost["rows"] in (1, 3)
        assert cost["rows"] == 3 or cost["relative"] == 1
    assert "whole step" in found.stdout
    assert "×3" in found.stdout


@pytest.mark.parametrize(
    ("arguments", "message"), [(["--rows", "1,x"], "list of numbers"), (["--rows", "0"], "below 1")]
)
def test_numbers_that_are_none(arguments: list[str], message: str) -> None:
    found = CliRunner().invoke(micro, arguments)
    assert found.exit_code == 2
    assert message in found.output


def test_a_shape_or_a_model() -> None:
    with pytest.raises(UserError, match="give one of them"):
        CliRunner().invoke(micro, ["--shape", "llama-3-8b", "--model", "demo"], catch_exceptions=False)


def test_random_models_are_what_their_settings_say() -> None:
    config = shape_config(TINY)
    decoder = random_decoder(config, "bfloat16", "int8")
    assert decoder.precision == Precision(torch.int8, torch.bfloat16)
    assert [block.attention.qkv.rows for block in decoder.blocks] == [128, 128]
    assert decoder.head.shape == (96, 64)
    with pytest.raises(UserError, match="dtype 'float64' is not supported"):
        random_decoder(config, "float64")


@pytest.mark.parametrize("name", shapes.SHAPES)
def test_shapes_are_models(name: str) -> None:
    config = shape_config(shapes.SHAPES[name])
    assert config.num_attention_heads % config.num_key_value_heads == 0
