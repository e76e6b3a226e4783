"""A server that says what a test tells it to, in the shapes of ours: the page's other half."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

from frspec.server.static import add_page


@dataclass(frozen=True)
class Pass:
    """One target pass: the drafts that were right, the target's own token, and drafts that were wrong."""

    own: str
    accepted: tuple[str, ...] = ()
    rejected: tuple[tuple[int, str], ...] = ()  # (index of the parent on the accepted path, text)

    def round(self, root: str) -> dict[str, Any]:
        """The verified tree."""
        texts = [root, *self.accepted, *(text for _, text in self.rejected)]
        path = list(range(len(self.accepted) + 1))
        parents = [0, *path[:-1], *(parent for parent, _ in self.rejected)]
        depths = [*path, *(parent + 1 for parent, _ in self.rejected)]
        guessed = (
            len(self.accepted),
            self.own,
        ) in self.rejected  # the token that ends a text may be, and isn't accepted
        own = texts.index(self.own, len(path)) if guessed else -1
        return {
            "tokens": list(range(len(texts))), "texts": texts, "parents": parents, "depths": depths, "path": path,
            "emitted": [*path[1:], own], "draft_seconds": 0.001, "verify_seconds": 0.003,
        }  # fmt: skip


@dataclass(frozen=True)
class Answer:
    """What the mock says to one request; ``passes`` without end go on until the client leaves."""

    passes: Iterable[Pass] = ()
    first: str = ""  # the prompt's own pass: a token without a tree
    pause: float = 0.0
    finish_reason: str = "stop"
    status: int = 200
    error: str | None = None  # with status 200: in the middle of the stream
    headers: dict[str, str] = field(default_factory=dict)
    cut: bool = False  # the connection breaks off at the end
    trees: bool = True


class Mock:
    """The server's state: what it will say, what it was asked, who has left."""

    def __init__(self) -> None:
        self.answers: list[Answer] = []
        self.requests: list[dict[str, Any]] = []
        self.left = threading.Event()
        self.key: str | None = None
        self.url = ""
        self.reports: list[str] = []
        self.app = FastAPI()
        add_page(self.app)
        self.app.add_api_route("/v1/models", self._models)
        self.app.add_api_route("/v1/chat/completions", self._chat, methods=["POST"])

    @contextmanager
    def serve(self, app: Any = None) -> Iterator[None]:
        """On a free port of the loopback; ``app`` goes around the mock's own."""
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
            config = uvicorn.Config(app or self.app, log_level="critical", timeout_graceful_shutdown=1)
            server = uvicorn.Server(config)
            thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
            thread.start()
            try:
                yield
            finally:
                server.should_exit = True
                thread.join(10)

    def _stranger(self, request: Request) -> Response | None:
        if self.key and request.headers.get("authorization") != f"Bearer {self.key}":
            return _problem(401, "Invalid API key.")
        return None

    async def _models(self, request: Request) -> Response:
        models = {"object": "list", "data": [{"id": "mock-model", "object": "model", "max_model_len": 1024}]}
        return self._stranger(request) or JSONResponse(models)

    async def _chat(self, request: Request) -> Response:
        if stranger := self._stranger(request):
            return stranger
        self.requests.append(await request.json())
        answer = self.answers.pop(0)
        if answer.status != 200:
            return _problem(answer.status, answer.error or "", answer.headers)
        return StreamingResponse(self._stream(answer), media_type="text/event-stream")

    async def _stream(self, answer: Answer) -> AsyncIterator[str]:
        complete = False
        try:
            async for event in self._events(answer):
                yield f"data: {event if isinstance(event, str) else json.dumps(event)}\n\n"
            complete = True
        finally:
            if not complete:
                self.left.set()

    async def _events(self, answer: Answer) -> AsyncIterator[dict[str, Any] | str]:
        end = tokens = 0
        root = "<bos>"
        yield _chunk({"role": "assistant", "content": ""})
        for brought, verified in _rounds(answer):
            await asyncio.sleep(answer.pause)
            labels = []
            for text, depth in brought:
                end += len(text)
                labels.append({"id": 0, "end": end, "depth": depth})
            rounds = [verified.round(root)] if verified and answer.trees else []
            text = "".join(text for text, _ in brought)
            yield _chunk({"content": text}, {"tokens": labels, "rounds": rounds})
            tokens += len(brought)
            root = brought[-1][0]
        if answer.error:
            yield {"error": {"message": answer.error, "type": "internal_error", "param": None, "code": 500}}
        else:
            yield _chunk({}, finish_reason=answer.finish_reason)
            details = {"cached_tokens": 7}
            usage = {"prompt_tokens": 9, "completion_tokens": tokens, "total_tokens": tokens + 9}
            yield {"choices": [], "usage": {**usage, "prompt_tokens_details": details}}
        if not answer.cut:
            yield "[DONE]"


def _rounds(answer: Answer) -> Iterator[tuple[list[tuple[str, int]], Pass | None]]:
    """Texts with their depths, pass by pass."""
    if answer.first:
        yield [(answer.first, 0)], None
    for one in answer.passes:
        yield [*((text, depth) for depth, text in enumerate(one.accepted, 1)), (one.own, 0)], one


def _chunk(delta: dict[str, str], speculation: Any = None, finish_reason: str | None = None) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    return {"choices": [choice]} | ({"speculation": speculation} if speculation else {})


def _problem(status: int, message: str, headers: dict[str, str] | None = None) -> Response:
    error = {"message": message, "type": "error", "param": None, "code": None}
    return JSONResponse({"error": error}, status, headers)
