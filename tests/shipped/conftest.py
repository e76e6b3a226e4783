"""A model as small as can be in the place of the shipped one: tokenizer by ``tokenizers``, weights by Hugging Face."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer as Backend
from tokenizers import decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM

from frspec import shipped
from frspec.models import load_decoder
from frspec.models.eagle import new_head, save_eagle
from frspec.ranking.ranking import Ranking
from frspec.text.tokenizer import Tokenizer

SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def write_target(folder: Path, hidden: int, seed: int) -> Path:
    """A random Llama with a byte-level tokenizer of 280 tokens and a chat template."""
    backend = Backend(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=280, special_tokens=SPECIAL, initial_alphabet=alphabet)
    backend.train_from_iterator([f"once upon a time {seed} there was the little dog"] * 9, trainer)
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=280, hidden_size=hidden, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=256, bos_token_id=None, eos_token_id=[2, 0], pad_token_id=0,
        tie_word_embeddings=True, initializer_range=0.3,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder)
    backend.save(str(folder / "tokenizer.json"))
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": SPECIAL[2], "chat_template": TEMPLATE}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return folder


def write_head(folder: Path, target: Path) -> Path:
    """An untrained head for ``target``."""
    decoder = load_decoder(target)
    config, tensors = new_head(decoder, torch.Generator().manual_seed(0))
    save_eagle(folder, config, tensors, decoder.dtype, {})
    return folder


def write_sums(folder: Path) -> None:
    """The list as ``sha256sum`` writes it."""
    files = sorted(file for file in folder.rglob("*") if file.is_file() and file.name != "SHA256SUMS")
    lines = [f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.relative_to(folder)}\n" for file in files]
    (folder / "SHA256SUMS").write_text("".join(lines))


@pytest.fixture(scope="package")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole folder such as frspec ships; not to be changed."""
    folder = tmp_path_factory.mktemp("shipped") / "demo"
    target = write_target(folder / "target", 32, 0)
    write_head(folder / "head", target)
    fingerprint = Tokenizer.load(target).fingerprint
    Ranking.from_counts(range(280), fingerprint, {"tokenizer": "demo"}).save(folder / "demo.ranking")
    write_sums(folder)
    return folder


@pytest.fixture(scope="package")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another model with a head of its own in ``head``: another width, another tokenizer."""
    folder = write_target(tmp_path_factory.mktemp("other") / "model", 64, 1)
    write_head(folder.parent / "head", folder)
    return folder


@pytest.fixture
def tiny(made: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """``made`` goes by the name demo."""
    monkeypatch.setattr(shipped, "FOLDER", made)
    return made
