"""How a page looks: does it fit its window, can all of it be read."""

from pathlib import Path

from playwright.sync_api import Page

CONTRASTS = Path(__file__).with_name("contrasts.js").read_text()
READABLE = 4.5  # of text and what is behind it, by WCAG 2.2, level AA


def is_bright(page: Page) -> bool:
    """Whether it is dark on light."""
    background: str = page.evaluate("getComputedStyle(document.body).backgroundColor")
    return int(background.removeprefix("rgb(").split(",")[0]) > 128


def check_looks(page: Page, width: int, scrolls: str, texts: int) -> None:
    """In a window of ``width`` nothing stands outside, but what ``scrolls`` holds (a selector); more than ``texts``
    texts can be seen and read."""
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    outside = page.locator(f"body *:visible:not({scrolls} *)").evaluate_all(
        "(all, width) => all.filter((e) => e.getBoundingClientRect().right > width + 0.5).map((e) => e.outerHTML)",
        width,
    )
    assert not outside, outside
    contrasts = page.evaluate(CONTRASTS)
    assert len(contrasts) > texts
    faint = [(name, ratio) for name, ratio in contrasts if ratio < READABLE]
    assert not faint, faint
