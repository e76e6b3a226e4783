"""From bytes and times to answers.

Knows: HTTP's framing (h11), server-sent events, OpenAI's objects. Does not know: who asked what, or why.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import h11

from frspec.bench.serving.client import Exchange

SHOWN = 160
"""Characters of a refusal that are repeated."""


@dataclass(frozen=True)
class Answer:
    """What one streamed completion came to. Times are on the client's clock: when it was asked for, when its first text
    came (None: it has none), and its last piece. ``tokens`` are the server's own count, end of sequence included.

    error: why it is no answer; the rest then means nothing.
    """

    sent: float
    first: float | None = None
    last: float = 0.0
    text: str = ""
    tokens: int = 0
    reason: str | None = None
    error: str | None = None


class NoAnswer(ValueError):  # noqa: N818 - a finding, not a mistake
    """What came back is not what was asked for; says why, in one line."""


def read_stream(exchange: Exchange) -> Answer:
    """The answer to a streamed chat or text completion."""
    try:
        return _answer(exchange)
    except NoAnswer as error:
        last = exchange.pieces[-1][0] if exchange.pieces else exchange.sent
        return Answer(exchange.sent, last=last, error=str(error))


def read_whole(exchange: Exchange) -> tuple[int, bytes]:
    """Status and body of what came back.

    Raises:
        NoAnswer: when it is broken off or no HTTP.
    """
    status, pieces = _reply(exchange)
    return status, b"".join(data for _, data in pieces)


def events(exchange: Exchange) -> Iterator[tuple[float, dict[str, Any]]]:
    """The JSON objects of a stream of events up to [DONE], with the time at which each was whole.

    Raises:
        NoAnswer: when there is no such stream, or at its end, when it is not whole.
    """
    status, pieces = _reply(exchange)
    if status != 200:
        raise NoAnswer(f"{status}: {_said(b''.join(data for _, data in pieces))}")
    rest = b""
    for time, data in pieces:
        *whole, rest = (rest + data).replace(b"\r\n", b"\n").split(b"\n\n")
        for event in whole:
            payload = event.removeprefix(b"data:").strip()
            if payload == b"[DONE]":
                return
            if event.startswith(b"data:"):
                yield time, parse(payload)
    raise NoAnswer("it ended without [DONE]")


def parse(data: bytes) -> dict[str, Any]:
    """A JSON object.

    Raises:
        NoAnswer: when it is none.
    """
    try:
        value = json.loads(data)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise NoAnswer(f"it wrote what is no answer: {data.decode(errors='replace').strip()[:SHOWN]!r}")
    return value


def _answer(exchange: Exchange) -> Answer:
    first, last, text, reason, tokens = None, exchange.sent, "", None, None
    for time, event in events(exchange):
        if "error" in event:
            raise NoAnswer(_said(event))
        for choice in event.get("choices", ()):
            piece = choice.get("text") or choice.get("delta", {}).get("content") or ""
            text, last, reason = text + piece, time, choice.get("finish_reason") or reason
            first = time if piece and first is None else first
        tokens = (event.get("usage") or {}).get("completion_tokens", tokens)
    if reason is None or tokens is None:
        raise NoAnswer(f"it ended without {'a finish reason' if reason is None else 'its usage'}")
    return Answer(exchange.sent, first, last, text, tokens, reason)


def _reply(exchange: Exchange) -> tuple[int, list[tuple[float, bytes]]]:
    """Status and the pieces of the body, with their times."""
    status, pieces = 0, list[tuple[float, bytes]]()
    try:
        for time, event in _messages(exchange):
            if isinstance(event, h11.Response):
                status = event.status_code
            elif isinstance(event, h11.Data):
                pieces.append((time, bytes(event.data)))
            elif isinstance(event, h11.EndOfMessage):
                return status, pieces
    except h11.RemoteProtocolError as error:
        raise NoAnswer(f"it broke off or is no HTTP ({error})") from error
    raise NoAnswer(exchange.error or "it broke off")


def _messages(exchange: Exchange) -> Iterator[tuple[float, h11.Event]]:
    connection = exchange.connection
    for time, piece in [*exchange.pieces, (exchange.sent, b"")]:  # at last: the connection's end
        if piece or exchange.error is None:
            connection.receive_data(piece)
        while isinstance(event := connection.next_event(), h11.Event):
            yield time, event


def _said(answer: bytes | dict[str, Any]) -> str:
    """What an error says, of OpenAI's shape or another; of several lines the first."""
    if isinstance(answer, bytes):
        try:
            answer = parse(answer)
        except NoAnswer:
            answer = {"error": answer.decode(errors="replace").strip()}  # type: ignore[union-attr]
    error = answer.get("error", answer)
    message = error.get("message", error) if isinstance(error, dict) else error
    return (str(message).splitlines() or [""])[0][:SHOWN]
