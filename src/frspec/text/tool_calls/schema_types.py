"""What JSON types a schema allows: what a bare text must be read as.

Knows: ``type``, ``anyOf``, ``oneOf``, ``enum``, ``const`` and ``$ref`` into the root's definitions. Does not know:
whether a value satisfies a schema, or whether a schema is one: what is none says nothing.
"""

from __future__ import annotations

from typing import Any

BRANCHES = {"anyOf", "oneOf"}
CHAIN = 8  # references to references that are followed
NAMES = {str: "string", bool: "boolean", int: "integer", float: "number", list: "array", dict: "object"}


def types_of(schema: Any, root: Any) -> frozenset[str]:
    """The names of the types; a schema that says nothing is one of text."""
    found: set[str] = set()
    for part in alternatives(schema, root):
        part = fields(part)
        given = part.get("type")
        if isinstance(given, str | list):
            found.update([given] if isinstance(given, str) else map(str, given))
        elif not part.keys() & BRANCHES:
            values = [part["const"]] if "const" in part else items(part.get("enum")) or [""]
            found.update(NAMES.get(type(value), "null") for value in values)
    return frozenset(found) or frozenset({"string"})


def alternatives(schema: Any, root: Any) -> list[Any]:
    """The schema, what it refers to, and what it is any or one of, each once: definitions may hold themselves."""
    found: list[Any] = []
    seen: set[int] = set()
    left = [schema]
    while left:
        part = resolve(left.pop(), root)
        if id(part) not in seen:
            seen.add(id(part))
            found.append(part)
            left += [branch for several in BRANCHES for branch in items(fields(part).get(several))]
    return found


def resolve(schema: Any, root: Any) -> Any:
    """What a ``$ref`` into ``root``'s definitions means, and one that this is; anything else is itself."""
    for _ in range(CHAIN):
        reference = fields(schema).get("$ref")
        if not isinstance(reference, str):
            break
        place, _, name = reference.removeprefix("#/").partition("/")
        schema = fields(fields(root).get(place)).get(name) if place in ("$defs", "definitions") else None
    return schema


def fields(value: Any) -> dict[str, Any]:
    """The object that ``value`` is, or an empty one."""
    return value if isinstance(value, dict) else {}


def items(value: Any) -> list[Any]:
    """The array that ``value`` is, or an empty one."""
    return value if isinstance(value, list) else []
