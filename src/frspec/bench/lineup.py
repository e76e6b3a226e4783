"""Our own methods: plain decoding, and every drafter with every draft vocabulary and every tree that was named.

Knows: how rows are named, which combinations are the same. Does not know: prompts, peers, measuring.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import product

from frspec import hub
from frspec.bench.acceptance import Acceptance, describe
from frspec.bench.methods import PLAIN, OwnMethod, Setting
from frspec.engine.drafting import check_draft
from frspec.engine.llm import LLM
from frspec.errors import UserError
from frspec.models.config import load_config
from frspec.ranking.ranking import Ranking
from frspec.speculation.plan import TreeShape

AUTO = "auto"
SHAPES = "auto, chain:TOKENS or tree:TOKENS/DEPTH/WIDTH"
Shapes = Sequence[TreeShape | None]
"""None: the controller decides."""


def read_shapes(text: str) -> list[TreeShape | None]:
    """``auto,chain:4,tree:15/5/4``, each once.

    Raises:
        UserError: naming what is none of these.
    """
    return [_read_shape(word) for word in dict.fromkeys(word.strip() for word in text.split(","))]


def _read_shape(word: str) -> TreeShape | None:
    if word == AUTO:
        return None
    kind, _, numbers = word.partition(":")
    try:
        sizes = [int(number) for number in numbers.split("/")]
        if kind == "chain":
            (tokens,) = sizes
            return TreeShape(tokens, tokens, 1)
        tokens, depth, width = sizes
        if kind == "tree":
            return TreeShape(tokens, depth, width)
    except ValueError:
        pass
    raise UserError(f"{word!r} is no shape of a draft; the shapes are {SHAPES}")


def check_sizes(sizes: Sequence[str], shapes: Shapes) -> None:
    """Find out before anything is loaded whether a controller is there to choose the size where ``AUTO`` was asked for.

    Raises:
        UserError: when there is none.
    """
    if AUTO in sizes and None not in shapes:
        raise UserError("--draft-vocab auto chooses sizes as the shape is chosen; add auto to --shapes, or name sizes")


def check_drafts(
    model: str, revision: str | None, drafts: Sequence[str], sizes: Sequence[str], ranking: str | Ranking | None
) -> None:
    """Find out before ``model`` is loaded whether there is what ``own_methods`` will ask for.

    Raises:
        UserError: when there is not.
    """
    rows = load_config(hub.resolve(model, revision)).vocab_size
    for draft, size in product(_heads(drafts), sizes):
        check_draft(draft, *_vocabulary(size, ranking), None, rows)


def own_methods(
    plain: LLM,
    drafts: Sequence[str],
    sizes: Sequence[str],
    shapes: Shapes,
    ranking: str | Ranking | None = None,
    draft_noise: bool = True,
    acceptance: Acceptance | None = None,
    quantize: Sequence[str | None] = (None,),
) -> list[OwnMethod]:
    """``PLAIN`` first; drafters with a head once for each size and shape, whose names say which where they differ.

    A size of ``AUTO`` is left to the controller, as ``AUTO`` shapes are; fixed shapes have none of that size.
    quantize: "int8" and None, for drafters in 8 bits and in the target's type.
    ``acceptance`` is drawn where a head drafts; those rows are called synthetic.
    """
    methods = [OwnMethod(PLAIN, plain)]
    heads = _heads(drafts)
    if "ngram" in drafts:
        methods += [_ngram(plain, shape, len(shapes) > 1) for shape in _of_other_sizes(shapes)]
    for draft, size, kind, shape in product(heads, dict.fromkeys(sizes), dict.fromkeys(quantize), shapes):
        if size == AUTO and shape is not None:
            continue
        llm = plain.with_draft(draft, *_vocabulary(size, ranking), shape, draft_noise, kind)
        words = [draft] * (len(heads) > 1) + [size] + [kind] * (kind is not None)
        words += [_label(shape)] * (len(shapes) > 1 and size != AUTO)
        setting = Setting(draft, size, shape=_label(shape), draft_quantize=kind)
        methods.append(_with_head(llm, words, setting, shape, acceptance))
    return methods


def _heads(drafts: Sequence[str]) -> list[str]:
    return [draft for draft in dict.fromkeys(drafts) if draft not in ("none", "ngram")]


def _vocabulary(size: str, ranking: str | Ranking | None) -> tuple[str | None, str | Ranking | None]:
    return None if size == AUTO else size, None if size == "full" else ranking


def _ngram(plain: LLM, shape: TreeShape | None, named: bool) -> OwnMethod:
    """An n-gram's draft is a chain whatever the tree."""
    label = AUTO if shape is None else f"chain:{shape.nodes}"
    name = f"ngram {label}" if named else "ngram"
    return OwnMethod(name, plain.with_draft("ngram", shape=shape), Setting("ngram", shape=label))


def _of_other_sizes(shapes: Shapes) -> Shapes:
    """Of shapes with as many tokens the first."""
    return list({None if shape is None else shape.nodes: shape for shape in reversed(shapes)}.values())[::-1]


def _with_head(
    llm: LLM, words: Sequence[str], setting: Setting, shape: TreeShape | None, acceptance: Acceptance | None
) -> OwnMethod:
    drafter = llm.engine.drafter
    assert drafter is not None
    name = " ".join([drafter.name, *words])
    head = None if setting.draft_vocab == AUTO else getattr(drafter, "head", None)
    size = head.size if head is not None and len(head.sizes) == 1 else None  # of several the controller chooses
    setting = replace(setting, draft_vocab_size=size)
    if acceptance is None:
        return OwnMethod(name, llm, setting)
    llm.engine.synthetic = acceptance.of(setting.draft_vocab or "full", shape)
    return OwnMethod(f"{name} synthetic", llm, replace(setting, synthetic=describe(llm.engine.synthetic, shape)))


def _label(shape: TreeShape | None) -> str:
    return AUTO if shape is None else str(shape)
