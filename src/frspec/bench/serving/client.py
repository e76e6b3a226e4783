"""HTTP requests, and when each piece of what came back arrived.

Knows: one request a connection, clocks. Does not know: what is asked, what the pieces say: they are kept as they come
and read when nobody is measured any more, because client and server share the cores.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any
from urllib.parse import urlsplit

import h11

from frspec.errors import UserError

PIECE = 1 << 16
"""Most bytes that are taken at once."""


@dataclass
class Exchange:
    """A request sent at a time on ``perf_counter``'s clock, and the bytes that came back at theirs.

    connection: the state in which h11 reads them. error: what broke it off.
    """

    sent: float
    connection: h11.Connection
    pieces: list[tuple[float, bytes]] = field(default_factory=list)
    error: str | None = None


class Client:
    """Asks the server at ``url`` (http or https; a path in it goes before all others, but for a final /v1).

    key: sent as a bearer's. seconds: how long one answer may take.

    Raises:
        UserError: on what is no such URL.
    """

    def __init__(self, url: str, key: str | None = None, seconds: float = 600.0) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise UserError(f"{url!r} is no address of a server; give one such as http://127.0.0.1:8000")
        self.url, self._seconds = url, seconds
        self._host, self._secure = parts.hostname, parts.scheme == "https"
        self._port = parts.port or (443 if self._secure else 80)
        self._path = parts.path.rstrip("/").removesuffix("/v1")
        self._headers = [("Host", parts.netloc.rpartition("@")[2]), ("Connection", "close")]
        self._headers += [] if key is None else [("Authorization", f"Bearer {key}")]

    async def ask(self, path: str, body: Mapping[str, Any] | None = None, pause: float = 0.0) -> Exchange:
        """POST ``body`` as JSON, or GET; everything until the server closes the connection.

        pause: seconds for which nothing is read after the first piece.
        """
        connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=1 << 24)
        message = self._message(connection, path, b"" if body is None else json.dumps(body).encode())
        exchange, writer = Exchange(perf_counter(), connection), None
        try:
            async with asyncio.timeout(self._seconds):
                context = ssl.create_default_context() if self._secure else None
                reader, writer = await asyncio.open_connection(self._host, self._port, ssl=context)
                writer.write(message)
                while piece := await reader.read(PIECE):
                    exchange.pieces.append((perf_counter(), piece))
                    if pause and len(exchange.pieces) == 1:
                        await asyncio.sleep(pause)
        except TimeoutError:
            exchange.error = f"no end within {self._seconds:g} s"
        except OSError as error:
            exchange.error = error.strerror or str(error)
        finally:
            if writer is not None:
                writer.close()
        return exchange

    def _message(self, connection: h11.Connection, path: str, body: bytes) -> bytes:
        headers = [*self._headers]
        if body:
            headers += [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
        start = h11.Request(method="POST" if body else "GET", target=self._path + path, headers=headers)
        events = (start, *([h11.Data(data=body)] if body else []), h11.EndOfMessage())
        return b"".join(connection.send(event) or b"" for event in events)


async def load(client: Client, requests: Sequence[tuple[str, Mapping[str, Any]]], concurrency: int) -> list[Exchange]:
    """Ask all ``requests`` (path and body), at any time as many as ``concurrency``: who has its answer asks the next.

    The exchanges are in the order of the requests.
    """
    left, exchanges = iter(enumerate(requests)), dict[int, Exchange]()

    async def one_after_the_other() -> None:
        for number, (path, body) in left:
            exchanges[number] = await client.ask(path, body)

    async with asyncio.TaskGroup() as group:
        for _ in range(concurrency):
            group.create_task(one_after_the_other())
    return [exchanges[number] for number in range(len(requests))]
