"""The page at ``/``: which files it is made of, and what a browser may do with them.

Knows: the files in ``page/``, HTTP caching, the Content-Security-Policy. Does not know: requests to the model, keys.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from fastapi import FastAPI, Request, Response

FOLDER = Path(__file__).parent / "page"
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
# Only files of ours run or style anything, only this server is talked to, nobody frames the page, and text can't become
# HTML even by a mistake of ours: Trusted Types make assigning to innerHTML and its like an error.
POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    ]
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",  # kept, but asked about each time: an upgraded server never meets an old page
}


@dataclass(frozen=True)
class Asset:
    """One file of the page as it goes out."""

    body: bytes
    headers: dict[str, str]

    @staticmethod
    def read(file: Path) -> Asset:
        """The file with its headers; its tag is the hash of what is in it."""
        body = file.read_bytes()
        tag = f'"{sha256(body).hexdigest()[:32]}"'
        return Asset(body, {**HEADERS, "Content-Type": TYPES[file.suffix], "ETag": tag})

    def answer(self, request: Request) -> Response:
        """The file, or 304 where the browser has this very one. (A HEAD's body is dropped by the server.)"""
        known = [tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")]
        if self.headers["ETag"] in known or known == ["*"]:
            return Response(status_code=304, headers=self.headers)
        return Response(self.body, headers=self.headers)


def add_page(app: FastAPI) -> None:
    """Serve the page at ``/`` and its files below ``/page/``; they are read once, here, and hold no secret.

    The page names its files and the API relative to itself, so it works below any ``root_path``.
    """
    assets = {file.name: Asset.read(file) for file in sorted(FOLDER.iterdir()) if file.suffix in TYPES}
    for name, asset in assets.items():
        path = "/" if name == "index.html" else f"/page/{name}"
        app.add_api_route(path, asset.answer, methods=["GET", "HEAD"], include_in_schema=False)
