"""What the page says when something is wrong."""

import pytest
from playwright.sync_api import Page, expect

from tests.server.page.mock import Answer, Mock, Pass
from tests.server.page.person import answer, ask, converse, wait


def test_a_full_queue(page: Page, mock: Mock) -> None:
    mock.answers += [Answer(status=503, error="The queue is full.", headers={"Retry-After": "3"})]
    ask(page, "Hello?")
    expect(page.get_by_role("alert").filter(has_text="queue")).to_have_text("The queue is full. Try again in 3 s.")
    expect(page.get_by_label("Message", exact=True)).to_have_value("Hello?")
    mock.answers += [Answer([Pass("Yes?")])]
    page.get_by_label("Message", exact=True).press("Enter")
    wait(page)
    expect(page.locator("#notice")).to_be_hidden()
    assert mock.requests[-1]["messages"] == [{"role": "user", "content": "Hello?"}]


def test_a_full_context(page: Page, mock: Mock) -> None:
    mock.answers += [Answer([Pass("Yes?")]), Answer(status=400, error="The prompt has 1,030 tokens; 1,024 fit.")]
    converse(page, "Hello?")
    ask(page, "A long story.")
    expect(page.locator("#notice")).to_have_text("The prompt has 1,030 tokens; 1,024 fit.")
    expect(page.locator(".turn")).to_have_count(1)


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (Answer([Pass(" there")], first="Hello", error="This text is lost."), "This text is lost."),
        (Answer([Pass(" there")], first="Hello", cut=True), "The connection broke off before the answer was complete."),
        (Answer([Pass(" there")], first="Hello", finish_reason="length"), "Ended at the limit of tokens."),
    ],
    ids=["error", "cut", "length"],
)
def test_an_answer_that_does_not_end_well_stays(page: Page, mock: Mock, broken: Answer, said: str) -> None:
    mock.answers += [broken]
    assert converse(page, "Hello?").text_content() == "Hello there"
    expect(page.locator(".why")).to_have_text(said)


def test_a_proxy_that_answers_in_html(page: Page, mock: Mock) -> None:
    page.route("**/v1/chat/completions", lambda route: route.fulfill(status=502, body="<h1>Bad Gateway</h1>"))
    ask(page, "Hello?")
    expect(page.locator("#notice")).to_have_text("The server answered with status 502.")


def test_a_server_that_is_gone(page: Page, mock: Mock) -> None:
    page.route("**/v1/chat/completions", lambda route: route.abort("connectionrefused"))
    ask(page, "Hello?")
    expect(page.locator("#notice")).to_have_text("The server does not answer. Is it still running?")


def test_a_key_is_asked_for_and_kept_in_the_tab(page: Page, mock: Mock) -> None:
    mock.key = "secret"
    page.reload()
    field = page.get_by_label("API key")
    expect(page.locator("#key-problem")).to_have_text("")
    field.fill("wrong")
    page.keyboard.press("Enter")
    expect(page.locator("#key-problem")).to_have_text("The server does not know this key.")
    field.fill("two words")
    page.keyboard.press("Enter")
    expect(page.get_by_text("A key is made of")).to_be_visible()
    field.fill("secret")
    page.keyboard.press("Enter")
    expect(page.locator("#key")).to_be_hidden()
    expect(page.locator("#model")).to_contain_text("mock-model")
    page.reload()
    expect(page.locator("#model")).to_contain_text("mock-model")
    mock.answers += [Answer([Pass("Yes?")])]
    expect(converse(page, "Hello?")).to_have_text("Yes?")
    assert page.evaluate("JSON.stringify(localStorage)").count("secret") == 0
    mock.key = "changed"
    mock.answers += [Answer([Pass("Still here.")])]
    ask(page, "Hello again?")
    field.fill("changed")
    page.keyboard.press("Enter")
    wait(page)
    expect(answer(page)).to_have_text("Still here.")


def test_a_key_that_nobody_has(page: Page, mock: Mock) -> None:
    mock.key = "secret"
    ask(page, "Hello?")
    page.get_by_label("API key").wait_for()
    page.keyboard.press("Escape")
    expect(page.locator("#notice")).to_have_text("Invalid API key.")
    expect(page.get_by_label("Message", exact=True)).to_have_value("Hello?")
