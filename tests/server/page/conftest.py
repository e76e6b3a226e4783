"""A headless Chromium that the page runs in, and a mock of the server it talks to."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright
from starlette.types import Receive, Scope, Send

from tests.server.page.mock import Mock

PATIENCE = 120_000  # milliseconds that a browser on a busy machine may take; nothing waits that long for a pass
expect.set_options(timeout=PATIENCE)


@contextmanager
def chromium() -> Iterator[Browser]:
    """To be gone before other tests of the process: while it lives, an event loop of its own runs in their thread."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if not found:
        pytest.skip("no Chromium here to show the page in")
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=[*sandbox, "--disable-gpu"])
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="session")
def house() -> Iterator[list[Mock]]:
    """One server for all tests; who lives in it last answers."""
    mocks = [Mock()]

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await mocks[-1].app(scope, receive, send)

    with mocks[0].serve(app):
        yield mocks


@pytest.fixture
def mock(house: list[Mock]) -> Mock:
    mock = Mock()
    mock.url = house[0].url
    house.append(mock)
    return mock


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    context.set_default_timeout(PATIENCE)
    yield context
    context.close()


@pytest.fixture
def complaints() -> list[str]:
    """What the browser held against the page: uncaught errors, violations of its policy, dialogs it opened."""
    return []


@pytest.fixture
def page(context: BrowserContext, mock: Mock, complaints: list[str]) -> Iterator[Page]:
    page = context.new_page()
    watch(page, complaints)
    page.goto(mock.url)
    yield page
    assert not complaints


def watch(page: Page, complaints: list[str]) -> None:
    """Write down every error, violation and dialog of ``page``, from its first line on."""
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda line: complaints.append(line.text) if line.text.startswith("violation") else None)
    page.on("dialog", lambda dialog: (complaints.append(f"dialog: {dialog.message}"), dialog.dismiss()))
    page.add_init_script(
        "addEventListener('securitypolicyviolation',"
        " (event) => console.log(`violation of ${event.effectiveDirective}: ${event.blockedURI}`))"
    )
