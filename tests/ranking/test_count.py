"""Counting: by hand, against the tokenizers library, whatever the workers and the order."""

import collections
import os
from pathlib import Path

import numpy as np
import pytest
from tokenizers import AddedToken, decoders, models, processors
from tokenizers import Tokenizer as Backend

from frspec.errors import UserError
from frspec.ranking import count
from frspec.ranking.count import Counts, count_tokens, rank_documents
from frspec.text.sources import Document, read_documents
from frspec.text.tokenizer import Tokenizer


@pytest.fixture
def letters() -> Tokenizer:
    """Ids 0 to 3 for a to d, 4 for <s>, which stands before every text; 5 is unused, 6 is z."""
    vocabulary = {letter: id for id, letter in enumerate("abcd")} | {"<s>": 4, "z": 6}
    backend = Backend(models.BPE(vocabulary, []))
    backend.add_special_tokens([AddedToken("<s>", normalized=False)])
    backend.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 4)])
    backend.decoder = decoders.ByteLevel()
    return Tokenizer(backend, "letters", {"bos_token": "<s>"})


def documents(*texts: str) -> list[Document]:
    return [Document("here", line, text=text) for line, text in enumerate(texts, 1)]


@pytest.mark.parametrize("workers", [1, 2])
def test_by_hand(letters: Tokenizer, workers: int) -> None:
    counts = count_tokens(letters, documents("abca", "", "a<s>", "zz"), workers)
    assert counts.by_id.tolist() == [3, 1, 1, 0, 1, 0, 2], "the <s> in the text counts, those before texts do not"
    assert (counts.documents, counts.characters, counts.tokens) == (4, 10, 8)


def test_messages_are_texts(letters: Tokenizer) -> None:
    talk = [{"role": "user", "content": "ab"}, {"role": "assistant", "content": "d"}]
    assert count_tokens(letters, [Document("here", 1, messages=talk)], 1).by_id.tolist() == [1, 1, 0, 1, 0, 0, 0]


@pytest.fixture
def chunked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(count, "CHUNK", 1 << 14)


@pytest.mark.usefixtures("chunked")
def test_like_the_library_for_any_workers_and_order(data: Path) -> None:
    tokenizer = Tokenizer.load(data / "tokenizers" / "qwen2")
    found = list(read_documents(data / "corpora" / "xquad_12_languages.jsonl.xz"))[::10]
    encoded = tokenizer.backend.encode_batch([d.text for d in found], add_special_tokens=False)
    expected = collections.Counter(id for encoding in encoded for id in encoding.ids)
    for workers, order in ((1, found), (2, found), (3, found[::-1])):
        by_id = count_tokens(tokenizer, order, workers).by_id
        assert {id: int(by_id[id]) for id in np.flatnonzero(by_id)} == expected


@pytest.mark.usefixtures("chunked")
def test_progress_and_order_of_files(letters: Tokenizer, tmp_path: Path) -> None:
    for name, letter in (("1.txt", "a"), ("2.txt", "b")):
        (tmp_path / name).write_text(letter * 20_000)
    seen: list[tuple[int, int]] = []

    def progress(counts: Counts) -> None:
        seen.append((counts.documents, counts.tokens))

    ranking = rank_documents(letters, read_documents(tmp_path), 2, progress)
    assert seen == [(1, 20_000), (2, 40_000), (2, 40_000)]
    other = rank_documents(letters, read_documents([tmp_path / "2.txt", tmp_path / "1.txt"]), 1)
    assert ranking.counts is not None
    assert (ranking.ids == other.ids).all()
    assert (ranking.counts == other.counts).all()
    assert ranking.ids.tolist() == [0, 1, 2, 3, 4, 5, 6]


def test_provenance(letters: Tokenizer, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "ab"}\n{"text": 1}\n{"text": "c"}\n')
    ranking = rank_documents(letters, read_documents(tmp_path, skip_bad=True), 1)
    about = dict(ranking.provenance)
    assert about.pop("program").startswith("frspec ")
    assert about.pop("date")
    about.pop("command")
    assert about == {
        "tokenizer": "letters",
        "sources": [str(tmp_path)],
        "files": 1,
        "documents": 2,
        "characters": 3,
        "tokens": 3,
        "skipped": 1,
    }
    assert ranking.fingerprint == letters.fingerprint


def test_errors(letters: Tokenizer, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": ""}\n')
    with pytest.raises(UserError, match="nothing to rank"):
        rank_documents(letters, read_documents(tmp_path), 1)
    with pytest.raises(UserError, match="0 workers"):
        count_tokens(letters, documents("a"), 0)
    (tmp_path / "b.jsonl").write_text('{"text": "a"}\n{"text": 1}\n')
    with pytest.raises(UserError, match="line 2"):
        rank_documents(letters, read_documents(tmp_path), 2)


def test_a_dead_process_is_said(letters: Tokenizer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(count, "_count", lambda *_: os._exit(9))
    with pytest.raises(UserError, match="a counting process died"):
        count_tokens(letters, documents("a"), 2)
