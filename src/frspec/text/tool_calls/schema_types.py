"""What JSON types a schema allows: what a bare text must be read as.

Knows: ``type``, ``anyOf``, ``oneOf``, ``enum``, ``const`` and ``$ref`` into the root's definitions. Does not know:
whether a value satisfies a schema.
"""

from __future__ import annotations

from typing import Any

NAMES = {str: "string", bool: "boolean", int: "integer", float: "number", list: "array", dict: "object"}


def types_of(schema: Any, root: Any) -> frozenset[str]:
    """The names of the types; a schema that says nothing is one of text."""
    schema = resolve(schema, root)
    if not isinstance(schema, dict):
        return frozenset({"string"})
    if "type" in schema:
        types = schema["type"]
        return frozenset([types] if isinstance(types, str) else types)
    for several in ("anyOf", "oneOf"):
        if several in schema:
            return frozenset[str]().union(*(types_of(one, root) for one in schema[several]))
    values = schema.get("enum", [schema["const"]] if "const" in schema else [""])
    return frozenset(NAMES.get(type(value), "null") for value in values)


def resolve(schema: Any, root: Any) -> Any:
    """What a ``$ref`` into ``root``'s definitions means, and one that this is; anything else is itself."""
    for _ in range(8):
        reference = schema.get("$ref") if isinstance(schema, dict) else None
        if not isinstance(reference, str):
            break
        place, _, name = reference.removeprefix("#/").partition("/")
        schema = root.get(place, {}).get(name) if place in ("$defs", "definitions") else None
    return schema
