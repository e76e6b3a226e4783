"""A tokenizer of exactly so many tokens, cut from a larger one.

The merges of a byte-pair tokenizer stand in the order in which they were learnt, each token after those it is made of,
so the first ids of a tokenizer are a tokenizer.
"""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Any

from tokenizers import Tokenizer

from frspec.errors import UserError


def cut_tokenizer(source: Path, folder: Path, size: int) -> list[int]:
    """Write the first ``size`` tokens of ``source`` (a tokenizer.json) into ``folder``; returns ids that end a text.

    Raises:
        UserError: when it is no byte-pair tokenizer, or its first tokens are no tokenizer.
    """
    whole = json.loads(source.read_text("utf-8"))
    model = whole["model"]
    if model["type"] != "BPE":
        raise UserError(f"{source} is a {model['type']} tokenizer; give one made by byte-pair encoding")
    model["vocab"] = {token: number for token, number in model["vocab"].items() if number < size}
    model["merges"] = [pair for pair in map(_pair, model["merges"]) if "".join(pair) in model["vocab"]]
    whole["added_tokens"] = [token for token in whole["added_tokens"] if token["id"] < size]
    stray = next((pair for pair in model["merges"] if not set(pair) <= model["vocab"].keys()), None)
    if stray is not None:
        raise UserError(f"{source} has {''.join(stray)!r} before its parts, so it cannot be cut; give another")
    text = json.dumps(whole, ensure_ascii=False)
    found = Tokenizer.from_str(text).get_vocab_size()
    if found != size:
        raise UserError(f"{source} has {found} tokens below id {size}, but {size} are needed; give a larger one")
    (folder / "tokenizer.json").write_text(text, "utf-8")
    stops = _stops(whole["added_tokens"])
    about = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": stops[0]["content"] if stops else None}
    (folder / "tokenizer_config.json").write_text(json.dumps(about, indent=1) + "\n", "utf-8")
    return [token["id"] for token in stops]


def random_texts(folder: Path, count: int, tokens: int, seed: int) -> list[str]:
    """Texts of at least about ``tokens`` random tokens each, that nothing can predict."""
    tokenizer, random = Tokenizer.from_file(str(folder / "tokenizer.json")), Random(seed)
    size, texts = tokenizer.get_vocab_size(), []
    for _ in range(count):
        pieces = (tokenizer.decode([random.randrange(size)]) for _ in range(2 * tokens))
        texts.append("".join([piece for piece in pieces if "\ufffd" not in piece][:tokens]))
    return texts


def _pair(merge: str | list[str]) -> list[str]:
    """Both spellings of a merge."""
    return merge.split(" ") if isinstance(merge, str) else merge


def _stops(added: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The special tokens whose names say that they end something."""
    return [token for token in added if token["special"] and "end" in token["content"].lower()]
