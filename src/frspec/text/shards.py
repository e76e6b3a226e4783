"""Files in parts that can be read one by one, anywhere.

Knows: which formats can be begun in their middle. Does not know: what is in them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from frspec.text.packed import PACKED
from frspec.text.places import File, suffixes
from frspec.text.reading import Sources

JSON_LINES = {".jsonl", ".ndjson", ".json"}
SIZE = 256 << 20


@dataclass(frozen=True, slots=True)
class Shard:
    """A file, or a part of a large one, that counts for ``part``.

    Plain JSON Lines: the lines whose first byte lies in [``start``, ``end``). Parquet: the row groups ``start`` up to
    ``end``. Others: the whole file. ``size``: bytes as they lie there, about.
    """

    part: str
    file: File
    start: int = 0
    end: int | None = None
    size: int = 0


def form(name: str) -> tuple[str, str]:
    """What a file holds by its name: ``lines`` (JSON), ``rows`` (Parquet) or ``text``; and how it is packed."""
    endings = suffixes(name)
    packed = endings.pop() if endings and endings[-1] in PACKED else ""
    kind = endings[-1] if endings else ""
    if kind == ".parquet" and not packed:
        return "rows", ""
    return ("lines" if kind in JSON_LINES else "text"), packed


def split(sources: Sources, size: int = SIZE) -> list[Shard]:
    """The shards of ``sources``, of about ``size`` bytes where a file's format can be begun in its middle.

    They depend on the files and their sizes alone, so that any machine finds the same ones.

    Raises:
        UserError: when a place does not answer.
    """
    return [shard for part, files in sources.groups for file in files for shard in _of(part, file, size)]


def _of(part: str, file: File, size: int) -> Iterator[Shard]:
    kind, packed = form(file.name)
    places = [0]
    if file.size > size and file.seekable and not packed and kind != "text":
        places = list(range(0, file.size, size)) if kind == "lines" else _row_groups(file, size)
    ends = [*places[1:], None]
    if kind == "lines":
        sizes = [after - before for before, after in pairwise([*places, file.size])]
    else:
        sizes = [file.size // len(places)] * len(places)
    for start, end, bytes_ in zip(places, ends, sizes, strict=True):
        yield Shard(part, file, start, end, bytes_)


def _row_groups(file: File, size: int) -> list[int]:
    """The first row group of each shard."""
    from frspec.text.parquet import row_group_sizes

    places, held = [0], 0
    for number, bytes_ in enumerate(row_group_sizes(file)):
        if held and held + bytes_ > size:
            places.append(number)
            held = 0
        held += bytes_
    return places
