"""A server that speaks OpenAI's API, as far as a conversation needs it.

Knows: HTTP, server-sent events, what servers' errors look like. Does not know: conversations, terminals.
Redirects are not followed: the key would go along.
"""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from frspec.errors import UserError

PATIENCE = 600.0
"""Seconds without a sign of life: a question may wait for its turn."""
LONGEST = 1 << 20
"""Characters of a line; no server of good will sends longer ones."""


class Remote:
    """The server at ``url``, with or without /v1 at its end; ``key`` is sent to it alone.

    Raises:
        UserError: when the URL is none, or the key could be none.
    """

    def __init__(self, url: str, key: str | None) -> None:
        try:
            parts = urlsplit(url)
            self._address = (parts.hostname or "").encode("idna").decode(), parts.port
        except ValueError as error:
            raise UserError(f"{url} is no server's address: {error}") from error
        wrong = not parts.hostname or parts.query or parts.username or not parts.path.isascii()
        if parts.scheme not in ("http", "https") or wrong:
            raise UserError(f"{url} is no server's address; give one such as http://127.0.0.1:8000")
        if key is not None and not (key.isascii() and key.isprintable()):
            raise UserError("the API key holds characters that no header can hold; is it the one the server was given?")
        self.url, self._secure = url, parts.scheme == "https"
        self._path = parts.path.rstrip("/").removesuffix("/v1") + "/v1/"
        self._headers = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
        if key is not None:
            self._headers["Authorization"] = f"Bearer {key}"

    def models(self) -> list[dict[str, Any]]:
        """What the server says it serves.

        Raises:
            UserError: when it can't be asked, or serves nothing.
        """
        with self._asked("GET", "models", None) as answer:
            models = self._parsed(answer.read(LONGEST)).get("data")
        if not (isinstance(models, list) and models and all(isinstance(m, dict) and "id" in m for m in models)):
            raise UserError(f"{self.url} does not say which models it serves; is it a server with OpenAI's API?")
        return models

    def chat(self, request: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """The chunks of an answer as they come. Closing the iterator closes the connection: the server stops.

        Raises:
            UserError: with the server's own words when it refuses, or when the answer breaks off.
        """
        with self._asked("POST", "chat/completions", json.dumps({**request, "stream": True})) as answer:
            while line := answer.readline(LONGEST):
                data = line.strip().removeprefix(b"data:").strip()
                if data == b"[DONE]":
                    return
                if line.startswith(b"data:"):
                    chunk = self._parsed(data)
                    if "error" in chunk:
                        raise UserError(f"{self.url} ended the answer: {_message(chunk)}")
                    yield chunk
        raise UserError(f"{self.url} broke off in the middle of the answer")

    @contextmanager
    def _asked(self, method: str, what: str, body: str | None) -> Iterator[http.client.HTTPResponse]:
        make = http.client.HTTPSConnection if self._secure else http.client.HTTPConnection
        connection = make(*self._address, timeout=PATIENCE)
        try:
            connection.request(method, self._path + what, body and body.encode(), self._headers)
            answer = connection.getresponse()
            if answer.status != 200:
                raise UserError(self._refusal(answer))
            yield answer
        except (OSError, http.client.HTTPException) as error:
            raise UserError(f"cannot talk with {self.url}: {_reason(error)}; does a server run there?") from error
        finally:
            connection.close()

    def _parsed(self, content: bytes) -> dict[str, Any]:
        try:
            parsed = json.loads(content)
        except ValueError as error:
            raise UserError(f"{self.url} sends what is not JSON; is it a server with OpenAI's API?") from error
        if not isinstance(parsed, dict):
            raise UserError(f"{self.url} sends no JSON object; is it a server with OpenAI's API?")
        return parsed

    def _refusal(self, answer: http.client.HTTPResponse) -> str:
        try:
            message = _message(self._parsed(answer.read(LONGEST)))
        except UserError:
            message = answer.reason
        hint = "; give --api-key or set FRSPEC_API_KEY" if answer.status == 401 else ""
        return f"{self.url} refuses ({answer.status}): {message}{hint}"


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return f"not a word in {PATIENCE:g} s"
    return (isinstance(error, OSError) and error.strerror) or str(error) or type(error).__name__


def _message(body: Mapping[str, Any]) -> str:
    error = body.get("error", body)
    found = error.get("message", error) if isinstance(error, dict) else error
    return plain(str(found))


def plain(text: str) -> str:
    """``text`` as one line that steers no terminal: others wrote it."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())
