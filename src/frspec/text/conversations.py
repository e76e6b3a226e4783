"""Conversations in the forms data sets store them, as messages a chat template takes.

Knows: ``role``/``content`` messages, ShareGPT's ``from``/``value`` turns, content in parts. Does not know: files.
"""

from __future__ import annotations

from typing import Any

# The fields data sets keep conversations in.
CONVERSATIONS = ("messages", "conversations")

# ShareGPT's names and what others call the same speakers.
ROLES = {
    "system": "system",
    "developer": "developer",
    "human": "user",
    "user": "user",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "assistant": "assistant",
    "model": "assistant",
    "tool": "tool",
    "function": "tool",
    "observation": "tool",
}


def to_messages(turns: list[Any]) -> list[dict[str, Any]]:
    """The conversation as ``{"role": ..., "content": str, ...}`` messages; other keys stay as they are.

    Raises:
        ValueError: saying which turn is none.
    """
    if not turns:
        raise ValueError("the conversation has no turns")
    return [_message(turn, number) for number, turn in enumerate(turns, 1)]


def _message(turn: Any, number: int) -> dict[str, Any]:
    if not isinstance(turn, dict):
        raise ValueError(f"turn {number} is no object with role and content")
    rest = dict(turn)
    speaker = rest.pop("role", None) or rest.pop("from", None)
    if not isinstance(speaker, str) or speaker not in ROLES:
        raise ValueError(f"turn {number} is by {speaker!r}, which is none of {', '.join(ROLES)}")
    content = rest.pop("content", None)
    if content is None:
        content = rest.pop("value", None)
    if content is None and rest.get("tool_calls"):
        content = ""
    if isinstance(content, list):
        content = "".join(_part(part, number) for part in content)
    if not isinstance(content, str):
        raise ValueError(f"turn {number} has no text as its content")
    return {"role": ROLES[speaker], "content": content, **rest}


def _part(part: Any, number: int) -> str:
    if isinstance(part, str):
        return part
    if isinstance(part, dict) and part.get("type") == "text" and isinstance(part.get("text"), str):
        return str(part["text"])
    raise ValueError(f"turn {number} has a part that is not text")
