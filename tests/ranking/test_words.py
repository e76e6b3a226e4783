"""Words times their tokens against the tokenizers library's encoding of whole texts."""

from collections import Counter
from functools import cache
from pathlib import Path
from unicodedata import combining

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Regex, decoders, models, normalizers, pre_tokenizers
from tokenizers import Tokenizer as Backend

from frspec.ranking import words
from frspec.ranking.classes import UntranslatableError
from frspec.ranking.words import Words
from frspec.text.tokenizer import Tokenizer
from tests.text.kinds import BY_WORDS, FRAGMENTS, PROSE, TEXTS, WHOLE, byte_level


@cache
def made(name: str) -> tuple[Tokenizer, Words]:
    tokenizer = BY_WORDS[name]()
    return tokenizer, Words(tokenizer)


def kind(name: str) -> tuple[Tokenizer, Words]:
    """Without what another test has added and left."""
    tokenizer, counted = made(name)
    counted.take()
    return tokenizer, counted


def taken(counted: Words) -> Counter[int]:
    found = Counter[int]()
    for id, times in zip(*counted.take(), strict=True):
        found[int(id)] += int(times)
    return found


def library(tokenizer: Tokenizer, *texts: str) -> Counter[int]:
    return Counter(id for text in texts for id in tokenizer.backend.encode(text, add_special_tokens=False).ids)


@pytest.mark.parametrize("name", BY_WORDS)
def test_ordinary_texts_are_counted_by_words(name: str) -> None:
    tokenizer, counted = kind(name)
    texts = [PROSE, "", "  ", PROSE * 3, "<|a|><|end|> <|endless|>x<|end", *PROSE.split()]
    assert all(counted.add(text) for text in texts)
    assert taken(counted) == library(tokenizer, *texts)
    assert taken(counted) == Counter(), "what was taken is gone"


@pytest.mark.parametrize("name", BY_WORDS)
@settings(max_examples=80, deadline=None)
@given(text=TEXTS)
def test_any_text_as_the_library_or_not_at_all(name: str, text: str) -> None:
    tokenizer, counted = kind(name)
    added = counted.add(text)
    assert taken(counted) == (library(tokenizer, text) if added else Counter())


@pytest.mark.parametrize("name", BY_WORDS)
def test_every_character(name: str) -> None:
    """Each by itself, and in every kind of company."""
    tokenizer, counted = kind(name)
    everything = [chr(c) for c in (*range(0xD800), *range(0xE000, 0x32400))]
    some = everything[:0x600] + everything[0x600 :: 7 if name == "o200k" else 37]
    texts = [f"a{c}b {c} 1{c}'{c}\n" for c in some]
    counts = [counted.add(text) for text in texts]
    assert sum(counts) > 0.7 * len(texts)
    assert taken(counted) == library(tokenizer, *(text for text, added in zip(texts, counts, strict=True) if added))


def test_most_texts_do_not_need_the_library() -> None:
    _, counted = kind("qwen2")
    assert [text for text in FRAGMENTS if not counted.add(text)] == ["\U000323b0", "\U0010fffd", "\uffff", "\u0378"]
    assert not counted.add("\ud800")


@pytest.mark.parametrize("name", WHOLE)
def test_other_kinds_have_no_words(name: str) -> None:
    with pytest.raises(UntranslatableError):
        Words(WHOLE[name]())


UNCERTAIN = r"""
(?<=a)b|. a*? a+?b (a)\1 \bword ^a a{2}+ (?>a) (?i)a (?i:ss) (?i:f[i]) (?i:s)+ (?:ab)++ a** []a] [^]a] \R \X
a* a| (?=a) \z (?#x)a a(?#x)+ \x41 (?<n>a) \Qa \G
"""


@pytest.mark.parametrize("pattern", UNCERTAIN.split())
def test_patterns_of_uncertain_meaning_are_left_to_the_library(pattern: str) -> None:
    with pytest.raises(UntranslatableError):
        Words(byte_level(pattern))


def test_steps_that_are_not_known() -> None:
    for step in (
        pre_tokenizers.Split(Regex(r"\s+"), "merged_with_next"),
        pre_tokenizers.Split(Regex(r"\s+"), "removed"),
        pre_tokenizers.Split(Regex(r"\S+"), "isolated", invert=True),
        pre_tokenizers.Punctuation(),
        pre_tokenizers.UnicodeScripts(),
    ):
        tokenizer = byte_level("a")
        tokenizer.backend.pre_tokenizer = pre_tokenizers.Sequence([step, pre_tokenizers.ByteLevel(use_regex=False)])
        with pytest.raises(UntranslatableError):
            Words(tokenizer)
    for change in (
        lambda backend: setattr(backend, "normalizer", normalizers.NFKC()),
        lambda backend: setattr(backend, "encode_special_tokens", True),
        lambda backend: setattr(backend.model, "dropout", 0.5),
        lambda backend: backend.enable_truncation(3),
        lambda backend: backend.enable_padding(),
    ):
        tokenizer = byte_level("a")
        change(tokenizer.backend)
        with pytest.raises(UntranslatableError):
            Words(tokenizer)


ADDED = [
    AddedToken("<mask>", lstrip=True, special=True),
    AddedToken("<eos>", rstrip=True, normalized=False),
    AddedToken("word", single_word=True),
    AddedToken("plain"),
    AddedToken("pla", special=True),
    AddedToken("Ångström"),
    AddedToken("ab", normalized=False),
    AddedToken("bab", normalized=True),
    AddedToken("  ", normalized=False),
    AddedToken("x>", normalized=True),
    AddedToken("<x", normalized=False),
    AddedToken("か\u3099"),
    AddedToken("é", normalized=False),
]


@settings(max_examples=40, deadline=None)
@given(
    tokens=st.lists(st.sampled_from(range(len(ADDED))), unique=True, max_size=4),
    nfc=st.booleans(),
    text=st.lists(
        st.sampled_from([" ", "a", *"<>\u0338\u0301 eé", *(token.content for token in ADDED), "A\u030angström", "\n"]),
        max_size=12,
    ).map("".join),
)
@example(tokens=[9], nfc=True, text="x>\u0338")
@example(tokens=[10, 9], nfc=True, text="<xx>\u0338")
def test_added_tokens(tokens: list[int], nfc: bool, text: str) -> None:
    tokenizer = with_added(tuple(tokens), nfc)
    counted = Words(tokenizer)
    added = counted.add(text)
    assert taken(counted) == (library(tokenizer, text) if added else Counter())


@pytest.mark.parametrize("text", ["bab\u030c bab", "bab\u0307", "x>\u0338", "bab x>\u0338", "bab", "\u0307bab"])
def test_an_accent_behind_a_token_makes_it_another_text(text: str) -> None:
    tokenizer = with_added((7, 9), nfc=True)
    counted = Words(tokenizer)
    added = counted.add(text)
    assert taken(counted) == (library(tokenizer, text) if added else Counter())


def test_marks_that_the_library_does_not_know_yet() -> None:
    """Python's Unicode is another version's: it moves some marks that the library leaves where they are."""
    tokenizer = with_added((), nfc=True)
    marks = [c for c in map(chr, range(0x300, 0x20000)) if combining(c)]
    texts = ["\U00011935\U00011930", *(text for c in marks for text in (f"c{c}\u0327", f"a{c}\u0301"))]
    counted = Words(tokenizer)
    found = {text: taken(counted) for text in texts if counted.add(text)}
    assert len(found) > 1400
    assert [text for text in found if found[text] != library(tokenizer, text)] == []


@cache
def with_added(tokens: tuple[int, ...], nfc: bool) -> Tokenizer:
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    backend = Backend(models.BPE({letter: id for id, letter in enumerate(letters)}, []))
    if nfc:
        backend.normalizer = normalizers.NFC()
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    for token in tokens:
        backend.add_tokens([ADDED[token]])
    return Tokenizer(backend, "letters", {})


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(words, "KEPT", 10)
    tokenizer, counted = kind("gpt2")[0], Words(kind("gpt2")[0])
    texts = [f"{' '.join(map(str, range(n % 17, n % 17 + 30)))} the" for n in range(50)]
    for text in texts:
        assert counted.add(text)
        assert taken(counted) == library(tokenizer, text)
        assert len(counted._recent) <= 10
        assert len(counted._before) <= 10


@pytest.mark.parametrize("name", ["qwen2", "o200k"])
def test_published_tokenizers_on_real_texts(
    name: str, data: Path, samples: list[str], request: pytest.FixtureRequest
) -> None:
    tokenizer: Tokenizer = request.getfixturevalue(name)
    counted = Words(tokenizer)
    cases = sorted((data / "tokenizers" / "ggml_cases").glob("*.inp"))
    texts = samples + [case for file in cases for case in file.read_text("utf-8").split("\n__ggml_vocab_test__\n")]
    assert len(texts) > 100
    assert all(counted.add(text) for text in texts)
    assert taken(counted) == library(tokenizer, *texts)


def test_counts_beyond_32_bits_of_float() -> None:
    tokenizer, counted = kind("gpt2")
    assert all(counted.add("a" * 40) for _ in range(300))
    ids, times = counted.take()
    assert ids.dtype == times.dtype == np.int64
    assert int(times.sum()) == 300 * len(tokenizer.encode("a" * 40, add_special_tokens=False))
