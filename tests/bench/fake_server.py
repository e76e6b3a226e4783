"""An OpenAI-compatible server of the standard library alone: it repeats the prompt word by word.

A word of the prompt may ask for a fault. ``python fake_server.py PORT`` runs one.
"""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any

GAP = 0.004
"""Seconds between two words."""


class FakeServer(ThreadingHTTPServer):
    """owner: whose it says it is. counted: whether it has /metrics and usage. twist: words it adds.

    ``bodies`` and ``keys`` are what it was asked and with which Authorization, ``most`` how often at one time.
    """

    daemon_threads = True

    def __init__(self, owner: str = "someone", counted: bool = True, twist: str = "", port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.owner, self.counted, self.twist = owner, counted, twist
        self.bodies: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        self.counts = Counter[str]()
        self.now = self.most = 0
        self.lock = Lock()
        Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    """One request a connection."""

    protocol_version = "HTTP/1.1"
    server: FakeServer

    def log_message(self, *_: object) -> None:
        """Silence."""

    def do_GET(self) -> None:
        """What there is to know of it."""
        if self.path == "/v1/models":
            self._answer({"object": "list", "data": [{"id": "parrot", "owned_by": self.server.owner}]})
        elif self.path == "/version":
            self._answer({"version": "7.0"})
        elif self.path == "/metrics" and self.server.counted:
            counts = {f"{self.server.owner}:{name}_total": value for name, value in self.server.counts.items()}
            lines = [f'# TYPE {name} counter\n{name}{{m="x"}} {value}.0\n' for name, value in counts.items()]
            self._send(200, "text/plain", "".join(lines).encode())
        else:
            self._answer({"error": {"message": "no such path"}}, 404)

    def do_POST(self) -> None:
        """A stream of the prompt's own words."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        server = self.server
        with server.lock:
            server.bodies.append({"path": self.path} | body)
            server.keys.append(self.headers["Authorization"])
            server.now += 1
            server.most = max(server.most, server.now)
        prompt = body["prompt"] if "prompt" in body else body["messages"][-1]["content"]
        try:
            self._stream([*prompt.split(), *server.twist.split()], body["max_tokens"], chat="messages" in body)
        finally:
            with server.lock:
                server.now -= 1

    def _stream(self, words: list[str], most: int, chat: bool) -> None:
        if "refuse" in words:
            return self._answer({"error": {"message": "not this\none"}}, 400)
        if "html" in words:
            return self._send(502, "text/html", b"<h1>Bad gateway</h1>")
        words = words[:most]
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.send_header("Connection", "close")
        self.end_headers()
        if chat:
            self._event({"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]})
        for number, word in enumerate(words):
            time.sleep(GAP)
            if word == "vanish":
                self.connection.close()
                return None
            if word == "fail":
                self._event({"error": {"message": "it broke", "code": 500}})
                return self._end()
            text = word if number == 0 else " " + word
            piece = {"delta": {"content": text}} if chat else {"text": text}
            last = number == len(words) - 1
            self._event({"choices": [{"index": 0, **piece, "finish_reason": "stop" if last else None}]})
        if self.server.counted:
            self._event({"choices": [], "usage": {"completion_tokens": len(words)}})
            with self.server.lock:
                self.server.counts.update(
                    generation_tokens=len(words), spec_decode_num_drafts=1,
                    spec_decode_num_accepted_tokens=len(words) - 1,
                )  # fmt: skip
        return self._end()

    def _event(self, payload: dict[str, Any]) -> None:
        """In two chunks, for a piece need not be a whole event."""
        data = f"data: {json.dumps(payload)}\n\n".encode()
        for half in (data[: len(data) // 2], data[len(data) // 2 :]):
            self.wfile.write(b"%x\r\n%s\r\n" % (len(half), half))
        self.wfile.flush()

    def _end(self) -> None:
        done = b"data: [DONE]\n\n"
        self.wfile.write(b"%x\r\n%s\r\n0\r\n\r\n" % (len(done), done))
        self.close_connection = True

    def _answer(self, payload: dict[str, Any], status: int = 200) -> None:
        self._send(status, "application/json", json.dumps(payload).encode())

    def _send(self, status: int, kind: str, data: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(data)
        self.close_connection = True


if __name__ == "__main__":
    FakeServer("frspec", port=int(sys.argv[1]))
    print("ready", file=sys.stderr, flush=True)
    time.sleep(600)
