"""What is let through to the routes: tried from outside, over sockets, on an app that has nothing else."""

from __future__ import annotations

import gzip
import json
import select
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request, Response

from frspec.server import bodies, security
from frspec.server.security import add_security, is_loopback, listens_to_loopback
from frspec.server.settings import Settings
from tests.patience import PATIENCE
from tests.server.living import living, said, status

KEY = "a-key-of-mine"
POST = b"POST /v1/echo HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"


def make(settings: Settings) -> FastAPI:
    app = FastAPI(openapi_url=None)

    async def hello() -> dict[str, str]:
        return {"hello": "you"}

    async def page() -> Response:
        return Response("<p>", headers={"Content-Security-Policy": "script-src 'self'"})

    async def echo(request: Request) -> Any:
        return await request.json()

    for path in ("/health", "/v1/models", "/metrics", "/page", "/healthy", "/v1/page/x"):
        app.add_api_route(path, hello)
    for path in ("/", "/page/x.js"):
        app.add_api_route(path, page)
    app.add_api_route("/v1/echo", echo, methods=["POST"])
    add_security(app, settings)
    return app


@contextmanager
def served(**settings: Any) -> Iterator[tuple[httpx.Client, tuple[str, int]]]:
    root = settings.get("root_path", "")
    with (
        living(make(Settings(**settings)), root) as address,
        httpx.Client(base_url=f"http://127.0.0.1:{address[1]}", timeout=PATIENCE) as http,
    ):
        yield http, address


@pytest.fixture(scope="module")
def plain() -> Iterator[tuple[httpx.Client, tuple[str, int]]]:
    with served(max_body_bytes=1000) as both:
        yield both


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


@pytest.mark.parametrize("root", ["", "/llm"])
def test_a_key_guards_everything_but_health_and_the_page(root: str) -> None:
    with served(api_keys=(KEY, "another"), root_path=root) as (http, _):
        for path in ("/health", "/", "/page/x.js"):
            assert http.get(path).status_code == 200, path
        for path in (
            "/v1/models",
            "/metrics",
            "/page",
            "/healthy",
            "/v1/page/x",
            "/nothing",
            "/health/",
            "/llm/health",
        ):
            refused = http.get(path)
            assert refused.status_code == 401, path
            assert refused.headers["www-authenticate"] == "Bearer"
            assert refused.json()["error"]["type"] == "authentication_error"
            assert refused.json()["error"]["code"] == "invalid_api_key"
        assert http.get("/v1/models", headers=bearer(KEY)).status_code == 200
        assert http.post("/v1/echo", json={}).status_code == 401
        assert http.post("/v1/echo", json={"a": 1}, headers=bearer("another")).json() == {"a": 1}
        assert http.options("/v1/models").status_code == 401


def test_what_is_no_key() -> None:
    with served(api_keys=(KEY,)) as (http, address):
        for wrong in ("", "Bearer", f"Basic {KEY}", KEY, f"Bearer {KEY[:-1]}", f"Bearer {KEY}x",
                      f"Bearer {KEY.upper()}", f"Bearer {KEY} {KEY}", "Bearer " + "x" * 5000):  # fmt: skip
            assert http.get("/v1/models", headers={"Authorization": wrong}).status_code == 401, wrong
        strange = b"GET /v1/models HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer \xff\xe9\r\nConnection: close\r\n\r\n"
        assert status(said(address, strange)) == 401
        twice = [("Authorization", "Bearer wrong"), ("Authorization", f"Bearer {KEY}")]
        assert http.get("/v1/models", headers=twice).status_code == 401
        assert http.get("/v1/models", headers={"Authorization": f"bearer  {KEY}"}).status_code == 200


def test_keys_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = []

    def compare(one: bytes, other: bytes) -> bool:
        compared.append((one, other))
        return one == other

    monkeypatch.setattr(security.hmac, "compare_digest", compare)
    keys = security.Keys(make(Settings()), ["first", "second", "third"])
    for presented, fits in (("first", True), ("third", True), ("f", False), ("x" * 9999, False)):
        compared.clear()
        assert keys._fits(f"Bearer {presented}") is fits
        assert len(compared) == 3, "every key, even after one has fitted"
        assert {len(side) for pair in compared for side in pair} == {32}, "digests, which tell no length"


def test_a_page_that_calls_itself_this_machine_is_refused() -> None:
    """DNS rebinding: the connection is to loopback, the name is not."""
    ask = "GET /v1/models HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n"

    def asked(address: tuple[str, int], host: str) -> int:
        return status(said(address, ask.format(host).encode()))

    own = ("127.0.0.1", "127.0.0.1:8000", "localhost", "LocalHost:1", "[::1]:8000", "[::1]", "127.0.0.2", "a.localhost")
    foreign = ("evil.example", "evil.example:8000", "localhost.evil.example", "10.0.0.1", "127.0.0.1.evil.example", "",
               "127.0.0.1:evil", "evil:127.0.0.1")  # fmt: skip
    with served() as (http, address):
        assert {asked(address, host) for host in own} == {200}
        assert {asked(address, host) for host in foreign} == {403}
        refused = http.get("/health", headers={"Host": "evil.example"})
        assert refused.json()["error"]["code"] == "host_not_allowed"
    with served(allowed_hosts=("llm.example",)) as (_, address):
        assert {asked(address, host) for host in (*own, "llm.example", "LLM.example:80")} == {200}
        assert {asked(address, host) for host in foreign} == {403}
    for settings in ({"allowed_hosts": ("*",)}, {"host": "0.0.0.0"}):
        with served(**settings) as (_, address):
            assert asked(address, "evil.example") == 200
    with served(api_keys=(KEY,)) as (http, _):
        assert http.get("/v1/models", headers={"Host": "evil.example", **bearer(KEY)}).status_code == 200


def test_what_loopback_is() -> None:
    assert all(map(is_loopback, ("localhost", "127.0.0.1", "127.8.9.1", "::1", "[::1]", "x.localhost")))
    assert all(map(listens_to_loopback, ("127.1", "::ffff:127.0.0.1", "localhost", "127.0.0.1")))
    assert not any(map(listens_to_loopback, ("", "0.0.0.0", "::", "::ffff:10.0.0.1", "no such host")))
    assert not any(map(is_loopback, ("", "0.0.0.0", "::", "10.0.0.1", "example.org", "localhost.org", "127.0.0.1.org")))


def test_other_origins_are_told_nothing_unless_allowed(plain: tuple[httpx.Client, Any]) -> None:
    preflight = {
        "Origin": "https://a.example", "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type",
    }  # fmt: skip

    def allowed(answer: httpx.Response) -> str | None:
        return answer.headers.get("access-control-allow-origin")

    http, _ = plain
    assert allowed(http.get("/v1/models", headers={"Origin": "https://a.example"})) is None
    assert http.options("/v1/echo", headers=preflight).status_code == 405
    with served(allowed_origins=("https://a.example",), api_keys=(KEY,)) as (http, _):
        asked = http.options("/v1/echo", headers=preflight)
        assert (asked.status_code, allowed(asked)) == (200, "https://a.example")
        assert "authorization" in asked.headers["access-control-allow-headers"].lower()
        assert allowed(http.get("/v1/models", headers={"Origin": "https://a.example", **bearer(KEY)})) is not None
        assert allowed(http.get("/v1/models", headers={"Origin": "https://a.example"})) is not None, "it may read 401"
        other = {**preflight, "Origin": "https://b.example"}
        refused = http.options("/v1/echo", headers=other)
        assert (refused.status_code, allowed(refused)) == (400, None)
    with served(allowed_origins=("*",)) as (http, _):
        assert allowed(http.get("/v1/models", headers={"Origin": "https://b.example"})) == "*"


def test_only_json_comes_in(plain: tuple[httpx.Client, Any]) -> None:
    """What a browser may send across sites without asking is text, forms, or nothing said."""
    http, _ = plain
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "", "json"):
        refused = http.post("/v1/echo", content=b"{}", headers={"Content-Type": kind})
        assert refused.status_code == 415, kind
        assert refused.json()["error"]["type"] == "invalid_request_error"
    assert http.post("/v1/echo", content=b"{}").status_code == 415
    for kind in ("application/json", "Application/JSON; charset=utf-8", "application/json;charset=UTF-8"):
        assert http.post("/v1/echo", content=b"[1]", headers={"Content-Type": kind}).json() == [1]
    packed = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    assert http.post("/v1/echo", content=gzip.compress(b"{}"), headers=packed).status_code == 415


def test_bodies_have_an_end(plain: tuple[httpx.Client, tuple[str, int]], monkeypatch: pytest.MonkeyPatch) -> None:
    http, address = plain
    body = json.dumps("x" * 998)
    json_type = {"Content-Type": "application/json"}
    assert http.post("/v1/echo", content=body, headers=json_type).text == body, "1000 bytes exactly"

    def pieces(count: int) -> Iterator[bytes]:
        yield from (b"x" * 100 for _ in range(count))

    chunked = http.post("/v1/echo", content=iter([body[:500].encode(), body[500:].encode()]), headers=json_type)
    assert chunked.text == body
    for content in (body + " ", "x" * 1_000_000, pieces(11), pieces(5000)):
        refused = http.post("/v1/echo", content=content, headers=json_type)
        assert refused.status_code == 413
        assert "1000 bytes" in refused.json()["error"]["message"]
        assert refused.headers["connection"] == "close"
    monkeypatch.setattr(bodies, "LINGER", 0.2)
    assert status(said(address, POST + b"Content-Length: 99999999999999\r\n\r\n")) == 413, "before any of it came"
    waiting = said(address, POST + b"Expect: 100-continue\r\nContent-Length: 2000\r\n\r\n")
    assert status(waiting) == 413, "and the client is not told to go on"
    assert http.get("/health").status_code == 200


@pytest.fixture
def hasty() -> Iterator[tuple[str, int]]:
    with served(max_body_bytes=1000, timeout_body=0.5) as (_, address):
        yield address


def test_half_bodies(hasty: tuple[str, int]) -> None:
    before = time.monotonic()
    half = said(hasty, POST + b"Content-Length: 10\r\n\r\n[1")
    assert status(half) == 408
    assert time.monotonic() - before >= 0.5
    assert status(said(hasty, POST + b"Transfer-Encoding: chunked\r\n\r\n2\r\n[1")) == 408
    with socket.create_connection(hasty) as line:
        line.sendall(POST + b"Content-Length: 1000\r\n\r\n")
        while not select.select([line], [], [], 0.05)[0]:
            line.sendall(b" ")
        assert status(line.recv(1000)) == 408, "a byte now and then does not help"


def test_lies_about_the_length(plain: tuple[httpx.Client, tuple[str, int]]) -> None:
    http, address = plain
    close = POST + b"Connection: close\r\n"
    assert said(address, close + b"Content-Length: 3\r\n\r\n[1][2]").endswith(b"[1]"), "the rest is another request"
    for garbage in (b"\x00\xff\x16\x03\x01", b"GET\r\n\r\n", b"GET / FTP/1.1\r\n\r\n",
                    POST + b"Content-Length: x\r\n\r\n", b"G" * 100_000,
                    POST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n",
                    POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n"):  # fmt: skip
        answer = said(address, garbage, b"\r\n\r\n")
        assert answer == b"" or status(answer) == 400, garbage[:50]
    assert http.get("/health").status_code == 200


def test_answers_say_what_a_browser_may_do_with_them(plain: tuple[httpx.Client, Any]) -> None:
    http, _ = plain
    for answer in (http.get("/v1/models"), http.get("/nothing"), http.post("/v1/echo", content=b"x")):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert "server" not in answer.headers
    assert http.get("/").headers["content-security-policy"] == "script-src 'self'", "the page's own"


def test_what_a_request_says_is_logged_only_if_asked(caplog: pytest.LogCaptureFixture) -> None:
    for wanted in (False, True):
        caplog.clear()
        with caplog.at_level(0), served(log_requests=wanted) as (http, _):
            assert http.post("/v1/echo", json={"prompt": "a private matter\n"}).status_code == 200
            http.post("/v1/echo", content=b'{"prompt":\n\n"another"}', headers={"Content-Type": "application/json"})
            http.post("/v1/%0A%1B[2Jforged", json={})
        ours = [record.getMessage() for record in caplog.records if record.name != "httpx"]
        assert any("a private matter" in line for line in ours) is wanted
        assert any("another" in line for line in ours) is wanted
        assert not any("\n" in line for line in ours), "one request, one line"
