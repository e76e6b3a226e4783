"""Tokenizers shared by the text tests; loading one takes seconds."""

from pathlib import Path

import pytest
from transformers import PreTrainedTokenizerBase, Qwen2TokenizerFast

from frspec.text.tokenizer import Tokenizer


@pytest.fixture(scope="session")
def qwen2(data: Path) -> Tokenizer:
    return Tokenizer.load(data / "tokenizers" / "qwen2")


@pytest.fixture(scope="session")
def qwen2_hf(data: Path) -> PreTrainedTokenizerBase:
    return Qwen2TokenizerFast.from_pretrained(data / "tokenizers" / "qwen2")


@pytest.fixture(scope="session")
def o200k(data: Path) -> Tokenizer:
    return Tokenizer.load(data / "tokenizers" / "o200k" / "o200k_base.tiktoken")


@pytest.fixture(scope="session")
def tinystories(stories: Path) -> Tokenizer:
    return Tokenizer.load(stories)


@pytest.fixture(scope="session")
def samples(data: Path) -> list[str]:
    """Two thousand characters of each corpus: prose, code, verse and law in many scripts."""
    from frspec.text.sources import read_documents

    found = []
    for path in sorted((data / "corpora").glob("*.xz")):
        text = ""
        for document in read_documents(path):
            text += document.text or ""
            if len(text) > 2000:
                break
        found.append(text[:2000])
    return found
