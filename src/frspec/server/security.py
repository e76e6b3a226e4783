"""Who may talk to the server, and what of a request is let through to the routes.

Knows: keys, hosts, origins, sizes of bodies and how long they take. Does not know: what a request asks for.
Each of these is a plain ASGI middleware, so that streams flow through and a client that leaves is noticed behind them.
"""

from __future__ import annotations

import hmac
import socket
from collections.abc import Sequence
from hashlib import sha256
from ipaddress import ip_address

from fastapi import FastAPI
from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from frspec.server.bodies import Bodies
from frspec.server.errors import ApiError
from frspec.server.settings import Settings

HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "cache-control": "no-store",
}
"""Of every answer that doesn't say otherwise."""
OPEN = ("/", "/health")
OPEN_BELOW = "/page/"
"""What is served without a key: whether the server lives, and the page's files, which are the same for everybody and
hold nothing of the server's; a browser asks for them before its user could enter a key."""


def add_security(app: FastAPI, settings: Settings) -> None:
    """Put everything here before ``app``'s routes; the last one added is the first that a request meets."""
    app.add_middleware(
        Bodies, most=settings.max_body_bytes, seconds=settings.timeout_body, logged=settings.log_requests
    )
    if settings.api_keys:
        app.add_middleware(Keys, keys=settings.api_keys)
    if settings.allowed_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.allowed_origins,
            allow_methods=("GET", "POST"),
            allow_headers=("*",),
        )
    if settings.allowed_hosts or (listens_to_loopback(settings.host) and not settings.api_keys):
        app.add_middleware(Hosts, hosts=(settings.host, *settings.allowed_hosts))
    app.add_middleware(SafeHeaders)


def is_loopback(host: str) -> bool:
    """Whether ``host``, a name or an address (in brackets or not), is this machine to itself."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        address = ip_address(host.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback


def listens_to_loopback(host: str) -> bool:
    """Whether a server at ``host`` can be reached from this machine alone, whatever way that is written."""
    if not host or is_loopback(host):
        return bool(host)
    try:
        found = socket.getaddrinfo(host, None)
    except (OSError, UnicodeError):
        return False
    return all(is_loopback(str(address[0])) for *_, address in found)


class Keys:
    """Lets in who has one of the keys, as ``Authorization: Bearer KEY``; what is in ``OPEN`` needs none.

    Digests of one length are compared, every one of them and in constant time, so that the time an answer takes tells
    nothing about a key.
    """

    def __init__(self, app: ASGIApp, keys: Sequence[str]) -> None:
        self._app = app
        self._digests = [sha256(key.encode()).digest() for key in keys]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or _is_open(scope) or self._fits(Headers(scope=scope).get("authorization", "")):
            await self._app(scope, receive, send)
            return
        refusal = ApiError(
            401, "this server asks for an API key: send it as Authorization: Bearer KEY",
            code="invalid_api_key", headers={"WWW-Authenticate": "Bearer"},
        )  # fmt: skip
        await refusal.response()(scope, receive, send)

    def _fits(self, authorization: str) -> bool:
        scheme, _, key = authorization.partition(" ")
        digest = sha256(key.strip().encode("latin-1")).digest()
        found = [hmac.compare_digest(digest, known) for known in self._digests]
        return any(found) and scheme.lower() == "bearer"


def _is_open(scope: Scope) -> bool:
    path, root = scope["path"], scope.get("root_path", "")
    if root and path.startswith(f"{root}/"):
        path = path.removeprefix(root)
    return path in OPEN or path.startswith(OPEN_BELOW)


class Hosts:
    """Serves only requests for ``hosts`` and for loopback's own names, "*" for any.

    A web page may have its own name resolve to 127.0.0.1 and then talk to this server as if it had come from it (DNS
    rebinding); its requests still carry that name as their Host.
    """

    def __init__(self, app: ASGIApp, hosts: Sequence[str]) -> None:
        self._app, self._hosts = app, {host.lower() for host in hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or "*" in self._hosts or self._knows(Headers(scope=scope).get("host", "")):
            await self._app(scope, receive, send)
            return
        refusal = ApiError(
            403, "this server does not answer to the name in the Host header; its operator can add it with "
            "--allowed-hosts",
            code="host_not_allowed",
        )  # fmt: skip
        await refusal.response()(scope, receive, send)

    def _knows(self, header: str) -> bool:
        name, _, port = header.lower().rpartition(":")
        if not name or not port.isdigit():  # no port
            name = header.lower()
        return name in self._hosts or is_loopback(name)


class SafeHeaders:
    """Adds ``HEADERS`` where an answer does not set them itself."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_safely(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, send_safely)
