"""How long a test waits for what comes soon: bounds that no machine reaches, however slow and busy it is."""

import time
from collections.abc import Callable

PATIENCE = 120.0
"""Seconds."""


def until(fact: Callable[[], object]) -> None:
    """Wait until ``fact()``; fail when it does not come."""
    end = time.monotonic() + PATIENCE
    while not fact():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)
