"""Counting the words of texts once and encoding each distinct word once: several times faster than encoding texts.

Knows: for which tokenizers and texts that gives exactly what the ``tokenizers`` library makes of the whole text.
Does not know: documents, files, rankings.

A byte-level BPE splits a text into words that are encoded one by one, whatever stands around them. So its tokens are
those of the distinct words times how often each occurs. The words are found by ``re`` (``patterns``), the tokens of a
word by the library's own model. A tokenizer with any part that is not known here has no ``Words``.
"""

from __future__ import annotations

import json
import re
from array import array
from codecs import charmap_decode
from collections import Counter
from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import Any

import numpy as np
from tokenizers import Tokenizer as Backend
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import Digits

from frspec.ranking.added import AddedTokens
from frspec.ranking.classes import ASKED, PLANE, UntranslatableError, class_of, mask_of, same_in_nfc
from frspec.ranking.patterns import Splitter
from frspec.ranking.ranking import Ids
from frspec.text.decoding import byte_characters
from frspec.text.tokenizer import Tokenizer

GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
"""How the library's ByteLevel splits when asked to (its ``pre_tokenizers/byte_level.rs``)."""
KEPT = 1 << 18  # words whose ids are remembered; twice as many at times
LONG = 48  # characters; longer words hardly come again,
LONG_CHINESE = 4  # nor do these where a word is all that stands between two marks
CHINESE = "\u2e80"  # the first of the characters of Chinese and Japanese
_SPELLING = "".join(byte_characters())
_ID = attrgetter("id")

Stage = Callable[[str], list[str]]


class Words:
    """Texts are added, and taken out as counts of ids.

    Raises:
        UntranslatableError: when ``tokenizer`` has a part whose work on a text is not known to be its work on words.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        backend = tokenizer.backend
        nfc = _check(backend)
        self._stages = _stages(_spec(backend.pre_tokenizer))
        self._added = AddedTokens(backend, nfc=nfc)
        self._backend = backend
        self._model = backend.model
        known = same_in_nfc() if nfc else ASKED
        usual = mask_of(known)
        self._known = usual.tobytes()
        usual[PLANE:] = False
        self._unusual = re.compile(class_of(~usual))
        self._words = Counter[str]()
        self._tokens = Counter[str]()
        self._recent, self._before = dict[str, bytes](), dict[str, bytes]()

    def add(self, text: str) -> bool:
        """Count ``text``; False, and nothing is counted, when only the library knows what becomes of it."""
        if not text.isascii() and not all(self._known[ord(c)] for c in set(self._unusual.findall(text))):
            return False
        found = self._added.split(text)
        if found is None:
            return False
        pieces, tokens = found
        words: Mapping[str, int] = Counter(filter(None, pieces)) if tokens else {piece: 1 for piece in pieces if piece}
        for stage in self._stages[:-1]:
            words = _apply(stage, words, Counter())
        _apply(self._stages[-1], words, self._words)
        if tokens:
            self._tokens.update(tokens)
        return True

    def take(self) -> tuple[Ids, Ids]:
        """The ids of all that was added, each perhaps in several places, and how often; both int64 [N]."""
        words, self._words = self._words, Counter()
        tokens, self._tokens = self._tokens, Counter()
        encoded = [found or self._encode(word) for word, found in zip(words, map(self._recent.get, words), strict=True)]
        ids = np.frombuffer(b"".join(encoded), dtype=np.uint32).astype(np.int64)
        times = np.repeat(
            np.fromiter(words.values(), np.int64, len(words)), np.fromiter(map(len, encoded), np.int64, len(words)) // 4
        )
        added = np.array([self._backend.token_to_id(token) for token in tokens], dtype=np.int64)
        return np.append(ids, added), np.append(times, np.fromiter(tokens.values(), np.int64, len(tokens)))

    def _encode(self, word: str) -> bytes:
        """The ids of ``word`` as uint32, remembered if it is likely to come again."""
        comes_again = len(word) <= (LONG if word < CHINESE else LONG_CHINESE)
        if comes_again and (found := self._before.get(word)) is not None:
            ids = found
        else:
            spelled = charmap_decode(word.encode(), "strict", _SPELLING)[0]
            ids = array("I", map(_ID, self._model.tokenize(spelled))).tobytes()
        if comes_again:
            if len(self._recent) >= KEPT:
                self._before, self._recent = self._recent, {}
            self._recent[word] = ids
        return ids


def _apply(stage: Stage, words: Mapping[str, int], into: Counter[str]) -> Counter[str]:
    for word, times in words.items():
        pieces = stage(word)
        if times == 1:
            into.update(pieces)
        else:
            for piece in pieces:
                into[piece] += times
    return into


def _spec(part: Any) -> dict[str, Any]:
    """What ``tokenizer.json`` says of a normalizer or pre-tokenizer."""
    return {"type": None} if part is None else dict(json.loads(part.__getstate__()))


def _check(backend: Backend) -> bool:
    """Whether the normalizer is NFC, of a tokenizer that has no other and whose model encodes word by word."""
    normalizer = _spec(backend.normalizer)["type"]
    if not isinstance(backend.model, BPE) or backend.model.dropout:
        raise UntranslatableError("the model is no BPE, or not the same each time")
    if normalizer not in (None, "NFC"):
        raise UntranslatableError(f"the normalizer is {normalizer}")
    if backend.truncation or backend.padding or backend.encode_special_tokens:
        raise UntranslatableError("texts are cut, filled, or read without special tokens")
    return bool(normalizer == "NFC")


def _stages(spec: dict[str, Any]) -> list[Stage]:
    """What a text goes through until it is words."""
    *splits, last = spec.get("pretokenizers") or [spec]
    if last["type"] != "ByteLevel":
        raise UntranslatableError(f"the last step is {last['type']}")
    stages: list[Stage] = [Splitter(_pattern(step)) for step in splits]
    if last["add_prefix_space"]:
        stages.append(lambda piece: [piece if piece.startswith(" ") else f" {piece}"])
    if last["use_regex"]:
        stages.append(Splitter(GPT2))
    return stages or [lambda piece: [piece]]


def _pattern(step: dict[str, Any]) -> str:
    """The pattern whose matches are pieces of their own."""
    if step["type"] == "Digits":
        pieces = Digits(individual_digits=False).pre_tokenize_str(ASKED)  # others and digits in turn
        return f"[{''.join(piece for piece, _ in pieces[1::2])}]{'' if step['individual_digits'] else '+'}"
    if step["type"] != "Split" or step["behavior"] != "Isolated" or step["invert"]:
        raise UntranslatableError(f"a step is {step}")
    if "Regex" in step["pattern"]:
        return str(step["pattern"]["Regex"])
    return "".join(
        f"\\{c}" if c.isascii() and not (c.isalnum() or c.isspace()) else c for c in step["pattern"]["String"]
    )
