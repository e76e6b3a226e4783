"""Which parts of conversations are meant: what some roles say, or what a chat template makes of them.

Knows: how to find in a rendered conversation what the model itself would have to write. Does not know: files, counts.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from frspec.errors import UserError
from frspec.text.document import Document, Piece
from frspec.text.messages import FIELDS, FIELDS_OF, to_template_messages
from frspec.text.tokenizer import Tokenizer
from frspec.text.turns import Turns

Messages = Sequence[Mapping[str, Any]]


class Spoken:
    """What ``roles`` say, each message a text of its own. A text is nobody's, so it is refused."""

    def __init__(self, roles: Collection[str]) -> None:
        self._roles = frozenset(roles)
        self.facts: Mapping[str, Any] = {"only": sorted(self._roles)}

    def __call__(self, document: Document) -> tuple[Piece, ...]:
        """The contents of their messages."""
        return tuple(Piece(m["content"]) for m in conversation(document) if m["role"] in self._roles)


class Rendered:
    """Conversations as the tokenizer's chat template writes them; ``answers``: only what the model would write.

    Without ``answers`` a text counts as it is.

    Raises:
        UserError: when there is no chat template, or with ``answers`` one that tells no answers apart.
    """

    def __init__(self, tokenizer: Tokenizer, *, answers: bool) -> None:
        if tokenizer.chat_template is None:
            raise UserError(f"{tokenizer.name} has no chat template; leave --chat-template out")
        self._tokenizer = tokenizer
        self._turns = Turns(tokenizer) if answers else None
        self.facts: Mapping[str, Any] = {"chat_template": True} | ({"only": ["assistant"]} if answers else {})

    def __call__(self, document: Document) -> tuple[Piece, ...]:
        """The rendered conversation, or the texts in which its answers stand and where."""
        if self._turns is None and document.messages is None:
            return tuple(Piece(text) for text in document.texts())
        messages = for_template(conversation(document), self._tokenizer.chat_template)
        if self._turns is not None:
            return self._turns.find(messages)
        return (Piece(self._tokenizer.render_chat(messages, add_generation_prompt=False)),)


def conversation(document: Document) -> Messages:
    """The document's messages; raises ``UserError`` for a text."""
    if document.messages is None:
        raise UserError("is a text, and --only is about conversations; leave out the file or --only")
    return document.messages


def for_template(messages: Messages, template: str | None) -> list[dict[str, Any]]:
    """The messages as templates expect them; fields that only some templates know stay, null ones do not."""
    known = [{k: v for k, v in m.items() if k in FIELDS_OF.get(m["role"], FIELDS)} for m in messages]
    made = to_template_messages(known, template)
    rest = [
        {k: v for k, v in m.items() if k not in k_of and v is not None} for m, k_of in zip(messages, known, strict=True)
    ]
    return [{**other, **message} for other, message in zip(rest, made, strict=True)]
