"""The recipes import one another as the scripts they are, so their folder goes on the path; and a tiny world."""

import json
import lzma
import sys
from pathlib import Path

import pytest

RECIPE = Path(__file__).parents[2] / "recipes" / "demo"
sys.path.insert(0, str(RECIPE))

WORDS = ["the", "a", "little", "dog", "cat", "found", "lost", "red", "ball", "tree", "river", "then", "said", "hello"]


def sentence(number: int, length: int) -> str:
    """Words in an order that depends on nothing but the arguments."""
    return " ".join(WORDS[(number * 7 + place * place * 3 + place * number) % len(WORDS)] for place in range(length))


@pytest.fixture(scope="session")
def corpora(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All files of the recipe, each in its own format, as small as they can be."""
    from make_tokenizer import MIX

    folder = tmp_path_factory.mktemp("corpora")
    for name in MIX:
        texts = [
            sentence(number + len(name), 20 + number % 9) for number in range(500 if name.startswith("xquad") else 90)
        ]
        if name.startswith("dialogues"):
            texts = [f"User: {text}\nAssistant: {text[::-1]}\nUser: Thanks.\nAssistant: Bye." for text in texts]
        if name.startswith("gsm8k"):
            texts = [f"Question: {text}?\nAnswer: It is 2 * 3 = <<2*3=6>>6.\n#### 6" for text in texts]
        lines = "".join(json.dumps({"id": str(number), "text": text}) + "\n" for number, text in enumerate(texts))
        (folder / f"{name}.jsonl.xz").write_bytes(lzma.compress(lines.encode()))
    return folder


@pytest.fixture(scope="session")
def tokenizer(corpora: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tokenizer of the recipe with 320 tokens."""
    from make_tokenizer import MIX, make

    folder = tmp_path_factory.mktemp("tokenizer") / "made"
    make([corpora / f"{name}.jsonl.xz" for name in MIX], folder, 320, 100_000, 0)
    return folder
