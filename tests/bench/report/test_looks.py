"""The page in a browser: on a phone, in the dark, without a network and without scripts."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from frspec.bench.report import write
from tests.bench.report.hostile import hostile_report
from tests.server.page.conftest import PATIENCE, chromium, watch
from tests.server.page.looks import check_looks, is_bright


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("page") / "report.html"
    write(hostile_report(), file)
    return file


def show(context: BrowserContext, file: Path, complaints: list[str]) -> Page:
    """The page, with what the browser says about it and every address it asks for but its own."""
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    watch(page, complaints)
    page.on("console", lambda line: complaints.append(line.text))
    page.on("request", lambda request: complaints.append(request.url) if request.url != file.as_uri() else None)
    page.goto(file.as_uri())
    return page


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_fits_and_can_be_read(browser: Browser, file: Path, scheme: str, width: int) -> None:
    complaints = list[str]()
    context = browser.new_context(viewport={"width": width, "height": 740}, color_scheme=scheme, offline=True)  # type: ignore[arg-type]
    page = show(context, file, complaints)
    assert is_bright(page) == (scheme == "light")
    page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    check_looks(page, width, scrolls=".scroll", texts=100)
    for chart in page.locator(".plot > svg").all():
        box = chart.bounding_box()
        assert box is not None
        assert min(box["width"], box["height"]) > 200, "whatever font the labels beside it are in"
        labels = chart.locator("text.x:not(.strong)").evaluate_all(
            "all => all.map((e) => e.getBoundingClientRect()).map((box) => [box.left, box.right])"
        )
        assert all(right < left for (_, right), (left, _) in pairwise(labels)), labels
    context.close()
    assert not complaints


def test_without_scripts(browser: Browser, file: Path) -> None:
    complaints = list[str]()
    context = browser.new_context(java_script_enabled=False, offline=True)
    page = show(context, file, complaints)
    closed = page.locator("details:not([open]) table").first
    assert not closed.is_visible()
    page.locator("details:not([open]) summary").first.click()
    assert page.locator("details[open] table").nth(1).is_visible()
    assert page.locator("h1").inner_text().startswith("</script><img")
    context.close()
    assert not complaints
