"""The demo model's tokenizer: byte-level BPE with 131,072 tokens, trained on a balanced mix of languages and code.

    python recipes/demo/make_tokenizer.py CORPORA OUT_FOLDER

Every file of ``MIX`` gives at most ``MEGABYTES`` million bytes, in pieces drawn with a fixed seed, so that no language
crowds out another. Writes tokenizer.json, tokenizer_config.json and the chat template as Hugging Face expects them.
Training takes a few minutes and about 4 GB of memory; ``RAYON_NUM_THREADS`` limits its threads.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Iterator, Sequence
from itertools import takewhile
from pathlib import Path

import click
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from frspec.artifacts import atomic_path
from frspec.errors import UserError
from frspec.text.sources import read_documents

VOCABULARY = 131_072
END_OF_TEXT, TURN, END_OF_TURN = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
CONTROL = [END_OF_TEXT, TURN, END_OF_TURN, *(f"<|reserved_{number}|>" for number in range(5))]
MIX = [
    *("novels_en", "novels_fr", "novels_es", "law_de", "plays_ru", "literature_ja", "poetry_zh", "classical_zh"),
    *("code_13_languages", "dialogues_en", "tinystories_en", "gsm8k_train_en", "xquad_12_languages", "wikitext2_en"),
]
MEGABYTES = 14
"""Per file; with the four files that are smaller, 153 million bytes in all."""
PIECE = 10_000
"""Characters: whole lines are gathered to about this much and drawn together."""
LONGEST = 32
"""Bytes in a token, so that boilerplate does not become one."""

SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"  # English endings
    r"|[^\r\n\p{L}\p{M}\p{N}]?[\p{L}\p{M}]+"  # a word with the space or sign before it
    r"|\p{N}"  # digits one by one
    r"| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*"  # signs
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"  # line ends, indentation
)
"""The way GPT-4 and Qwen2 cut text before merging, with combining marks counted as letters."""

CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def pieces(texts: Iterable[str]) -> Iterator[str]:
    """The texts cut at line ends into parts of at least ``PIECE`` characters, but for the last of each."""
    for text in texts:
        part, size = list[str](), 0
        for line in text.splitlines(keepends=True):
            part.append(line)
            size += len(line)
            if size >= PIECE:
                yield "".join(part)
                part, size = [], 0
        if part:
            yield "".join(part)


def draw(file: Path, limit: int, seed: int) -> Iterator[str]:
    """Pieces of one corpus in an order fixed by ``seed``, up to ``limit`` bytes."""
    found = list(pieces(text for document in read_documents(file) for text in document.texts()))
    random.Random(f"{seed} {file.name}").shuffle(found)
    left = limit

    def fits(piece: str) -> bool:
        nonlocal left
        left -= len(piece.encode())
        return left >= 0

    return takewhile(fits, found)


def train(texts: Iterable[str], vocabulary: int) -> Tokenizer:
    """A byte-level BPE of exactly ``vocabulary`` tokens, control tokens first.

    Raises:
        UserError: when the texts are too few for that many merges.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(SPLIT), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[AddedToken(text, special=True, normalized=False) for text in CONTROL],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        max_token_length=LONGEST,
    )
    tokenizer.train_from_iterator(texts, trainer)
    if tokenizer.get_vocab_size() != vocabulary:
        raise UserError(f"the texts give {tokenizer.get_vocab_size()} tokens, not {vocabulary}; name larger corpora")
    return tokenizer


def write(tokenizer: Tokenizer, folder: Path) -> None:
    """The files by which ``AutoTokenizer`` and ``frspec`` load it."""
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": None,
        "eos_token": END_OF_TURN,
        "pad_token": END_OF_TEXT,
        "additional_special_tokens": CONTROL,
        "clean_up_tokenization_spaces": False,
        "model_max_length": 1024,
        "chat_template": CHAT_TEMPLATE,
    }
    with atomic_path(folder, folder=True) as temporary:
        tokenizer.save(str(temporary / "tokenizer.json"))
        (temporary / "tokenizer_config.json").write_text(json.dumps(config, indent=1), encoding="utf-8")


def make(files: Sequence[Path], folder: Path, vocabulary: int, limit: int, seed: int) -> None:
    """From corpora to the folder; ``limit`` bytes of each file."""
    write(train((text for file in files for text in draw(file, limit, seed)), vocabulary), folder)


@click.command()
@click.argument("corpora", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--seed", default=0, show_default=True)
def main(corpora: Path, folder: Path, seed: int) -> None:
    """Train the tokenizer on the corpora of MIX in CORPORA and write it to FOLDER."""
    make([corpora / f"{name}.jsonl.xz" for name in MIX], folder, VOCABULARY, MEGABYTES * 1_000_000, seed)


if __name__ == "__main__":
    main()
