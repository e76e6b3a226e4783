"""The life of the server's process: a place to listen, uvicorn, signals, the end.

Knows: sockets, signals, in which order things stop. Does not know: routes, flags.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import sys
from types import FrameType

import uvicorn
from fastapi import FastAPI

from frspec.engine.service import Service
from frspec.errors import UserError
from frspec.server.connections import Connection
from frspec.server.security import listens_to_loopback
from frspec.server.settings import Settings

KEEP_ALIVE_SECONDS = 30
"""For which a connection without a request stays open: longer than the 5 s of clients built on httpx, so that none of
them finds a connection closed in the moment it writes."""
LAST_SECONDS = 2.0
"""At the end, for answers that are made already to go out."""


def bind(settings: Settings) -> socket.socket:
    """The place to listen at, taken before the model is loaded; nobody can connect yet.

    Raises:
        UserError: when it is not to be had.
    """
    host, port = settings.host, settings.port
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        place = socket.socket(family, kind, protocol)
        place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        place.bind(address)
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no host name"
        raise _taken(settings, reason) from error
    return place


def _taken(settings: Settings, reason: str | None) -> UserError:
    where = f"{settings.host} port {settings.port}"
    return UserError(f"cannot listen on {where}: {reason}; choose with --host and --port")


def url_of(place: socket.socket) -> str:
    """What a client is pointed to."""
    host, port = place.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def run(app: FastAPI, service: Service, settings: Settings, place: socket.socket, *, access_log: bool) -> None:
    """Serve until SIGTERM or SIGINT. Then nothing new begins, what runs gets ``timeout_graceful_shutdown`` seconds, and
    what is left is cancelled; a second signal cancels it at once.

    Raises:
        UserError: when another program listens at ``place`` by now: until one does, several may take it.
        SystemExit: with status 1, when the engine has died.
    """
    try:
        place.listen()
    except OSError as error:
        raise _taken(settings, error.strerror) from error
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("frspec").setLevel(logging.INFO)
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)  # else every piece of garbage is a line
    logging.getLogger("uvicorn.access").setLevel(logging.INFO)
    if not settings.api_keys and not listens_to_loopback(settings.host):
        _say(f"warning: {settings.host} is open to the network and no --api-key is set: whoever reaches it may use it")
    config = uvicorn.Config(
        app, http=Connection, ws="none", lifespan="on", log_config=None, access_log=access_log, server_header=False,
        root_path=settings.root_path, timeout_keep_alive=KEEP_ALIVE_SECONDS,
    )  # fmt: skip
    name = ", ".join(settings.served_model_names)
    server = _Server(config, service, settings.timeout_graceful_shutdown, name, url_of(place))
    service.start()
    try:
        asyncio.run(server.serve(sockets=[place]))
    finally:
        died = not service.alive and not server.drained
        service.close()
    if died:
        _say("the engine has died, so the server ends; the log says why")
        sys.exit(1)


class _Server(uvicorn.Server):
    """uvicorn's server, which on a signal first lets the engine finish, and ends without raising the signal again."""

    def __init__(self, config: uvicorn.Config, service: Service, seconds: float, name: str, url: str) -> None:
        super().__init__(config)
        self._service, self._seconds, self._name, self._url = service, seconds, name, url
        self.drained = False

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        _say(f"serving {self._name} at {self._url}")

    async def on_tick(self, counter: int) -> bool:
        return await super().on_tick(counter) or not self._service.alive

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - uvicorn's signature
        self.force_exit = self.should_exit
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Drain while still listening, so that new requests are told to come later and ``/health`` says 503."""
        if self._service.alive:
            await self._drain()
        seconds = 0.0 if self.force_exit else LAST_SECONDS
        self.force_exit = False  # the rest takes no time, and uvicorn would leave it out
        closing = asyncio.create_task(super().shutdown(sockets))
        await asyncio.wait([closing], timeout=seconds)
        for connection in list(self.server_state.connections):
            if connection.transport is not None:
                connection.transport.abort()
        await closing

    async def _drain(self) -> None:
        running = self._service.snapshot().running
        if running:
            _say(f"finishing {running} completions, for up to {self._seconds:g} s; another signal stops at once")
        draining = asyncio.create_task(self._service.drain(self._seconds))
        while not draining.done() and not self.force_exit:
            await asyncio.wait([draining], timeout=0.1)
        if self.force_exit:
            await asyncio.to_thread(self._service.close)
        await draining
        self.drained = True


def _say(line: str) -> None:
    print(f"frspec: {line}", file=sys.stderr, flush=True)
