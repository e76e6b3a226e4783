"""Random JSON schemas whose texts are short: everything that has no end by itself is given one."""

from __future__ import annotations

from random import Random
from typing import Any

WORDS = ["name", "age", "tags", "città", "zip code", 'a "quoted" one', "x", "名前", "back\\slash", "é"]
PATTERNS = [
    "^[0-9]{3}-[a-z]{1,3}$",
    "^(ab|cd){1,3}$",
    "^[A-Z][a-z]{0,5}$",
    "^\\d{1,4}$",
    "^x?y+z{2}$",
    '^[^"\\\\]{2,6}$',
]


def random_schema(seed: int) -> dict[str, Any]:
    """One of many, the same for a seed."""
    rng = Random(seed)
    defs = {"leaf": _scalar(rng), "node": _scalar(rng)}
    if rng.random() < 0.5:  # a list that may go on: at temperature 1 it ends after a few
        defs["node"] = {
            "type": "object",
            "properties": {
                "v": {"$ref": "#/$defs/leaf"},
                "next": {"anyOf": [{"type": "null"}, {"$ref": "#/$defs/node"}]},
            },
            "required": ["v", "next"],
            "additionalProperties": False,
        }
    return {**_any(rng, 3), "$defs": defs}


def _any(rng: Random, depth: int) -> dict[str, Any]:
    kinds = (
        [_object, _array, _any_of, _reference] if depth == 3 else [_object, _array, _any_of, _reference, _leaf, _leaf]
    )
    return rng.choice(kinds if depth > 0 else [_leaf])(rng, depth)


def _leaf(rng: Random, depth: int) -> dict[str, Any]:
    return _scalar(rng)


def _reference(rng: Random, depth: int) -> dict[str, Any]:
    return {"$ref": rng.choice(["#/$defs/leaf", "#/$defs/node"])}


def _any_of(rng: Random, depth: int) -> dict[str, Any]:
    return {"anyOf": [_any(rng, depth - 1) for _ in range(rng.randint(2, 3))]}


def _object(rng: Random, depth: int) -> dict[str, Any]:
    names = rng.sample(WORDS, rng.randint(1, 4))
    if rng.random() < 0.15:
        return {
            "type": "object",
            "patternProperties": {"^[a-z]{1,4}$": _scalar(rng)},
            "additionalProperties": False,
            "maxProperties": rng.randint(1, 2),
        }
    return {
        "type": "object",
        "properties": {name: _any(rng, depth - 1) for name in names},
        "required": [name for name in names if rng.random() < 0.7],
        "additionalProperties": False,
    }


def _array(rng: Random, depth: int) -> dict[str, Any]:
    least = rng.randint(0, 2)
    array: dict[str, Any] = {"type": "array", "items": _any(rng, depth - 1), "minItems": least}
    array["maxItems"] = least + rng.randint(0, 2)
    if rng.random() < 0.2:
        array |= {"prefixItems": [_scalar(rng)], "minItems": 1, "maxItems": array["maxItems"] + 1}
    return array


def _scalar(rng: Random) -> dict[str, Any]:
    low = rng.randint(-200, 150)
    least = rng.randint(0, 3)
    return rng.choice(
        [
            {"type": "string", "minLength": least, "maxLength": least + rng.randint(0, 6)},
            {"type": "string", "pattern": rng.choice(PATTERNS)},
            {"type": "string", "enum": rng.sample(WORDS, 3)},
            {"type": "integer", "minimum": low, "maximum": low + rng.randint(0, 300)},
            {"type": "integer", "exclusiveMinimum": low, "maximum": low + 80, "multipleOf": rng.choice([2, 3, 5])},
            {"type": "number", "minimum": low / 8, "exclusiveMaximum": low / 8 + 2},
            {"enum": [1, "1", None, True, {"k": [1, 2]}][: rng.randint(1, 5)]},
            {"const": rng.choice([3, "three", [3], {"3": 3}, None])},
            {"type": ["boolean", "null"]},
            {"type": "string", "format": rng.choice(["date", "time", "ipv4", "uuid"])},
        ]
    )
