"""Damage at random to every format: one line with the file's name, and no text lost in silence where it can be told."""

import contextlib
import gzip
import io
import json
import logging
import lzma
import os
import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from frspec.errors import UserError
from frspec.text.sources import read_documents

ROWS = [f"row {n} " + "".join(random.Random(n).choices("abcdefghij é🦙", k=60)) for n in range(120)]
LINES = "".join(json.dumps({"text": row}, ensure_ascii=False) + "\n" for row in ROWS).encode()
TALKS = [[{"role": "user", "content": row}] for row in ROWS]


def zstd(content: bytes) -> bytes:
    return zstandard.ZstdCompressor(write_checksum=True).compress(content)


def parquet(values: Any = ROWS, name: str = "text", **options: Any) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.table({name: values, "n": list(range(len(values)))}), out, row_group_size=50, **options)
    return out.getvalue()


# Formats that can tell of any damage, by a checksum or an end mark ...
CHECKED = {
    "a.jsonl.gz": gzip.compress(LINES),
    "two.jsonl.gz": gzip.compress(LINES[:4000]) + gzip.compress(LINES[4000:]),
    "a.jsonl.xz": lzma.compress(LINES),
    "two.jsonl.xz": lzma.compress(LINES[:4000]) + bytes(8) + lzma.compress(LINES[4000:]) + bytes(4),
    "a.jsonl.zst": zstd(LINES),
    "two.jsonl.zst": zstd(LINES[:4000]) + zstd(LINES[4000:]),
}
# ... and those that can tell of some.
LOOSE = {
    "a.jsonl": LINES,
    "a.txt": "\n".join(ROWS).encode(),
    "a.parquet": parquet(),
    "crc.parquet": parquet(write_page_checksum=True),
    "plain.parquet": parquet(compression="none", use_dictionary=False),
    "talks.parquet": parquet(TALKS, "messages"),
}


def damaged(content: bytes, chance: random.Random) -> tuple[str, bytes]:
    """The content cut, with bytes or a bit changed, its rest zeroed, or a piece of it twice."""
    made, place = bytearray(content), chance.randrange(1, len(content))
    how = chance.choice(["cut", "bytes", "bit", "zeroed", "twice", "end"])
    if how == "cut":
        del made[place:]
    elif how == "bytes":
        for _ in range(chance.randint(1, 9)):
            made[chance.randrange(len(made))] = chance.randrange(256)
    elif how == "bit":
        made[place] ^= 1 << chance.randrange(8)
    elif how == "zeroed":
        made[place:] = bytes(len(made) - place)
    elif how == "twice":
        made[place:place] = made[max(0, place - 50) : place]
    else:  # where Parquet keeps what it says of itself
        made[-chance.randint(1, min(600, len(made)))] ^= 1 << chance.randrange(8)
    return how, bytes(made)


def read(path: Path, **options: Any) -> list[str]:
    return [text for document in read_documents(path, **options) for text in document.texts()]


@pytest.mark.parametrize("name", [*CHECKED, *LOOSE])
def test_damage(tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR, "frspec")
    content, path, chance = (CHECKED | LOOSE)[name], tmp_path / name, random.Random(name)
    path.write_bytes(content)
    assert read(path) == (["\n".join(ROWS)] if name == "a.txt" else ROWS)
    whole = sum(map(len, ROWS))
    for _ in range(120):
        how, made = damaged(content, chance)
        path.write_bytes(made)
        found, refusal = attempt(path)
        if refusal:
            assert str(path) in refusal
            assert "\n" not in refusal
            assert len(refusal) < 500
            skipping = read_documents(path, skip_bad=True)
            with contextlib.suppress(UserError):  # if nothing can be read
                list(skipping)
            assert skipping.skipped
        else:
            assert name not in CHECKED or found == ROWS, how
            assert how == "cut" or sum(map(len, found)) > whole - 100, how


def attempt(path: Path) -> tuple[list[str], str]:
    """What is read, or why it cannot be."""
    try:
        return read(path), ""
    except UserError as error:
        return [], str(error)


@pytest.mark.parametrize("rest", [b"\xfd7zXY", b"more", bytes(4) + b"x"])
def test_what_follows_a_stream_is_no_end(tmp_path: Path, rest: bytes) -> None:
    """The standard library takes a damaged second .xz stream for the end of the file."""
    path = tmp_path / "a.jsonl.xz"
    path.write_bytes(lzma.compress(LINES) + rest + lzma.compress(LINES))
    with lzma.open(path) as lenient:
        assert lenient.read() == LINES
    with pytest.raises(UserError, match=r"a\.jsonl\.xz, after line 1\d\d: cannot be read to its end"):
        read(path)


def test_where_it_broke_is_said(tmp_path: Path) -> None:
    chance = random.Random(0)
    rows = [chance.randbytes(500).hex() for _ in range(2000)]
    lines = b"".join(json.dumps({"text": row}).encode() + b"\n" for row in rows)
    packed = {"gz": gzip.compress(lines), "xz": lzma.compress(lines), "zst": zstd(lines)}
    for suffix, content in packed.items():
        path = tmp_path / f"a.jsonl.{suffix}"
        path.write_bytes(content[: len(content) // 2])
        documents, found = read_documents(path), []
        with pytest.raises(UserError, match=r", after line (\d+): cannot be read to its end") as error:
            found.extend(document.text for document in documents)
        assert f"after line {len(found)}:" in str(error.value)
        assert found == rows[: len(found)]
        assert len(found) > 500


def test_a_row_that_is_not_text_costs_no_other(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    content = parquet(["one", "two é", "three"], compression="none", use_dictionary=False)
    assert content.count("two é".encode()) >= 1
    path.write_bytes(content.replace("two é".encode(), b"two \xff\xff"))
    with pytest.raises(UserError, match=r"a\.parquet, row 2: not UTF-8"):
        read(path)
    assert read(path, skip_bad=True) == ["one", "three"]
    pq.write_table(pa.table({"text": [b"one"], "n": [2]}), path)
    with pytest.raises(UserError, match=r"a\.parquet, row 1: field 'text' is a bytes"):
        read(path)
    with pytest.raises(UserError, match=r"a\.parquet, row 1: field 'n' is a int"):
        read(path, field="n")


def test_fewer_rows_than_promised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.parquet"
    path.write_bytes(parquet())
    batches = pq.ParquetFile.iter_batches
    monkeypatch.setattr(pq.ParquetFile, "iter_batches", lambda *a, **o: list(batches(*a, **o))[:-1])
    monkeypatch.setattr("frspec.text.parquet.ROWS", 30)
    with pytest.raises(UserError, match=r"after row 30: ends although it has 120 rows"):
        read(path)


def test_a_text_with_zeros_was_not_written_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"line\n" * 2000 + bytes(100))
    with pytest.raises(UserError, match=r"a\.txt, line 2001: a zero byte \(byte 10001\)"):
        read(path)
    path.write_bytes(b"line\n" * 2000 + b"\xe9\n")
    with pytest.raises(UserError, match=r"a\.txt, line 2001: not UTF-8 \(byte 10001 of the file\)"):
        read(path)


def test_links_to_nothing_and_vanished_files_are_said(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a")
    (tmp_path / "b.txt").symlink_to(tmp_path / "none")
    with pytest.raises(UserError, match=r"b\.txt: cannot be opened: No such file"):
        read(tmp_path)
    documents = read_documents(tmp_path, skip_bad=True)
    (tmp_path / "a.txt").unlink()
    with pytest.raises(UserError, match="no documents"):
        list(documents)
    assert documents.skipped == 2


@pytest.mark.parametrize("source", ["x" * 5000, "a\x00b"])
def test_names_no_file_can_have(source: str) -> None:
    with pytest.raises(UserError, match=r"cannot be listed|nothing is called"):
        read_documents(source)


def test_a_folder_that_cannot_be_listed_is_not_an_empty_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "locked").mkdir()
    (tmp_path / "a.txt").write_text("a")
    listed = os.scandir

    def refusing(path: Any = ".") -> Any:
        if str(path).endswith("locked"):
            raise PermissionError(13, "Permission denied")
        return listed(path)

    monkeypatch.setattr(os, "scandir", refusing)
    with pytest.raises(UserError, match="cannot be listed: Permission denied"):
        read(tmp_path)


def test_a_checksum_is_compared(tmp_path: Path) -> None:
    """A changed letter in an uncompressed page with a checksum is damage, not another text."""
    content = parquet(compression="none", use_dictionary=False, write_page_checksum=True)
    place = content.index(b"row 7 ")
    (tmp_path / "a.parquet").write_bytes(content[:place] + b"R" + content[place + 1 :])
    with pytest.raises(UserError, match="not a readable Parquet file"):
        read(tmp_path / "a.parquet")
