"""Messages as OpenAI's API has them, made into what chat templates expect.

Knows: text parts, arguments as JSON text, which fields templates read. Does not know: HTTP, formats of calls.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from frspec.errors import UserError

ROLES = ("system", "developer", "user", "assistant", "tool")
FIELDS = {"role", "content", "name"}
FIELDS_OF = {
    "assistant": FIELDS | {"tool_calls", "reasoning_content"},
    "tool": FIELDS | {"tool_call_id"},
}


def to_template_messages(
    messages: Sequence[Mapping[str, Any]], chat_template: str | None = None
) -> list[dict[str, Any]]:
    """New messages for a chat template.

    Content in parts becomes one text, the parts joined by line breaks as in vLLM. A call's arguments, JSON text in the
    API, become the object. A tool's answer gets the name of the function that its ``tool_call_id`` called, which some
    templates write. A developer is the system to a template that knows no developers. Fields that are null or an empty
    list are left out.

    Raises:
        UserError: on roles, fields and parts that a template for text cannot show.
    """
    if not messages:
        raise UserError("messages is empty; there is nothing to answer")
    called: dict[str, str] = {}  # functions by tool_call_id
    made = [_message(message, f"messages[{i}]", called) for i, message in enumerate(messages)]
    if "developer" not in (chat_template or ""):
        for message in made:
            message["role"] = "system" if message["role"] == "developer" else message["role"]
    return made


def _message(message: Mapping[str, Any], where: str, called: dict[str, str]) -> dict[str, Any]:
    given = {key: value for key, value in message.items() if key == "content" or value not in (None, [])}
    role = given.get("role")
    if role not in ROLES:
        _refuse(f"{where}.role", f"is {role!r}, which is none of {', '.join(ROLES)}")
    if unknown := sorted(set(given) - FIELDS_OF.get(role, FIELDS)):
        _refuse(f"{where}.{unknown[0]}", f"is not supported in a message of role {role}")
    content = given.get("content")
    if content is None and "tool_calls" not in given:
        _refuse(f"{where}.content", "is missing")
    made = {**given, "content": "" if content is None else _text(content, f"{where}.content")}
    if "tool_calls" in given:
        made["tool_calls"] = [_call(call, f"{where}.tool_calls[{i}]") for i, call in enumerate(given["tool_calls"])]
        called.update({call["id"]: call["function"]["name"] for call in made["tool_calls"] if "id" in call})
    if role == "tool" and "name" not in given and given.get("tool_call_id") in called:
        made["name"] = called[given["tool_call_id"]]
    return made


def _text(content: Any, where: str) -> str:
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        _refuse(where, "is neither text nor a list of parts")
    return "\n".join(_part(part, f"{where}[{i}]") for i, part in enumerate(content))


def _part(part: Any, where: str) -> str:
    if not isinstance(part, Mapping) or part.get("type") != "text" or not isinstance(part.get("text"), str):
        kind = part.get("type") if isinstance(part, Mapping) else part
        _refuse(where, f"is of type {kind!r}; this model reads parts of type text only")
    return str(part["text"])


def _call(call: Any, where: str) -> dict[str, Any]:
    function = call.get("function") if isinstance(call, Mapping) else None
    if not isinstance(function, Mapping) or not isinstance(function.get("name"), str):
        _refuse(where, "is no call of a function by its name")
    arguments = function.get("arguments") or {}
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments, parse_constant=_no_json)
        except (ValueError, RecursionError) as error:
            _refuse(f"{where}.function.arguments", f"is no JSON: {error}")
    if not isinstance(arguments, Mapping):
        _refuse(f"{where}.function.arguments", "is no JSON object")
    return {**call, "type": "function", "function": {"name": function["name"], "arguments": arguments}}


def _no_json(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON value")


def _refuse(where: str, why: str) -> NoReturn:
    raise UserError(f"{where} {why}")
