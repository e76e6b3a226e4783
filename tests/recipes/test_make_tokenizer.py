"""The tokenizer's files as Hugging Face and as we read them."""

from __future__ import annotations

from pathlib import Path

import pytest
import transformers
from make_tokenizer import CHAT_TEMPLATE, CONTROL, MIX, make, pieces

from frspec.errors import UserError
from frspec.text.tokenizer import Tokenizer

TEXTS = [
    "The little dog said hello 1234 times.\n\n  Indented\tline",
    "नमस्ते दुनिया, 你好，世界",
    "a<|im_end|>b",
    "🙂 café's",
]
CHAT = [{"role": "user", "content": "Hi\nyou"}, {"role": "assistant", "content": "Hello"}]


def test_hugging_face_and_frspec_agree(tokenizer: Path) -> None:
    ours, theirs = Tokenizer.load(tokenizer), transformers.AutoTokenizer.from_pretrained(tokenizer)
    assert (ours.vocab_size, len(theirs)) == (320, 320)
    for text in TEXTS:
        ids = ours.encode(text)
        assert ids == theirs(text)["input_ids"]
        assert ours.decode(ids, skip_special_tokens=False) == text == theirs.decode(ids)
    for asked in (False, True):
        rendered = ours.render_chat(CHAT, add_generation_prompt=asked)
        assert rendered == theirs.apply_chat_template(CHAT, tokenize=False, add_generation_prompt=asked)
    assert (theirs.eos_token, theirs.pad_token, theirs.bos_token) == ("<|im_end|>", "<|endoftext|>", None)
    assert [ours.token(id) for id in range(len(CONTROL))] == CONTROL
    assert ours.control_ids() == {1, 2}


def test_template_is_chatml(tokenizer: Path) -> None:
    rendered = Tokenizer.load(tokenizer).render_chat(CHAT)
    assert rendered == (
        "<|im_start|>user\nHi\nyou<|im_end|>\n<|im_start|>assistant\nHello<|im_end|>\n<|im_start|>assistant\n"
    )
    assert "im_start" in CHAT_TEMPLATE


def test_same_seed_same_file(corpora: Path, tokenizer: Path, tmp_path: Path) -> None:
    make([corpora / f"{name}.jsonl.xz" for name in MIX], tmp_path / "again", 320, 100_000, 0)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        assert (tmp_path / "again" / name).read_bytes() == (tokenizer / name).read_bytes()


def test_too_little_text_is_refused(corpora: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not 100000; name larger corpora"):
        make([corpora / "tinystories_en.jsonl.xz"], tmp_path / "none", 100_000, 1_000, 0)
    assert not list(tmp_path.iterdir())


def test_pieces_keep_every_character() -> None:
    text = "".join(f"line {number}\n" for number in range(5000)) + "no end"
    parts = list(pieces([text, "", "short"]))
    assert "".join(parts) == text + "short"
    assert all(len(part) >= 10_000 for part in parts[:-2])
