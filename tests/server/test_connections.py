"""Clients that say nothing, say half, or take nothing: each loses its connection, and nobody else does."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Iterator

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route

from frspec.server.connections import Connection
from tests.patience import until
from tests.server.living import living, rest, said, status

GET = b"GET / HTTP/1.1\r\nHost: x\r\n"


class App:
    """``/`` answers at once, ``/slow`` after longer than any patience, ``/flood`` without end."""

    def __init__(self) -> None:
        self.floods = 0
        routes = [Route("/", self.hello), Route("/slow", self.slow), Route("/flood", self.flood)]
        self.app = Starlette(routes=routes)

    async def hello(self, request: Request) -> PlainTextResponse:
        return PlainTextResponse("hello")

    async def slow(self, request: Request) -> StreamingResponse:
        async def pieces() -> AsyncIterator[bytes]:
            for _ in range(4):
                await asyncio.sleep(0.2)
                yield b"."

        return StreamingResponse(pieces())

    async def flood(self, request: Request) -> StreamingResponse:
        async def pieces() -> AsyncIterator[bytes]:
            self.floods += 1
            try:
                while not await request.is_disconnected():
                    yield b"x" * 10_000
            finally:
                self.floods -= 1

        return StreamingResponse(pieces())


@pytest.fixture
def app() -> App:
    return App()


@pytest.fixture
def address(app: App, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, int]]:
    monkeypatch.setattr(Connection, "header_seconds", 0.4)
    monkeypatch.setattr(Connection, "write_seconds", 0.4)
    with living(app.app) as place:
        yield place


def test_half_headers_and_silence_are_not_waited_for(address: tuple[str, int]) -> None:
    for words in (b"", b"G", GET, GET + b"X-Half: "):
        assert said(address, words) == b"", words
    first = said(address, GET + b"\r\n", GET)
    assert status(first) == 200, "a second request that never ends takes nothing from the first"
    assert first.count(b"HTTP/1.1") == 1


def test_patience_is_for_headers_not_for_answers(address: tuple[str, int]) -> None:
    assert said(address, GET.replace(b"/ ", b"/slow ", 1) + b"Connection: close\r\n\r\n").count(b"\r\n.\r\n") == 4
    with socket.create_connection(address) as line:
        for _ in range(3):
            line.sendall(GET)
            line.sendall(b"\r\n")
            while b"hello" not in line.recv(1000):
                pass
            threading.Event().wait(0.3)
        line.sendall(GET + b"Connection: close\r\n\r\n")
        assert status(rest(line)) == 200, "the connection was idle in between, not in the middle of a request"


def test_a_client_that_takes_nothing_is_let_go(app: App, address: tuple[str, int]) -> None:
    with socket.create_connection(address) as line:
        line.sendall(GET.replace(b"/ ", b"/flood ", 1) + b"\r\n")
        until(lambda: app.floods == 1)
        until(lambda: app.floods == 0)
        assert status(said(address, GET + b"Connection: close\r\n\r\n")) == 200
