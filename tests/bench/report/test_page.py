"""The page as a parser sees it: figures where they belong, text as text, nothing that it would have to fetch."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

import pytest

from frspec.bench.report import check_output, write
from frspec.bench.report.words import number, percent, short
from frspec.errors import UserError
from frspec.ranking.figures import Report
from tests.bench.report.hostile import HOSTILE, hostile_report

VOID = {"meta", "line", "br"}
KNOWN = {
    "html", "head", "meta", "title", "style", "body", "header", "main", "section", "p", "h1", "h2", "dl", "div", "dt",
    "dd", "small", "ul", "li", "svg", "g", "line", "polyline", "circle", "text", "bdi", "table", "caption", "span",
    "thead", "tbody", "tr", "th", "td", "sup", "code", "details", "summary",
}  # fmt: skip


@dataclass
class Element:
    name: str
    attributes: dict[str, str | None]
    children: list[Element] = field(default_factory=list)
    words: str = ""

    def all(self, name: str) -> list[Element]:
        here = [child for child in self.children if child.name == name]
        return here + [found for child in self.children for found in child.all(name)]

    @property
    def text(self) -> str:
        return (self.words + "".join(child.text for child in self.children)).strip()


class Tree(HTMLParser):
    """Refuses what is not closed in the order it was opened."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.root = Element("", {})
        self.open = [self.root]
        self.feed(page)
        self.close()
        assert self.open == [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, dict(attrs))
        self.open[-1].children.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open[-1].children.append(Element(tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop().name == tag

    def handle_data(self, data: str) -> None:
        self.open[-1].words += data


@pytest.fixture(scope="module")
def report() -> Report:
    return hostile_report()


@pytest.fixture(scope="module")
def page(report: Report, tmp_path_factory: pytest.TempPathFactory) -> str:
    file = tmp_path_factory.mktemp("page") / "report.html"
    write(report, file)
    return file.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def tree(page: str) -> Element:
    return Tree(page).root


def everything(element: Element) -> list[Element]:
    return [element, *(found for child in element.children for found in everything(child))]


def test_text_stays_text(tree: Element, report: Report) -> None:
    assert {element.name for element in everything(tree)} - {""} <= KNOWN
    assert tree.all("h1")[0].text == HOSTILE[0]
    assert tree.all("title")[0].text == f"What {HOSTILE[0]} covers"
    words = [code.text for code in tree.all("code")]
    for text in HOSTILE:
        if text.isprintable():
            assert any(text in word for word in words), text
    assert {token.token for token in report.whole.missed} <= set(words)
    names = [header.text for header in tree.all("th") if header.attributes.get("scope") == "row"]
    assert {row.name for row in report.rows} <= set(names)


def test_it_needs_nothing_and_the_policy_says_so(tree: Element, page: str) -> None:
    for element in everything(tree):
        assert not {"src", "href", "srcset", "style", "action", "xlink:href"} & set(element.attributes)
        assert not any(name.startswith("on") for name in element.attributes)
    style = tree.all("style")[0].words
    assert "url(" not in style
    assert "@import" not in style
    policy = next(m.attributes["content"] for m in tree.all("meta") if "http-equiv" in m.attributes)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert policy == f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    assert page.index("Content-Security-Policy") < page.index("<style>")


def test_tables_and_pictures_can_be_heard(tree: Element) -> None:
    tables = tree.all("table")
    assert len(tables) > 6
    for table in tables:
        assert len(table.all("caption")) == 1
        assert table.all("caption")[0].text
        for row in table.all("tr"):
            assert row.all("th")
        assert {header.attributes.get("scope") for header in table.all("th")} == {"col", "row"}
        widths = {len(row.all("th")) + len(row.all("td")) for row in table.all("tr")}
        assert len(widths) == 1
    for picture in tree.all("svg"):
        role, hidden = picture.attributes.get("role"), picture.attributes.get("aria-hidden")
        inner = picture.attributes.get("viewbox") is not None
        assert hidden == "true" or inner or (role == "img" and picture.attributes["aria-label"])
    assert tree.all("html")[0].attributes["lang"] == "en"
    assert len(tree.all("h1")) == len(tree.all("main")) == 1


def test_the_figures_are_those_of_the_report(tree: Element, report: Report) -> None:
    cells = [[cell.text for cell in row.all("td")] for row in tree.all("table")[0].all("tr")[1:]]
    for row, text in zip(cells, report.rows, strict=True):
        assert row[0] == number(text.tokens)
        for cell, at in zip(row[1:], text.coverage, strict=True):
            assert cell == f"{percent(at.share)}best {percent(at.best)}"
    needed = [[cell.text for cell in row.all("td")] for row in tree.all("table")[1].all("tr")[1:]]
    assert needed[0][1] == f"{number(report.whole.needed[0].size)}best {number(report.whole.needed[0].best)}"


def test_lines_are_where_the_figures_are(tree: Element, report: Report) -> None:
    dots = [dot for dot in tree.all("circle") if report.rows[1].name in dot.text]
    assert len(dots) == len(report.rows[1].coverage)
    places = [(float(str(dot.attributes["cx"])[:-1]), float(str(dot.attributes["cy"])[:-1])) for dot in dots]
    assert places == sorted(places, key=lambda place: (place[0], -place[1]))
    assert all(0 <= x <= 100 and 0 <= y <= 100 for x, y in places)
    lines = [line for line in tree.all("polyline") if line.text == report.rows[1].name]
    points = [tuple(map(float, point.split(","))) for point in str(lines[0].attributes["points"]).split()]
    assert all(any(abs(x - px / 10) < 0.06 and abs(y - py / 10) < 0.06 for px, py in points) for x, y in places)


def test_words() -> None:
    assert [percent(x) for x in (0, 0.000001, 0.5, 0.97285, 0.999999, 1)] == [
        "0 %", "0.01 %", "50.00 %", "97.28 %", "99.99 %", "100 %",
    ]  # fmt: skip
    assert [short(n) for n in (7, 1024, 8192, 37937)] == ["7", "1k", "8k", "37.9k"]
    assert (number(None), number(1234567)) == ("–", "1,234,567")


@pytest.mark.parametrize("name", ["report.pdf", "report", "report.HTML"])
def test_other_files_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=re.escape(f"{name}; name a .html, .png or .svg file")):
        check_output(tmp_path / name)
