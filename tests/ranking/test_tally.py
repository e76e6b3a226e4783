"""Counts of ids against the tokenizers library's encoding, whichever way a text goes."""

import pickle
from collections import Counter
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer as Backend
from tokenizers import decoders, models, pre_tokenizers, processors

from frspec.errors import UserError
from frspec.ranking import tally
from frspec.ranking.tally import Tally
from frspec.text import cutting
from frspec.text.document import Piece
from frspec.text.sources import read_documents
from frspec.text.tokenizer import Tokenizer
from tests.text.kinds import BY_WORDS, FRAGMENTS, PROSE, TEXTS, WHOLE

KINDS = {**BY_WORDS, **WHOLE}


@cache
def kind(name: str) -> tuple[Tokenizer, Tally]:
    tokenizer = KINDS[name]()
    return tokenizer, Tally(tokenizer)


def counted(tally: Tally, *texts: str) -> dict[int, int]:
    ids, times = tally.count(Piece(text) for text in texts)
    assert ids.tolist() == sorted(set(ids.tolist()))
    return dict(zip(ids.tolist(), times.tolist(), strict=True))


def library(tokenizer: Tokenizer, *texts: str) -> dict[int, int]:
    encoded = tokenizer.backend.encode_batch(list(texts), add_special_tokens=False)
    return Counter(id for encoding in encoded for id in encoding.ids)


@pytest.mark.parametrize("name", KINDS)
@settings(max_examples=30, deadline=None)
@given(texts=st.lists(TEXTS, max_size=5))
def test_any_texts(name: str, texts: list[str]) -> None:
    tokenizer, counter = kind(name)
    assert counted(counter, *texts) == library(tokenizer, *texts)


@pytest.mark.parametrize("name", KINDS)
def test_sent_to_a_process_it_counts_the_same(name: str) -> None:
    tokenizer, counter = kind(name)
    assert counted(pickle.loads(pickle.dumps(counter)), PROSE) == library(tokenizer, PROSE)


@pytest.mark.parametrize("name", KINDS)
def test_everything_in_small_amounts(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Long texts in parts, words and batches taken away often: the same."""
    for module, number, value in ((cutting, "PART", 500), (cutting, "AROUND", 100), (tally, "LONG", 500)):
        monkeypatch.setattr(module, number, value)
    monkeypatch.setattr(tally, "ENOUGH", 900)
    monkeypatch.setattr(tally, "BATCH", 900)
    tokenizer, counter = kind(name)
    texts = [PROSE * 5, *FRAGMENTS * 3, "", PROSE + "\U0010fffd" + PROSE * 4, " " * 3000]
    assert counted(counter, *texts) == library(tokenizer, *texts)


def test_bos_is_not_counted() -> None:
    tokenizer = Tokenizer.load("demo")
    assert counted(Tally(tokenizer), "", "Hello") == library(tokenizer, "Hello")


@pytest.mark.parametrize("name", ["llama3", "llama2"])
@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_spans_count_the_tokens_that_touch_them(name: str, data: st.DataObject) -> None:
    tokenizer, counter = kind(name)
    text = data.draw(TEXTS.filter(bool))
    edges = sorted(data.draw(st.sets(st.integers(0, len(text)), max_size=6)))
    spans = tuple(zip(edges[::2], edges[1::2], strict=False))
    encoding = tokenizer.backend.encode(text, add_special_tokens=False)
    touching = [
        id
        for id, (start, end) in zip(encoding.ids, encoding.offsets, strict=True)
        if any(start < last and max(end, start + 1) > first for first, last in spans)
    ]
    ids, times = counter.count([Piece(text, spans), Piece(PROSE)])
    assert dict(zip(ids.tolist(), times.tolist(), strict=True)) == Counter(touching) + library(tokenizer, PROSE)


@pytest.mark.parametrize("trims", [False, True])
def test_a_token_of_spaces_stands_where_they_are(trims: bool) -> None:
    backend = Backend(models.BPE({"a": 0, "b": 1, "Ġ": 2, "ĠĠ": 3}, [("Ġ", "Ġ")]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    backend.post_processor = processors.ByteLevel(trim_offsets=trims)
    counter = Tally(Tokenizer(backend, "spaces", {}))
    for span, tokens in {(1, 3): [3], (1, 4): [2, 3], (4, 5): [1], (0, 1): [0], (3, 5): [1, 2]}.items():
        ids, _ = counter.count([Piece("a   b", (span,))])  # a, two spaces (the last one is b's to the pattern), one, b
        assert ids.tolist() == sorted(tokens), span


def test_half_a_surrogate_pair() -> None:
    for name in ("llama3", "gemma"):
        with pytest.raises(UserError, match="surrogate"):
            kind(name)[1].count([Piece("b"), Piece("a \ud800")])
        assert counted(kind(name)[1], "a") == library(kind(name)[0], "a"), "what came before an error is not kept"


@pytest.mark.parametrize("name", ["qwen2", "o200k"])
def test_corpora(name: str, data: Path, request: pytest.FixtureRequest) -> None:
    """Documents from all corpora, whole."""
    tokenizer: Tokenizer = request.getfixturevalue(name)
    texts = list[str]()
    for path in sorted((data / "corpora").glob("*.xz")):
        found, size = list[str](), 0
        for document in read_documents(path):
            found += document.texts()
            size += len(found[-1])
            if size > 10_000:
                break
        texts += [text[:6_000] for text in found]
    assert counted(Tally(tokenizer), *texts) == library(tokenizer, *texts)


def test_the_story_model(stories: Path, samples: list[str]) -> None:
    tokenizer = Tokenizer.load(stories)
    assert counted(Tally(tokenizer), *samples) == library(tokenizer, *samples)
