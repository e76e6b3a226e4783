"""Blocks of plain text files, each of which is one document.

Knows: what is surely no text. Does not know: bytes' places, tokens.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from frspec.errors import UserError
from frspec.text.block import Block, Mark
from frspec.text.packed import Stream
from frspec.text.shards import Shard


def text_blocks(stream: Stream, shard: Shard) -> Iterator[Block]:
    """The text."""
    chunks = list(iter(stream.read, b""))
    content = b"".join(chunks)
    if content.startswith(b"{") and _is_object(content.partition(b"\n")[0]):
        raise UserError(f"{shard.file} holds JSON Lines; rename it to end in .jsonl")
    yield Block(shard.file, shard.part, "text", 1, content, Mark(stream.position, 1), stream.raw)


def _is_object(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False
