"""Conversations and template variables as users hand them over: files and flags.

Knows: JSON, where it came from. Does not know: models, terminals.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from frspec.artifacts import atomic_path
from frspec.errors import UserError

Conversation = list[dict[str, Any]]


def read_conversation(path: str | Path) -> Conversation:
    """The messages in a JSON file; "-" is stdin.

    Raises:
        UserError: when it cannot be read or holds no list of messages.
    """
    try:
        talk = json.loads(sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"cannot read the conversation in {path}: {error}; give a JSON list of messages") from error
    if not (isinstance(talk, list) and talk and all(isinstance(m, dict) and "role" in m for m in talk)):
        raise UserError(f'{path} is not a conversation; give a JSON list such as [{{"role": "user", "content": "Hi"}}]')
    return talk


def save_conversation(messages: Sequence[dict[str, Any]], path: Path) -> None:
    """Write what ``read_conversation`` reads, over an older conversation but over no other file.

    Raises:
        UserError: when there is nothing to write, or no place for it.
    """
    if not messages:
        raise UserError("there is nothing to save yet")
    if path.exists():
        try:
            read_conversation(path)
        except UserError as error:
            raise UserError(f"{path} exists and is not a conversation; choose another name") from error
    with atomic_path(path) as place:
        place.write_text(json.dumps(messages, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def template_variables(given: str | None) -> dict[str, Any] | None:
    """The value of ``--chat-template-kwargs``.

    Raises:
        UserError: when it is no JSON object.
    """
    if given is None:
        return None
    try:
        variables = json.loads(given)
    except ValueError as error:
        raise UserError(f"--chat-template-kwargs is not JSON: {error}") from error
    if not isinstance(variables, dict):
        raise UserError('--chat-template-kwargs is not a JSON object; give one such as {"enable_thinking": false}')
    return variables
