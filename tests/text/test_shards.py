"""Files in shards and blocks: every record in exactly one, in order, from any mark on."""

import gzip
import json
import lzma
import pickle
import random
import tracemalloc
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from frspec.errors import UserError
from frspec.text.bad import Bad
from frspec.text.blocks import Block, Mark, blocks, documents_of
from frspec.text.cutting import Cutter
from frspec.text.reading import Reading, find_sources
from frspec.text.shards import Shard, split
from tests.text.kinds import PROSE, WHOLE
from tests.text.test_readers_broken import CHECKED, LOOSE, damaged

quick = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
START, PLAIN = Mark(), Reading()
PACK = {"": bytes, ".gz": gzip.compress, ".xz": lzma.compress, ".zst": zstandard.compress}


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Chunks, blocks and long records of a few bytes."""
    sizes(monkeypatch, 16, 64, 128)
    return monkeypatch


def sizes(patch: pytest.MonkeyPatch, chunk: int, block: int, long: int) -> None:
    patch.setattr("frspec.text.packed.CHUNK", chunk)
    for name in ("lines", "long", "parquet"):
        patch.setattr(f"frspec.text.{name}.BLOCK", block)
    for name in ("lines", "whole"):
        patch.setattr(f"frspec.text.{name}.LONG", long)


def cut(texts: Iterable[str]) -> Iterator[str]:
    """In parts of 11 characters, having read ahead as a cutter that needs to see more does."""
    held = ""
    for text in texts:
        held += text
        while len(held) > 33:
            yield held[:11]
            held = held[11:]
    yield held


def read(shard: Shard, after: Mark = START, reading: Reading = PLAIN) -> list[Block]:
    """Its blocks, each of which has been to another process and back."""
    return [pickle.loads(pickle.dumps(block)) for block in blocks(shard, reading, cut, after)]


def told(found: Iterable[Block], reading: Reading = PLAIN) -> list[Any]:
    """The texts in the blocks, those in pieces joined, and what is said of bad records."""
    texts = list[Any]()
    for block in found:
        for document in documents_of(block, reading):
            if isinstance(document, Bad):
                texts.append(document)
            elif document.begins:
                texts.append("".join(piece.text for piece in document.pieces()))
            else:
                texts[-1:] = [(texts[-1] if texts else "") + "".join(piece.text for piece in document.pieces())]
    return texts


LINE = st.one_of(
    st.builds(lambda text: json.dumps({"id": 1, "text": text}).encode(), st.text(max_size=40)),
    st.builds(lambda text: json.dumps({"text": text}, ensure_ascii=False).encode(), st.text(max_size=300)),
    st.sampled_from([b"", b" ", b"\r", b'{"text": 1}', b'{"text": "a"', b"\xff", b'{"text": "z"}\r']),
)


def expected(content: bytes, name: str) -> list[Any]:
    """What the lines hold, by the standard library, and which are bad."""
    found = list[Any]()
    for number, line in enumerate(content.split(b"\n"), 1):
        if line.strip():
            try:
                text = json.loads(line.decode())["text"]
                found.append(text if isinstance(text, str) else f"{name}, line {number}:")
            except ValueError:
                found.append(f"{name}, line {number}:")
    return found


def same(found: list[Any], wanted: list[Any]) -> bool:
    """Texts are equal; of bad records the place is."""
    return len(found) == len(wanted) and all(
        is_.reason.startswith(was) if isinstance(is_, Bad) else is_ == was
        for is_, was in zip(found, wanted, strict=True)
    )


@quick
@given(
    lines=st.lists(LINE, min_size=1, max_size=12),
    ends=st.booleans(),
    size=st.integers(1, 500),
    chunk=st.integers(1, 90),
    long=st.integers(1, 400),
)
def test_every_line_is_in_one_shard(
    tmp_path: Path, lines: list[bytes], ends: bool, size: int, chunk: int, long: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        sizes(patch, chunk, 2 * chunk, long)
        content = b"\n".join([b"{}", *lines]) + b"\n" * ends
        path = tmp_path / "a.jsonl"
        path.write_bytes(content)
        shards = split(find_sources([path]), size)
        assert len(shards) == -(-len(content) // size)
        assert sum(shard.size for shard in shards) == len(content)
        shards = pickle.loads(pickle.dumps(shards))
        wanted = [f"{path}, line 1:", *expected(b"\n".join([b"", *lines]), str(path))]
        assert same([text for shard in shards for text in told(read(shard))], wanted)


def files(folder: Path) -> list[Path]:
    """Texts and bad records, short and long, in every format."""
    texts = ["one", "", "zwei\nZeilen" * 30, "\U0001f999" * 50, "x" * 500, *(f"text {n}" for n in range(40))]
    lines = b"".join(json.dumps({"id": n, "text": text, "n": [n]}).encode() + b"\n" for n, text in enumerate(texts))
    bad = lines[:700] + b'\n{"text": 1}\n{"text": "' + b"y" * 300 + b'\n{"text": "' + b"\\ud800" * 60 + b'"}\n' + lines
    for suffix, pack in PACK.items():
        (folder / f"good.jsonl{suffix}").write_bytes(pack(lines))
        (folder / f"bad.jsonl{suffix}").write_bytes(pack(bad))
        (folder / f"long.txt{suffix}").write_bytes(pack("\n".join(texts).encode()))
        (folder / f"bad.txt{suffix}").write_bytes(pack("\n".join(texts).encode() + b"\xff"))
        (folder / f"mark.md{suffix}").write_bytes(pack("\ufeffshort é".encode()))
        (folder / f"mark.jsonl{suffix}").write_bytes(pack("\ufeff".encode() + lines))
    pq.write_table(pa.table({"text": texts, "n": range(len(texts))}), folder / "a.parquet", row_group_size=7)
    return sorted(folder.iterdir())


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("skip_bad", [False, True])
def test_reading_goes_on_behind_any_block(tmp_path: Path, skip_bad: bool) -> None:
    reading = Reading(skip_bad=skip_bad)
    for path in files(tmp_path):
        for shard in split(find_sources([path], reading), 400):
            found = read(shard, reading=reading)
            whole = told(found, reading)
            for place, block in enumerate(found, 1):
                rest = read(shard, block.after, reading)
                texts = told(found[:place] + rest, reading)
                assert texts == whole, (path, place)
                assert found[place - 1].raw <= max(shard.size, path.stat().st_size)
            assert not found or found[-1].raw > 0


@pytest.mark.usefixtures("small")
def test_shards_and_pieces_give_what_is_in_the_file(tmp_path: Path) -> None:
    for path in files(tmp_path):
        shards = split(find_sources([path]), 300)
        apart = [text for shard in shards for text in told(read(shard, reading=Reading(skip_bad=True)))]
        (whole,) = split(find_sources([path]))
        uncut = told(blocks(whole, Reading()))
        assert len(apart) == len(uncut) > 0
        assert all(
            one == other or one.reason.split(":")[0] == other.reason.split(":")[0]
            for one, other in zip(apart, uncut, strict=True)
        ), path
        assert len(shards) > 1 or path.suffix not in (".jsonl", ".parquet")


def outcome(shard: Shard, held: bool) -> tuple[list[Any], str]:
    """What is read when bad records are left out, and why reading ended early."""
    found = list[Block]()
    reading = Reading(skip_bad=True)
    why = ""
    try:
        for block in blocks(shard, reading, None if held else cut):
            found.append(block)
    except UserError as error:
        why = str(error)
    return [place(record) for record in told(found, reading)], why


def place(record: Any) -> Any:
    return record.reason.split(": ")[0] if isinstance(record, Bad) else record


@pytest.mark.parametrize("name", sorted(name for name in CHECKED | LOOSE if name != "talks.parquet"))
def test_what_is_left_out_of_damaged_files_does_not_depend_on_length(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Long records are given piece by piece, but nothing of a bad one is."""
    sizes(monkeypatch, 16, 64, 40)
    content, path, chance = (CHECKED | LOOSE)[name], tmp_path / name, random.Random(name)
    for _ in range(40):
        how, made = damaged(content, chance)
        path.write_bytes(made)
        (shard,) = split(find_sources([path]))
        assert outcome(shard, held=False) == outcome(shard, held=True), how


@pytest.mark.parametrize("suffix", [".txt", ".txt.gz", ".jsonl", ".jsonl.xz"])
def test_a_long_record_takes_little_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str) -> None:
    sizes(monkeypatch, 1 << 16, 1 << 18, 1 << 20)
    text = "Zwölf Boxkämpfer jagen Viktor. " * 500_000
    content = (text if suffix.startswith(".txt") else json.dumps({"text": text}) + "\n").encode()
    path = tmp_path / f"a{suffix}"
    pack = {".xz": partial(lzma.compress, preset=0), ".gz": gzip.compress}.get(path.suffix, bytes)
    path.write_bytes(pack(content))
    (shard,) = split(find_sources([path]))
    length = 0
    tracemalloc.start()
    for block in blocks(shard, PLAIN, lambda texts: iter(texts)):
        length += sum(map(len, block.content))  # type: ignore[arg-type]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert length == len(text) > 15_000_000
    assert peak < 6_000_000


def test_a_long_object_is_no_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes(monkeypatch, 16, 64, 128)
    path = tmp_path / "a.txt"
    for content, text in ((json.dumps({"text": "x" * 500}), False), ("{" + "x" * 500, True)):
        path.write_text(content + "\n{")
        (shard,) = split(find_sources([path]))
        if text:
            assert told(read(shard)) == [content + "\n{"]
        else:
            with pytest.raises(UserError, match=r"a\.txt holds JSON Lines; rename it"):
                read(shard)


@pytest.mark.parametrize("size", range(40, 60))
def test_a_conversation_before_a_long_line_on_the_border_is_not_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    sizes(monkeypatch, 64, 64, 128)
    talk = b'{"messages": [{"role": "user", "content": "Hi"}]}\n'
    (tmp_path / "a.jsonl").write_bytes(talk + b'{"text": "' + b"x" * 300 + b'"}\n' + talk)
    found = [told(read(shard)) for shard in split(find_sources([tmp_path]), size)]
    assert [text for texts in found for text in texts] == ["Hi", "x" * 300, "Hi"]


def test_rows_that_a_dictionary_makes_look_small_are_not_held_together(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": ["x" * 300_000] * 100}), tmp_path / "a.parquet")
    (shard,) = split(find_sources([tmp_path]))
    assert shard.size < 50_000
    found = list(blocks(shard, PLAIN))
    assert all(len(block.content) < 2_100_000 for block in found)
    assert [block.first for block in found] == [1, *(block.after.line + 1 for block in found[:-1])]
    assert sum(len(text) for text in told(found)) == 30_000_000


@pytest.mark.parametrize("name", ["llama2", "gemma", "unigram"])
def test_a_long_text_goes_on_where_it_was_cut(tmp_path: Path, small: pytest.MonkeyPatch, name: str) -> None:
    for size, value in {"PART": 300, "AROUND": 64, "NEAR": 16}.items():
        small.setattr(f"frspec.text.cutting.{size}", value)
    tokenizer, path = WHOLE[name](), tmp_path / "a.txt"
    path.write_text(PROSE * 5)
    (shard,) = split(find_sources([path]))
    found, mark = list[Block](), START
    while mark.line == 0:
        found.append(next(blocks(shard, PLAIN, Cutter(tokenizer).cut, mark)))
        mark = found[-1].after
    assert len(found) > 5
    ids = [tokenizer.encode_batch(list(block.content), add_special_tokens=False) for block in found]
    assert [id for block in ids for piece in block for id in piece] == tokenizer.encode(PROSE * 5, False)


@pytest.mark.parametrize("length", range(60, 200, 7))
def test_whether_a_line_is_long_does_not_depend_on_what_is_before_it(
    tmp_path: Path, small: pytest.MonkeyPatch, length: int
) -> None:
    """A conversation that is too long is refused; the same one is, wherever reading begins."""
    line = json.dumps({"text": [{"role": "user", "content": "x"}], "more": "x" * length}).encode()
    found = set[bool]()
    for before in range(1, 40):
        path = tmp_path / "a.jsonl"
        path.write_bytes(b" " * before + b"\n" + line + b"\n" + b"\n" * before)
        reading = Reading(skip_bad=True)
        blocks_ = read(split(find_sources([path]))[0], reading=reading)
        found.update(isinstance(document, Bad) for block in blocks_ for document in documents_of(block, reading))
    assert found == {len(line) > 128}


def test_a_byte_order_mark_in_pieces(tmp_path: Path) -> None:
    path, content = tmp_path / "a.jsonl.gz", '\ufeff{"text": "a"}'.encode()
    path.write_bytes(b"".join(gzip.compress(content[place : place + 1]) for place in range(len(content))))
    assert told(read(split(find_sources([path]))[0])) == ["a"]


@pytest.mark.usefixtures("small")
def test_a_bad_text_that_begins_like_an_object_is_left_out_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.txt.gz"
    path.write_bytes(gzip.compress(b'{"text": "' + b"one day " * 100 + b"\xff" + b" one day" * 100))
    reading = Reading(skip_bad=True)
    (bad,) = told(read(split(find_sources([path]))[0], reading=reading), reading)
    assert isinstance(bad, Bad)


def test_a_broken_row_group_takes_the_same_rows_along_from_any_mark_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("frspec.text.parquet.BLOCK", 2000)
    path, pick = tmp_path / "a.parquet", random.Random(1)
    texts = [f"{n} " * pick.randrange(1, 60) for n in range(1000)]
    options: dict[str, Any] = {"row_group_size": 57, "use_dictionary": False, "compression": "none"}
    pq.write_table(pa.table({"text": texts}), path, write_page_checksum=True, data_page_size=500, **options)
    chunk = pq.ParquetFile(path).metadata.row_group(9).column(0)
    content = bytearray(path.read_bytes())
    content[chunk.data_page_offset + chunk.total_compressed_size * 2 // 3] ^= 0x55
    path.write_bytes(content)
    (shard,) = split(find_sources([path]))
    whole, _ = outcome_from(shard, START)
    assert len(whole) > 500
    mark, found = START, list[Any]()
    while True:
        rest, mark = outcome_from(shard, mark, most=3)
        found += rest
        if not rest:
            break
    assert found == whole


def outcome_from(shard: Shard, mark: Mark, most: int = 10**6) -> tuple[list[Any], Mark]:
    """The texts of that many blocks, or of those before an error, and the mark behind them."""
    found = list[Block]()
    with suppress(UserError):
        found.extend(islice(blocks(shard, PLAIN, None, mark), most))
    return told(found), found[-1].after if found else mark


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string()])
def test_long_values_are_given_in_pieces_and_go_on_anywhere(
    tmp_path: Path, small: pytest.MonkeyPatch, kind: pa.DataType
) -> None:
    small.setattr("frspec.text.parquet.LONG", 128)
    small.setattr("frspec.text.parquet.CHUNK", 16)
    path = tmp_path / "a.parquet"
    texts = ["one", "x" * 500, None, "é春\0🙂" * 90, "y" * 100, "", "last " * 99]
    pq.write_table(pa.table({"text": pa.array(texts, kind), "id": range(7)}), path, row_group_size=4)
    (shard,) = split(find_sources([path]))
    found = read(shard)
    wanted = [text for text in texts if text is not None]
    (bad,) = (text for text in told(found) if isinstance(text, Bad))
    assert bad.reason == f"{path}, row 3: field 'text' is null"
    assert [text for text in told(found) if not isinstance(text, Bad)] == wanted
    pieces = [block for block in found if block.kind == "text"]
    assert {block.first for block in pieces} == {2, 4, 7}
    assert len(pieces) > 9
    assert max(block.size for block in pieces) <= 64 + 33
    for number, block in enumerate(found, 1):
        assert told([*found[:number], *read(shard, block.after)]) == told(found)
    assert {block.kind for block in blocks(shard, PLAIN)} == {"rows"}, "where each is to be held whole"
    assert told(blocks(shard, PLAIN)) == told(found)


@pytest.mark.usefixtures("small")
def test_long_values_that_are_no_good_text_are_told_of_as_short_ones_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.parquet"
    talk = [{"role": "user", "content": "Hi " * 99}]
    for values, field in (
        (pa.array([b"a" * 300 + b"\xff"], pa.binary()).view(pa.string()), "text"),
        (pa.array([b"a" * 300], pa.binary()), "text"),
        (pa.array([[1] * 99]), "text"),
        (pa.array([talk]), "messages"),
    ):
        pq.write_table(pa.table({field: values}), path)
        (shard,) = split(find_sources([path]))
        short = told(read(shard))
        with monkeypatch.context() as patch:
            patch.setattr("frspec.text.parquet.LONG", 128)
            assert told(read(shard)) == short
        assert isinstance(short[0], Bad) is (field == "text")
