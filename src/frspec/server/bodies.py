"""The bodies of requests: read whole before a route sees them, within a size and a time, and JSON.

Knows: bytes on their way in, whether the operator wants to read along. Does not know: what they say.
"""

from __future__ import annotations

import asyncio
import logging

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from frspec.server.errors import ApiError

log = logging.getLogger("frspec")
LINGER = 2.0
"""Seconds for which the rest of a body that is too large is read and dropped: a client that is still sending when the
connection closes may never see the answer."""
CLOSE = {"Connection": "close"}


class Bodies:
    """``most``: bytes of a body. ``seconds``: how long it may take to arrive. ``logged``: write each to the log.

    Only JSON is let through: browsers send other types across sites without asking first.
    """

    def __init__(self, app: ASGIApp, most: int, seconds: float, logged: bool) -> None:
        self._app, self._most, self._seconds, self._logged = app, most, seconds, logged

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            headers = Headers(scope=scope)
            body = await self._read(headers, receive)
            if body is None:
                return
            if body:
                _check_type(headers)
                if self._logged:  # as one line, whatever is in it
                    log.info("%r %r", scope["path"], body.decode("utf-8", "backslashreplace"))
        except ApiError as refusal:
            await refusal.response()(scope, receive, send)
            return
        await self._app(scope, _replay(body, receive), send)

    async def _read(self, headers: Headers, receive: Receive) -> bytes | None:
        """The whole body, or None when the client left."""
        length = headers.get("content-length", "0")
        too_large = ApiError(413, f"the body is larger than the {self._most} bytes this server takes", headers=CLOSE)
        if int(length) > self._most:
            if headers.get("expect") is None:
                await _drop(receive)
            raise too_large
        body = bytearray()
        try:
            async with asyncio.timeout(self._seconds):
                while True:
                    message = await receive()
                    if message["type"] != "http.request":
                        return None
                    body += message.get("body", b"")
                    if len(body) > self._most:
                        break
                    if not message.get("more_body", False):
                        return bytes(body)
        except TimeoutError:
            raise ApiError(408, f"the body did not arrive within {self._seconds:g} s", headers=CLOSE) from None
        del body
        await _drop(receive)
        raise too_large


async def _drop(receive: Receive) -> None:
    try:
        async with asyncio.timeout(LINGER):
            while (await receive()).get("more_body", False):
                pass
    except TimeoutError:
        pass


def _check_type(headers: Headers) -> None:
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise ApiError(415, f"the body is {kind or 'of no type'}; send JSON, with Content-Type: application/json")
    if encoding := headers.get("content-encoding"):
        raise ApiError(415, f"the body is encoded as {encoding}; send it as it is")


def _replay(body: bytes, receive: Receive) -> Receive:
    """``body`` as one message, then whatever else comes: the client's leaving."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def once() -> Message:
        return messages.pop() if messages else await receive()

    return once
