"""A live server in a thread, on the connections that frspec serves on, and the plainest of clients."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn

from frspec.server.connections import Connection
from frspec.server.run import bind
from frspec.server.settings import Settings
from tests.patience import PATIENCE, until


@contextmanager
def living(app: Any, root_path: str = "") -> Iterator[tuple[str, int]]:
    """``app`` at 127.0.0.1 and a free port, which is yielded; gone at the end, whoever is still connected."""
    place = bind(Settings(port=0))
    config = uvicorn.Config(
        app, http=Connection, ws="none", lifespan="off", log_config=None, server_header=False, root_path=root_path
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [place]}, daemon=True)
    thread.start()
    until(lambda: server.started)
    try:
        yield place.getsockname()
    finally:
        server.should_exit = server.force_exit = True
        thread.join(PATIENCE)
        place.close()


def said(address: tuple[str, int], *pieces: bytes, pause: float = 0.0) -> bytes:
    """Send these bytes over one connection, and return all that comes until the server closes it."""
    with socket.create_connection(address, PATIENCE) as line:
        for piece in pieces:
            line.sendall(piece)
            time.sleep(pause)
        return rest(line)


def rest(line: socket.socket) -> bytes:
    """All that comes until the other side closes; an abort is an end, too."""
    line.settimeout(PATIENCE)
    got = b""
    try:
        while piece := line.recv(65536):
            got += piece
    except ConnectionResetError:
        pass
    return got


def status(answer: bytes) -> int:
    """The status of a raw answer."""
    assert answer.startswith(b"HTTP/1.1 "), answer[:200]
    return int(answer.split(b" ", 2)[1])
