"""Where in a rendered conversation the model's own turns stand, whatever the chat template.

Knows: generation blocks, generation prompts, the tokens that end a turn. Does not know: files, how often tokens occur.

A template that marks its answers with ``{% generation %}`` is believed. Of any other, a turn is what rendering the
conversation up to and with it adds to the prompt that the model would have got before it: exactly what the model would
have had to write, up to the token that ends the turn. Where rendering does not go on from that prompt, it is refused.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from frspec.errors import UserError
from frspec.text.document import Piece
from frspec.text.jinja_environment import GENERATION_END, GENERATION_START
from frspec.text.tokenizer import Tokenizer

Messages = Sequence[Mapping[str, Any]]
BLOCK = re.compile(r"\{%-?\s*generation\s*-?%\}")


class Turns:
    """The assistant's turns under the chat template of ``tokenizer``, which must have one."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._marked = BLOCK.search(tokenizer.chat_template or "") is not None
        ids = tokenizer.special_ids | ({tokenizer.eos_id} if tokenizer.eos_id is not None else set())
        found = (tokenizer.token(id) for id in ids)
        self._ends = sorted((token for token in found if token and token.strip()), key=len, reverse=True)
        self._eos = None if tokenizer.eos_id is None else tokenizer.token(tokenizer.eos_id)

    def find(self, messages: Messages) -> tuple[Piece, ...]:
        """The texts in which the assistant's turns stand, with their spans; nothing where it says nothing.

        Raises:
            UserError: when the template rejects the conversation, or the turns cannot be told.
        """
        if not any(message["role"] == "assistant" for message in messages):
            return ()
        return self._in_blocks(messages) if self._marked else self._by_prompts(messages)

    def _in_blocks(self, messages: Messages) -> tuple[Piece, ...]:
        first, last = (f"<{secrets.token_hex(8)}>" for _ in range(2))
        marks = {GENERATION_START: first, GENERATION_END: last}
        marked = self._tokenizer.render_chat(messages, add_generation_prompt=False, **marks)
        text, spans = "", list[tuple[int, int]]()
        before, *turns = marked.split(first)
        text += before
        for turn in turns:
            said, _, after = turn.partition(last)
            spans.append((len(text), len(text) + len(said)))
            text += said + after
        if not spans or text != self._tokenizer.render_chat(messages, add_generation_prompt=False):
            raise UserError("the chat template's generation blocks do not tell what the assistant wrote")
        return (Piece(text, tuple(span for span in spans if span[0] < span[1])),)

    def _by_prompts(self, messages: Messages) -> tuple[Piece, ...]:
        whole = self._tokenizer.render_chat(messages, add_generation_prompt=False)
        spans, others = list[tuple[int, int]](), list[Piece]()
        for place, message in enumerate(messages):
            if message["role"] != "assistant":
                continue
            prompt = self._tokenizer.render_chat(messages[:place])
            text = self._tokenizer.render_chat(messages[: place + 1], add_generation_prompt=False)
            if not text.startswith(prompt):
                raise UserError(
                    f"turn {place + 1}: the chat template does not write it after the prompt it makes for it, so what "
                    "the model would write cannot be told; leave --chat-template out"
                )
            span = len(prompt), self._end(text, len(prompt), place)
            if whole.startswith(text[: span[1]]):
                spans.append(span)
            else:  # some templates write the last turn in another way than those before it
                others.append(Piece(text[: span[1]], (span,)))
        return (Piece(whole, tuple(spans)), *others) if spans else tuple(others)

    def _end(self, text: str, start: int, place: int) -> int:
        """Where the token ends that ends the turn: EOS, or else the last special token."""
        rest, found = text[start:].rstrip(), dict[str, int]()
        while token := next((token for token in self._ends if rest.endswith(token)), None):
            found.setdefault(token, start + len(rest))
            rest = rest[: -len(token)].rstrip()
        if not found:
            raise UserError(
                f"turn {place + 1}: the chat template writes no special token that ends it, so what the model would "
                "write cannot be told; leave --chat-template out"
            )
        return found.get(self._eos or "", next(iter(found.values())))
