"""From a vocabulary's token strings to the bytes they stand for, and what joining them does on top.

Knows: byte-level vocabularies (GPT-2, Qwen, Llama 3, tiktoken) and SentencePiece-style ones (Llama 2, Mistral,
Gemma). Does not know: where a vocabulary comes from, which ids are special.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from frspec.errors import UserError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

BYTE_TOKEN = re.compile(r"<0x([0-9A-Fa-f]{2})>")
SPACE_MARK = "▁"


def byte_characters() -> list[str]:
    """For each byte the printable character that stands for it in GPT-2's vocabulary format."""
    shown = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    hidden = [byte for byte in range(256) if byte not in set(shown)]
    characters = {byte: chr(byte) for byte in shown} | {byte: chr(256 + i) for i, byte in enumerate(hidden)}
    return [characters[byte] for byte in range(256)]


# Characters that stand for no byte must not pass the latin-1 encoder below, so they move out of its range.
_TO_LATIN1 = dict.fromkeys(range(256), 0xFFFF) | {ord(c): byte for byte, c in enumerate(byte_characters())}


@dataclass(frozen=True)
class Decoding:
    """How the tokens of one vocabulary become text.

    ``byte_level``: tokens spell bytes; the text is their concatenation as UTF-8, each maximal invalid piece
    becoming U+FFFD. Otherwise ``▁`` is a space; with ``byte_fallback`` a run of ``<0xNN>`` tokens is one piece of
    UTF-8, or one U+FFFD a byte if it is not valid; and up to ``strip`` spaces are cut from the start of the text.
    """

    byte_level: bool
    byte_fallback: bool = False
    strip: int = 0

    def token_bytes(self, token: str) -> bytes:
        """The bytes one token stands for inside a text."""
        if self.byte_level:
            try:
                return token.translate(_TO_LATIN1).encode("latin-1")
            except UnicodeEncodeError:  # an added token that spells itself
                return token.encode()
        token = token.replace(SPACE_MARK, " ")
        if self.byte_fallback and (byte := BYTE_TOKEN.fullmatch(token)):
            return bytes([int(byte[1], 16)])
        return token.encode()

    def is_byte(self, token: str) -> bool:
        """Whether the token is one of a byte-fallback run."""
        return self.byte_fallback and BYTE_TOKEN.fullmatch(token) is not None


def decoding_of(backend: Tokenizer, name: str) -> Decoding:
    """The ``Decoding`` that ``backend.decode`` performs.

    Raises:
        UserError: when its decoder is none of the two kinds above.
    """
    spec: dict[str, Any] = json.loads(backend.decoder.__getstate__()) if backend.decoder else {"type": "nothing"}
    steps: list[dict[str, Any]] = spec["decoders"] if spec["type"] == "Sequence" else [spec]
    if [step["type"] for step in steps] == ["ByteLevel"]:
        return Decoding(byte_level=True)
    if decoding := _sentencepiece(steps):
        return decoding
    kind = " + ".join(step["type"] for step in steps)
    raise UserError(
        f"the tokenizer of {name} decodes by {kind}, which frspec does not know; "
        "it knows byte-level and SentencePiece-style (Replace, ByteFallback, Fuse, Strip) tokenizers"
    )


def _sentencepiece(steps: list[dict[str, Any]]) -> Decoding | None:
    rest = list(steps)
    replace = {"type": "Replace", "pattern": {"String": SPACE_MARK}, "content": " "}
    if not rest or rest.pop(0) != replace:
        return None
    byte_fallback = bool(rest) and rest[0]["type"] == "ByteFallback"
    rest = rest[byte_fallback:]
    if not rest or rest.pop(0)["type"] != "Fuse":
        return None
    if not rest:
        return Decoding(byte_level=False, byte_fallback=byte_fallback)
    if len(rest) == 1 and rest[0]["type"] == "Strip" and (rest[0]["content"], rest[0]["stop"]) == (" ", 0):
        return Decoding(byte_level=False, byte_fallback=byte_fallback, strip=rest[0]["start"])
    return None
