"""What a request asks for.

Knows: which values a request could mean. Does not know: how any is honoured.
Names and defaults of ``SamplingParams`` are those of vLLM's offline API.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from numbers import Integral, Real
from typing import Any

from frspec.errors import UserError


@dataclass(frozen=True)
class StructuredOutputs:
    """The form a text must have: exactly one of these, which mean what they mean in vLLM.

    ``json``: a JSON schema, as an object or its text. ``regex``: matches the whole text; syntax of Rust's regex crate.
    ``choice``: one of these texts. ``grammar``: in the Lark syntax of llguidance. ``json_object``: any JSON object.
    ``asked_as``: what errors call it, where it was asked for by another name than these (not in vLLM).

    Raises:
        UserError: when none or several are given, or one is of the wrong type or empty.
    """

    json: str | Mapping[str, Any] | None = None
    regex: str | None = None
    choice: Sequence[str] | None = None
    grammar: str | None = None
    json_object: bool | None = None
    asked_as: str | None = field(default=None, kw_only=True, compare=False)

    def __post_init__(self) -> None:
        self.given()
        for name in ("regex", "grammar"):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, str) or not value):
                raise UserError(f"structured_outputs.{name}={value!r} is impossible; it must be a text")
        if self.choice is not None:
            texts = () if isinstance(self.choice, str) or not isinstance(self.choice, Iterable) else tuple(self.choice)
            if not texts or not all(isinstance(text, str) and text for text in texts):
                raise UserError(
                    f"structured_outputs.choice={self.choice!r} is impossible; it must be a list of texts, none empty"
                )
            object.__setattr__(self, "choice", texts)
        if self.json is not None and not isinstance(self.json, str | Mapping):
            raise UserError(f"structured_outputs.json={self.json!r} is impossible; it must be a JSON schema")

    def given(self) -> tuple[str, Any]:
        """Which one, and what it says."""
        names = ("json", "regex", "choice", "grammar", "json_object")
        given = [(name, getattr(self, name)) for name in names if getattr(self, name) not in (None, False)]
        if len(given) != 1:
            said = " and ".join(name for name, _ in given) or "none"
            raise UserError(f"structured_outputs takes one of {', '.join(names)}, but has {said}")
        return given[0]

    @property
    def name(self) -> str:
        """What whoever asked for it calls it."""
        return self.asked_as or f"structured_outputs.{self.given()[0]}"


@dataclass(frozen=True)
class SamplingParams:
    """What one request asks of the sampler; the fields mean what they mean in vLLM.

    ``temperature`` 0 (below 1e-5, as in vLLM) is greedy. ``top_k`` -1 or 0 and ``top_p`` 1 switch their filters off.
    The order is ``structured_outputs``, ``logit_bias``, ``allowed_token_ids``, ``bad_words``, ``min_tokens``,
    penalties, ``temperature``, ``min_p``, ``top_k``, ``top_p``. ``stop``, ``stop_token_ids`` and ``bad_words`` may be
    None for none. ``seed`` None or -1 draws a fresh seed for the request; the one used is in ``RequestOutput.seed``.

    Raises:
        UserError: on a value that no request could mean.
    """

    n: int = 1
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = -1
    min_p: float = 0.0
    seed: int | None = None
    max_tokens: int | None = 16
    min_tokens: int = 0
    stop: str | Sequence[str] = ()
    stop_token_ids: Sequence[int] = ()
    bad_words: Sequence[str] = ()
    include_stop_str_in_output: bool = False
    ignore_eos: bool = False
    repetition_penalty: float = 1.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    logit_bias: Mapping[int, float] | None = None
    allowed_token_ids: Sequence[int] | None = None
    logprobs: int | None = None
    prompt_logprobs: int | None = None
    detokenize: bool = True
    skip_special_tokens: bool = True
    structured_outputs: StructuredOutputs | None = None

    def __post_init__(self) -> None:
        stop = (self.stop,) if isinstance(self.stop, str) else tuple(self.stop or ())
        object.__setattr__(self, "stop", stop)
        for name in ("stop_token_ids", "bad_words"):
            value = getattr(self, name)
            if isinstance(value, str) or not isinstance(value or (), Iterable):
                raise UserError(f"{name}={value!r} is impossible; it must be a list")
            object.__setattr__(self, name, tuple(value or ()))
        for name, (fits, wanted) in self._limits().items():
            if not fits:
                raise UserError(f"{name}={getattr(self, name)!r} is impossible; it must be {wanted}")
        object.__setattr__(self, "seed", None if self.seed in (None, -1) else int(self.seed))

    @property
    def greedy(self) -> bool:
        """Whether the most likely token is taken."""
        return self.temperature < 1e-5

    def _limits(self) -> dict[str, tuple[bool, str]]:
        def number(value: Any) -> bool:
            return not isinstance(value, bool) and isinstance(value, Real) and isfinite(value)

        def count(value: Any, least: int) -> bool:
            return not isinstance(value, bool) and isinstance(value, Integral) and int(value) >= least

        top = self.max_tokens
        return {
            "n": (count(self.n, 1), "a whole number of at least 1"),
            "temperature": (number(self.temperature) and self.temperature >= 0, "a finite number of at least 0"),
            "top_p": (number(self.top_p) and 0 < self.top_p <= 1, "above 0 and at most 1"),
            "top_k": (count(self.top_k, -1), "-1 or 0 (off) or a whole number of at least 1"),
            "min_p": (number(self.min_p) and 0 <= self.min_p <= 1, "from 0 to 1"),
            "seed": (self.seed is None or (count(self.seed, -(2**63)) and self.seed < 2**63), "a 64-bit integer"),
            "max_tokens": (top is None or count(top, 1), "a whole number of at least 1"),
            "min_tokens": (
                count(self.min_tokens, 0) and (top is None or not count(top, 1) or self.min_tokens <= top),
                "from 0 to max_tokens",
            ),
            "stop": (all(isinstance(s, str) and s for s in self.stop), "strings that are not empty"),
            "stop_token_ids": (all(count(i, 0) for i in self.stop_token_ids), "token ids of at least 0"),
            "bad_words": (all(isinstance(w, str) and w for w in self.bad_words), "strings that are not empty"),
            "repetition_penalty": (number(self.repetition_penalty) and self.repetition_penalty > 0, "above 0"),
            "presence_penalty": (number(self.presence_penalty) and abs(self.presence_penalty) <= 2, "from -2 to 2"),
            "frequency_penalty": (number(self.frequency_penalty) and abs(self.frequency_penalty) <= 2, "from -2 to 2"),
            "logit_bias": (
                all(count(i, 0) and number(b) for i, b in (self.logit_bias or {}).items()),
                "a map from token ids to finite numbers",
            ),
            "allowed_token_ids": (
                self.allowed_token_ids is None
                or (len(self.allowed_token_ids) > 0 and all(count(i, 0) for i in self.allowed_token_ids)),
                "None or a list of token ids that is not empty",
            ),
            "structured_outputs": (
                self.structured_outputs is None or isinstance(self.structured_outputs, StructuredOutputs),
                "None or StructuredOutputs",
            ),
            "logprobs": (self.logprobs is None or count(self.logprobs, 0), "None or at least 0"),
            "prompt_logprobs": (self.prompt_logprobs is None or count(self.prompt_logprobs, 0), "None or at least 0"),
        }
