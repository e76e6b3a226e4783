"""Who is asked: servers that run already, and servers started for the comparison.

Knows: addresses, processes, when a server is ready, what its counters are called. Does not know: what is asked.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from time import monotonic
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from frspec.bench.peers.process import Process
from frspec.bench.serving.answers import NoAnswer, parse, read_whole
from frspec.bench.serving.client import Client
from frspec.errors import UserError

LOAD_SECONDS, LOOK_SECONDS = 1800.0, 0.2
"""How long a server may take to load, and between two looks whether it has."""
COUNTERS = {
    "drafts": "spec_decode_num_drafts",
    "accepted": "spec_decode_num_accepted_tokens",
    "generated": "generation_tokens",
}
PORT = "{port}"
TIED = "import ctypes, os, sys; ctypes.CDLL(None).prctl(1, 9); os.execvp(sys.argv[1], sys.argv[1:])"
"""Becomes a program that is killed when whoever started it ends: a stopped one would wait for ever."""


class Server:
    """One server; ``model`` is what it calls its model, ``own`` whether it is frspec, ``version`` its own word.

    command: what starts it on this machine, ``{port}`` in it replaced, with ``environment`` added to this process's;
    it is stopped whenever it does not work. Without a command the server at ``url`` is somebody else's and goes on.
    key: sent with every request.
    """

    model = ""
    own = False
    version: str | None = None

    def __init__(
        self,
        name: str,
        url: str = "",
        *,
        command: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        key: str | None = None,
    ) -> None:
        port = str(_free_port()) if command else ""
        self.name, self._command = name, [word.replace(PORT, port) for word in command]
        self._environment = {**os.environ, **(environment or {})}
        self.client = Client(f"http://127.0.0.1:{port}" if command else url, key)
        self._process: Process | None = None

    async def ready(self) -> None:
        """Start it, wait until it has loaded, ask how it calls its model, and stop it.

        Raises:
            UserError: when it does not come up, or serves no model.
        """
        self._start()
        try:
            await self._wait()
            about = (await self._json("/v1/models"))["data"][0]
            self.model, self.own = about["id"], about.get("owned_by") == "frspec"
        except (NoAnswer, LookupError, TypeError, AttributeError) as error:
            raise UserError(f"at {self.client.url} is no OpenAI-compatible server ({error})") from error
        try:
            self.version = (await self._json("/version"))["version"]
        except (NoAnswer, LookupError):
            self.version = None  # not every server has this route
        self._pause()

    @contextmanager
    def working(self) -> Iterator[None]:
        """Only inside it runs, if it was started here."""
        if self._process is not None:
            self._process.resume()
        try:
            yield
        finally:
            self._pause()

    def close(self) -> None:
        """End it, if it was started here."""
        if self._process is not None:
            self._process.end()

    async def counts(self) -> dict[str, float]:
        """Those of ``COUNTERS`` that it has, since its start."""
        families = await self._families()
        whole = {name.partition(":")[2]: value for name, value in families.items()}
        return {key: whole[name] for key, name in COUNTERS.items() if name in whole}

    def failure(self) -> str | None:
        """What became of its process, if that has ended."""
        if self._process is None or self._process.poll() is None:
            return None
        return f"its process ended with status {self._process.returncode}: {self._process.last_words()}"

    def _start(self) -> None:
        if self._command:
            words = [sys.executable, "-c", TIED, *self._command] if sys.platform == "linux" else self._command
            self._process = Process(words, self._environment, pipes=False)
            weakref.finalize(self, self._process.end)

    async def _wait(self) -> None:
        """Until something answers; one that was not started here must do so at once."""
        latest = monotonic() + (LOAD_SECONDS if self._command else 0.0)
        while (exchange := await self.client.ask("/v1/models")).error is not None:
            if (failed := self.failure()) is not None:
                raise UserError(failed)
            if monotonic() >= latest:
                raise UserError(f"nothing answers at {self.client.url} ({exchange.error})")
            await asyncio.sleep(LOOK_SECONDS)

    async def _json(self, path: str) -> dict[str, Any]:
        status, body = read_whole(await self.client.ask(path))
        if status != 200:
            raise NoAnswer(f"status {status}")
        return parse(body)

    async def _families(self) -> dict[str, float]:
        """The sums of its counters and gauges by family, none if it has no metrics."""
        try:
            _, body = read_whole(await self.client.ask("/metrics"))
            families = list(text_string_to_metric_families(body.decode()))
        except ValueError:
            return {}
        return {
            family.name: sum(sample.value for sample in family.samples if not sample.name.endswith("_created"))
            for family in families
            if family.type in ("counter", "gauge")
        }

    def _pause(self) -> None:
        if self._process is not None:
            self._process.pause()


def _free_port() -> int:
    with socket.socket() as place:
        place.bind(("127.0.0.1", 0))
        port: int = place.getsockname()[1]
        return port
