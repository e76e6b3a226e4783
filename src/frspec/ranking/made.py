"""From counts to the ranking that is kept, with what it says of its origin.

Knows: provenance. Does not know: how anything was counted, files.
"""

from __future__ import annotations

import hashlib
import json
from importlib.metadata import version
from typing import Any

from frspec.artifacts import provenance
from frspec.errors import UserError
from frspec.ranking.counts import Counts
from frspec.ranking.job import Plan
from frspec.ranking.journal import Identity
from frspec.ranking.ranking import Ranking
from frspec.text.reading import Sources
from frspec.text.tokenizer import Tokenizer


def ranking_of(
    counts: Counts, tokenizer: Tokenizer, sources: Sources, plan: Plan | None = None, balance: bool = False
) -> Ranking:
    """The ranking of ``counts`` of ``sources``; ``balance`` gives every part the same weight, whatever its size.

    Raises:
        UserError: when there are no tokens, or with ``balance`` none in one part.
    """
    plan = plan or Plan()
    if counts.tokens == 0 and plan.share is None:
        raise UserError("the documents hold no text, so there is nothing to rank; look at --field")
    view = sources.reading.view
    facts = provenance(
        tokenizer=tokenizer.name,
        sources=list(sources.asked),
        files=sum(len(files) for _, files in sources.groups),
        documents=counts.documents,
        characters=counts.characters,
        tokens=counts.tokens,
        skipped=counts.skipped,
        **(dict(view.facts) if view else {}),
        **_share(tokenizer, sources, plan),
    )
    if set(counts.parts) <= {""}:
        return Ranking.from_counts(counts.by_id, tokenizer.fingerprint, facts)
    facts["parts"] = {
        name: {"documents": part.documents, "characters": part.characters, "tokens": part.tokens}
        for name, part in counts.parts.items()
    }
    weights = dict.fromkeys(counts.parts, 1.0) if balance else None
    parts = {name: part.by_id for name, part in counts.parts.items()}
    return Ranking.from_parts(parts, tokenizer.fingerprint, facts, weights)


def _share(tokenizer: Tokenizer, sources: Sources, plan: Plan) -> dict[str, Any]:
    """Which part of which work this is, so that nothing is merged twice or missed."""
    if plan.share is None:
        return {}
    files = sorted((part, file.name, file.size) for part, files in sources.groups for file in files)
    identity = json.dumps([version("frspec"), Identity.of(tokenizer, sources.reading, None).facts, files])
    return {"shard": "{}/{}".format(*plan.share), "job": hashlib.sha256(identity.encode()).hexdigest()[:16]}
