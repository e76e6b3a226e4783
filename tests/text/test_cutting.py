"""Parts of long texts, encoded one by one, against the tokenizers library's encoding of the whole."""

from collections.abc import Iterator
from functools import cache
from itertools import chain
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, decoders, models
from tokenizers import Tokenizer as Backend

from frspec.errors import UserError
from frspec.text import cutting
from frspec.text.bad import TooLong
from frspec.text.cutting import Cutter
from frspec.text.tokenizer import Tokenizer
from tests.text.kinds import BY_WORDS, FRAGMENTS, PROSE, TEXTS, WHOLE

KINDS = {**BY_WORDS, **WHOLE}
UNCUT = {
    "unigram whole": "which of two equal paths is taken may depend on all that was before",
    "stripped": "the space at a cut would be lost to the normalizer",
    "metaspace whole": "tokens hold letters and the space behind them",
    "prefixes": "spaces end no piece, and tokens hold them",
}
SMALL = 600


@cache
def kind(name: str) -> Tokenizer:
    return KINDS[name]()


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts and what is looked at around a cut as small as can be, so that much is cut."""
    monkeypatch.setattr(cutting, "PART", SMALL)
    monkeypatch.setattr(cutting, "AROUND", 100)


def ids(tokenizer: Tokenizer, *texts: str) -> list[int]:
    return list(chain.from_iterable(tokenizer.encode(text, add_special_tokens=False) for text in texts))


def check(name: str, tokenizer: Tokenizer, text: str) -> list[str]:
    parts = list(Cutter(tokenizer).cut([text]))
    assert ids(tokenizer, *parts) == ids(tokenizer, text)
    assert (" " if name == "llama2" else "").join(parts) == text
    return parts


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("name", KINDS)
def test_prose_is_cut(name: str) -> None:
    parts = check(name, kind(name), PROSE * 12)
    if name in UNCUT:
        assert len(parts) == 1, UNCUT[name]
    else:
        assert len(parts) > 8
        assert max(map(len, parts)) <= 2 * SMALL


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("name", KINDS)
@settings(max_examples=60, deadline=None)
@given(
    texts=st.lists(
        TEXTS | st.sampled_from([word * 200 for word in FRAGMENTS if len(word) < 10]), min_size=4, max_size=12
    )
)
def test_any_text(name: str, texts: list[str]) -> None:
    check(name, kind(name), "".join(texts))


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("name", ["llama3", "gemma", "llama2"])
@given(sizes=st.lists(st.integers(1, 2000), min_size=1, max_size=20))
@settings(max_examples=20, deadline=None)
def test_the_pieces_do_not_matter(name: str, sizes: list[int]) -> None:
    text = PROSE * 6 + " " * 3000 + PROSE * 6

    def pieces() -> Iterator[str]:
        rest = text
        for size in sizes:
            yield rest[:size]
            rest = rest[size:]
        yield rest

    assert list(Cutter(kind(name)).cut(pieces())) == list(Cutter(kind(name)).cut([text]))


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("name", ["llama3", "qwen2", "gpt2", "gemma", "metaspace first", "wordpiece"])
@pytest.mark.parametrize(
    "text",
    [
        " " * 5000,
        " " * 1280 + "x",
        "\n" * 3000,
        "ab" * 2500,
        "春眠不覺曉" * 600,
        "e\u0301" * 2000,
        "<|end|>" * 600,
        "=" * 3000,
        "x= " * 1500,
    ],
    ids=["spaces", "128 spaces", "lines", "letters", "chinese", "marks", "special", "equals", "x="],
)
def test_runs_stay_whole(name: str, text: str) -> None:
    assert check(name, kind(name), text) == [text]


@pytest.mark.usefixtures("small_parts")
def test_added_tokens_are_not_cut() -> None:
    tokenizer = BY_WORDS["llama3"]()
    tokenizer.backend.add_tokens(
        [
            AddedToken("of words", normalized=False),
            AddedToken("alone", single_word=True),
            AddedToken("strip", lstrip=True),
        ]
    )
    for text in ("a pair of words " * 400, "is alone, alone" * 400, "a strip strip, strip\nx strip" * 300):
        parts = check("added", tokenizer, text)
        assert len(parts) > 5
        assert not any(part.startswith(" words") for part in parts)


def test_parts_of_their_real_size_and_what_is_held(data: Path) -> None:
    """Fifty million characters come through, and never more than three parts are held."""
    tokenizer = Tokenizer.load("demo")
    given = 0

    def texts() -> Iterator[str]:
        nonlocal given
        for _ in range(50_000_000 // len(PROSE)):
            given += len(PROSE)
            yield PROSE

    taken = 0
    for part in Cutter(tokenizer).cut(texts()):
        taken += len(part)
        assert len(part) <= cutting.PART
        assert given - taken <= 3 * cutting.PART
    assert taken == given


@pytest.mark.parametrize("name", ["qwen2", "o200k"])
def test_published_tokenizers(name: str, samples: list[str], request: pytest.FixtureRequest) -> None:
    tokenizer: Tokenizer = request.getfixturevalue(name)
    text = "".join(samples) * 18
    parts = list(Cutter(tokenizer).cut([text]))
    assert len(parts) > 1
    assert "".join(parts) == text
    assert ids(tokenizer, *parts) == ids(tokenizer, text)


@pytest.mark.usefixtures("small_parts")
def test_what_stands_beside_a_character_that_no_token_holds() -> None:
    """It is left out, and what is on its sides becomes one token: two by two, from the beginning of the text on."""
    backend = Backend(models.BPE({"a": 0, "b": 1, "aa": 2}, [("a", "a")]))
    backend.decoder = decoders.ByteLevel()
    tokenizer = Tokenizer(backend, "without spaces", {})
    for beginning in ("a ", "a a "):
        check("left out", tokenizer, beginning + "b" + " a" * 2000)


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize(("name", "space"), [("llama3", " "), ("llama3", "春"), ("unigram whole", "One day. ")])
def test_what_memory_is_not_enough_for_is_refused(name: str, space: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As soon as it is known, wherever the text ends; what can be cut takes no more than its parts."""
    size = 20 * SMALL
    monkeypatch.setattr(cutting, "free_memory", lambda: size * cutting.NEEDED)
    fits, prose = space * (size // 2 // len(space.encode())), PROSE * (size // len(PROSE) * 3)
    check(name, kind(name), fits)
    taken = 0

    def endless() -> Iterator[str]:
        nonlocal taken
        yield from [] if name in UNCUT else [prose]
        while True:
            taken += len(fits.encode())
            yield fits

    with pytest.raises(
        TooLong, match=r"behind [\d,]+ characters stand 1[23],\d{3} bytes or more without a place to cut"
    ):
        list(Cutter(kind(name)).cut(endless()))
    assert taken <= 2 * size
    monkeypatch.setattr(cutting, "free_memory", lambda: None)
    assert check(name, kind(name), fits * 4)[-1] == fits * 4


def test_half_a_surrogate_pair(small_parts: None) -> None:
    with pytest.raises(UserError, match="surrogate"):
        list(Cutter(kind("llama3")).cut(["a \ud800b " * 1000]))


def test_short_and_empty() -> None:
    assert list(Cutter(kind("llama3")).cut(["One ", "two"])) == ["One two"]
    assert list(Cutter(kind("llama3")).cut([])) == [""]
