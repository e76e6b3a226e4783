"""Compressed files as streams that notice every end that comes too early.

Knows: gzip, xz, zstd, and what their readers raise. Does not know: what is packed.
"""

from __future__ import annotations

import gzip
import io
import lzma
import zlib
from typing import Any, BinaryIO, cast

PACKED = {".gz", ".xz", ".zst"}
UNREADABLE = (OSError, EOFError, zlib.error, lzma.LZMAError)
"""What reading a damaged stream raises."""
XZ_PADDING = b"\x00"
BLOCK = 1 << 16


def decompressed(file: BinaryIO, suffix: str) -> io.BufferedReader:
    """The content of ``file``, packed as ``suffix`` says (one of ``PACKED``, or nothing)."""
    if suffix == ".gz":
        return cast(io.BufferedReader, gzip.open(file))
    if suffix == ".xz":
        return io.BufferedReader(Xz(file), BLOCK)
    if suffix == ".zst":
        import pyarrow as pa

        # Unlike zstandard's own reader, this one notices a truncated file.
        return io.BufferedReader(cast(Any, pa.CompressedInputStream(file, "zstd")))
    return cast(io.BufferedReader, file)


class Xz(io.RawIOBase):
    """One or more .xz streams. Unlike ``lzma.open`` it takes no damaged second stream for the end of the first."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._stream: lzma.LZMADecompressor | None = lzma.LZMADecompressor(lzma.FORMAT_XZ)
        self._ready = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._ready and self._stream is not None:
            self._read_on(self._stream, len(buffer))
        count = min(len(buffer), len(self._ready))
        buffer[:count], self._ready = self._ready[:count], self._ready[count:]
        return count

    def _read_on(self, stream: lzma.LZMADecompressor, size: int) -> None:
        if stream.eof:
            self._begin_next(stream.unused_data)
            return
        given = self._file.read(BLOCK) if stream.needs_input else b""
        if stream.needs_input and not given:
            raise EOFError("the compressed stream ends before its end mark")
        self._ready = stream.decompress(given, size)

    def _begin_next(self, rest: bytes) -> None:
        """With the stream that follows, of which ``rest`` has been read; there is none at the end of the file."""
        while not (rest := rest.lstrip(XZ_PADDING)):
            rest = self._file.read(BLOCK)
            if not rest:
                self._stream = None
                return
        self._stream = lzma.LZMADecompressor(lzma.FORMAT_XZ)
        self._ready = self._stream.decompress(rest, BLOCK)
