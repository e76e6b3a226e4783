"""A tiny random target with a tokenizer and a chat template, and corpora for it."""

import json
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM

from frspec.engine.llm import LLM

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
TEXTS = [
    f"Once there was a {animal} who liked to {verb} in the {place}. One day the {animal} could not {verb}. "
    f"So the {animal} went home to the {place} and slept until it was time to {verb} again."
    for animal in ("dog", "cat", "bird", "frog")
    for verb in ("sing", "jump", "play", "swim", "read")
    for place in ("garden", "house", "river")
]


def write_tokenizer(folder: Path, template: str | None = CHATML) -> None:
    """Byte-level BPE over ``TEXTS`` with ChatML's special tokens."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=320,
        special_tokens=["<|im_end|>", "<|im_start|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(TEXTS, trainer)
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {"eos_token": "<|im_end|>", "chat_template": template}
    (folder / "tokenizer_config.json").write_text(json.dumps({k: v for k, v in config.items() if v}))


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkpoint's folder."""
    folder = tmp_path_factory.mktemp("tiny")
    write_tokenizer(folder)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=320, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=192, bos_token_id=None, eos_token_id=0, initializer_range=0.2,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def llm(tiny: Path) -> LLM:
    """The target, plain."""
    return LLM(tiny, device="cpu")


@pytest.fixture(scope="session")
def corpus_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``TEXTS`` as JSON Lines."""
    file = tmp_path_factory.mktemp("corpus") / "texts.jsonl"
    file.write_text("".join(json.dumps({"text": text}) + "\n" for text in TEXTS))
    return file


@pytest.fixture(scope="session")
def chats_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Conversations of two answers each."""
    file = tmp_path_factory.mktemp("chats") / "chats.jsonl"
    talks = [
        [
            {"role": "user", "content": "Tell me something."},
            {"role": "assistant", "content": text[:60]},
            {"role": "user", "content": "Go on."},
            {"role": "assistant", "content": text[60:120]},
        ]
        for text in TEXTS[:12]
    ]
    file.write_text("".join(json.dumps({"messages": talk}) + "\n" for talk in talks))
    return file
