"""The page on a phone, in the dark, below another path."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect
from starlette.applications import Starlette
from starlette.routing import Mount

from tests.server.page.conftest import PATIENCE, watch
from tests.server.page.looks import check_looks, is_bright
from tests.server.page.mock import Answer, Mock, Pass
from tests.server.page.person import ask, converse

LONG = Pass("own", ("a" * 300, " and", " so", " on"), tuple((depth, f" wrong{depth}") for depth in range(4)))


def talk(page: Page, mock: Mock) -> None:
    """A conversation in which everything there is to see can be seen."""
    deep = Pass(".", tuple(f" d{depth}" for depth in range(1, 8)), ((0, " no"), (1, " nor")))
    mock.answers += [Answer([LONG], first="Once", finish_reason="length"), Answer([LONG, deep], first="Once")]
    mock.answers += [Answer(status=503, error="The queue is full.")]
    converse(page, "A" * 200)
    converse(page, "Short.")
    ask(page, "Hello?")
    expect(page.locator("#notice")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_fits_and_can_be_read(browser: Browser, mock: Mock, scheme: str, width: int) -> None:
    context = browser.new_context(viewport={"width": width, "height": 740}, color_scheme=scheme)  # type: ignore[arg-type]
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    page.goto(mock.url)
    assert is_bright(page) == (scheme == "light")
    for state in ("empty", "conversation", "panel"):
        if state == "conversation":
            talk(page, mock)
        if state == "panel" and width < 960:
            page.get_by_role("button", name="Speculation and sampling").click()
        check_looks(page, width, scrolls="#tree", texts=5)
    page.locator("#tree").scroll_into_view_if_needed()
    if width == 360:
        assert page.locator("#tree").evaluate("tree => tree.scrollWidth > tree.clientWidth")
    context.close()


def test_the_switch_between_dark_and_light(page: Page, mock: Mock) -> None:
    def dark() -> bool:
        return bool(page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(22, 24, 27)")

    assert not dark()
    page.get_by_role("button", name="Dark colours").click()
    assert dark()
    page.reload()
    assert dark()
    page.get_by_role("button", name="Light colours").click()
    assert not dark()
    page.emulate_media(color_scheme="dark")  # back with the system, and it has changed its mind
    assert dark()


def test_the_panel_on_a_phone(page: Page, mock: Mock) -> None:
    page.set_viewport_size({"width": 360, "height": 740})
    expect(page.locator("#panel")).to_be_hidden()
    mock.answers += [Answer([LONG], first="Once")]
    converse(page, "Hello?")
    page.locator("#glance").click()
    expect(page.locator("#tree svg")).to_be_visible()
    expect(page.get_by_role("button", name="Close")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator("#panel")).to_be_hidden()
    expect(page.locator("#glance")).to_be_focused()
    small = page.locator("button:visible").evaluate_all(
        "all => all.filter(b => Math.min(b.offsetHeight, b.offsetWidth) < 24).map(b => b.id || b.textContent)"
    )
    assert not small


def test_below_another_path(context: BrowserContext, complaints: list[str]) -> None:
    mock = Mock()
    with mock.serve(Starlette(routes=[Mount("/some/where", mock.app)])):
        page = context.new_page()
        watch(page, complaints)
        page.goto(f"{mock.url}some/where/")
        mock.answers += [Answer([Pass(" there")], first="Hello")]
        assert converse(page, "Hello?").text_content() == "Hello there"
        expect(page.locator("#model")).to_contain_text("mock-model")
    assert not complaints


def test_nothing_moves_for_who_asked_for_that(page: Page, mock: Mock) -> None:
    mock.answers += [Answer([Pass("late")], pause=30)]
    ask(page, "Hello?")
    moving = "getComputedStyle(document.querySelector('.waiting'), '::before').animationName"
    assert page.evaluate(moving) == "breathe"
    page.emulate_media(reduced_motion="reduce")
    assert page.evaluate(moving) == "none"
    page.keyboard.press("Escape")
