"""The grammar of Qwen3-Coder's calls, where values are bare text.

Knows: which schemas bare text can satisfy for certain. A string whose schema says more than its values (a length, a
pattern) is refused, and so is one that might as well be something else.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from frspec.errors import UserError
from frspec.text.tokenizer import Tokenizer
from frspec.text.tool_calls import grammar
from frspec.text.tool_calls.schema_types import alternatives, fields, items, resolve, types_of
from frspec.text.tool_calls.tool_format import Wanted

OPEN, CLOSE = "<tool_call>", "</tool_call>"
END, LINE = "</parameter>", "\n"
REMARKS = {"title", "description", "default", "examples", "deprecated"}
OF_OBJECTS = {"type", "properties", "required", "additionalProperties", "$defs", "definitions", "$schema"} | REMARKS
# Any text up to the first end tag, which a line break comes before.
ANY = f'ANY: (/(?s:.*)\\n/ & ~/(?s:.*)<\\/parameter>(?s:.*)/) "{END}\\n"'


def grammar_of(wanted: Wanted, tokenizer: Tokenizer) -> str:
    """Calls of ``wanted``, in ``tokenizer``'s markers."""
    if wanted.free:
        grammar.check_own_token(OPEN, tokenizer)
    more = '("\\n" call)*' if wanted.several else ""
    functions = " | ".join(f"function_{i}" for i in range(len(wanted.functions)))
    rules = [
        "start: text calls?" if wanted.free else "start: calls",
        f"calls: call {more}",
        f'call: {grammar.marker(OPEN, tokenizer)} "\\n" ({functions}) "\\n" {grammar.marker(CLOSE, tokenizer)}',
        *(_function(i, function, wanted) for i, function in enumerate(wanted.functions)),
        ANY,
    ]
    if wanted.free:
        rules.append(grammar.free_text(tokenizer, without=[OPEN]))
    return "\n".join(rules)


def _function(number: int, function: Mapping[str, Any], wanted: Wanted) -> str:
    root: dict[str, Any] = (
        grammar.parameters(function) if function["name"] in wanted.strict else {"additionalProperties": True}
    )
    properties, required = fields(root.get("properties")), set(map(str, items(root.get("required"))))
    odd = {key for key in properties if ">" in key or "\n" in key}  # the tag ends there
    if unknown := (set(root) - OF_OBJECTS) | (required - set(properties)) | odd:
        raise UserError(
            f"the parameters of function {function['name']} use {sorted(unknown)[0]!r}, which calls in the format "
            "qwen3_coder cannot be guaranteed to satisfy"
        )
    names = [f"parameter_{number}_{i}" + ("" if key in required else "?") for i, key in enumerate(properties)]
    any_others = [] if function["name"] in wanted.strict else [r'("<parameter=" /[^\n<>]+/ ">\n" ANY)*']
    body = " ".join([grammar.literal(f"<function={function['name']}>\n"), *names, *any_others, '"</function>"'])
    rules = [f"function_{number}: {body}"]
    for i, (key, schema) in enumerate(properties.items()):
        value = _value(schema, root, f"{function['name']}.{key}")
        rules.append(f"parameter_{number}_{i}: {grammar.literal(f'<parameter={key}>{LINE}')} {value}")
    return "\n".join(rules)


def _value(schema: Any, root: Mapping[str, Any], where: str) -> str:
    types = types_of(schema, root)
    if "string" not in types:
        definitions = {key: root[key] for key in ("$defs", "definitions") if key in root}
        return f"({grammar.schema({**definitions, **schema})}) {grammar.literal(f'{LINE}{END}{LINE}')}"
    if types <= {"string", "null"} and _says_no_more(schema, root):
        return "ANY"
    schema = fields(resolve(schema, root))
    values = [schema["const"]] if "const" in schema else items(schema.get("enum"))
    if values and all(isinstance(value, str) and END not in value for value in values):
        return "(" + " | ".join(grammar.literal(f"{value}{LINE}{END}{LINE}") for value in values) + ")"
    raise UserError(f"calls in the format qwen3_coder cannot be guaranteed to satisfy the schema of {where}")


def _says_no_more(schema: Any, root: Mapping[str, Any]) -> bool:
    """Whether any text satisfies the schema of a string, maybe null."""
    return all(
        part is True or (isinstance(part, dict) and set(part) - REMARKS in (set(), {"type"}, {"anyOf"}))
        for part in alternatives(schema, root)
    )
