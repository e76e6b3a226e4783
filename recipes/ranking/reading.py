"""What reading costs beside unpacking: processor time of .xz files of JSON Lines.

    python recipes/ranking/reading.py FILES.jsonl.xz... [--repeat N]

For each file, in turn, N times: the standard library's decompressor alone; the blocks that the reading thread of
``frspec rank`` hands out; and the documents in them, which its processes make. One thread each. Prints a line a file
with the medians of unpacked megabytes a second of processor time; the last line is one JSON object.
"""

from __future__ import annotations

import json
import lzma
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import click

from frspec.text.blocks import blocks, documents_of
from frspec.text.reading import Reading, find_sources
from frspec.text.shards import split

READING = Reading()


def unpacked(path: Path) -> int:
    """The bytes in the file, by the standard library."""
    decompressor, size = lzma.LZMADecompressor(), 0
    with path.open("rb") as file:
        while not decompressor.eof:
            given = file.read(1 << 16) if decompressor.needs_input else b""
            size += len(decompressor.decompress(given, 1 << 18))
    return size


def in_blocks(path: Path) -> int:
    """The bytes in its blocks."""
    return sum(len(block.content) for shard in split(find_sources([path])) for block in blocks(shard, READING))


def in_documents(path: Path) -> int:
    """The bytes in its blocks, whose documents are made too."""
    size = 0
    for shard in split(find_sources([path])):
        for block in blocks(shard, READING):
            size += len(block.content)
            for _ in documents_of(block, READING):
                pass
    return size


WAYS: dict[str, Callable[[Path], int]] = {"unpacked": unpacked, "blocks": in_blocks, "documents": in_documents}


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True))
@click.option("--repeat", default=5, show_default=True)
def main(files: tuple[Path, ...], repeat: int) -> None:
    """Measure, and print."""
    seconds = dict.fromkeys(WAYS, 0.0)
    total = 0
    for file in files:
        times: dict[str, list[float]] = {name: [] for name in WAYS}
        for _ in range(repeat):
            sizes = set()
            for name, way in WAYS.items():
                start = time.process_time()
                sizes.add(way(file))
                times[name].append(time.process_time() - start)
            (size,) = sizes
        total += size
        click.echo(
            f"{file.name}: " + ", ".join(f"{name} {size / median(times[name]) / 1e6:.0f}" for name in WAYS) + " MB/s"
        )
        for name in WAYS:
            seconds[name] += median(times[name])
    click.echo(json.dumps({"bytes": total} | {f"{name}_mb_s": round(total / seconds[name] / 1e6, 1) for name in WAYS}))


if __name__ == "__main__":
    main()
