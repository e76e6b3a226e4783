"""What ``--acceptance`` asks for: the rates or lengths at which drafts count as accepted, for each draft vocabulary.

Knows: the words of the option. Does not know: how acceptance is drawn (``engine/synthetic.py``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from frspec.engine.synthetic import SyntheticAcceptance, expected_length
from frspec.errors import UserError
from frspec.speculation.plan import TreeShape

SYNTAX = "synthetic:0.8,0.7,... (rates at depth 1, 2, ...) or synthetic:full=3.89,32768=3.63 (mean acceptance lengths)"


@dataclass(frozen=True)
class Acceptance:
    """``rates`` for every draft vocabulary, or a mean acceptance length for each by its name in --draft-vocab."""

    rates: tuple[float, ...] = ()
    lengths: Mapping[str, float] | None = None

    @staticmethod
    def parse(text: str) -> Acceptance:
        """The option's value.

        Raises:
            UserError: when it is neither form.
        """
        kind, _, values = text.partition(":")
        parts = values.split(",")
        try:
            if kind != "synthetic":
                raise ValueError
            if "=" not in values:
                return Acceptance(SyntheticAcceptance([float(part) for part in parts]).rates)
            named = [part.split("=") for part in parts]
            lengths = {size.strip(): float(length) for size, length in named}
            if len(lengths) < len(named):
                raise UserError(f"--acceptance {text} gives a size twice; give each one length")
            return Acceptance(lengths=lengths)
        except ValueError as error:
            raise UserError(f"--acceptance {text} is not understood; write {SYNTAX}") from error

    def check(self, sizes: Sequence[str], shapes: Sequence[TreeShape | None]) -> None:
        """Find out before anything is loaded whether every size and shape gets its acceptance.

        Raises:
            UserError: when one does not.
        """
        for size in sizes:
            for shape in shapes:
                self.of(size, shape)

    def of(self, size: str, shape: TreeShape | None) -> SyntheticAcceptance:
        """For drafts from ``size`` of ``shape`` (None: shapes that the controller chooses).

        Raises:
            UserError: when there is no length for it, or no rate that gives it.
        """
        if self.lengths is None:
            return SyntheticAcceptance(self.rates)
        if size not in self.lengths:
            raise UserError(f"--acceptance has no length for --draft-vocab {size}; add {size}=LENGTH")
        if shape is None:
            raise UserError("--acceptance by mean length needs a fixed tree; give rates, or --shapes without auto")
        return SyntheticAcceptance.of_length(self.lengths[size], depth_of(shape))


def describe(synthetic: SyntheticAcceptance, shape: TreeShape | None) -> dict[str, Any]:
    """For results: the rates, and the mean acceptance length they give where drafts reach the shape's depth."""
    length = None if shape is None else round(expected_length(synthetic.rates, depth_of(shape)), 3)
    return {"rates": [round(rate, 5) for rate in synthetic.rates], "mean_acceptance_length": length}


def depth_of(shape: TreeShape) -> int:
    """How deep a draft of this shape can be."""
    return min(shape.depth, shape.nodes)
