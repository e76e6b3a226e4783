"""Counting: by hand, against the tokenizers library, whatever the workers, the order and the split."""

import collections
import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tokenizers import AddedToken, decoders, models, processors
from tokenizers import Tokenizer as Backend

from frspec.errors import UserError
from frspec.ranking import job, pool
from frspec.ranking.counts import Counts, Part, Sparse, Tallied
from frspec.ranking.job import Plan, count_sources, share_of
from frspec.ranking.made import ranking_of
from frspec.ranking.reader import Todo
from frspec.text.blocks import Mark
from frspec.text.places import File
from frspec.text.reading import Reading, find_sources
from frspec.text.shards import Shard, split
from frspec.text.sources import read_documents
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


def write(path: Path, *records: object) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def texts(path: Path, *some: str) -> Path:
    return write(path, *({"text": text} for text in some))


def by_part(counts: Counts) -> dict[str, list[int]]:
    return {name: part.by_id[:4].tolist() for name, part in counts.parts.items()}


@pytest.mark.parametrize("workers", [1, 2])
def test_by_hand(letters: Tokenizer, tmp_path: Path, workers: int) -> None:
    file = texts(tmp_path / "a.jsonl", "abca", "", "a<s>", "zz")
    counts = count_sources(letters, find_sources([file]), Plan(workers))
    assert counts.by_id.tolist() == [3, 1, 1, 0, 1, 0, 2], "the <s> in the text counts, those before texts do not"
    assert (counts.documents, counts.characters, counts.tokens) == (4, 10, 8)


def test_processes_are_started_only_where_there_is_enough_to_count(
    letters: Tokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sources = find_sources([texts(tmp_path / "a.jsonl", "abca")])

    def refused(*_: object) -> None:
        raise UserError("a process")

    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    monkeypatch.setattr(pool, "ProcessPoolExecutor", refused)
    assert count_sources(letters, sources).tokens == 4
    with pytest.raises(UserError, match="a process"):
        count_sources(letters, sources, Plan(2))
    with monkeypatch.context() as patched:
        patched.setattr(job, "FEW", 1)
        with pytest.raises(UserError, match="a process"):
            count_sources(letters, sources)
    (part, (file,)), *_ = sources.groups
    untold = replace(sources, groups=((part, (replace(file, size=0),)),))  # as of some places of the web
    with pytest.raises(UserError, match="a process"):
        count_sources(letters, untold)


def test_messages_are_texts(letters: Tokenizer, tmp_path: Path) -> None:
    talk = [{"role": "user", "content": "ab"}, {"role": "assistant", "content": "d"}]
    file = write(tmp_path / "a.jsonl", {"messages": talk})
    assert count_sources(letters, find_sources([file]), Plan(1)).by_id.tolist() == [1, 1, 0, 1, 0, 0, 0]


def test_parts_by_name_and_by_field(letters: Tokenizer, tmp_path: Path) -> None:
    one = write(tmp_path / "1.jsonl", {"text": "ab", "lang": "x"}, {"text": "c", "lang": "y"})
    two = write(tmp_path / "2.jsonl", {"text": "dd", "lang": "x"})
    named = count_sources(letters, find_sources([f"q={one}", f"p={two}"]), Plan(2))
    assert {name: part.by_id[:4].tolist() for name, part in named.parts.items()} == {
        "q": [1, 1, 1, 0],
        "p": [0, 0, 0, 2],
    }
    assert [part.documents for part in named.parts.values()] == [2, 1]
    by = count_sources(letters, find_sources([one, two], Reading(by="lang")), Plan(2))
    assert by_part(by) == {"x": [1, 1, 0, 2], "y": [0, 0, 1, 0]}
    assert (named.by_id == by.by_id).all()


def test_like_the_library_for_any_workers_order_and_split(data: Path, tmp_path: Path) -> None:
    tokenizer = Tokenizer.load(data / "tokenizers" / "qwen2")
    found = list(read_documents(data / "corpora" / "xquad_12_languages.jsonl.xz"))[::10]
    some = [document.text or "" for document in found]
    encoded = tokenizer.backend.encode_batch(some, add_special_tokens=False)
    expected = collections.Counter(id for encoding in encoded for id in encoding.ids)
    files = [texts(tmp_path / f"{place}.jsonl", *some[place::3]) for place in range(3)]
    for workers, order in ((1, files), (2, files), (3, files[::-1])):
        by_id = count_sources(tokenizer, find_sources(order), Plan(workers)).by_id
        assert {id: int(by_id[id]) for id in np.flatnonzero(by_id)} == expected
    parts = [count_sources(tokenizer, find_sources(files), Plan(1, share=(i, 2))) for i in (1, 2)]
    assert all(part.documents for part in parts)
    together = parts[0].by_id + parts[1].by_id
    assert {id: int(together[id]) for id in np.flatnonzero(together)} == expected


def test_share_takes_every_shard_once_and_evenly() -> None:
    def file(size: int) -> File:
        return File(f"f{size}", f"f{size}", size, lambda: None)  # type: ignore[arg-type,return-value]

    shards = [Shard("", file(size), size=size) for size in range(1, 40)]
    for n in (1, 2, 5, 60):
        parts = [share_of(shards, i, n) for i in range(1, n + 1)]
        assert sorted(shard.size for part in parts for shard in part) == list(range(1, 40))
        loads = [sum(shard.size for shard in part) for part in parts]
        assert max(loads) - min(loads) <= 39
        assert [share_of(shards[::-1], i, n) for i in range(1, n + 1)] == parts, "the order of files is nothing"
    assert len(share_of(shards, 3, 10**15)) == 1, "parts without shards take no memory"
    assert share_of(shards, 10**15, 10**15) == []


def test_progress_and_order_of_files(letters: Tokenizer, tmp_path: Path) -> None:
    for name, letter in (("1.txt", "a"), ("2.txt", "b")):
        (tmp_path / name).write_text(letter * 20_000)
    seen: list[tuple[int, int, int, int]] = []

    def report(counts: Counts, position: int, size: int) -> None:
        seen.append((counts.documents, counts.tokens, position, size))

    sources = find_sources([tmp_path])
    counts = count_sources(letters, sources, Plan(2), report)
    assert seen[-1] == (2, 40_000, 40_000, 40_000)
    assert seen == sorted(seen)
    ranking = ranking_of(counts, letters, sources)
    turned = find_sources([tmp_path / "2.txt", tmp_path / "1.txt"])
    other = ranking_of(count_sources(letters, turned, Plan(1)), letters, turned)
    assert ranking.counts is not None
    assert (ranking.ids == other.ids).all()
    assert (ranking.counts == other.counts).all()
    assert ranking.ids.tolist() == [0, 1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("workers", [1, 2])
def test_many_small_files(letters: Tokenizer, tmp_path: Path, workers: int) -> None:
    """Several are handed over at once, and a bad one among them takes no other along."""
    expected = collections.Counter[str]()
    for number in range(100):
        text = "abcd"[number % 4] * (number + 1)
        expected.update(text)
        (tmp_path / f"{number}.txt").write_text(text)
    (tmp_path / "bad.txt").write_text("a\0")
    counts = count_sources(letters, find_sources([tmp_path], Reading(skip_bad=True)), Plan(workers))
    assert {"abcd"[id]: times for id, times in enumerate(counts.by_id[:4].tolist())} == expected
    assert (counts.documents, counts.skipped) == (100, 1)
    journal = tmp_path.parent / f"{workers}.journal"
    with pytest.raises(UserError, match=r"bad\.txt is a binary file"):
        count_sources(letters, find_sources([tmp_path]), Plan(workers, journal=journal))
    (tmp_path / "bad.txt").unlink()
    positions: list[int] = []
    whole = count_sources(
        letters, find_sources([tmp_path]), Plan(workers, journal=journal), lambda *at: positions.append(at[1])
    )
    assert {"abcd"[id]: times for id, times in enumerate(whole.by_id[:4].tolist())} == expected
    assert positions[-1] == sum(expected.values())


def test_tokens_are_the_sum_of_what_was_added(letters: Tokenizer) -> None:
    """They are kept, and asked for ten times a second."""
    counts = Counts(letters.vocab_size)
    counts.parts["kept"] = Part(np.array([3, 0, 0, 4, 0, 0, 0]))
    for times in ([1, 2], [5, 7]):
        sparse = Sparse(np.array([0, 6]), np.array(times), 1, 9)
        counts.add(Tallied({"kept": sparse, "new": sparse}))
        assert counts.tokens == int(counts.by_id.sum())
    assert [part.tokens for part in counts.parts.values()] == [22, 15]


def test_provenance(letters: Tokenizer, tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_text('{"text": "ab"}\n{"text": 1}\n{"text": "c"}\n')
    sources = find_sources([file], Reading(skip_bad=True))
    ranking = ranking_of(count_sources(letters, sources, Plan(1)), letters, sources)
    about = dict(ranking.provenance)
    assert about.pop("program").startswith("frspec ")
    assert about.pop("date")
    about.pop("command")
    assert about == {
        "tokenizer": "letters",
        "sources": [str(file)],
        "files": 1,
        "documents": 2,
        "characters": 3,
        "tokens": 3,
        "skipped": 1,
    }
    assert ranking.fingerprint == letters.fingerprint


def test_errors(letters: Tokenizer, tmp_path: Path) -> None:
    empty = find_sources([texts(tmp_path / "a.jsonl", "")])
    with pytest.raises(UserError, match="nothing to rank"):
        ranking_of(count_sources(letters, empty, Plan(1)), letters, empty)
    with pytest.raises(UserError, match="0 workers"):
        count_sources(letters, empty, Plan(0))
    (tmp_path / "b.jsonl").write_text('{"text": "a"}\n{"text": 1}\n')
    for workers in (1, 2):
        with pytest.raises(UserError, match=r"b\.jsonl, line 2: .*--skip-bad"):
            count_sources(letters, find_sources([tmp_path / "b.jsonl"]), Plan(workers))


def test_a_dead_process_is_said(letters: Tokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "count_block", lambda *_: os._exit(9))
    with pytest.raises(UserError, match="a counting process died"):
        count_sources(letters, find_sources([texts(tmp_path / "a.jsonl", "a")]), Plan(2))


def test_bad_files_are_left_out_and_counted(
    letters: Tokenizer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    texts(tmp_path / "a.jsonl", "ab")
    (tmp_path / "b.jsonl.xz").write_bytes(b"\xfd7zXZ\x00 torn")
    (tmp_path / "c.jsonl").write_text('{"text": "c"}\nnonsense\n')
    counts = count_sources(letters, find_sources([tmp_path], Reading(skip_bad=True)), Plan(2))
    assert (counts.documents, counts.skipped, counts.by_id[:4].tolist()) == (2, 2, [1, 1, 1, 0])
    assert "b.jsonl.xz" in caplog.text
    assert "c.jsonl, line 2" in caplog.text


@pytest.mark.parametrize("workers", [1, 2])
def test_no_memory_for_a_text(
    letters: Tokenizer, tmp_path: Path, workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is told with its place, and not left out: what is counted must not depend on the machine."""
    (tmp_path / "a.txt").write_text("ab" * 700_000)
    texts(tmp_path / "b.jsonl", "a", "ba" * 700_000)
    monkeypatch.setattr("frspec.text.cutting.free_memory", lambda: 20_000_000)
    for name, place in (("b.jsonl", "from line 1 on"), ("a.txt", "line 1")):
        sources = find_sources([tmp_path / name], Reading(skip_bad=True))
        with pytest.raises(
            UserError, match=rf"{name}, {place}: behind 0 characters stand .* GB of memory, and 0\.0 GB"
        ):
            count_sources(letters, sources, Plan(workers))
        monkeypatch.setattr("frspec.text.whole.LONG", 1000)


def test_no_memory_for_a_text_far_into_a_file(
    letters: Tokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its line is that of the file, whatever shard it is in; of a line that is not held, with where that begins."""
    file = texts(tmp_path / "a.jsonl", *"abcd", "ab" * 700_000)
    (shard,) = (shard for shard in split(find_sources([file]), 50) if shard.start == 50)
    monkeypatch.setattr("frspec.text.cutting.free_memory", lambda: 20_000_000)
    with pytest.raises(UserError, match=r"a\.jsonl, from line 5 on: behind 0 characters"):
        job.count_shards(letters, Reading(), [Todo(0, shard, Mark())])
    monkeypatch.setattr("frspec.text.lines.LONG", 1000)
    with pytest.raises(UserError, match=r"a\.jsonl, line 1 behind byte 50: behind 0 characters"):
        job.count_shards(letters, Reading(), [Todo(0, shard, Mark())])


def test_shards_by_themselves_come_to_what_the_job_counts(letters: Tokenizer, tmp_path: Path) -> None:
    sources = find_sources([texts(tmp_path / "a.jsonl", *("ab" * n for n in range(50)))])
    whole = count_sources(letters, sources, Plan(1))
    counts = Counts(letters.vocab_size)
    for shard in split(sources, 64):
        counts.add(job.count_shards(letters, sources.reading, [Todo(0, shard, Mark())]))
    assert (counts.by_id == whole.by_id).all()
    assert (counts.documents, counts.characters) == (whole.documents, whole.characters)


def test_a_field_of_too_many_values_is_refused(
    letters: Tokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("frspec.ranking.counts.MOST", 3)
    file = write(tmp_path / "a.jsonl", *({"text": "a", "id": id} for id in (1, 2, 3, 1)))
    assert list(by_part(count_sources(letters, find_sources([file], Reading(by="id")), Plan(1)))) == ["1", "2", "3"]
    write(file, *({"text": "a", "id": id} for id in (1, 2, 3, 4)))
    with pytest.raises(UserError, match="more than 3 parts, the last one '4'; --by is for"):
        count_sources(letters, find_sources([file], Reading(by="id")), Plan(1))
