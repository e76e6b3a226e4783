"""From what a request asks for to a ``Guide`` at the start of its text.

Knows: grammars, tokenizers, limits. Does not know: requests, logits.
A grammar may come from a stranger: llguidance compiles it under limits, on a stack that its deepest recursion fits.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection
from concurrent.futures import Future
from typing import TypeVar

from llguidance import LLMatcher, LLParserLimits

from frspec.errors import UserError
from frspec.speculation.guidance.grammar import grammar_of
from frspec.speculation.guidance.guide import Guide, reason
from frspec.speculation.guidance.vocabulary import vocabulary_of
from frspec.text.tokenizer import Tokenizer
from frspec.types import StructuredOutputs

STACK = 512 << 20
"""Bytes of address space. A chain of 500 references takes 8 MB of it, and a grammar of the largest size has 10,000."""
STEP_FUEL, STEP_ITEMS, STATES = 50_000, 20_000, 50_000
"""Below llguidance's own: the worst token of a hostile grammar takes 10 ms instead of 500, and its states 100 MB."""
_starting = threading.Lock()
Result = TypeVar("Result")


def compile_guide(
    outputs: StructuredOutputs,
    tokenizer: Tokenizer | None,
    vocab_size: int,
    eos_ids: Collection[int],
    stop_ids: Collection[int],
) -> Guide:
    """vocab_size: the model's; eos_ids: the checkpoint's; stop_ids: all that end this text. From any thread.

    Raises:
        UserError: when the form cannot be guaranteed, in llguidance's words.
    """
    if tokenizer is None:
        raise UserError("structured_outputs needs a tokenizer, but this LLM was made with skip_tokenizer_init=True")
    if not stop_ids:
        raise UserError(
            "structured_outputs ends a text by a stop token, and there is none: "
            "leave ignore_eos out, or give stop_token_ids"
        )
    grammar = grammar_of(outputs)
    vocabulary = vocabulary_of(tokenizer, tuple(sorted(eos_ids)) or (min(stop_ids),))

    def compiled() -> Guide:
        limits = LLParserLimits(
            step_lexer_fuel=STEP_FUEL, step_max_items=STEP_ITEMS, max_lexer_states=STATES, verbose_errors=False
        )
        matcher = LLMatcher(vocabulary, grammar, log_level=0, limits=limits)
        warnings = matcher.get_grammar_warnings()
        if matcher.is_error() or warnings:
            raise UserError(f"{outputs.name} cannot be honoured: {reason(matcher) or warnings[0]}")
        guide = Guide(matcher, vocabulary, vocab_size, stop_ids)
        guide.check_start()
        return guide

    return _deeply(compiled)


def _deeply(work: Callable[[], Result]) -> Result:
    """Do ``work`` on a stack of its own."""
    done = Future[Result]()

    def run() -> None:
        try:
            done.set_result(work())
        except BaseException as error:
            done.set_exception(error)

    with _starting:
        before = threading.stack_size(STACK)
        try:
            thread = threading.Thread(target=run, name="frspec-grammar", daemon=True)
            thread.start()
        finally:
            threading.stack_size(before)
    thread.join()
    return done.result()
