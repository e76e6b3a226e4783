"""What a request asks for as a grammar that llguidance reads, and what of it would not be honoured exactly.

Knows: ``StructuredOutputs``, JSON schemas. Does not know: tokens, matchers.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from llguidance import LLMatcher

from frspec.errors import UserError
from frspec.types import StructuredOutputs

LARGEST = 65_536
"""Bytes of a grammar: what the compiler's stack and patience are made for."""
WHITESPACE = r" |\n[ \t]{0,24}"
"""Between JSON's tokens: a space, or a new line with its indentation. Anything JSON allows would let a model go on
with blanks for ever."""
RULE_OPTION = re.compile(r"^[?!]?[\w-]+\s*\[[^\n]*?\b(temperature|max_tokens|stop)\s*=", re.MULTILINE)


def grammar_of(outputs: StructuredOutputs) -> str:
    """The grammar, in llguidance's own form; not compiled yet.

    Raises:
        UserError: when it is too large, no JSON, or asks for what is not done.
    """
    (kind, wanted), name = outputs.given(), outputs.name
    if kind == "json_object":
        return _json_grammar({"type": "object"}, name)
    if kind == "json":
        return _json_grammar(_schema(wanted, name), name)
    if kind == "choice":
        wanted = "start: CHOICE\nCHOICE: " + " | ".join(json.dumps(text, ensure_ascii=False) for text in wanted)
    _check_size(wanted, name)
    if kind == "regex":
        return LLMatcher.grammar_from_regex(wanted)
    if kind == "grammar" and (option := RULE_OPTION.search(wanted)):
        raise UserError(
            f"{name} sets {option[1]} for a rule, which is not honoured here; "
            "use the request's own temperature, max_tokens and stop, or suffix and lazy"
        )
    return LLMatcher.grammar_from_lark(wanted)


def _schema(wanted: Any, name: str) -> dict[str, Any]:
    try:
        schema = json.loads(wanted) if isinstance(wanted, str) else wanted
    except (ValueError, RecursionError) as error:
        raise UserError(f"{name} is no JSON schema: {error}") from error
    if not isinstance(schema, dict):
        raise UserError(f"{name} is a {type(schema).__name__}; a JSON schema is an object")
    return schema


def _json_grammar(schema: dict[str, Any], name: str) -> str:
    try:
        text = json.dumps(schema, ensure_ascii=False, allow_nan=False)
    except (ValueError, TypeError, RecursionError) as error:
        raise UserError(f"{name} is no JSON schema: {error}") from error
    _check_size(text, name)
    if "x-guidance" in schema:
        raise UserError(f"{name} has x-guidance, which could loosen the schema; leave it out")
    for part in _parts(schema):
        _check_distinct(part, name)
    try:
        return LLMatcher.grammar_from_json_schema(text, overrides={"whitespace_pattern": WHITESPACE})
    except ValueError as error:  # llguidance reads no JSON that is nested more deeply than 128 levels
        raise UserError(f"{name} cannot be honoured: {error}") from error


def _check_size(text: str, name: str) -> None:
    size = len(text.encode(errors="surrogatepass"))
    if size > LARGEST:
        raise UserError(f"{name} has {size} bytes, but {LARGEST} are the most; simplify it")


def _parts(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every object in a schema but for the values it lists."""
    left: list[Any] = [schema]
    while left:
        part = left.pop()
        if isinstance(part, dict):
            yield part
            left += [value for key, value in part.items() if key not in ("const", "enum", "default", "examples")]
        elif isinstance(part, list):
            left += part


def _check_distinct(part: dict[str, Any], name: str) -> None:
    """Names that the schema does not list may come twice in a text, and are one to whoever reads it."""
    least, required = part.get("minProperties"), part.get("required", [])
    if not isinstance(least, int) or not isinstance(required, list):
        return
    open_ended = part.get("additionalProperties") is not False or "patternProperties" in part
    if open_ended and least > len(set(map(str, required))) + 1:
        raise UserError(
            f"{name} has minProperties={least} for names that it does not list, and that these differ "
            "cannot be guaranteed; list them in properties and required"
        )
