"""Proper requests, and what must come back: the ids that came when nobody else asked.

Knows: OpenAI's objects. Does not know: connections, faults.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from frspec.bench.serving.answers import NoAnswer, events, parse, read_whole
from frspec.bench.serving.client import Exchange

SUBJECTS = ("a red ball", "the river", "a lost dog", "two friends", "an old tree", "the moon", "a small boat", "rain")
SCHEMA = {
    "type": "object", "required": ["name", "age", "toys"], "additionalProperties": False,
    "properties": {
        "name": {"type": "string", "maxLength": 8}, "age": {"type": "integer", "minimum": 1, "maximum": 99},
        "toys": {"type": "array", "items": {"enum": ["ball", "boat", "bear"]}, "maxItems": 3},
    },
}  # fmt: skip
CHAT, TEXT = "/v1/chat/completions", "/v1/completions"
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "chat": (CHAT, {}),
    "chat, streamed": (CHAT, {"stream": True}),
    "text": (TEXT, {}),
    "text, streamed": (TEXT, {"stream": True}),
    "schema": (CHAT, {"response_format": {"type": "json_schema", "json_schema": {"name": "toys", "schema": SCHEMA}},
                      "max_tokens": 80, "stream": True}),
    "two at once": (CHAT, {"n": 2, "stream": True}),
    "log-probabilities": (CHAT, {"logprobs": True, "top_logprobs": 3}),
    "stop string": (CHAT, {"stop": ["the", "."], "stream": True}),
}  # fmt: skip
"""Path and fields besides those that all have."""

Completions = dict[int, tuple[tuple[int, ...], str, str | None]]
"""By index: ids, text, finish reason."""


@dataclass(frozen=True)
class Wanted:
    """A request and what it must come to, however busy the server is. None: not known yet."""

    kind: str
    path: str
    body: Mapping[str, Any]
    expected: Completions | None = None

    def outcome(self, exchange: Exchange) -> str:
        """ "same", or what is wrong with the answer."""
        try:
            found = self.read(exchange)
        except NoAnswer as error:
            return str(error)
        return "same" if found == self.expected else f"another answer: {found}, not {self.expected}"

    def read(self, exchange: Exchange) -> Completions:
        """All completions, checked for what can be checked of one answer alone.

        Raises:
            NoAnswer: when it is none.
        """
        whole = Completions()
        for index, ids, text, reason in self._pieces(exchange):
            old = whole.get(index, ((), "", None))
            whole[index] = (old[0] + tuple(ids), old[1] + text, reason or old[2])
        if sorted(whole) != list(range(self.body.get("n", 1))) or any(
            reason is None for _, _, reason in whole.values()
        ):
            raise NoAnswer(f"not every completion came or ended: {whole}")
        if self.kind == "schema" and whole[0][2] == "stop":
            _check_toys(whole[0][1])
        return whole

    def _pieces(self, exchange: Exchange) -> Iterator[tuple[int, list[int], str, str | None]]:
        objects = [event for _, event in events(exchange)] if self.body.get("stream") else [_only(exchange)]
        for each in objects:
            if "error" in each:
                raise NoAnswer(f"error in the stream: {each['error']['message']}")
            for choice in each["choices"]:
                message = choice.get("delta") or choice.get("message") or choice
                text = message.get("content", message.get("text")) or ""
                if self.body.get("logprobs") and len(choice["logprobs"]["content"]) != len(choice["token_ids"]):
                    raise NoAnswer("not as many log-probabilities as tokens")
                yield choice["index"], choice.get("token_ids") or [], text, choice.get("finish_reason")


def proper(variants: int) -> list[Wanted]:
    """So many requests of each kind, with other seeds, at temperature 0 and 1 in turn."""
    return [
        Wanted(kind, path, _body(path, number) | more)
        for kind, (path, more) in KINDS.items()
        for number in range(variants)
    ]


def _body(path: str, number: int) -> dict[str, Any]:
    text = f"Tell me a story about {SUBJECTS[number % len(SUBJECTS)]}."
    prompt = {"prompt": text} if path == TEXT else {"messages": [{"role": "user", "content": text}]}
    return {**prompt, "seed": number, "temperature": number % 2, "max_tokens": 24 + number, "return_token_ids": True}


def _only(exchange: Exchange) -> dict[str, Any]:
    status, body = read_whole(exchange)
    if status != 200:
        raise NoAnswer(f"{status}: {body.decode(errors='replace')}")
    return parse(body)


def _check_toys(text: str) -> None:
    try:
        found = json.loads(text)
        fine = set(found) == {"name", "age", "toys"} and 1 <= found["age"] <= 99 and len(found["name"]) <= 8
        fine = fine and {*found["toys"]} <= {"ball", "boat", "bear"} and len(found["toys"]) <= 3
    except (ValueError, TypeError, KeyError) as error:
        raise NoAnswer(f"no JSON of that schema ({error}): {text}") from error
    if not fine:
        raise NoAnswer(f"it does not follow the schema: {text}")
