"""What a person does with the page."""

from playwright.sync_api import Locator, Page, expect


def ask(page: Page, text: str) -> None:
    """Write a message and send it."""
    page.get_by_label("Message", exact=True).fill(text)
    page.keyboard.press("Enter")


def answer(page: Page, index: int = -1) -> Locator:
    """An answer, the last one if it isn't said which."""
    return page.locator(".answer").nth(index)


def wait(page: Page) -> None:
    """Until the last answer is complete."""
    page.locator(".turn:last-child .actions").wait_for()


def converse(page: Page, text: str) -> Locator:
    """Ask and wait; the answer."""
    count = page.locator(".turn").count()
    ask(page, text)
    expect(page.locator(".turn .actions")).to_have_count(count + 1)
    return answer(page)
