"""The page before the server itself, with the shipped model and with a random one that writes any bytes."""

import json
from typing import Any

import httpx
import openai
import pytest
from playwright.sync_api import BrowserContext, Page, expect

from frspec.engine.service import Service
from frspec.server.settings import Settings
from tests.server.conftest import idle, served, slow
from tests.server.page.conftest import watch
from tests.server.page.mock import Answer, Mock, Pass
from tests.server.page.person import answer, ask, converse

STORY = "Tell me a story about a dog and a ball."


def visit(context: BrowserContext, url: str, complaints: list[str], **controls: str) -> Page:
    """The page of the server at ``url``, with some sampling controls filled in."""
    page = context.new_page()
    watch(page, complaints)
    page.goto(f"{url}/")
    for label, value in controls.items():
        page.get_by_label(label.replace("_", " ").capitalize()).fill(value)
    return page


def test_a_conversation_with_the_shipped_model(
    context: BrowserContext, demo: Service, url: str, client: openai.OpenAI, complaints: list[str]
) -> None:
    page = visit(context, url, complaints, temperature="0.8", seed="5", max_tokens="48")
    messages: list[Any] = []
    for question in (STORY, "And then?"):
        text = converse(page, question).text_content()
        messages.append({"role": "user", "content": question})
        told = client.chat.completions.create(
            model="demo",
            messages=messages,
            temperature=0.8,
            seed=5,
            max_tokens=48,
            extra_body={"speculation": "counts"},
        )
        assert text == told.choices[0].message.content
        messages.append({"role": "assistant", "content": text})
    right = page.locator("#depths .value").evaluate_all("all => all.map((value) => parseInt(value.title))")
    assert right == told.speculation["accepted"]  # type: ignore[attr-defined]
    assert int((page.locator("#cached").text_content() or "").split(" of ")[0]) > 40  # the first turn isn't read again
    expect(page.locator("#tree .node.root")).to_have_count(1)
    assert answer(page).locator(".drafted").count() > 3
    assert not complaints
    idle(demo)


def test_a_stop_frees_the_slot(context: BrowserContext, demo: Service, url: str, complaints: list[str]) -> None:
    page = visit(context, url, complaints, temperature="1", seed="5", max_tokens="900")
    before = demo.snapshot().generated_tokens
    with slow(demo):
        ask(page, STORY)
        expect(answer(page).locator(".drafted").nth(2)).to_be_attached()
        assert demo.snapshot().running == 1
        page.keyboard.press("Escape")
        expect(page.locator(".why")).to_have_text("Stopped.")
    idle(demo)
    assert demo.snapshot().generated_tokens - before < 900
    assert not complaints


def test_any_bytes_are_shown_as_they_are(
    context: BrowserContext, tiny_url: str, tiny_client: openai.OpenAI, complaints: list[str]
) -> None:
    page = visit(context, tiny_url, complaints, temperature="1", max_tokens="150")
    for seed in (1, 2, 3):
        page.get_by_label("Seed").fill(str(seed))
        page.get_by_role("button", name="New conversation").click()
        text = converse(page, "once").text_content()
        told = tiny_client.chat.completions.create(
            model="tiny", messages=[{"role": "user", "content": "once"}], temperature=1, seed=seed, max_tokens=150
        )
        assert text == (told.choices[0].message.content or "").replace("\r\n", "\n")
    assert not complaints


def test_the_servers_key(context: BrowserContext, demo: Service, complaints: list[str]) -> None:
    with served(demo, Settings(api_keys=("secret",), served_model_names=("demo",))) as url:
        page = visit(context, url, complaints)
        page.get_by_label("API key").fill("secret")
        page.keyboard.press("Enter")
        expect(page.locator("#model")).to_have_text("demo")
        expect(page.locator("#context")).to_contain_text("1,024")
    assert not complaints


@pytest.fixture
def body() -> dict[str, Any]:
    return {
        "model": "demo", "messages": [{"role": "user", "content": STORY}], "max_tokens": 24, "temperature": 0,
        "stream": True, "stream_options": {"include_usage": True}, "speculation": "tree",
    }  # fmt: skip


def test_the_mock_speaks_as_the_server_does(url: str, mock: Mock, body: dict[str, Any]) -> None:
    """Whatever the page reads of a stream is in both, under the same names."""
    mock.answers += [Answer([Pass("b", ("a",), ((0, "c"),))] * 3, first="a")]
    said = [events(server, body) for server in (mock.url, f"{url}/")]
    for name in ("tokens", "rounds"):
        mocked, real = ([one for chunk in chunks for one in _told(chunk).get(name, [])] for chunks in said)
        assert mocked
        assert real
        assert {key for one in mocked for key in one} == {key for one in real for key in one}
    for mocked, real in zip(*([chunks[0], chunks[-1]] for chunks in said), strict=True):
        assert set(mocked) <= set(real)
        assert set(mocked.get("usage") or {}) <= set(real.get("usage") or {})


def _told(chunk: dict[str, Any]) -> dict[str, Any]:
    return chunk.get("speculation") or {}


def events(url: str, body: dict[str, Any]) -> list[dict[str, Any]]:
    """The chunks of a stream."""
    lines = httpx.post(f"{url}v1/chat/completions", json=body, timeout=60).text.splitlines()
    return [json.loads(line[6:]) for line in lines if line.startswith("data: {")]
