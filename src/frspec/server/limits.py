"""How much one request may ask for, and how many may be open at a time.

Knows: ``Settings``, ``SamplingParams``, who has how many requests open. Does not know: routes, models.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from frspec.engine.service import Overloaded
from frspec.server.errors import ApiError, refuse
from frspec.server.settings import Settings
from frspec.types import SamplingParams


class Gate:
    """Counts the requests that generate, all together and by client."""

    def __init__(self, settings: Settings) -> None:
        self._most, self._most_each = settings.max_streams, settings.max_streams_per_client
        self._open: Counter[str] = Counter()

    @property
    def open(self) -> int:
        """How many requests are inside."""
        return self._open.total()

    @contextmanager
    def entered(self, client: str) -> Iterator[None]:
        """Be counted while the block runs; used in one thread, the event loop's.

        Raises:
            ApiError: 429, when this client has its share.
            Overloaded: when all clients together have as many as there may be.
        """
        if self._open[client] >= self._most_each:
            message = (
                f"you have {self._most_each} requests open, as many as one client may; wait until one of them ends"
            )
            raise ApiError(429, message, code="too_many_streams", headers={"Retry-After": "1"})
        if self.open >= self._most:
            raise Overloaded(f"{self._most} requests are open, as many as this server takes; try again later")
        self._open[client] += 1
        try:
            yield
        finally:
            self._open[client] -= 1
            if not self._open[client]:
                del self._open[client]


def check_params(settings: Settings, params: SamplingParams, prompts: int = 1) -> None:
    """Hold a request's parameters against the limits; ``prompts``: how many prompts they are for.

    Raises:
        ApiError: 400, naming the first field that asks for too much.
    """
    check_n(settings, params.n * prompts)
    _at_most("max_tokens", params.max_tokens or 0, settings.max_output_tokens, "tokens")
    _at_most("stop", len(params.stop), settings.max_stop, "stop strings")
    _at_most("stop", max(map(len, params.stop), default=0), settings.max_stop_length, "characters in a stop string")
    _at_most("bad_words", max(map(len, params.bad_words), default=0), settings.max_stop_length, "characters in a word")
    check_logprobs(settings, "top_logprobs", params.logprobs)
    check_logprobs(settings, "prompt_logprobs", params.prompt_logprobs)
    for name in ("logit_bias", "stop_token_ids", "bad_words"):
        _at_most(name, len(getattr(params, name) or ()), settings.max_list_items, "entries")


def check_n(settings: Settings, count: int) -> None:
    """Hold the number of a request's completions, of all its prompts, against the limit: before those are read.

    Raises:
        ApiError: 400, when there are more.
    """
    _at_most("n", count, settings.max_n, "completions of all prompts")


def check_logprobs(settings: Settings, param: str, count: int | None) -> None:
    """Hold the log-probabilities for each token that a request's ``param`` asks for against the limit.

    Raises:
        ApiError: 400, when there are more.
    """
    _at_most(param, count or 0, settings.max_logprobs, "log-probabilities for each token")


def check_prompt(settings: Settings, count: int) -> None:
    """Hold a prompt's length in tokens against the limit.

    Raises:
        ApiError: 400, when it is longer.
    """
    _at_most("prompt", count, settings.max_prompt_tokens, "tokens in a prompt")


def check_grammar(settings: Settings, param: str, grammar: Any) -> None:
    """Hold the size of a grammar, regular expression (text) or schema, tools (JSON) against the limit.

    Raises:
        ApiError: 400, when it is larger.
    """
    text = grammar if isinstance(grammar, str) else json.dumps(grammar, ensure_ascii=False)
    _at_most(param, len(text.encode("utf-8", "surrogatepass")), settings.max_grammar_bytes, "bytes of grammar")


def output_tokens(settings: Settings, room: int) -> int:
    """``max_tokens`` of a request that doesn't say, with ``room`` positions left in the context; at least 1."""
    return max(1, room if settings.max_output_tokens is None else min(room, settings.max_output_tokens))


def _at_most(param: str, asked: int, limit: int | None, what: str) -> None:
    if limit is not None and asked > limit:
        raise refuse(f"{param} asks for {asked} {what}; this server allows {limit}", param)
