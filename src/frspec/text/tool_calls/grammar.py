"""Grammars that make the model call: llguidance's Lark dialect, written from the tools' JSON schemas.

Knows: how to say "one of these calls", "any text but these markers", and a marker's own token. Does not know: how a
format frames its calls; it asks for the pieces.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from frspec.errors import UserError
from frspec.text.tokenizer import Tokenizer
from frspec.text.tool_calls.tool_format import Wanted

# As ``json.dumps`` writes it, which is how templates show calls to the model, and without endless white space.
SEPARATORS = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}
NO_PARAMETERS = {"type": "object", "properties": {}, "additionalProperties": False}


def literal(text: str) -> str:
    """``text`` itself."""
    return json.dumps(text, ensure_ascii=False)


def marker(text: str, tokenizer: Tokenizer) -> str:
    """The token whose text is ``text``, or the text where there is no such token."""
    id = tokenizer.backend.token_to_id(text)
    return literal(text) if id is None else f"<[{id}]>"


def schema(value: Mapping[str, Any]) -> str:
    """A value that satisfies the JSON schema."""
    return f"%json {json.dumps({**value, 'x-guidance': SEPARATORS}, ensure_ascii=False)}"


def arguments(function: Mapping[str, Any], wanted: Wanted) -> str:
    """The arguments of a function as a JSON object.

    Raises:
        UserError: when its schema allows no object.
    """
    if function["name"] not in wanted.strict:
        return schema({"type": "object"})
    return schema(parameters(function))


def parameters(function: Mapping[str, Any]) -> dict[str, Any]:
    """The JSON schema of a function's arguments; without one it takes none.

    Raises:
        UserError: when it allows no object.
    """
    given = function.get("parameters")
    if given is None:
        return NO_PARAMETERS
    if given.get("type", "object") != "object":
        raise UserError(f"the parameters of function {function['name']} must be of type object")
    return {**given, "type": "object"}


def call_objects(wanted: Wanted, key: str) -> str:
    """Rules named ``call``: ``{"name": ..., key: {...}}`` for one of the functions."""
    rules = ["call: " + " | ".join(f"call_{i}" for i in range(len(wanted.functions)))]
    for i, function in enumerate(wanted.functions):
        start = f'{{"name": {json.dumps(function["name"], ensure_ascii=False)}, "{key}": '
        rules.append(f'call_{i}: {literal(start)} arguments_{i} "}}"')
        rules.append(f"arguments_{i}: {arguments(function, wanted)}")
    return "\n".join(rules)


def free_text(tokenizer: Tokenizer, without: Sequence[str], start: str = "") -> str:
    """Rules named ``text``: any text that does not hold ``without``, maybe none, of any tokens that are not special.

    start: a regular expression that it must begin with, if it is not empty.
    """
    pieces = ["/(?s:.+)/", *(f"~/(?s:.*){_escaped(text)}(?s:.*)/" for text in without)]
    rules = [f"TEXT: {' & '.join(pieces)}", f"FIRST: {' & '.join([*pieces, f'/{start}(?s:.*)/'])}"]
    other = tokenizer.added_ids - tokenizer.special_ids - set(map(tokenizer.backend.token_to_id, without))
    added = f"<[{','.join(map(str, sorted(other)))}]>"  # such as Qwen's <think>: no text to a grammar
    return "\n".join([f"text: FIRST? ({added} TEXT?)*" if other else "text: FIRST?", *rules])


def check_own_token(text: str, tokenizer: Tokenizer) -> None:
    """Refuse a model that spells the marker as text: where text ends and calls begin could not be told.

    Raises:
        UserError: saying what else to do.
    """
    if tokenizer.backend.token_to_id(text) is None:
        raise UserError(
            f"{text} is no token of this model, so strict or single calls cannot be guaranteed where text is allowed "
            'too; use tool_choice "required", or leave out strict and parallel_tool_calls'
        )


def _escaped(text: str) -> str:
    return "".join(char if char.isalnum() or char in "_<>" else f"\\{char}" for char in text)
