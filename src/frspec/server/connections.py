"""One connection of a client, with an end to its patience: uvicorn's own protocol waits forever for either side.

Knows: uvicorn's HTTP/1.1 protocol, timers. Does not know: requests. Needed because a client that sends half a request,
or opens a connection and says nothing, or reads nothing of its answer, otherwise holds it for as long as it likes.
"""

from __future__ import annotations

import asyncio
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

HEADER_SECONDS = 15.0
"""From a connection's or a request's first byte to the end of its headers."""
WRITE_SECONDS = 60.0
"""For which a client may take nothing of what waits for it."""


class Connection(H11Protocol):
    """Closes the connection when the headers of a request do not arrive, or an answer is not taken."""

    header_seconds = HEADER_SECONDS
    write_seconds = WRITE_SECONDS

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self._headers, self._taking = _Patience(), _Patience()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._headers.begin(transport, self.header_seconds)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.conn.their_state is not h11.IDLE:
            self._headers.end()
        elif self.conn.trailing_data[0]:  # a request has begun
            self._headers.begin(self.transport, self.header_seconds)

    def timeout_keep_alive_handler(self) -> None:
        super().timeout_keep_alive_handler()  # which still waits for what the client has not taken
        self._taking.begin(self.transport, self.write_seconds)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._taking.begin(self.transport, self.write_seconds)

    def resume_writing(self) -> None:
        self._taking.end()
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._headers.end()
        self._taking.end()
        super().connection_lost(exc)


class _Patience:
    """Aborts a connection some seconds after it began to run out, unless it ends before."""

    def __init__(self) -> None:
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, transport: asyncio.Transport, seconds: float) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(seconds, transport.abort)

    def end(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
