"""A Ray to work on: one that exists, or one of our own on this machine for as long as it is needed.

Knows: addresses, what Ray prints, leaves behind and does to signals. Does not know: what is done there.
"""

from __future__ import annotations

import logging
import os
import shutil
import signal
import socket
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn
from urllib.parse import urlsplit

from frspec.errors import UserError

STORE = 128 << 20  # bytes of a local Ray's shared memory, for the tokenizer and counts that wait; 75 MiB is the least
PATIENCE = 10.0  # seconds for a cluster to take a connection; Ray itself tries for five minutes
SETTINGS = {
    "RAY_DEDUP_LOGS_SKIP_REGEX": "^",  # what Ray prints of dead workers is said by us, if it matters
    "RAY_SCHEDULER_EVENTS": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
}
QUIET = {"log_to_driver": False, "logging_level": logging.CRITICAL}
ALONE = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}  # whatever its name says: listen on 127.0.0.1 and nowhere else


def address_of(on: str) -> str:
    """Where Ray is: "local" for "ray", what follows "ray:" otherwise ("auto", HOST:PORT), or a whole "ray://HOST:PORT".

    Raises:
        UserError: when ``on`` is none of these.
    """
    kind, colon, address = on.partition(":")
    if kind != "ray" or bool(colon) != bool(address):
        raise UserError(f"--on {on}: say ray, ray:auto, ray:HOST:PORT or ray://HOST:PORT")
    return on if address.startswith("//") else address or "local"


@contextmanager
def joined(on: str, workers: int | None) -> Iterator[Any]:
    """The module ``ray``, joined to the Ray that ``on`` names; a local one has ``workers`` cores, and ends here.

    A program that has joined one already stays there.

    Raises:
        UserError: when Ray is not installed, does not start, or there is none.
    """
    address = address_of(on)
    with _environment(SETTINGS | (ALONE if address == "local" else {})):
        try:
            import ray
        except ImportError as error:
            raise UserError("--on ray needs Ray; pip install 'frspec[ray]'") from error
        if ray.is_initialized():
            yield ray
        else:
            with _terminable(), _connection(ray, address, workers):
                yield ray


@contextmanager
def _connection(ray: Any, address: str, workers: int | None) -> Iterator[None]:
    local = {"num_cpus": workers, "object_store_memory": STORE, "include_dashboard": False}
    folder = None
    _check_answers(address)
    try:
        try:
            with warnings.catch_warnings(action="ignore"):
                context = ray.init(address, **QUIET, **(local if address == "local" else {}))
        except ConnectionError as error:
            raise UserError(
                f"found no Ray to join ({address}), or one that wants a token (RAY_AUTH_MODE=token); "
                "`ray start --head` starts one, --on ray needs none"
            ) from error
        except Exception as error:  # there are as many kinds as there are ways to go wrong
            raise UserError(f"cannot {'start' if address == 'local' else 'join'} Ray: {first_line(error)}") from error
        if address == "local":
            folder = context.address_info["session_dir"]
        if _main_thread():
            signal.signal(signal.SIGTERM, _end)  # Ray's own handler writes stack traces
        yield
    finally:
        ray.shutdown()
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)


def first_line(error: Exception) -> str:
    """The first line of what Ray says."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _check_answers(address: str) -> None:
    """Find out in seconds whether anybody listens."""
    try:
        place = urlsplit(address if "://" in address else f"ray://{address}")
        if place.hostname and place.port:
            socket.create_connection((place.hostname, place.port), PATIENCE).close()
    except (OSError, ValueError) as error:
        raise UserError(f"no Ray answers at {address}: {getattr(error, 'strerror', None) or error}") from error


@contextmanager
def _environment(settings: dict[str, str]) -> Iterator[None]:
    """Ray reads some when it is imported, some when it starts processes. What the user has set stays."""
    mine = {name: value for name, value in settings.items() if name not in os.environ}
    os.environ.update(mine)
    try:
        yield
    finally:
        for name in mine:
            os.environ.pop(name, None)


@contextmanager
def _terminable() -> Iterator[None]:
    """Ray replaces what is done at SIGTERM; put it back at the end."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if _main_thread():
            signal.signal(signal.SIGTERM, before)


def _main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


def _end(*_: object) -> NoReturn:
    sys.exit(128 + signal.SIGTERM)
