"""The page by keyboard, for a screen reader, with long answers."""

from itertools import repeat

import pytest
from playwright.sync_api import Page, expect

from tests.server.page.mock import Answer, Mock, Pass
from tests.server.page.person import answer, ask, converse

TREE = Pass("own", (" and", " so", " on"), ((0, " wrong"),))


def test_by_keyboard_alone(page: Page, mock: Mock) -> None:
    expect(page.get_by_label("Message", exact=True)).to_be_focused()
    page.keyboard.type("Two")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("lines")
    mock.answers += [Answer(repeat(Pass(" on", (" and",))), first="On", pause=0.01), Answer([TREE, TREE], first="Once")]
    page.keyboard.press("Enter")
    expect(answer(page)).to_contain_text("On and on")
    expect(page.get_by_label("Message", exact=True)).to_be_focused()
    assert mock.requests[0]["messages"][0]["content"] == "Two\nlines"
    page.keyboard.press("Escape")
    expect(page.locator(".why")).to_have_text("Stopped.")
    for name in ("Same seed", "Again"):
        page.keyboard.press("Shift+Tab")
        focused = page.get_by_role("button", name=name)
        expect(focused).to_be_focused()
        assert focused.evaluate("button => getComputedStyle(button).outlineWidth") == "2px"
    page.keyboard.press("Enter")
    expect(page.locator(".actions")).to_be_visible()
    expect(page.locator("#scroller")).to_be_focused()
    names = []
    for _ in range(30):
        page.keyboard.press("Tab")
        names.append(page.evaluate("document.activeElement.id || document.activeElement.name"))
    wanted = [
        "message",
        "send",
        "earlier",
        "tree",
        "system",
        "temperature",
        "seed",
        "top_p",
        "new",
        "theme",
        "scroller",
    ]
    assert [name for name in names if name in wanted][: len(wanted)] == wanted


def test_a_screen_reader_hears_the_answer_once(page: Page, mock: Mock) -> None:
    page.evaluate(
        """() => { window.said = []; const spoken = document.querySelector("[role=status]");
        new MutationObserver(() => said.push(spoken.textContent)).observe(spoken, { childList: true }) }"""
    )
    mock.answers += [Answer([Pass(" on", (" and",))] * 10, first="On", pause=0.01)]
    converse(page, "Go on.")
    assert page.evaluate("said") == ["Answering.", "On" + " and on" * 10 + " "]
    live = page.locator(".answer").evaluate("a => a.closest('[aria-live], [role=status], [role=log], [role=alert]')")
    assert live is None
    unnamed = page.locator("button:visible, input:visible, textarea:visible").evaluate_all(
        "all => all.filter(e => !(e.labels?.length || e.ariaLabel || e.textContent.trim())).length"
    )
    assert unnamed == 0


def test_a_long_answer_is_only_added_to(page: Page, mock: Mock) -> None:
    mock.answers += [Answer([Pass(" on\n", (" and",), ((0, " or"),))] * 1500, first="On")]
    page.evaluate(
        """() => { window.removed = 0; window.frames = new Set();
        new MutationObserver((changes) => { for (const c of changes) removed += c.removedNodes.length;
          frames.add(document.timeline.currentTime) })
        .observe(document.getElementById("turns"), { childList: true, subtree: true }) }"""
    )
    ask(page, "Go on.")
    page.locator(".actions").wait_for()
    text = answer(page).text_content() or ""
    assert text == "On" + " and on\n" * 1500
    assert page.evaluate("removed") == 0
    assert page.evaluate("frames.size") < 1500  # several chunks a frame
    assert page.evaluate("scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight") < 2
    assert page.locator("#tree svg").count() == 1
    heights = answer(page).locator("> div").evaluate_all("blocks => blocks.map((block) => block.clientHeight)")
    assert len(heights) > 5  # of which only the last one is laid out anew
    line = answer(page).evaluate("answer => parseFloat(getComputedStyle(answer).lineHeight)")
    assert sum(heights) == pytest.approx(1500 * line, rel=1e-3)  # as many lines as in one piece


def test_who_reads_further_up_is_left_in_peace(page: Page, mock: Mock) -> None:
    mock.answers += [Answer(repeat(Pass(" on\n")), first="On", pause=0.005)]
    ask(page, "Go on for ever.")
    expect(answer(page)).to_contain_text("on\n" * 60)
    page.locator("#scroller").evaluate("scroller => scroller.scrollTo(0, 100)")
    page.locator("#newest").wait_for()
    length = len(answer(page).text_content() or "")
    expect(answer(page)).to_contain_text("on\n" * (length // 4 + 40))
    assert page.locator("#scroller").evaluate("scroller => scroller.scrollTop") == 100
    page.locator("#newest").click()
    page.keyboard.press("Escape")
    page.locator(".actions").wait_for()
    expect(page.locator("#newest")).to_be_hidden()
    assert page.evaluate("scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight") < 2
