"""Count one enormous line: is the result right, and how much memory does it take?

    python recipes/ranking/big_file.py SOURCES... --tokenizer NAME [--gb N] [--packing NAME]... [--folder FOLDER]

Writes a text and a JSON Lines file of so many GB each, with one line: pieces of the sources' texts, drawn at random,
which may be put together in any order without changing a token (``long_text``). So the library alone says what the
result must be: the tokens of each piece times how often it was drawn. Reports the speed of ``frspec rank`` and the
memory of all its processes for each file and packing. One file at a time lies in FOLDER. The last line is one JSON
object.
"""

from __future__ import annotations

import gzip
import json
import lzma
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import IO, cast

import click
import numpy as np
from long_text import pieces_of, repeat
from program import run
from speed import batches

from frspec.ranking.ranking import Ids, Ranking
from frspec.text.sources import read_documents
from frspec.text.tokenizer import Tokenizer

PACKINGS = ("plain", "gz", "xz", "zst")
WRITTEN = 1000
"""Pieces that are written at once."""


def packed(file: Path, packing: str) -> IO[bytes]:
    """The file, to be written; packed quickly rather than well."""
    if packing == "gz":
        return cast(IO[bytes], gzip.open(file, "wb", compresslevel=1))
    if packing == "xz":
        return lzma.open(file, "wb", preset=0)
    if packing == "zst":
        import zstandard

        return cast(IO[bytes], zstandard.open(file, "wb"))
    return file.open("wb")


def write(file: Path, packing: str, pieces: list[str], size: int) -> Counter[int]:
    """One line of about ``size`` bytes, as text or as JSON by the file's name; how often it holds each piece."""
    used = Counter[int]()
    is_json = file.name.startswith("line.jsonl")
    with packed(file, packing) as out:
        if is_json:
            out.write(b'{"id": 1, "text": "')
        waiting = list[str]()
        for piece in repeat(pieces, size, 0, used):
            waiting.append(json.dumps(piece)[1:-1] if is_json else piece)
            if len(waiting) == WRITTEN:
                out.write("".join(waiting).encode())
                waiting.clear()
        out.write("".join(waiting).encode())
        if is_json:
            out.write(b'", "more": [1, {"text": "not this one"}]}\n')
    return used


class Expected:
    """What the library alone makes of each of the ``pieces``."""

    def __init__(self, name: str, pieces: Sequence[str]) -> None:
        tokenizer = Tokenizer.load(name)
        self._size = tokenizer.vocab_size
        encode = tokenizer.backend.encode_batch_fast
        self._ids = [
            np.array(encoding.ids) for batch in batches(pieces) for encoding in encode(batch, add_special_tokens=False)
        ]

    def counts(self, used: Counter[int]) -> Ids:
        """[V]: how often each id occurs, if each piece is used so often."""
        by_id = np.zeros(self._size, dtype=np.int64)
        for number, times in used.items():
            np.add.at(by_id, self._ids[number], times)
        return by_id


def measure(file: Path, name: str, expected: Ids) -> dict[str, float]:
    """Count the file; ends the program unless the result is what is expected."""
    made = file.with_name("made.ranking")
    ran = run("rank", "--tokenizer", name, file, "-o", made)
    if not np.array_equal(Ranking.load(made).by_id, expected):
        sys.exit(f"{file.name}: not the counts that the library gives")
    made.unlink()
    return {
        "bytes": file.stat().st_size,
        "tokens": int(expected.sum()),
        "seconds": round(ran.seconds, 1),
        "tokens_per_s": round(int(expected.sum()) / ran.seconds),
        "peak_megabytes": round(ran.megabytes),
    }


@click.command()
@click.argument("sources", nargs=-1, required=True)
@click.option("--tokenizer", "name", required=True, help="As for frspec rank.")
@click.option("--gb", default=2.0, show_default=True, help="Size of the text, in 10^9 bytes of UTF-8.")
@click.option("--packing", "packings", multiple=True, type=click.Choice(PACKINGS), default=("plain", "gz"),
              show_default=True, help="May be repeated.")  # fmt: skip
@click.option("--folder", type=click.Path(path_type=Path, exists=True), help="Where there is room for one file.")
def main(sources: Sequence[str], name: str, gb: float, packings: Sequence[str], folder: Path | None) -> None:
    """Write, count, compare, for each kind of file and packing."""
    pieces = pieces_of(text for document in read_documents(sources) for text in document.texts())
    expected, results = Expected(name, pieces), {}
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        for kind, packing in [(kind, packing) for kind in ("line.txt", "line.jsonl") for packing in packings]:
            file = Path(temporary, kind if packing == "plain" else f"{kind}.{packing}")
            used = write(file, packing, pieces, int(gb * 1e9))
            results[file.name] = measured = measure(file, name, expected.counts(used))
            file.unlink()
            print(
                f"{file.name}: {measured['bytes']:,} bytes, {measured['tokens']:,} tokens as the library has them, "
                f"{measured['tokens_per_s']:,} tokens/s, {measured['peak_megabytes']:,} MB",
                flush=True,
            )
    print(json.dumps({"pieces": len(pieces), **results}))


if __name__ == "__main__":
    main()
