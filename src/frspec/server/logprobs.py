"""Log-probabilities in the forms of OpenAI's two APIs and of vLLM.

Knows: these forms. Does not know: how scores are made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from frspec.text.tokenizer import Tokenizer
from frspec.types import Logprob

LEAST = -9999.0
"""For what is impossible: JSON has no infinity (vLLM's number)."""

Entries = Sequence[Mapping[int, Logprob]]


def token_text(tokenizer: Tokenizer, id: int) -> str:
    """A token's bytes as text; what is no whole character becomes U+FFFD."""
    return tokenizer.token_bytes(id).decode(errors="replace")


def chat_logprobs(tokenizer: Tokenizer, ids: Sequence[int], entries: Entries, top: int) -> dict[str, Any]:
    """``choices[].logprobs`` of chats: every token with the ``top`` likeliest in its place."""

    def describe(id: int, logprob: Logprob) -> dict[str, Any]:
        content = tokenizer.token_bytes(id)
        value = max(logprob.logprob, LEAST)
        return {"token": content.decode(errors="replace"), "logprob": value, "bytes": list(content)}

    return {
        "content": [
            {
                **describe(id, entry[id]),
                "top_logprobs": [describe(other, entry[other]) for other in _best(entry, top)],
            }
            for id, entry in zip(ids, entries, strict=True)
        ],
        "refusal": None,
    }


def text_logprobs(
    tokenizer: Tokenizer,
    ids: Sequence[int],
    entries: Sequence[Mapping[int, Logprob] | None],
    offsets: Sequence[int],
    top: int,
) -> dict[str, Any]:
    """``choices[].logprobs`` of completions; ``offsets``: at which character of the text each token begins.

    For each token itself and the ``top`` likeliest; the prompt's first has no entry. Tokens that are no whole
    characters are written ``bytes:\\xNN``, as OpenAI does, or several would be the same key.
    """

    def name(id: int) -> str:
        content = tokenizer.token_bytes(id)
        try:
            return content.decode()
        except UnicodeDecodeError:
            return "bytes:" + "".join(f"\\x{byte:02x}" for byte in content)

    def best(own: int, entry: Mapping[int, Logprob]) -> dict[str, float]:
        values: dict[str, float] = {}
        for id in [*_best(entry, top), own]:
            values.setdefault(name(id), max(entry[id].logprob, LEAST))
        return values

    return {
        "tokens": [name(id) for id in ids],
        "token_logprobs": [
            None if entry is None else max(entry[id].logprob, LEAST) for id, entry in zip(ids, entries, strict=True)
        ],
        "top_logprobs": [None if entry is None else best(id, entry) for id, entry in zip(ids, entries, strict=True)],
        "text_offset": list(offsets),
    }


def prompt_logprobs(entries: Sequence[Mapping[int, Logprob] | None], top: int) -> list[dict[str, Any] | None]:
    """vLLM's ``prompt_logprobs``: for every prompt token but the first, ids to their log-probabilities."""

    def describe(value: Logprob) -> dict[str, Any]:
        return {"logprob": max(value.logprob, LEAST), "rank": value.rank, "decoded_token": value.decoded_token}

    return [
        None
        if entry is None  # the token itself is the first of each
        else {str(id): describe(entry[id]) for id in dict.fromkeys([next(iter(entry)), *_best(entry, top)])}
        for entry in entries
    ]


def _best(entry: Mapping[int, Logprob], top: int) -> list[int]:
    return sorted(entry, key=lambda id: entry[id].rank)[:top]
