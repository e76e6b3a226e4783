"""Where one text stands in its grammar: the tokens that may come next, those that must, and drafts that fit.

Knows: one llguidance matcher, which ids end the text. Does not know: logits, models, what is drafted by whom.
After the same tokens the same ids are allowed, whatever was tried in between, so that drafts change nothing;
but llguidance counts states of its lexer for a text and all copies of it together, and ends one that needs too many.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import torch
from llguidance import LLMatcher, LLTokenizer
from numpy.typing import NDArray

from frspec.errors import UserError
from frspec.types import TokenTree

LARGEST_TREE = 32
"""Drafted tokens in a tree up to which what the grammar forces is added to it."""
SCOUTED = 4
"""Tokens to which a grammar is tried before its text begins."""


class Guide:
    """One text's.

    matcher: at the start of it, made for ``vocabulary``; vocab_size: the model's; ends: ids that end the text.
    """

    def __init__(self, matcher: LLMatcher, vocabulary: LLTokenizer, vocab_size: int, ends: Collection[int]) -> None:
        self._matcher, self._vocabulary, self._vocab_size = matcher, vocabulary, vocab_size
        self._ends = frozenset(ends)
        self._all_ends, self._no_ends = sorted(self._ends), sorted(set(vocabulary.eos_tokens) - self._ends)
        self._bits = np.zeros((vocabulary.vocab_size + 31) // 32 * 4, dtype=np.uint8)
        self._count = min(vocabulary.vocab_size, vocab_size)

    def copy(self) -> Guide:
        """Another text that stands where this one does."""
        return Guide(self._matcher.deep_copy(), self._vocabulary, self._vocab_size, self._ends)

    def allowed(self) -> NDArray[np.bool_]:
        """[vocab_size] bool: the ids that may come next; those that end a text where it may end.

        Raises:
            UserError: when the grammar has become too complex.
        """
        self._matcher.unsafe_compute_mask_ptr(self._bits.ctypes.data, self._bits.nbytes)
        self._check()
        found = np.zeros(self._vocab_size, dtype=np.bool_)  # the head may have rows that the tokenizer has no use for
        found[: self._count] = np.unpackbits(self._bits, count=self._count, bitorder="little")
        if self._matcher.is_accepting():
            found[self._no_ends] = False
            found[self._all_ends] = True
        return found

    def observe(self, token: int) -> None:
        """``token`` was written.

        Raises:
            UserError: when the grammar has no such text.
        """
        if token not in self._ends and not self._matcher.consume_token(token):
            self._check()

    def check_start(self) -> None:
        """Make sure that there is a way to begin, and to go on for the few tokens after which most of what is too
        complex shows.

        Raises:
            UserError: when there is none, or the tokenizer has no tokens for it.
        """
        forced = self._matcher.compute_ff_tokens()[:1]
        if self._matcher.validate_tokens(forced) < len(forced):
            begin = self._matcher.compute_ff_bytes()[:8].decode(errors="replace")
            raise UserError(f"structured_outputs cannot be honoured: the tokenizer has no tokens for {begin!r}")
        if not self.allowed().any():
            raise UserError("structured_outputs cannot be honoured: no text fits")
        scout = self.copy()
        for _ in range(SCOUTED):
            inner = [int(id) for id in np.flatnonzero(scout.allowed())[:8] if id not in self._ends]
            if not inner:
                return
            scout.observe(inner[0])

    def fit(self, tree: TokenTree, room: int) -> TokenTree:
        """``tree`` without the drafts that the grammar forbids, and with the tokens that it forces, which are sure to
        be accepted, up to ``LARGEST_TREE`` in all; none deeper than ``room``. Ends are no drafts: nothing follows them.
        """
        fitted = _Fitting(self._matcher, self._ends, tree, room)
        fitted.descend(0, 0, 0)
        return TokenTree(torch.tensor(fitted.tokens), torch.tensor(fitted.parents), torch.tensor(fitted.depths))

    def _check(self) -> None:
        if self._matcher.is_error():
            raise UserError(f"structured_outputs cannot be honoured: {reason(self._matcher)}")


class _Fitting:
    """A walk through a drafted tree and the grammar at once; the matcher ends where it began."""

    def __init__(self, matcher: LLMatcher, ends: Collection[int], tree: TokenTree, room: int) -> None:
        self._matcher, self._ends, self._room = matcher, ends, room
        self._drafted, parents = tree.tokens.tolist(), tree.parents.tolist()
        self._children: dict[int, list[int]] = {}
        for node in range(1, len(tree)):
            self._children.setdefault(parents[node], []).append(node)
        self.tokens, self.parents, self.depths = self._drafted[:1], [0], [0]

    def descend(self, node: int | None, place: int, depth: int) -> None:
        """From ``place`` in the new tree, which is ``node`` of the old one (None: not in it), ``depth`` deep."""
        forced = self._forced(depth)
        if taken := self._matcher.try_consume_tokens(forced):
            for token in forced[:taken]:
                node, place, depth = self._child(node, token), self._add(token, place, depth + 1), depth + 1
            self.descend(node, place, depth)
            self._matcher.rollback(taken)
            return
        for child in self._children.get(node, ()) if node is not None else ():
            token = self._drafted[child]
            if depth < self._room and token not in self._ends and self._matcher.try_consume_tokens([token]):
                self.descend(child, self._add(token, place, depth + 1), depth + 1)
                self._matcher.rollback(1)

    def _forced(self, depth: int) -> list[int]:
        """What must come next, as much of it as may be added."""
        most = min(self._room - depth, LARGEST_TREE + 1 - len(self.tokens))
        return self._matcher.compute_ff_tokens()[: max(0, most)]

    def _child(self, node: int | None, token: int) -> int | None:
        children = self._children.get(node, ()) if node is not None else ()
        return next((child for child in children if self._drafted[child] == token), None)

    def _add(self, token: int, parent: int, depth: int) -> int:
        self.tokens.append(token)
        self.parents.append(parent)
        self.depths.append(depth)
        return len(self.tokens) - 1


def reason(matcher: LLMatcher) -> str:
    """Why ``matcher`` is in error, in one line; empty if it is not."""
    lines = [line.strip() for line in matcher.get_error().splitlines()]
    detail = next((line for line in lines if line.startswith("error: ")), "")
    return f"{lines[0]} {detail}".strip()[:300] if lines else ""
