"""What clients do to a server that they should not, and what it may answer.

Knows: bytes, sockets, statuses. Does not know: what proper requests come to.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from soak.served import KEY, PATIENCE, POISON_PASS, POISON_PICK, Served

STORY = {"messages": [{"role": "user", "content": "Tell me a story about a dog."}], "max_tokens": 60, "seed": 1}
LEFT, CLOSED = "left", "closed"
"""We closed the connection; the server did without an answer."""


@dataclass(frozen=True)
class Fault:
    """do: what happens, which returns a status, ``LEFT`` or ``CLOSED``; expected: which of these are right."""

    do: Callable[[Served, random.Random], Awaitable[str]]
    expected: frozenset[str]


def message(
    body: Any, *, key: str = KEY, path: str = "/v1/chat/completions", method: str = "POST", length: int | None = None
) -> bytes:
    """A request as it goes over the wire; length: what it says of its body's, if that is a lie."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\nConnection: close\r\n"
    head += f"Content-Type: application/json\r\nContent-Length: {len(data) if length is None else length}\r\n\r\n"
    return head.encode() + data


async def send(served: Served, data: bytes, leave_after: int | None = None) -> str:
    """The status of the answer to these bytes; ``leave_after``: close when so many bytes of it have come."""
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    answer = b""
    try:
        async with asyncio.timeout(PATIENCE):
            writer.write(data)
            with suppress(ConnectionResetError):  # an abort is an end, too
                while leave_after is None or len(answer) < leave_after:
                    if not (piece := await reader.read(4096)):
                        break
                    answer += piece
    finally:
        writer.transport.abort()
    if leave_after is not None and len(answer) >= leave_after:
        return LEFT
    words = answer.split(b" ", 2)
    if words[0] != b"HTTP/1.1":
        return CLOSED
    failed = b'data: {"error"' in answer and b"data: [DONE]" in answer
    return "failed in the stream" if failed else words[1].decode()


def asking(*expected: str, body: Any = None, **how: Any) -> Fault:
    """A request that is wrong in ``body`` (fields besides ``STORY``'s, or bytes) or in how it is sent."""

    async def do(served: Served, _: random.Random) -> str:
        return await send(served, message(body if isinstance(body, bytes) else {**STORY, **(body or {})}, **how))

    return Fault(do, frozenset(expected))


def leaving(stream: bool) -> Fault:
    """A client that is gone in the middle of the answer, or before it."""

    async def do(served: Served, chance: random.Random) -> str:
        after = chance.randrange(1, 4000) if stream else 0
        data = message({**STORY, "stream": stream, "ignore_eos": True})
        if stream:
            return await send(served, data, after)
        _, writer = await asyncio.open_connection("127.0.0.1", served.port)
        writer.write(data)
        await asyncio.sleep(chance.random() * 0.2)
        writer.transport.abort()
        return LEFT

    return Fault(do, frozenset({LEFT}))


async def _half_headers(served: Served, chance: random.Random) -> str:
    data = message(STORY)
    return await send(served, data[: chance.randrange(1, data.index(b"\r\n\r\n"))], leave_after=0)


async def _garbage(served: Served, chance: random.Random) -> str:
    return await send(served, chance.randbytes(chance.randrange(20, 2000)) + b"\r\n\r\n")


async def _chunked(served: Served, _: random.Random) -> str:
    """More than is allowed, without having said how much."""
    head, _, _ = message(b"").partition(b"Content-Length")
    chunk = b"4000\r\n" + b" " * 0x4000 + b"\r\n"
    return await send(served, head + b"Transfer-Encoding: chunked\r\n\r\n" + chunk * 8 + b"0\r\n\r\n")


SCHEMA = {
    "type": "json_schema",
    "json_schema": {"name": "a", "schema": {"type": "integer", "minimum": 5, "maximum": 3}},
}
FAULTS = {
    "leaves in the middle": leaving(stream=True),
    "leaves before the answer": leaving(stream=False),
    "half a head": Fault(_half_headers, frozenset({LEFT})),
    "half a body": asking("408", length=2000),
    "garbage": Fault(_garbage, frozenset({"400", CLOSED})),
    "too large": asking("413", body=b" " * 70_000),
    "says it is larger": asking("413", length=1 << 30),
    "too large, in chunks": Fault(_chunked, frozenset({"413"})),
    "no JSON": asking("400", body=b'{"messages": ['),
    "unknown field": asking("400", body={"best_of_three": 1}),
    "too long a prompt": asking("400", body={"messages": [{"role": "user", "content": "dog " * 3000}]}),
    "impossible schema": asking("400", body={"response_format": SCHEMA}),
    "wrong key": asking("401", key="sesame"),
    "unknown model": asking("404", body={"model": "another"}),
    "unknown path": asking("404", path="/v1/nothing"),
    "wrong method": asking("405", method="PUT"),
    "poisoned slot": asking("500", body={"seed": POISON_PICK, "ignore_eos": True}),
    "poisoned slot, streamed": asking(
        "failed in the stream", body={"seed": POISON_PICK, "ignore_eos": True, "stream": True}
    ),
    "poisoned pass": asking("500", body={"seed": POISON_PASS, "ignore_eos": True}),
}  # fmt: skip
