"""Published tiktoken files against the tiktoken library."""

import base64
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import tiktoken
import tiktoken_ext.openai_public as openai
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tiktoken._educational import bpe_encode
from transformers.convert_slow_tokenizer import TikTokenConverter
from transformers.models.qwen2.tokenization_qwen2 import PRETOKENIZE_REGEX

from frspec.errors import UserError
from frspec.text.decoding import byte_characters
from frspec.text.merges import find_merges
from frspec.text.tiktoken_files import LLAMA3, PUBLISHED, QWEN, Encoding, build, read_ranks
from frspec.text.tokenizer import Tokenizer

BY_NAME = {encoding.name: encoding for encoding in PUBLISHED.values()}
SPACES = st.lists(st.sampled_from([" ", "\n", "\r\n", "\t", "\u3000", "\x85", "a", "7", "'s", "'LL", ".", "é", "/"]))
ANY = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
TEXTS = st.one_of(SPACES.map("".join), ANY, st.text("aAbB sS'\n", max_size=60))


def definition(name: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """tiktoken's own definition of an encoding, without its ranks, which it would fetch."""
    monkeypatch.setattr(openai, "load_tiktoken_bpe", lambda *_, **__: {})
    made: dict[str, Any] = getattr(openai, name)()
    return made


@pytest.fixture(scope="module")
def ranks(data: Path) -> dict[bytes, int]:
    return read_ranks((data / "tokenizers" / "o200k" / "o200k_base.tiktoken").read_bytes(), "o200k")


@pytest.fixture(scope="module")
def oracle(ranks: dict[bytes, int]) -> tiktoken.Encoding:
    with pytest.MonkeyPatch.context() as patch:
        made = definition("o200k_base", patch)
    return tiktoken.Encoding(**made | {"mergeable_ranks": ranks})


def test_o200k(o200k: Tokenizer, oracle: tiktoken.Encoding, samples: list[str]) -> None:
    for text in samples:
        ids = oracle.encode(text, allowed_special="all")
        assert o200k.encode(text) == ids
        assert o200k.decode(ids) == oracle.decode(ids)
    assert o200k.vocab_size == oracle.n_vocab
    assert o200k.special_ids == {199_999, 200_018}
    assert all(o200k.token_bytes(id) == oracle.decode_single_token_bytes(id) for id in range(0, 199_998, 97))


@settings(max_examples=400, suppress_health_check=list(HealthCheck), deadline=None)
@given(text=TEXTS)
def test_o200k_on_any_text(o200k: Tokenizer, oracle: tiktoken.Encoding, text: str) -> None:
    assert o200k.encode(text) == oracle.encode(text, allowed_special="all")


def test_o200k_special_tokens(o200k: Tokenizer, oracle: tiktoken.Encoding) -> None:
    text = "a<|endofprompt|> b<|endoftext|>"
    assert o200k.encode(text) == oracle.encode(text, allowed_special="all")
    assert o200k.eos_id == 199_999
    assert o200k.bos_id is None


@pytest.mark.parametrize("name", ["cl100k_base", "o200k_base"])
def test_special_tokens_as_published(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert dict(BY_NAME[name].special) == definition(name, monkeypatch)["special_tokens"]


def test_llama3_special_tokens() -> None:
    special = BY_NAME["llama3"].special
    assert sorted(special.values()) == list(range(128_000, 128_256))
    known = {
        "<|begin_of_text|>": 128_000,
        "<|end_of_text|>": 128_001,
        "<|reserved_special_token_3|>": 128_005,
        "<|start_header_id|>": 128_006,
        "<|end_header_id|>": 128_007,
        "<|reserved_special_token_4|>": 128_008,
        "<|eot_id|>": 128_009,
        "<|reserved_special_token_250|>": 128_255,
    }
    assert known.items() <= special.items()


def converter_pattern() -> str:
    pattern: str = TikTokenConverter().pattern
    return pattern


@pytest.fixture(scope="module")
def small(ranks: dict[bytes, int]) -> dict[bytes, int]:
    """The first ranks of a real table; every pair of some characters, so that each split shows; and a token that only
    a lookup of the whole piece finds, since nothing merges into it."""
    table = {token: rank for token, rank in ranks.items() if rank < 5000}
    pairs = (f"{first}{second}".encode() for first in " \t\n\r'sSlL7.a/" for second in " \t\n\r'sSlL7.a/")
    for token in (*pairs, b"qzqz"):
        table.setdefault(token, len(table))
    return table


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (BY_NAME["cl100k_base"].pattern, partial(lambda patch: definition("cl100k_base", patch)["pat_str"])),
        (LLAMA3, lambda _: converter_pattern()),
        (QWEN, lambda _: PRETOKENIZE_REGEX),
    ],
    ids=["cl100k", "llama3", "qwen"],
)
def test_patterns(
    ours: str, theirs: Callable[[pytest.MonkeyPatch], str], small: dict[bytes, int], samples: list[str]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        oracle = tiktoken.Encoding("small", pat_str=theirs(patch), mergeable_ranks=small, special_tokens={})
    tokenizer = build(small, Encoding("small", ours, {}, eos=""))

    @settings(max_examples=300, deadline=None)
    @given(text=TEXTS)
    def agree(text: str) -> None:
        assert tokenizer.encode(text).ids == oracle.encode(text)

    agree()
    for text in [*samples, "qzqz", "aqzqz", " qzqz", "x\n  ", "x \n \n", "\n  ", "  \n  y", "1234 'S \u017f's"]:
        assert tokenizer.encode(text).ids == oracle.encode(text)


def last_pair(ranks: dict[bytes, int], token: bytes) -> tuple[str, str] | None:
    """What tiktoken's own explanation leaves of ``token`` where that is no token; None where it is more than a pair."""
    ids = bpe_encode({other: rank for other, rank in ranks.items() if other != token}, token, visualise=None)
    spelled = [next(other for other, rank in ranks.items() if rank == id).decode("latin-1") for id in ids]
    return (spelled[0], spelled[1]) if len(ids) == 2 else None


@settings(max_examples=300, deadline=None)
@given(st.lists(st.text("ab\xff", min_size=2, max_size=6), max_size=60, unique=True))
def test_merges_of_any_ranks(texts: list[str]) -> None:
    """In any order, so that a part may be rarer than what it makes, and with tokens that nothing leads to."""
    ranks = {text: rank for rank, text in enumerate(["a", "b", "\xff", *texts])}
    as_bytes = {text.encode("latin-1"): rank for text, rank in ranks.items()}
    assert find_merges(ranks) == [pair for token in [*as_bytes][3:] if (pair := last_pair(as_bytes, token))]


def test_merges_of_o200k(ranks: dict[bytes, int], o200k: Tokenizer) -> None:
    """Every merge makes a token, each token comes about once, in the order of ranks; some by tiktoken's explanation."""
    spelling = byte_characters()
    shown = {"".join(spelling[byte] for byte in token): token for token in ranks}
    merges = json.loads(o200k.backend.to_str())["model"]["merges"]
    assert [ranks[shown[left + right]] for left, right in merges] == list(range(256, len(ranks)))
    rest = dict(ranks)
    for left, right in merges[::997]:
        token = shown[left + right]
        rank = rest.pop(token)
        assert bpe_encode(rest, token, visualise=None) == [ranks[shown[left]], ranks[shown[right]]]
        rest[token] = rank


def test_qwen_file(qwen2: Tokenizer, data: Path, tmp_path: Path, samples: list[str]) -> None:
    """Qwen's tiktoken file, rebuilt byte for byte from Qwen2's vocabulary: recognised, and the same ids."""
    value = {character: byte for byte, character in enumerate(byte_characters())}
    vocabulary = json.loads((data / "tokenizers" / "qwen2" / "vocab.json").read_text("utf-8"))
    lines = [
        base64.b64encode(bytes(value[c] for c in token)) + b" %d\n" % id
        for token, id in sorted(vocabulary.items(), key=lambda item: item[1])
    ]
    path = tmp_path / "qwen.tiktoken"
    path.write_bytes(b"".join(lines))
    tokenizer = Tokenizer.load(path)
    for text in samples:
        plain = text.replace("<unk>", "")  # a special token of the other, here text
        assert tokenizer.encode(plain) == qwen2.encode(plain)
    assert tokenizer.encode("e\u0301<|im_start|>") == qwen2.encode("é<|im_start|>")
    assert tokenizer.vocab_size == 151_851


def test_unknown_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mine.tiktoken"
    path.write_bytes(b"IQ== 0\n")
    with pytest.raises(UserError, match="not a tiktoken file that frspec knows"):
        Tokenizer.load(path)
    with pytest.raises(UserError, match="line 2: not a base64 token"):
        read_ranks(b"IQ== 0\nIQ\n", "x")
