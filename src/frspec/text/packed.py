"""The bytes of files, unpacked, that notice every end that comes too early.

Knows: gzip, xz, zstd, and what their readers raise. Does not know: what is packed.
"""

from __future__ import annotations

import gzip
import lzma
import zlib
from collections.abc import Callable
from typing import BinaryIO

PACKED = {".gz", ".xz", ".zst"}
UNREADABLE = (OSError, EOFError, zlib.error, lzma.LZMAError)
"""What reading a damaged stream raises."""
XZ_PADDING = b"\x00"
PACK = 1 << 16
CHUNK = 1 << 18


class Stream:
    """The content of ``file``, packed as ``suffix`` says (one of ``PACKED``, or nothing), in chunks of about 256 KiB.

    What was read before something broke has been handed out. ``position``: unpacked bytes before the next chunk.
    """

    def __init__(self, file: BinaryIO, suffix: str) -> None:
        self.position = 0
        self._file = file
        self._seekable = not suffix and file.seekable()
        self._read = _reader(file, suffix)
        self._back = list[bytes]()

    @property
    def raw(self) -> int:
        """Bytes of the file that have been read, as they lie there."""
        return self._file.tell()

    def read(self) -> bytes:
        """The next chunk; none at the end."""
        chunk = self._back.pop() if self._back else self._read(CHUNK)
        self.position += len(chunk)
        return chunk

    def put_back(self, content: bytes) -> None:
        """``content``, which was read last, comes next once more."""
        if content:
            self._back.append(content)
            self.position -= len(content)

    def start(self, size: int | None) -> bytes:
        """The next ``size`` bytes or more, if there are so many, or all; they also come next."""
        chunks, held = list[bytes](), 0
        while (size is None or held < size) and (chunk := self.read()):
            chunks.append(chunk)
            held += len(chunk)
        for chunk in reversed(chunks):
            self.put_back(chunk)
        return b"".join(chunks)

    def go_to(self, position: int) -> None:
        """Further on, to the byte ``position``; at most to the end."""
        if self._seekable:
            self._file.seek(position)
            self.position, self._back = position, []
        while self.position < position and (chunk := self.read()):
            if self.position > position:
                self.put_back(chunk[position - self.position :])


class OneLine:
    """The bytes of ``stream`` up to the end of a line."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._done = False

    def read(self) -> bytes:
        """The next of them; none at the end, behind which the stream then is."""
        chunk = b"" if self._done else self._stream.read()
        end = chunk.find(b"\n")
        if end >= 0:
            self._stream.put_back(chunk[end + 1 :])
            chunk, self._done = chunk[:end], True
        return chunk

    def finish(self) -> None:
        """To the end."""
        while self.read():
            pass


def _reader(file: BinaryIO, suffix: str) -> Callable[[int], bytes]:
    """What gives about so many bytes at a time, and none at the end."""
    if suffix == ".gz":
        return gzip.GzipFile(fileobj=file).read1
    if suffix == ".xz":
        return Xz(file).read
    if suffix == ".zst":
        import pyarrow as pa

        # Unlike zstandard's own reader, this one notices a truncated file.
        stream = pa.CompressedInputStream(file, "zstd")
        return lambda size: bytes(stream.read(min(size, PACK)))  # what a read has gathered before an error is lost
    return file.read1 if hasattr(file, "read1") else file.read


class Xz:
    """One or more .xz streams. Unlike ``lzma.open`` it takes no damaged second stream for the end of the first."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._stream: lzma.LZMADecompressor | None = lzma.LZMADecompressor(lzma.FORMAT_XZ)
        self._rest = b""

    def read(self, size: int) -> bytes:
        """Up to ``size`` bytes; none at the end."""
        made = b""
        while not made and self._stream is not None:
            if self._stream.eof:
                self._begin_next(self._stream.unused_data)
                continue
            given, self._rest = self._rest, b""
            if not given and self._stream.needs_input and not (given := self._file.read(PACK)):
                raise EOFError("the compressed stream ends before its end mark")
            made = self._stream.decompress(given, size)
        return made

    def _begin_next(self, rest: bytes) -> None:
        """With the stream that follows, of which ``rest`` has been read; there is none at the end of the file."""
        while not (rest := rest.lstrip(XZ_PADDING)):
            rest = self._file.read(PACK)
            if not rest:
                self._stream = None
                return
        self._stream, self._rest = lzma.LZMADecompressor(lzma.FORMAT_XZ), rest
