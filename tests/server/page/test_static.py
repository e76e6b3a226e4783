"""The page's files over HTTP, without a browser."""

import re
from html.parser import HTMLParser
from pathlib import Path

import httpx
import pytest

from frspec.server.static import FOLDER, HEADERS
from tests.server.page.mock import Mock

FILES = sorted(path for path in FOLDER.iterdir() if path.is_file())


def test_every_file_comes_with_its_type_and_the_policy(mock: Mock) -> None:
    types = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
    for path in FILES:
        answer = httpx.get(mock.url + ("" if path.suffix == ".html" else f"page/{path.name}"))
        assert answer.status_code == 200
        assert answer.headers["content-type"].split(";")[0] == types[path.suffix]
        assert answer.content == path.read_bytes()
        assert HEADERS.items() <= {name.title(): value for name, value in answer.headers.items()}.items()
        if path.suffix != ".svg":
            assert "charset=utf-8" in answer.headers["content-type"]


def test_what_the_browser_has_is_not_sent_again(mock: Mock) -> None:
    tag = httpx.get(mock.url).headers["etag"]
    for known in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        answer = httpx.get(mock.url, headers={"If-None-Match": known})
        assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", tag)
    assert httpx.get(mock.url, headers={"If-None-Match": '"other"'}).status_code == 200
    head = httpx.head(mock.url)
    assert (head.status_code, head.content) == (200, b"")
    assert int(head.headers["content-length"]) == (FOLDER / "index.html").stat().st_size


@pytest.mark.parametrize("path", ["page/", "page/nothing.js", "page/index.html", "page/..%2fstatic.py", "page/%00"])
def test_nothing_else_is_served(mock: Mock, path: str) -> None:
    assert httpx.get(mock.url + path).status_code == 404
    assert httpx.post(mock.url).status_code == 405


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))


def test_the_page_is_whole_and_its_own() -> None:
    tags = _Tags()
    tags.feed((FOLDER / "index.html").read_text())
    ids = [attributes["id"] for _, attributes in tags.seen if "id" in attributes]
    assert len(ids) == len(set(ids))
    names = {path.name for path in FILES}
    for tag, attributes in tags.seen:
        assert not [name for name in attributes if name.startswith("on") or name == "style"]
        assert tag != "style"
        assert tag != "script" or attributes.get("src")
        for name in ("src", "href"):
            address = attributes.get(name) or "#"
            assert address.startswith("#") or address.removeprefix("page/") in names  # relative, and there
        for name in ("for", "aria-controls", "aria-labelledby"):
            assert attributes.get(name) is None or attributes[name] in ids


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_no_file_refers_to_another_place(path: Path) -> None:
    addresses = re.findall(r"(?:https?:)?//[\w.-]+\.\w+[^\"'\s]*", path.read_text())
    assert set(addresses) <= {"http://www.w3.org/2000/svg"}  # a namespace: nothing is fetched from it
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|@import", path.read_text())


def test_every_module_is_imported_by_another_or_by_the_page() -> None:
    texts = {path.name: path.read_text() for path in FILES}
    for name in texts:
        assert name == "index.html" or any(name in text for other, text in texts.items() if other != name)
