"""Sources with names, fields that name parts, what tells one content from another, and how files are split."""

import json
import os
import pickle
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from frspec.errors import UserError
from frspec.text.bad import Bad
from frspec.text.blocks import blocks, documents_of
from frspec.text.document import Document, Piece
from frspec.text.places import find_files
from frspec.text.reading import Reading, Sources, find_sources
from frspec.text.shards import Shard, split


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("de.jsonl", "en.jsonl", "more/en.jsonl", "odd=name.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(json.dumps({"text": name}) + "\n")
    return tmp_path


def named(sources: Sources) -> dict[str, list[str]]:
    return {name: [file.name for file in files] for name, files in sources.groups}


def test_sources_have_names(folder: Path) -> None:
    found = find_sources(["de=de.jsonl", "en=*.jsonl", "en=more", "en=en.jsonl"])
    assert named(found) == {"de": ["de.jsonl"], "en": ["de.jsonl", "en.jsonl", "more/en.jsonl"]}
    assert found.asked == ("de=de.jsonl", "en=*.jsonl", "en=more", "en=en.jsonl")
    assert named(find_sources(["de.jsonl", "./de.jsonl", str(folder / "de.jsonl")])) == {"": [str(folder / "de.jsonl")]}
    assert named(find_sources(["odd=name.txt"])) == {"": ["odd=name.txt"]}
    assert named(find_sources([Path("odd=name.txt")])) == {"": ["odd=name.txt"]}
    assert named(find_sources(["zh-Hant.2=odd=name.txt"])) == {"zh-Hant.2": ["odd=name.txt"]}
    assert named(find_sources(["./odd=*.txt"])) == {"": ["odd=name.txt"]}


@pytest.mark.parametrize(
    ("asked", "by", "message"),
    [
        ([], None, "^no sources; name files, folders or patterns$"),
        (["de=de.jsonl", "en.jsonl"], None, "some sources have a name and en.jsonl has none"),
        (["de=de.jsonl"], "lang", "the field 'lang' tells which part a record counts for"),
        (["de="], None, "^de= names no source"),
        (["de=none.jsonl"], None, "nothing is called none.jsonl"),
        (["9=de.jsonl"], None, "^9=de.jsonl: a NAME begins with a letter from A to Z"),
        (["9=none.jsonl"], None, "nothing is called 9=none.jsonl"),
        ([""], None, "^a source without a name"),
        ([Path("de=de.jsonl")], None, "nothing is called de=de.jsonl"),
    ],
)
@pytest.mark.usefixtures("folder")
def test_what_cannot_be_meant_is_one_line(asked: list[str | Path], by: str | None, message: str) -> None:
    with pytest.raises(UserError, match=message) as error:
        find_sources(asked, Reading(by=by))
    assert "\n" not in str(error.value)


def test_urls_have_names_too() -> None:
    system = MemoryFileSystem()
    system.pipe("/named/a=b.jsonl", b'{"text": "a"}\n')
    try:
        assert named(find_sources(["de=memory://named/a=b.jsonl"])) == {"de": ["memory:///named/a=b.jsonl"]}
        assert named(find_sources(["memory://named/a=b.jsonl"])) == {"": ["memory:///named/a=b.jsonl"]}
    finally:
        system.rm("/named", recursive=True)


def documents(sources: Sources, size: int = 1 << 28) -> list[Document | Bad]:
    reading = sources.reading
    found = (block for shard in split(sources, size) for block in blocks(shard, reading, iter))  # type: ignore[arg-type]
    return [document for block in found for document in documents_of(block, reading)]


def test_every_document_knows_its_part(folder: Path) -> None:
    found = documents(find_sources(["x=en.jsonl", "y=en.jsonl"]))
    assert [(d.part, d.text) for d in found if isinstance(d, Document)] == [("x", "en.jsonl"), ("y", "en.jsonl")]


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_a_field_names_the_part(tmp_path: Path, kind: str) -> None:
    rows = [{"text": f"t{n}", "lang": lang} for n, lang in enumerate(["de", "en", "de", "", None, "zh\n", "x" * 101])]
    path = tmp_path / f"a.{kind}"
    if kind == "parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    else:
        path.write_text(
            "".join(json.dumps(row) + "\n" for row in [*rows, {"text": "t7"}, {"text": "t8", "lang": True}])
        )
    found = documents(find_sources([path], Reading(by="lang")))
    assert [(d.part, d.text) for d in found if isinstance(d, Document)] == [("de", "t0"), ("en", "t1"), ("de", "t2")]
    bad = [bad.reason.removeprefix(f"{path}, ") for bad in found if isinstance(bad, Bad)]
    unit = "row" if kind == "parquet" else "line"
    assert bad[:4] == [
        f"{unit} 4: field 'lang' names no part: that takes 1 to 100 printable characters",
        f"{unit} 5: field 'lang' is a NoneType, not a text or a number that names a part",
        f"{unit} 6: field 'lang' names no part: that takes 1 to 100 printable characters",
        f"{unit} 7: field 'lang' names no part: that takes 1 to 100 printable characters",
    ]
    assert bad[4:] == ([] if kind == "parquet" else [
        "line 8: no field 'lang' for --by; it has text",
        "line 9: field 'lang' is a bool, not a text or a number that names a part",
    ])  # fmt: skip
    if kind == "parquet":
        with pytest.raises(UserError, match=r"a\.parquet has no column 'tongue' for --by; it has text, lang"):
            documents(find_sources([path], Reading(by="tongue")))


def test_a_number_names_a_part_and_a_text_has_no_fields(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "t", "year": 2024}\n')
    (tmp_path / "b.txt").write_text("t")
    one, other = documents(find_sources([tmp_path], Reading(by="year")))
    assert isinstance(one, Document)
    assert one.part == "2024"
    assert other == Bad(f"{tmp_path / 'b.txt'}, line 1: is a text, which has no field 'year' for --by")


def test_what_a_long_line_counts_for_may_stand_behind_its_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("frspec.text.lines.LONG", 200)
    monkeypatch.setattr("frspec.text.whole.LONG", 200)
    lines = [{"text": "a" * 999, "lang": "de"}, {"lang": "en", "text": "b" * 999}, {"text": "c" * 999}]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (tmp_path / "b.txt").write_text("d" * 999)
    de, en, none, text = documents(find_sources([tmp_path], Reading(by="lang")))
    assert isinstance(de, Document)
    assert isinstance(en, Document)
    assert (de.part, de.line, de.pieces()) == ("de", 1, (Piece("a" * 999),))
    assert (en.part, en.line, en.pieces()) == ("en", 2, (Piece("b" * 999),))
    assert none == Bad(f"{tmp_path / 'a.jsonl'}, line 3: no field 'lang' for --by; it has text")
    assert text == Bad(f"{tmp_path / 'b.txt'}, line 1: is a text, which has no field 'lang' for --by")


def test_a_stamp_changes_with_the_content(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("a")
    os.utime(path, ns=(1, 1))
    (before,) = find_files(path)
    path.write_text("b")
    (after,) = find_files(path)
    assert before.stamp == "1-1"
    assert after.stamp.startswith("1-")
    assert after.stamp != before.stamp
    assert after.key == before.key


def test_shards_depend_on_names_and_sizes_alone(tmp_path: Path) -> None:
    lines = b"".join(json.dumps({"text": f"{n}"}).encode() + b"\n" for n in range(1000))
    pq.write_table(pa.table({"text": [str(n) for n in range(1000)]}), tmp_path / "a.parquet", row_group_size=50)
    (tmp_path / "b.jsonl").write_bytes(lines)
    (tmp_path / "c.txt").write_bytes(b"x " + lines)
    (tmp_path / "d.parquet").write_bytes(b"PAR1" * 2000)
    shards = split(find_sources([tmp_path]), 5000)
    assert pickle.loads(pickle.dumps(shards)) == shards == split(find_sources([tmp_path]), 5000)
    by_name: dict[str, list[Shard]] = {}
    for shard in shards:
        by_name.setdefault(Path(shard.file.name).name, []).append(shard)
    size = len(lines)
    assert [(s.start, s.end) for s in by_name["b.jsonl"]] == [
        (start, start + 5000 if start + 5000 < size else None) for start in range(0, size, 5000)
    ]
    assert [(s.start, s.end) for s in by_name["c.txt"]] == [(0, None)]
    assert [(s.start, s.end) for s in by_name["d.parquet"]] == [(0, None)]
    groups = by_name["a.parquet"]
    assert len(groups) > 1
    assert [s.end for s in groups] == [*(s.start for s in groups[1:]), None]
    (tmp_path / "d.parquet").unlink()
    texts = [d.text for d in documents(find_sources([tmp_path / "a.parquet"]), 5000) if isinstance(d, Document)]
    assert texts == [str(n) for n in range(1000)]


def test_far_away_files_are_split_where_they_can_be_begun_anywhere() -> None:
    system = MemoryFileSystem()
    texts = [f"text {n}" for n in range(500)]
    system.pipe("/far/a.jsonl", b"".join(json.dumps({"text": text}).encode() + b"\n" for text in texts) + b"[]\n")
    try:
        sources = find_sources(["memory://far/a.jsonl"], Reading(skip_bad=True))
        shards = split(sources, 1000)
        assert len(shards) > 9
        assert shards[0].file.stamp
        sent = pickle.dumps(shards[1])
        assert len(sent) < 500
        assert pickle.loads(sent).file.open().read() == system.cat("/far/a.jsonl")
        *found, bad = documents(sources, 1000)
        assert [d.text for d in found if isinstance(d, Document)] == texts
        assert isinstance(bad, Bad)
        assert bad.reason.startswith("memory:///far/a.jsonl, line 501: not a JSON object")
    finally:
        system.rm("/far", recursive=True)


def test_what_is_no_text_is_said_once(tmp_path: Path) -> None:
    """By the first shard; the others hold nothing then."""
    (tmp_path / "a.jsonl").write_bytes(b"\x1f\x8b" + bytes(range(256)) * 50)
    shards = split(find_sources([tmp_path]), 1000)
    with pytest.raises(UserError, match=r"a\.jsonl holds gzip data"):
        list(blocks(shards[0], Reading()))
    assert [list(blocks(shard, Reading())) for shard in shards[1:]] == [[]] * (len(shards) - 1)
