"""A prompt as long as a body may be holds nobody else up: its tokens are made while other threads go on."""

import threading
from typing import Any

import pytest

from frspec import shipped
from frspec.text.tokenizer import Tokenizer

TEXT = "A story, and another one: 1, 2, 3. " * 30_000


def turns_of_another_thread(work: Any) -> int:
    """How often another thread gets Python's lock and gives it back while ``work`` runs."""
    turns, done, begun = 0, threading.Event(), threading.Event()

    def turn() -> None:
        nonlocal turns
        begun.set()
        while not done.wait(0.001):
            turns += 1

    other = threading.Thread(target=turn)
    other.start()
    begun.wait()
    before = turns
    work()
    during = turns - before
    done.set()
    other.join()
    return during


def test_other_threads_go_on_while_a_long_text_is_read() -> None:
    tokenizer = Tokenizer.load(shipped.NAME)
    held = turns_of_another_thread(lambda: tokenizer.backend.encode(TEXT))
    free = turns_of_another_thread(lambda: tokenizer.encode(TEXT))
    if held > 20:
        pytest.skip("this version of tokenizers never holds the lock")
    assert free > 5 * max(held, 1)


def test_long_texts_have_the_same_ids() -> None:
    tokenizer = Tokenizer.load(shipped.NAME)
    for add in (True, False):
        assert (
            tokenizer.encode(TEXT[:50_000], add) == tokenizer.backend.encode(TEXT[:50_000], add_special_tokens=add).ids
        )
