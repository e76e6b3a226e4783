"""From what the user named to the drafter the engine runs.

Knows: which drafters exist and what each needs. Does not know: how they draft.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from frspec import hub, shipped
from frspec.errors import UserError
from frspec.models.checkpoint import load_decoder
from frspec.models.decoder import Decoder
from frspec.models.eagle import is_eagle, load_eagle
from frspec.ranking.formats import load_ranking
from frspec.ranking.ranking import Ranking
from frspec.speculation.drafters.base import Drafter
from frspec.speculation.drafters.eagle import EagleDrafter
from frspec.speculation.drafters.model import ModelDrafter
from frspec.speculation.drafters.ngram import NgramDrafter
from frspec.speculation.head import DraftHead
from frspec.speculation.plan import TreeShape
from frspec.speculation.vocabulary import DraftVocabulary, Spec, take_part
from frspec.text.tokenizer import Tokenizer


def check_draft(
    draft: str | Path | None,
    draft_vocab: Spec,
    ranking: str | Path | Ranking | None,
    quantize: str | None,
    vocab_size: int,
    tokenizer: Tokenizer | None = None,
) -> None:
    """Find out before a target of ``vocab_size`` is loaded, which may take minutes, what ``make_drafter`` will refuse.

    Raises:
        UserError: when there is nothing of the name ``draft``, or no such vocabulary of the ranking.
    """
    if _folder(draft, draft_vocab, ranking, quantize) is not None:
        fingerprint = tokenizer.fingerprint if tokenizer and (draft_vocab is not None or ranking is not None) else None
        some = (0,)  # of the ids that are always in, which only the target knows all of
        DraftVocabulary.build(draft_vocab, _loaded(ranking), some, vocab_size, fingerprint)


def make_drafter(
    draft: str | Path | None,
    target: Decoder,
    tokenizer: Tokenizer | None,
    shape: TreeShape | None,
    draft_vocab: Spec = None,
    ranking: str | Path | Ranking | None = None,
    use_noise: bool = True,
    quantize: str | None = None,
) -> Drafter | None:
    """The drafter that ``draft`` names: None or "none", "ngram", "demo", or the folder or hub id of a head or a model.

    shape: what it drafts unless told otherwise; None for a drafter that a controller tells. That one, where it has a
    ranking and no size was asked for, can draft from all sizes up to a quarter of the vocabulary and from all of it.
    quantize: "int8" for a head or model whose matrices are 8-bit integers, whatever the target's are.

    Raises:
        UserError: when it does not fit the target, or a vocabulary is given to a drafter that has no head.
    """
    folder = _folder(draft, draft_vocab, ranking, quantize)
    if folder is None:
        return NgramDrafter(shape.nodes if shape else TreeShape.nodes) if draft == "ngram" else None
    draft_vocab, ranking = take_part(draft_vocab, _loaded(ranking))
    fingerprint = tokenizer.fingerprint if tokenizer and (draft_vocab is not None or ranking is not None) else None

    def head(decoder: Decoder) -> DraftHead:
        rows = min(target.config.vocab_size, decoder.config.vocab_size)
        vocabulary = DraftVocabulary.build(draft_vocab, ranking, always(target, tokenizer), rows, fingerprint)
        choice = shape is None and draft_vocab is None and ranking is not None and ranking.ordered
        return DraftHead.of(decoder, vocabulary, use_noise, choice, quantize)

    if is_eagle(folder):
        return EagleDrafter(load_eagle(folder, target, quantize), head(target), shape or TreeShape())
    decoder = load_decoder(
        folder, dtype=str(target.dtype).removeprefix("torch."), device=str(target.device), quantize=quantize
    )
    if tokenizer is not None and Tokenizer.load(folder).fingerprint != tokenizer.fingerprint:
        raise UserError(f"the draft model {draft} has another tokenizer than the target; they must share a vocabulary")
    if tokenizer is None and decoder.config.vocab_size != target.config.vocab_size:
        raise UserError(
            f"the draft model {draft} has {decoder.config.vocab_size} tokens and the target "
            f"{target.config.vocab_size}; they must share a vocabulary"
        )
    return ModelDrafter(decoder, head(decoder), shape or TreeShape())


def always(target: Decoder, tokenizer: Tokenizer | None) -> Iterable[int]:
    """Ids no draft vocabulary may miss: without them a draft could never reach the end of a turn."""
    return {*target.config.stop_token_ids, *(tokenizer.control_ids() if tokenizer else ())}


def _folder(
    draft: str | Path | None, draft_vocab: Spec, ranking: str | Path | Ranking | None, quantize: str | None
) -> Path | None:
    """Where the head or model that drafts lies; None when none does, and then it has no vocabulary."""
    if draft is not None and draft not in ("none", "ngram"):
        return shipped.head() if draft == shipped.NAME else hub.resolve(draft)
    if quantize is not None:
        raise UserError(
            f"draft_quantize={quantize} needs a head or a model that drafts, and draft is {draft or 'none'}"
        )
    if draft_vocab is not None or ranking is not None:
        raise UserError(
            f"a draft vocabulary needs a drafter with a head, and draft is {draft or 'none'}; "
            "name an EAGLE head or a draft model, or leave draft_vocab and ranking out"
        )
    return None


def _loaded(ranking: str | Path | Ranking | None) -> Ranking | None:
    return load_ranking(ranking) if isinstance(ranking, str | Path) else ranking
