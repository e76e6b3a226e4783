"""The nouns every floor shares.

Knows: what a request asks for, what a draft looks like, what comes out. Does not know: how any of it is made.
Names and defaults of ``SamplingParams`` and ``RequestOutput`` are those of vLLM's offline API.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

from frspec.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class StructuredOutputs:
    """The form a text must have: exactly one of these, which mean what they mean in vLLM.

    ``json``: a JSON schema, as an object or its text. ``regex``: matches the whole text; syntax of Rust's regex crate.
    ``choice``: one of these texts. ``grammar``: in the Lark syntax of llguidance. ``json_object``: any JSON object.

    Raises:
        UserError: when none or several are given, or one is of the wrong type or empty.
    """

    json: str | Mapping[str, Any] | None = None
    regex: str | None = None
    choice: Sequence[str] | None = None
    grammar: str | None = None
    json_object: bool | None = None

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


INT64 = "torch.int64"


@dataclass(frozen=True)
class TokenTree:
    """A drafted tree, root first and every parent before its children.

    ``tokens`` [N] int64: node 0 is the last token of the text itself, the others are drafts.
    ``parents`` [N] int64: the index of each node's parent; the root's is 0.
    ``depths`` [N] int64: 0 for the root. At most one child per token under a node. A chain is a tree.
    """

    tokens: Tensor
    parents: Tensor
    depths: Tensor

    def __len__(self) -> int:
        return self.tokens.shape[0]

    @staticmethod
    def chain(tokens: Sequence[int]) -> TokenTree:
        """The tree whose only path is ``tokens`` (root first)."""
        import torch

        steps = torch.arange(len(tokens))
        return TokenTree(torch.tensor(tokens, dtype=torch.int64), (steps - 1).clamp_(min=0), steps)

    def is_chain(self) -> bool:
        """Whether every node is the child of the one before it."""
        return bool(self.depths[-1] == len(self) - 1)

    def ancestors(self) -> Tensor:
        """[N, N] bool: row i marks node i and all nodes above it."""
        import torch

        own = torch.eye(len(self), dtype=torch.bool, device=self.tokens.device)
        seen = own
        for _ in range(int(self.depths.max())):
            seen = own | seen[self.parents]
        return seen

    def check(self, root: int, vocab_size: int, room: int, max_nodes: int) -> None:
        """Make sure of the invariants above, and that the tree hangs from ``root`` and fits.

        Raises:
            ValueError: naming what is wrong; the target must never see such a tree.
        """
        for part in (self.tokens, self.parents, self.depths):
            if (part.dim(), part.shape, part.device.type) != (1, self.tokens.shape, "cpu") or str(part.dtype) != INT64:
                raise ValueError("tokens, parents and depths are three int64 vectors of one length on the CPU")
        parents, depths, tokens = self.parents.tolist(), self.depths.tolist(), self.tokens.tolist()
        if not tokens or (tokens[0], parents[0], depths[0]) != (root, 0, 0):
            raise ValueError(f"the tree does not begin with the text's last token {root}")
        if len(tokens) > max_nodes + 1 or max(depths) > room:
            raise ValueError(f"{len(tokens) - 1} nodes, {max(depths)} deep, do not fit in {max_nodes} and {room}")
        if min(tokens) < 0 or max(tokens) >= vocab_size:
            raise ValueError(f"a token lies outside the vocabulary of {vocab_size}")
        for node in range(1, len(tokens)):
            if not 0 <= parents[node] < node or depths[node] != depths[parents[node]] + 1:
                raise ValueError("a parent comes before its children, and a depth is its parent's plus one")
        edges = set(zip(parents[1:], tokens[1:], strict=True))
        if len(edges) != len(tokens) - 1:
            raise ValueError("a node has two children of the same token")


@dataclass(frozen=True)
class Logprob:
    """One token's natural-log probability under the unprocessed target, and its 1-based place."""

    logprob: float
    rank: int
    decoded_token: str | None = None


@dataclass
class StepStats:
    """What the target passes after the prompt brought: ``emitted`` tokens (a prompt's own pass, which emits the
    first token, is not counted), and how many nodes were drafted and accepted at each depth (index 0: depth 1).
    ``draft_failures``: how often a drafter broke; the text went on without it.
    """

    target_passes: int = 0
    emitted: int = 0
    draft_failures: int = 0
    drafted_per_position: list[int] = field(default_factory=list)
    accepted_per_position: list[int] = field(default_factory=list)

    @property
    def mean_acceptance_length(self) -> float:
        """Tokens emitted per target pass, the target's own token included; 1.0 means no gain."""
        return self.emitted / self.target_passes if self.target_passes else 0.0

    def count(self, drafted_depths: Sequence[int], accepted: int, emitted: int) -> None:
        """Add one verified tree: the depth of each drafted node, the accepted length, the tokens kept."""
        self._reach(max(drafted_depths, default=0))
        for depth in drafted_depths:
            self.drafted_per_position[depth - 1] += 1
        for position in range(accepted):
            self.accepted_per_position[position] += 1
        self.target_passes += 1
        self.emitted += emitted

    def add(self, other: StepStats) -> None:
        """Add another's counts."""
        self._reach(len(other.drafted_per_position))
        for own, others in (
            (self.drafted_per_position, other.drafted_per_position),
            (self.accepted_per_position, other.accepted_per_position),
        ):
            for position, count in enumerate(others[: len(own)]):  # another thread may just be making them longer
                own[position] += count
        self.target_passes += other.target_passes
        self.draft_failures += other.draft_failures
        self.emitted += other.emitted

    def _reach(self, depth: int) -> None:
        missing = depth - len(self.drafted_per_position)
        self.drafted_per_position += [0] * missing
        self.accepted_per_position += [0] * missing


@dataclass
class RequestMetrics(StepStats):
    """``StepStats`` of one request, with what its user saw: seconds, the last two by ``time.perf_counter``."""

    time_to_first_token: float | None = None
    first_token_time: float | None = None
    last_token_time: float | None = None

    @property
    def decode_seconds(self) -> float:
        """From the first token to the last."""
        if self.first_token_time is None or self.last_token_time is None:
            return 0.0
        return self.last_token_time - self.first_token_time

    @property
    def tokens_per_second(self) -> float:
        """Tokens after the first over the time since the first."""
        return self.emitted / self.decode_seconds if self.decode_seconds > 0 else 0.0

    @staticmethod
    def merge(several: Sequence[RequestMetrics]) -> RequestMetrics:
        """Counts added up, from the first token of any to the last of all."""
        total = RequestMetrics()
        for one in several:
            total.add(one)
        begun = [m for m in several if m.time_to_first_token is not None]
        total.time_to_first_token = min((m.time_to_first_token or 0.0 for m in begun), default=None)
        total.first_token_time = min((m.first_token_time or 0.0 for m in begun), default=None)
        total.last_token_time = max((m.last_token_time or 0.0 for m in begun), default=None)
        return total


@dataclass
class CompletionOutput:
    """One of a request's ``n`` completions.

    ``finish_reason``: "stop", "length", "abort", "error" (``stop_reason`` says which) or None (running).
    """

    index: int
    text: str
    token_ids: list[int]
    cumulative_logprob: float | None = None
    logprobs: list[dict[int, Logprob]] | None = None
    finish_reason: str | None = None
    stop_reason: int | str | None = None


@dataclass(frozen=True)
class Round:
    """One verified tree, root first, as in ``TokenTree``: ``path`` are the nodes that were accepted, the root among
    them, ``emitted`` the tokens that came of it. The seconds are those of the whole step, whoever shared it.
    """

    tokens: list[int]
    parents: list[int]
    depths: list[int]
    path: list[int]
    emitted: list[int]
    draft_seconds: float
    verify_seconds: float


@dataclass
class Delta:
    """What is new of one completion.

    ``text`` never ends in half a character, nor in what may become a stop string. For each of ``token_ids``:
    ``text_ends``, the characters of the completion's whole text after it (text may come later than its token, and what
    a stop string cuts off never comes), and ``depths``, the depth at which it was an accepted draft, or 0.
    ``rounds`` are there where they were asked for.
    """

    index: int
    text: str = ""
    token_ids: list[int] = field(default_factory=list)
    text_ends: list[int] = field(default_factory=list)
    depths: list[int] = field(default_factory=list)
    logprobs: list[dict[int, Logprob]] | None = None
    rounds: list[Round] = field(default_factory=list)
    finish_reason: str | None = None
    stop_reason: int | str | None = None


@dataclass
class RequestOutput:
    """What a prompt has become so far; complete when ``finished``."""

    request_id: str
    prompt: str | None
    prompt_token_ids: list[int]
    outputs: list[CompletionOutput]
    finished: bool
    seed: int
    metrics: RequestMetrics
    num_cached_tokens: int = 0
    prompt_logprobs: list[dict[int, Logprob] | None] | None = None
