"""Live servers over the shipped model and over a random one that writes any bytes, and OpenAI's own clients."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any

import openai
import pytest

from frspec.engine.llm import LLM
from frspec.engine.service import Service
from frspec.server.app import make_app
from frspec.server.settings import Settings
from tests.patience import PATIENCE, until
from tests.server.living import living
from tests.shipped.conftest import write_head, write_target


@contextmanager
def serving(llm: LLM, **more: Any) -> Iterator[Service]:
    """The engine's thread, running."""
    service = Service(llm, **more)
    service.start()
    try:
        yield service
    finally:
        service.close()


@contextmanager
def served(service: Any, settings: Settings) -> Iterator[str]:
    """The URL of a server of ``service``."""
    with living(make_app(service, settings)) as (host, port):
        yield f"http://{host}:{port}"


def client_of(url: str, **more: Any) -> openai.OpenAI:
    """OpenAI's client, which tries once."""
    return openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0, timeout=PATIENCE, **more)


@contextmanager
def slow(service: Service) -> Iterator[None]:
    """Every step takes so long that a text is still being written when something happens to it."""
    engine, step = service.engine, service.engine.step
    engine.step = lambda: (time.sleep(0.05), step())[1]  # type: ignore[method-assign]
    try:
        yield
    finally:
        engine.step = step  # type: ignore[method-assign]


def idle(service: Service) -> None:
    """Wait until no text holds a slot or waits for one."""
    until(lambda: (service.snapshot().running, service.snapshot().waiting) == (0, 0))


def said(chunks: Any, index: int = 0) -> str:
    """The text of a stream of chunks, chats' or completions'."""
    text = ""
    for chunk in chunks:
        for choice in chunk.choices:
            if choice.index == index:
                text += (choice.delta.content or "") if hasattr(choice, "delta") else choice.text
    return text


def joined(lists: Iterable[list[Any]]) -> list[Any]:
    """One after the other."""
    return list(chain.from_iterable(lists))


def new_ids(chunks: Any) -> list[int]:
    """The token ids of a stream of chunks with one choice."""
    return joined(getattr(chunk.choices[0], "token_ids", None) or [] for chunk in chunks)


@pytest.fixture(scope="package")
def demo() -> Iterator[Service]:
    """The shipped model with its own head, in trees of a fixed shape."""
    llm = LLM("demo", draft="demo", ranking="demo", num_speculative_tokens=7, tree_depth=3, enable_prefix_caching=True)
    with serving(llm) as service:
        yield service


@pytest.fixture(scope="package")
def alone() -> LLM:
    """The shipped model by itself: no drafts, no company."""
    return LLM("demo")


@pytest.fixture(scope="package")
def url(demo: Service) -> Iterator[str]:
    """A server of the shipped model, whose calls would be written as Hermes does."""
    with served(demo, Settings(served_model_names=("demo", "org/demo"), tool_call_parser="hermes")) as url:
        yield url


@pytest.fixture(scope="package")
def client(url: str) -> Iterator[openai.OpenAI]:
    """A client of ``url``."""
    with client_of(url) as client:
        yield client


@pytest.fixture(scope="package")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random model of 280 tokens, most of them single bytes, and a head for it."""
    folder = write_target(tmp_path_factory.mktemp("tiny") / "target", 32, 0)
    write_head(folder.parent / "head", folder)
    return folder


@pytest.fixture(scope="package")
def tiny(tiny_folder: Path) -> Iterator[Service]:
    """The random model, drafted for by an untrained head."""
    llm = LLM(tiny_folder, draft=tiny_folder.parent / "head", num_speculative_tokens=5, tree_depth=2)
    with serving(llm) as service:
        yield service


@pytest.fixture(scope="package")
def tiny_url(tiny: Service) -> Iterator[str]:
    """A server of the random model."""
    with served(tiny, Settings(served_model_names=("tiny",))) as url:
        yield url


@pytest.fixture(scope="package")
def tiny_client(tiny_url: str) -> Iterator[openai.OpenAI]:
    """A client of ``tiny_url``."""
    with client_of(tiny_url) as client:
        yield client
