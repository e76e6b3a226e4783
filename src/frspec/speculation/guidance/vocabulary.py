"""A tokenizer as llguidance sees it, made once for each: it takes most of a second.

Knows: our ``Tokenizer``. Does not know: grammars.
"""

from __future__ import annotations

from threading import Lock
from weakref import WeakKeyDictionary

from llguidance import LLTokenizer

from frspec.errors import UserError
from frspec.text.tokenizer import Tokenizer

_made: WeakKeyDictionary[Tokenizer, dict[tuple[int, ...], LLTokenizer]] = WeakKeyDictionary()
_lock = Lock()


def vocabulary_of(tokenizer: Tokenizer, eos_ids: tuple[int, ...]) -> LLTokenizer:
    """``tokenizer`` with ``eos_ids`` (at least one) as its ends of text.

    Raises:
        UserError: when llguidance cannot read it.
    """
    with _lock:
        known = _made.setdefault(tokenizer, {})
        if eos_ids not in known:
            known.clear()  # one model has one set of them; others are rare
            known[eos_ids] = _make(tokenizer, eos_ids)
        return known[eos_ids]


def _make(tokenizer: Tokenizer, eos_ids: tuple[int, ...]) -> LLTokenizer:
    outside = next((id for id in eos_ids if id >= tokenizer.vocab_size), None)
    if outside is not None:
        raise UserError(f"structured_outputs: the tokenizer of {tokenizer.name} has no end-of-sequence id {outside}")
    try:
        return LLTokenizer(tokenizer.backend.to_str(), n_vocab=tokenizer.vocab_size, eos_token=list(eos_ids))
    except Exception as error:
        reason = str(error).split("\n")[0]
        raise UserError(
            f"structured_outputs: llguidance cannot read the tokenizer of {tokenizer.name}: {reason}"
        ) from error
