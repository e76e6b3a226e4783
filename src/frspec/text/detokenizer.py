"""Token ids to text as they come, never half a character.

Knows: what of a text can no longer change when more tokens follow. Does not know: stop strings, requests.
"""

from __future__ import annotations

import codecs
import copy
from collections.abc import Sequence

from frspec.text.tokenizer import Tokenizer


class Detokenizer:
    """The text of one output, continued with every ``push``.

    The pieces join to what ``tokenizer.decode`` makes of prompt and output together, after the part it shares with
    what it makes of the prompt alone. A character whose first bytes end the prompt belongs to the output. A token
    costs the same wherever it stands.
    """

    def __init__(self, tokenizer: Tokenizer, prompt_ids: Sequence[int] = (), skip_special_tokens: bool = True) -> None:
        self._tokenizer = tokenizer
        self._skipped = tokenizer.special_ids if skip_special_tokens else frozenset()
        self._utf8 = codecs.getincrementaldecoder("utf-8")("replace")
        self._run = bytearray()  # byte-fallback tokens; their text is known when the run ends
        self._strip = tokenizer.decoding.strip
        self._shown = ""
        self.push(prompt_ids)
        self._shown = self._pending()

    def copy(self) -> Detokenizer:
        """Another that goes on from here: a prompt that several outputs continue is read once."""
        other = copy.copy(self)
        other._utf8 = codecs.getincrementaldecoder("utf-8")("replace")
        other._utf8.setstate(self._utf8.getstate())
        other._run = self._run.copy()
        return other

    def push(self, ids: Sequence[int]) -> str:
        """The text that ``ids`` make final."""
        add = self._add_bytes if self._tokenizer.decoding.byte_level else self._add_piece
        text = "".join(add(id) for id in ids if id not in self._skipped)
        return self._new(text) if text else ""

    def flush(self) -> str:
        """The rest: what an unfinished character decodes to. Nothing can be pushed after it."""
        text = self._pending()
        self._run.clear()
        self._utf8.reset()
        return self._new(text)

    def _add_bytes(self, id: int) -> str:
        return self._utf8.decode(self._tokenizer.token_bytes(id))

    def _add_piece(self, id: int) -> str:
        token = self._tokenizer.token(id)
        if token is None:
            return ""
        content = self._tokenizer.token_bytes(id)
        if self._tokenizer.decoding.is_byte(token):
            self._run += content
            return ""
        text = _decode_run(self._run) + content.decode()
        self._run.clear()
        cut = self._to_cut(text)
        self._strip = self._strip - cut if cut == len(text) else 0
        return text[cut:]

    def _to_cut(self, text: str) -> int:
        """How many spaces at the start of ``text``, which comes next, are to be stripped from the whole."""
        return min(self._strip, len(text) - len(text.lstrip(" ")))

    def _pending(self) -> str:
        """What ``flush`` would return, prompt included."""
        if self._tokenizer.decoding.byte_level:
            return self._utf8.getstate()[0].decode(errors="replace")
        text = _decode_run(self._run)
        return text[self._to_cut(text) :]

    def _new(self, text: str) -> str:
        """``text`` after what the prompt's text has already shown of it."""
        shown, self._shown = self._shown, ""
        same = next(
            (i for i, (a, b) in enumerate(zip(shown, text, strict=False)) if a != b), min(len(shown), len(text))
        )
        return text[same:]


def _decode_run(run: bytearray) -> str:
    """Byte-fallback tokens in a row: UTF-8, or one U+FFFD a byte."""
    try:
        return run.decode()
    except UnicodeDecodeError:
        return "\N{REPLACEMENT CHARACTER}" * len(run)
