"""Configs in both of Hugging Face's spellings, and the refusal of what cannot be honoured."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

from frspec.errors import UserError
from frspec.models import load_config
from frspec.models.rotary import RopeConfig, inverse_frequencies

from .tiny import CLASSES, LLAMA3, SIZES, VARIANTS, YARN

LLAMA: dict[str, Any] = {"model_type": "llama", "architectures": ["LlamaForCausalLM"], **SIZES}
OLD_YARN = {"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32}


def write(folder: Path, config: dict[str, Any], name: str = "config.json") -> Path:
    (folder / name).write_text(json.dumps(config))
    return folder


@pytest.mark.parametrize("name", VARIANTS)
def test_reads_what_hugging_face_writes(name: str, tmp_path: Path) -> None:
    family, settings = VARIANTS[name]
    theirs = CLASSES[family][0](**{**SIZES, **settings}, architectures=[CLASSES[family][1].__name__])
    theirs.save_pretrained(tmp_path)
    ours = load_config(tmp_path)
    for key in ("vocab_size", "hidden_size", "num_key_value_heads", "tie_word_embeddings", "max_position_embeddings"):
        assert getattr(ours, key) == getattr(theirs, key)
    assert ours.head_dim == (getattr(theirs, "head_dim", None) or 8)
    assert ours.stop_token_ids == (2,)
    assert ours.bos_token_id == 1
    kind = theirs.rope_parameters["rope_type"]
    if kind != "default":
        frequencies, factor = ROPE_INIT_FUNCTIONS[kind](theirs, "cpu")
        assert ours.rope.attention_factor == factor
        torch.testing.assert_close(inverse_frequencies(ours.rope, ours.head_dim), frequencies, rtol=1e-6, atol=0)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({"rope_theta": 5e5}, {"rope_parameters": {"rope_type": "default", "rope_theta": 5e5}}),
        ({"rope_theta": 5e5, "rope_scaling": None}, {"rope_theta": 5e5, "rope_parameters": {"rope_type": "default"}}),
        (
            {"rope_scaling": {"type": "linear", "factor": 2.0}},
            {"rope_parameters": {"rope_type": "linear", "rope_theta": 1e4, "factor": 2}},
        ),
        ({"rope_scaling": OLD_YARN, "rope_theta": 1e4}, {"rope_parameters": YARN}),
        (
            {"rope_scaling": {k: v for k, v in LLAMA3.items() if k != "rope_theta"}, "rope_theta": 5e5},
            {"rope_parameters": LLAMA3},
        ),
        ({"torch_dtype": "bfloat16"}, {"dtype": "bfloat16"}),
        ({"eos_token_id": 2}, {"eos_token_id": [2]}),
        ({}, {"layer_types": ["full_attention"] * 3}),
        ({"num_key_value_heads": 8}, {"num_key_value_heads": None}),
    ],
)
def test_both_spellings_mean_the_same(old: dict[str, Any], new: dict[str, Any], tmp_path: Path) -> None:
    assert load_config(write(tmp_path, LLAMA | old)) == load_config(write(tmp_path, LLAMA | new))


def test_stop_ids_are_the_union_of_both_files(tmp_path: Path) -> None:
    write(tmp_path, {"eos_token_id": [7, 2]}, "generation_config.json")
    assert load_config(write(tmp_path, LLAMA | {"eos_token_id": [2, 5]})).stop_token_ids == (2, 5, 7)
    assert load_config(write(tmp_path, LLAMA | {"eos_token_id": None})).stop_token_ids == (7, 2)


def test_unused_windows_are_accepted(tmp_path: Path) -> None:
    qwen = LLAMA | {"model_type": "qwen2", "architectures": ["Qwen2ForCausalLM"], "sliding_window": 8}
    for unused in ({"use_sliding_window": False, "max_window_layers": 1},
                   {"use_sliding_window": True, "max_window_layers": 3}):  # fmt: skip
        assert load_config(write(tmp_path, qwen | unused)).context_length == 128


def test_bookkeeping_is_harmless(tmp_path: Path) -> None:
    extra = {"use_cache": False, "attention_dropout": 0.1, "_name_or_path": "x", "temperature": 0.7, "unheard_of": None}
    assert load_config(write(tmp_path, LLAMA | extra)) == load_config(write(tmp_path, LLAMA))


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"model_type": "gpt2"}, "model_type='gpt2'"),
        ({"model_type": "mixtral"}, "model_type"),
        ({"architectures": ["LlamaForSequenceClassification"]}, "architectures"),
        ({"hidden_act": "gelu"}, "hidden_act"),
        ({"logits_scaling": 8.0}, "logits_scaling"),
        ({"num_local_experts": 8}, "num_local_experts"),
        ({"partial_rotary_factor": 0.5}, "partial_rotary_factor"),
        ({"quantization_config": {"bits": 4}}, "quantization_config"),
        ({"auto_map": {"AutoModelForCausalLM": "x.Y"}}, "auto_map"),
        ({"sliding_window": 16}, "sliding_window"),
        ({"layer_types": ["full_attention", "sliding_attention", "full_attention"]}, "layer_types"),
        ({"unheard_of": False}, "unheard_of"),
        ({"rope_scaling": {"type": "dynamic", "factor": 2.0}}, "rope_scaling.rope_type"),
        ({"rope_scaling": {"rope_type": "longrope", "factor": 2.0}}, "longrope"),
        ({"rope_scaling": {"type": "linear"}}, "rope_scaling.factor"),
        ({"rope_scaling": {"type": "linear", "factor": -1}}, "rope_scaling.factor"),
        ({"rope_scaling": {"type": "linear", "rope_type": "yarn", "factor": 2.0}}, "rope_scaling.type"),
        ({"rope_scaling": {"type": "yarn", "factor": 2.0, "finetuned": True}}, "rope_scaling.finetuned"),
        ({"rope_scaling": OLD_YARN, "rope_parameters": YARN}, "rope_scaling"),
        ({"rope_theta": 1.0, "rope_parameters": {"rope_type": "default", "rope_theta": 2.0}}, "rope_theta"),
        ({"rope_scaling": OLD_YARN, "original_max_position_embeddings": 64}, "original_max_position_embeddings"),
        ({"rope_scaling": {**LLAMA3, "high_freq_factor": 1.0}}, "high_freq_factor"),
        ({"rope_scaling": "yarn"}, "rope_scaling"),
        ({"hidden_size": 0}, "hidden_size"),
        ({"hidden_size": "64"}, "hidden_size"),
        ({"hidden_size": True}, "hidden_size"),
        ({"num_key_value_heads": 3}, "num_key_value_heads"),
        ({"num_attention_heads": 7, "num_key_value_heads": 7}, "num_attention_heads"),
        ({"head_dim": 5}, "head_dim"),
        ({"rms_norm_eps": None, "tie_word_embeddings": "yes"}, "tie_word_embeddings"),
        ({"eos_token_id": "</s>"}, "eos_token_id"),
        ({"eos_token_id": 96}, "96"),
        ({"dtype": 16}, "dtype"),
    ],
)
def test_refuses_by_name(change: dict[str, Any], named: str, tmp_path: Path) -> None:
    with pytest.raises(UserError) as refusal:
        load_config(write(tmp_path, LLAMA | change))
    assert named in str(refusal.value)
    assert "config.json" in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("family", ["mistral", "qwen2", "qwen3"])
def test_windows_in_use_bound_the_context(family: str, tmp_path: Path) -> None:
    name = CLASSES[family][1].__name__
    config = LLAMA | {"model_type": family, "architectures": [name], "sliding_window": 16, "use_sliding_window": True}
    if family == "mistral":
        del config["use_sliding_window"]
    else:
        config["max_window_layers"] = 2
    assert load_config(write(tmp_path, config)).context_length == 16
    with pytest.raises(UserError, match="sliding_window=0 must be"):
        load_config(write(tmp_path, config | {"sliding_window": 0}))


def test_an_absent_window_is_transformers_default(tmp_path: Path) -> None:
    mistral = LLAMA | {"model_type": "mistral", "architectures": ["MistralForCausalLM"]}
    assert load_config(write(tmp_path, mistral | {"max_position_embeddings": 5000})).context_length == 4096
    assert load_config(write(tmp_path, mistral | {"sliding_window": None})).context_length == 128


QWEN_YARN = {"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768}


@pytest.mark.parametrize(
    ("published", "expected"),
    [
        ({"max_position_embeddings": 32768, "rope_scaling": QWEN_YARN}, 131072),  # Qwen2.5, as its card says
        ({"max_position_embeddings": 40960, "rope_scaling": QWEN_YARN}, 131072),  # Qwen3, as its card says
        ({"max_position_embeddings": 4096, "rope_scaling": {"type": "linear", "factor": 4.0}}, 16384),  # Vicuna 16k
        ({"max_position_embeddings": 131072, "rope_scaling": {**LLAMA3, "original_max_position_embeddings": 8192}},
         131072),  # Llama 3.1
        ({"rope_scaling": {"type": "yarn", "original_max_position_embeddings": 32}}, 128),
        ({"max_position_embeddings": 8192}, 8192),
    ],
)  # fmt: skip
def test_context_lengths_are_the_published_ones(published: dict[str, Any], expected: int, tmp_path: Path) -> None:
    assert load_config(write(tmp_path, LLAMA | published)).context_length == expected


@pytest.mark.parametrize("key", ["vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "model_type"])
def test_refuses_what_is_missing(key: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"{key} is missing"):
        load_config(write(tmp_path, {k: v for k, v in LLAMA.items() if k != key}))


@pytest.mark.parametrize("text", ["", "{", "[]", '"llama"', "\ufffd"])
def test_refuses_what_is_not_an_object(text: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(UserError, match=r"config\.json"):
        load_config(tmp_path)
    (tmp_path / "config.json").unlink()
    with pytest.raises(UserError, match="missing"):
        load_config(tmp_path)


def test_yarn_without_a_factor_takes_the_ratio_of_contexts(tmp_path: Path) -> None:
    stated = {"type": "yarn", "original_max_position_embeddings": 32}
    assert load_config(write(tmp_path, LLAMA | {"rope_scaling": stated})).rope.factor == 4.0


def test_default_frequencies_are_the_papers() -> None:
    """θ_i = 10000^(-2(i-1)/d), RoFormer section 3.2.2."""
    found = inverse_frequencies(RopeConfig(), 8)
    torch.testing.assert_close(found, torch.tensor([1.0, 0.1, 0.01, 0.001]), rtol=1e-6, atol=0)
