"""How a server ends: by a signal, with and without texts under way, and what its clients see of it."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.patience import PATIENCE, until
from tests.server.serve_process import SLOW, ServeProcess, command
from tests.shipped.conftest import write_target

LONG = {"messages": [{"role": "user", "content": "once"}], "max_tokens": 200, "ignore_eos": True, "stream": True}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_target(tmp_path_factory.mktemp("models") / "tiny", 32, 0)


class Reader(threading.Thread):
    """Reads one stream; ``events`` are its parsed lines, ``whole`` whether it ended with [DONE]."""

    def __init__(self, url: str, **changes: Any) -> None:
        super().__init__(daemon=True)
        self._url, self._request = url, {**LONG, **changes}
        self.events: list[dict[str, Any]] = []
        self.whole = False
        self.start()
        until(lambda: len(self.events) > 1 or not self.is_alive())

    def run(self) -> None:
        with httpx.stream("POST", f"{self._url}/v1/chat/completions", json=self._request, timeout=PATIENCE) as answer:
            for line in answer.iter_lines():
                self.whole = line == "data: [DONE]"
                if line.startswith("data: {"):
                    self.events.append(json.loads(line.removeprefix("data: ")))
                if self.whole:
                    break

    @property
    def reason(self) -> str | None:
        """Why the choice ended, as its last chunk says."""
        return self.events[-1]["choices"][0]["finish_reason"] if "choices" in self.events[-1] else None


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_idle_server_ends_at_once_and_well(model: Path, number: int) -> None:
    with ServeProcess(command(model)) as server:
        assert server.http.get("/health").status_code == 200
        server.signal(number)
        assert server.end() == 0


def test_texts_under_way_are_finished_and_nothing_new_begins(model: Path, tmp_path: Path) -> None:
    go_on = tmp_path / "go on"
    waiting = SLOW + (
        f"import pathlib\ngo_on, slow = pathlib.Path({str(go_on)!r}), e.Engine.step\n"
        "e.Engine.step = lambda self: step(self) if go_on.exists() else slow(self)\n"
    )
    with ServeProcess(command(model, before=waiting)) as server:
        streams = [Reader(server.url, seed=seed) for seed in range(3)]
        server.signal()
        until(lambda: server.http.get("/health").status_code == 503)
        late = server.http.post("/v1/chat/completions", json=LONG)
        assert (late.status_code, "retry-after" in late.headers) == (503, True)
        assert late.json()["error"]["type"] == "overloaded"
        go_on.touch()
        for stream in streams:
            stream.join(PATIENCE)
            assert (stream.whole, stream.reason) == (True, "length")
        assert server.end() == 0


def test_what_is_not_done_in_time_is_cut_off_and_told_so(model: Path) -> None:
    with ServeProcess(command(model, "--timeout-graceful-shutdown", "0.3", before=SLOW)) as server:
        stream = Reader(server.url)
        server.signal()
        stream.join(PATIENCE)
        assert stream.whole
        assert stream.events[-1]["error"]["type"] == "overloaded"
        assert server.end() == 0


def test_a_second_signal_does_not_wait(model: Path) -> None:
    with ServeProcess(command(model, "--timeout-graceful-shutdown", "1000", before=SLOW)) as server:
        stream = Reader(server.url)
        server.signal(signal.SIGINT)
        until(lambda: any("finishing 1 completions" in line for line in server.said))
        server.signal(signal.SIGINT)
        stream.join(PATIENCE)
        assert stream.whole
        assert "error" in stream.events[-1]
        assert server.end() == 0


def test_a_client_that_is_killed_frees_its_slot(model: Path) -> None:
    script = (
        "import httpx, sys\n"
        f"post = {{'method': 'POST', 'url': sys.argv[1] + '/v1/chat/completions', 'json': {LONG!r}}}\n"
        f"with httpx.stream(**post, timeout={PATIENCE}) as answer:\n"
        "    for line in answer.iter_lines(): print('.', flush=True)\n"
    )
    with ServeProcess(command(model, "--max-num-seqs", "1", "--max-queue", "0", before=SLOW)) as server:
        client = subprocess.Popen([sys.executable, "-c", script, server.url], stdout=subprocess.PIPE)
        assert client.stdout is not None
        assert client.stdout.readline() == b".\n"
        short = {**LONG, "max_tokens": 1, "stream": False}
        assert server.http.post("/v1/chat/completions", json=short).status_code == 503, "its only slot is taken"
        client.kill()
        client.wait()
        until(lambda: server.http.post("/v1/chat/completions", json=short).status_code == 200)
        server.signal()
        assert server.end() == 0


def test_clients_that_say_half_or_read_nothing_do_not_hold_up_the_end(model: Path) -> None:
    with ServeProcess(command(model, before=SLOW)) as server:
        host, port = server.url.removeprefix("http://").split(":")
        lines = [socket.create_connection((host, int(port))) for _ in range(3)]
        lines[1].sendall(b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-")
        lines[2].sendall(
            b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b"Content-Length: 100\r\n\r\n{"
        )
        server.signal()
        assert server.end() == 0
        for line in lines:
            line.close()


def test_a_dead_engine_ends_the_server_with_a_failure(model: Path) -> None:
    poison = (
        SLOW + "import frspec.engine.service as s\ns.Service._publish = lambda self: 1 / 0 if self._jobs else None\n"
    )
    with ServeProcess(command(model, before=poison)) as server:
        try:
            answer = server.http.post("/v1/completions", json={"prompt": "once", "max_tokens": 5})
            assert answer.status_code in (500, 503)
        except httpx.HTTPError:
            pass
        assert server.process.wait(PATIENCE) == 1
        until(lambda: any("the engine has died" in line for line in server.said))
