"""Reading corpora: every format, every way a file can be broken."""

import gzip
import json
import logging
import lzma
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from frspec.errors import UserError
from frspec.text.sources import Document, read_documents

TEXTS = ["one", "zwei\nlines", "三 🦙", ""]
LINES = "".join(json.dumps({"id": i, "text": text}) + "\n" for i, text in enumerate(TEXTS)).encode()


def texts(*sources: Path | str, **options: object) -> list[str | None]:
    return [document.text for document in read_documents(list(sources), **options)]  # type: ignore[arg-type]


def write(path: Path, content: bytes | str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize(
    ("suffix", "pack"),
    [
        ("", bytes),
        (".gz", gzip.compress),
        (".xz", lzma.compress),
        (".zst", zstandard.ZstdCompressor().compress),
        (".zst", lambda b: zstandard.compress(b[:40]) + zstandard.compress(b[40:])),
    ],
)
def test_json_lines(tmp_path: Path, suffix: str, pack: object) -> None:
    path = write(tmp_path / f"a.v2.JsonL{suffix}", pack(LINES))  # type: ignore[operator]
    found = list(read_documents(path))
    assert [document.text for document in found] == TEXTS
    assert [document.line for document in found] == [1, 2, 3, 4]
    assert {document.source for document in found} == {str(path)}


def test_parquet_and_field(tmp_path: Path) -> None:
    pq.write_table(pa.table({"body": TEXTS, "n": [1, 2, 3, 4]}), tmp_path / "a.parquet")
    assert texts(tmp_path / "a.parquet", field="body") == TEXTS
    with pytest.raises(UserError, match="no column 'text'; it has body, n"):
        texts(tmp_path / "a.parquet")


def test_folders_are_read_in_order_and_once(tmp_path: Path) -> None:
    write(tmp_path / "b.txt", "b")
    write(tmp_path / "a" / "z.md", "az")
    write(tmp_path / "a" / "b.jsonl", '{"text": "ab"}\n\n')
    write(tmp_path / ".hidden" / "x.txt", "no")
    assert texts(tmp_path) == ["ab", "az", "b"]
    assert texts(tmp_path / "b.txt", tmp_path, f"{tmp_path}/*.txt") == ["b", "ab", "az"]
    assert texts(f"{tmp_path}/**/*.md") == ["az"]


def test_conversations(tmp_path: Path) -> None:
    share = {"conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Hello"}]}
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    openai = {"messages": [{"role": "user", "content": parts}, {"role": "assistant", "tool_calls": [1]}]}
    path = write(tmp_path / "a.jsonl", f"{json.dumps(share)}\n{json.dumps(openai)}\n")
    first, second = read_documents(path)
    assert first.messages == [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]
    assert second.messages == [
        {"role": "user", "content": "ab"},
        {"role": "assistant", "content": "", "tool_calls": [1]},
    ]
    assert first.texts() == ["Hi", "Hello"]
    assert Document("x", 1, text="t").texts() == ["t"]


BAD_LINES = {
    b'{"text": "a"': r"a.jsonl, line 2: not JSON",
    b'{"text": "\xff"}': r"line 2: not UTF-8 \(byte 11 of the line\)",
    b'["a"]': r"line 2: not a JSON object",
    b"[" * 100_000: r"line 2: not a JSON object",
    b'[{"text": "a"},': r"line 2: not a JSON object; JSON Lines has one object on each line \(jq",
    b"{" * 100_000: r"line 2: not JSON",
    b'{"body": "a"}': r"line 2: no field 'text'; it has body; name one with --field",
    b'{"text": 7}': r"line 2: field 'text' is a int",
    b'{"text": null}': r"line 2: field 'text' is null",
    b'{"text": "\\ud800"}': r"line 2: holds a lone surrogate",
    b'{"messages": []}': r"line 2: the conversation has no turns",
    b'{"messages": [{"role": "user"}]}': r"line 2: turn 1 has no text",
    b'{"messages": [{"role": "wizard", "content": "a"}]}': r"line 2: turn 1 is by 'wizard'",
    b'{"messages": [{"role": "user", "content": [{"type": "image"}]}]}': r"line 2: turn 1 has a part",
}


@pytest.mark.parametrize(("line", "message"), BAD_LINES.items(), ids=list(BAD_LINES.values()))
def test_a_bad_line_in_the_middle(tmp_path: Path, line: bytes, message: str, caplog: pytest.LogCaptureFixture) -> None:
    path = write(tmp_path / "a.jsonl", b'{"text": "x"}\n' + line + b'\n{"text": "y"}\n')
    with pytest.raises(UserError, match=message) as error:
        texts(path)
    assert "--skip-bad" in str(error.value)
    with caplog.at_level(logging.WARNING):
        documents = read_documents(path, skip_bad=True)
        assert [document.text for document in documents] == ["x", "y"]
    assert documents.skipped == 1
    assert "line 2" in caplog.text


BIG = b'{"text": "' + bytes(range(97, 123)) * 4000 + b'"}\n'
BROKEN_FILES = {
    "empty.jsonl": (b"", "is empty"),
    "empty.txt": (b"", "is empty"),
    "empty.jsonl.gz": (gzip.compress(b""), "is empty"),
    "binary.txt": (b"\x7fELF\x00\x01", "is a binary file"),
    "latin1.txt": ("Grüße\n".encode("latin-1"), "line 1: not UTF-8"),
    "utf16.txt": ("Hi".encode("utf-16"), "holds UTF-16 data"),
    "lines.txt": (LINES, "holds JSON Lines; rename it"),
    "part-00000": (LINES, "holds JSON Lines; rename it"),
    "packed.jsonl": (gzip.compress(LINES), "holds gzip data"),
    "plain.jsonl.gz": (LINES, "cannot be read to its end"),
    "plain.jsonl.xz": (LINES, "cannot be read to its end"),
    "plain.jsonl.zst": (LINES, "cannot be read to its end"),
    "cut.jsonl.gz": (gzip.compress(BIG)[:-9], "cannot be read to its end"),
    "cut.jsonl.xz": (lzma.compress(BIG)[:-9], "cannot be read to its end"),
    "cut.jsonl.zst": (zstandard.compress(BIG)[:-2], "cannot be read to its end"),
    "cut.parquet": (b"PAR1 and no more", "not a readable Parquet file"),
}


@pytest.mark.parametrize("name", BROKEN_FILES)
def test_a_broken_file(tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture) -> None:
    content, message = BROKEN_FILES[name]
    path = write(tmp_path / name, content)
    good = write(tmp_path / "good.txt", "good")
    with pytest.raises(UserError, match=message):
        texts(path)
    documents = read_documents([path, good], skip_bad=True)
    assert [document.text for document in documents][-1] == "good"
    assert documents.skipped == 1
    assert name in caplog.text


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nothing is called"):
        texts(tmp_path / "no.jsonl")
    with pytest.raises(UserError, match="nothing is called"):
        texts(f"{tmp_path}/*.jsonl")
    with pytest.raises(UserError, match="no files in"):
        texts(tmp_path)
    with pytest.raises(UserError, match="no documents"):
        texts(write(tmp_path / "blank.jsonl", "\n \n"))


def test_what_is_there_and_is_no_file(tmp_path: Path) -> None:
    """A pipe gives its content once; a folder that cannot be listed is named, not the one that was asked for."""
    os.mkfifo(tmp_path / "pipe.txt")
    with pytest.raises(UserError, match=r"pipe\.txt is a pipe or a device"):
        texts(tmp_path / "pipe.txt")

    def refuse(path: object) -> None:
        raise PermissionError(13, "Permission denied", f"{path}/below")

    with pytest.MonkeyPatch.context() as patch:  # whoever runs this may be allowed everything
        patch.setattr(os, "scandir", refuse)
        with pytest.raises(UserError, match=r"/below: cannot be listed: Permission denied$"):
            texts(tmp_path)


@pytest.mark.parametrize("content", ['[\n{"text": "a"}\n]\n', '{\n"text": "a"\n}\n'])
def test_json_spread_over_lines_is_called_so(tmp_path: Path, content: str) -> None:
    with pytest.raises(UserError, match=r"a\.json, line 1: not a JSON object; JSON Lines has one object on each line"):
        texts(write(tmp_path / "a.json", content))


def test_byte_order_mark_is_no_text(tmp_path: Path) -> None:
    assert texts(write(tmp_path / "a.txt", "\ufeffHi")) == ["Hi"]
    assert texts(write(tmp_path / "a.jsonl", '\ufeff{"text": "Hi"}')) == ["Hi"]


def test_real_corpora(data: Path) -> None:
    found = list(read_documents(data / "corpora" / "tinystories_en.jsonl.xz"))
    assert len(found) == 2317
    assert all(document.text for document in found)
