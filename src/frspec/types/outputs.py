"""What comes out of a request, whole or as it grows.

Knows: texts, ids, reasons. Does not know: how they were made.
Names of ``RequestOutput`` and what it holds are those of vLLM's offline API.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from frspec.types.stats import RequestMetrics


@dataclass(frozen=True)
class Logprob:
    """One token's natural-log probability under the unprocessed target, and its 1-based place."""

    logprob: float
    rank: int
    decoded_token: str | None = None


@dataclass
class CompletionOutput:
    """One of a request's ``n`` completions.

    ``finish_reason``: "stop", "length", "abort", "error" (``stop_reason`` says which) or None (running).
    ``text_ends`` and ``depths``, which vLLM has not: as in ``Delta``, of all ``token_ids``.
    """

    index: int
    text: str
    token_ids: list[int]
    cumulative_logprob: float | None = None
    logprobs: list[dict[int, Logprob]] | None = None
    finish_reason: str | None = None
    stop_reason: int | str | None = None
    text_ends: list[int] = field(default_factory=list)
    depths: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class Round:
    """One verified tree, root first, as in ``TokenTree``: ``path`` are the nodes that were accepted, the root among
    them, ``emitted`` the tokens that came of it. The seconds are those of the whole step, whoever shared it.
    """

    tokens: list[int]
    parents: list[int]
    depths: list[int]
    path: list[int]
    emitted: list[int]
    draft_seconds: float
    verify_seconds: float


@dataclass
class Delta:
    """What is new of one completion.

    ``text`` never ends in half a character, nor in what may become a stop string. For each of ``token_ids``:
    ``text_ends``, the characters of the completion's whole text after it (text may come later than its token, and what
    a stop string cuts off never comes), and ``depths``, the depth at which it was an accepted draft, or 0.
    ``rounds`` are there where they were asked for.
    """

    index: int
    text: str = ""
    token_ids: list[int] = field(default_factory=list)
    text_ends: list[int] = field(default_factory=list)
    depths: list[int] = field(default_factory=list)
    logprobs: list[dict[int, Logprob]] | None = None
    rounds: list[Round] = field(default_factory=list)
    finish_reason: str | None = None
    stop_reason: int | str | None = None


@dataclass
class RequestOutput:
    """What a prompt has become so far; complete when ``finished``."""

    request_id: str
    prompt: str | None
    prompt_token_ids: list[int]
    outputs: list[CompletionOutput]
    finished: bool
    seed: int
    metrics: RequestMetrics
    num_cached_tokens: int = 0
    prompt_logprobs: list[dict[int, Logprob] | None] | None = None
