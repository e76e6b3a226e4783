"""Talking with the page: what it sends, what it shows, stopping, asking again."""

from itertools import repeat

import pytest
from playwright.sync_api import Page, expect

from tests.server.page.mock import Answer, Mock, Pass
from tests.server.page.person import answer, ask, converse, wait

FOX = [
    Pass(" fox", (" a", " red"), ((0, " the"), (1, " big"))),
    Pass(" ran", (), ((0, " sat"),)),
    Pass(".", (" over", " the", " hill")),
]


def test_two_turns_with_their_history(page: Page, mock: Mock) -> None:
    mock.answers += [Answer(FOX, first="Once"), Answer([Pass(" thanks.")], first="No")]
    expect(converse(page, "Tell me a story.")).to_have_text("Once a red fox ran over the hill.")
    assert converse(page, "Another?").text_content() == "No thanks."
    first, second = mock.requests
    assert first["model"] == "mock-model"
    assert (first["stream"], first["stream_options"], first["speculation"]) == (True, {"include_usage": True}, "tree")
    assert first["messages"] == [{"role": "user", "content": "Tell me a story."}]
    assert second["messages"] == [
        {"role": "user", "content": "Tell me a story."},
        {"role": "assistant", "content": "Once a red fox ran over the hill."},
        {"role": "user", "content": "Another?"},
    ]
    expect(page.locator("#welcome")).to_be_hidden()


def test_drafted_tokens_are_coloured_by_their_depth(page: Page, mock: Mock) -> None:
    deep = Pass("!", tuple(f" d{depth}" for depth in range(1, 9)))
    mock.answers += [Answer([*FOX, deep], first="Once")]
    said = converse(page, "Tell me a story.")
    shown = said.locator(".drafted").evaluate_all(
        "spans => spans.map(s => [s.textContent.trim(), s.title, s.className, getComputedStyle(s).boxShadow])"
    )
    assert [text for text, *_ in shown] == ["a", "red", "over", "the", "hill", *(f"d{i}" for i in range(1, 9))]
    ahead = [1, 2, 1, 2, 3, *range(1, 9)]
    assert [title for _, title, *_ in shown] == [f"guessed {depth} ahead" for depth in ahead]
    assert [names for *_, names, _ in shown] == [f"drafted d{min(depth, 6)}" for depth in ahead]
    assert len({line for *_, line in shown}) == 6  # each colour with a thickness of its own
    assert said.text_content() == "Once a red fox ran over the hill. d1 d2 d3 d4 d5 d6 d7 d8!"


def test_figures_and_tree(page: Page, mock: Mock) -> None:
    mock.answers += [Answer(FOX, first="Once")]
    converse(page, "Tell me a story.")
    expect(page.locator("#length")).to_have_text("2.67")  # 3 + 1 + 4 tokens in 3 passes
    expect(page.locator("#tokens")).to_have_text("9")
    expect(page.locator("#cached")).to_have_text("7 of 9")
    expect(page.locator("#draft-share")).to_have_text("25%")
    expect(page.locator("#depths li")).to_have_text(["1 ahead67%", "2 ahead100%", "3 ahead100%"])
    expect(page.locator("#pass")).to_have_text("pass 3 of 3")
    tree = page.locator("#tree svg")
    accepted = tree.locator(".node.accepted.draft")
    expect(accepted).to_have_text(["·over", "·the", "·hill"])
    expect(tree.locator(".node.own")).to_have_text(".")
    expect(tree.locator(".node.root")).to_have_text("·ran")
    page.get_by_role("button", name="Earlier pass").click()
    expect(tree.locator(".node.rejected")).to_have_text(["·sat"])
    expect(page.locator("#verdict")).to_have_text("1 guessed, 0 right, then the model's own token.")
    answer(page).locator(".drafted", has_text="red").click()
    expect(page.locator("#pass")).to_have_text("pass 1 of 3")
    expect(accepted).to_have_text(["·a", "·red"])
    expect(tree.locator(".node.rejected")).to_have_text(["·the", "·big"])
    rows = accepted.locator("rect").evaluate_all("boxes => boxes.map(box => box.getBBox().y)")
    assert len(set(rows)) == 1  # what was accepted reads as one line


def test_the_token_that_ends_a_text_may_have_been_guessed(page: Page, mock: Mock) -> None:
    mock.answers += [Answer([Pass("<end>", (" world",), ((1, "<end>"), (1, "!")))], first="Hello")]
    converse(page, "Hi")
    expect(page.locator("#tree .node.own")).to_have_text("<end>")
    expect(page.locator("#tree .node")).to_have_count(4)
    mock.answers += [Answer([Pass("", (" there",), ((1, "!"),))], first="Hello")]
    converse(page, "Hi again")
    expect(page.locator("#tree .node.own")).to_have_text("∎")


def test_a_server_that_does_not_draft(page: Page, mock: Mock) -> None:
    mock.answers += [Answer([Pass(" there"), Pass(".")], first="Hello")]
    assert converse(page, "Hi").text_content() == "Hello there."
    expect(page.locator("#plain")).to_be_visible()
    expect(page.locator("#tree-section")).to_be_hidden()
    expect(page.locator("#length")).to_have_text("1.00")


def test_a_stop_midway(page: Page, mock: Mock) -> None:
    mock.answers += [Answer(repeat(Pass(" on", (" and",))), first="On", pause=0.01), Answer([Pass(".")], first="Yes")]
    ask(page, "Go on for ever.")
    expect(answer(page)).to_contain_text("On and on and on")
    page.get_by_role("button", name="Stop").click()
    wait(page)
    assert mock.left.wait(60)  # the server has seen it: the slot is free
    said = answer(page).text_content() or ""
    expect(page.locator(".why")).to_have_text("Stopped.")
    converse(page, "Enough?")
    assert mock.requests[1]["messages"][1] == {"role": "assistant", "content": said}


def test_a_stop_before_the_first_word_gives_the_message_back(page: Page, mock: Mock) -> None:
    mock.answers += [Answer([Pass("late")], pause=30)]
    ask(page, "Are you there?")
    page.get_by_role("button", name="Stop").wait_for()
    expect(page.locator(".turn")).to_have_count(1)
    while not mock.requests:
        page.wait_for_timeout(10)
    page.keyboard.press("Escape")
    expect(page.locator(".turn")).to_have_count(0)
    expect(page.get_by_label("Message", exact=True)).to_have_value("Are you there?")
    expect(page.locator("#notice")).to_be_hidden()
    assert mock.left.wait(60)


def test_asking_again(page: Page, mock: Mock) -> None:
    mock.answers += [Answer([Pass(" one")], first="Answer"), Answer([Pass(" two")], first="Answer")]
    mock.answers += [Answer([Pass(" two")], first="Answer"), Answer(status=503, error="The queue is full.")]
    converse(page, "Say something.")
    page.get_by_role("button", name="Again").click()
    expect(answer(page)).to_have_text("Answer two")
    wait(page)
    page.get_by_role("button", name="Same seed").click()
    expect(page.locator("body")).not_to_have_class("running")
    wait(page)
    first, second, third = mock.requests
    assert (
        first["messages"] == second["messages"] == third["messages"] == [{"role": "user", "content": "Say something."}]
    )
    assert first["seed"] != second["seed"] == third["seed"]
    page.get_by_role("button", name="Again").click()
    expect(page.locator("#notice")).to_have_text("The queue is full.")
    expect(page.locator(".answer")).to_have_text(["Answer two"])  # the old one is still there


def test_sampling_controls_are_sent_and_remembered(page: Page, mock: Mock) -> None:
    mock.answers += [Answer([Pass("Yes.")]), Answer([Pass("Yes.")])]
    page.get_by_label("Temperature").fill("0.5")
    page.get_by_label("Top k").fill("20")
    page.get_by_label("Seed").fill("7")
    page.get_by_label("System message").fill("Be brief.")
    page.reload()
    converse(page, "Hello?")
    request = mock.requests[0]
    assert (request["temperature"], request["top_k"], request["seed"]) == (0.5, 20, 7)
    assert not {"top_p", "min_p", "max_tokens", "repetition_penalty"} & set(request)
    assert request["messages"][0] == {"role": "system", "content": "Be brief."}
    page.get_by_label("Temperature").fill("-1")
    ask(page, "Hello?")
    expect(page.locator("#notice")).to_contain_text("Temperature:")
    expect(page.get_by_label("Message", exact=True)).to_have_value("Hello?")
    page.get_by_role("button", name="Clear all").click()
    page.get_by_label("Message", exact=True).focus()
    page.keyboard.press("Enter")
    wait(page)
    assert "temperature" not in mock.requests[1]


def test_a_new_conversation_while_one_runs(page: Page, mock: Mock) -> None:
    mock.answers += [Answer(repeat(Pass(" on")), first="On", pause=0.01), Answer([Pass(".")], first="Hi")]
    ask(page, "Go on for ever.")
    expect(answer(page)).to_contain_text("On on")
    page.get_by_role("button", name="New conversation").click()
    expect(page.locator("#welcome")).to_be_visible()
    expect(page.get_by_label("Message", exact=True)).to_have_value("")
    assert mock.left.wait(60)
    converse(page, "Hello")
    assert mock.requests[1]["messages"] == [{"role": "user", "content": "Hello"}]


@pytest.mark.parametrize("secure", [True, False])
def test_copying(page: Page, mock: Mock, secure: bool) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    if not secure:  # as over plain HTTP from another machine
        page.evaluate("Object.defineProperty(navigator, 'clipboard', { value: undefined, configurable: true })")
    mock.answers += [Answer(FOX, first="Once")]
    converse(page, "Tell me a story.")
    page.get_by_role("button", name="Copy").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    page.evaluate("delete navigator.clipboard")
    assert page.evaluate("navigator.clipboard.readText()") == "Once a red fox ran over the hill."
