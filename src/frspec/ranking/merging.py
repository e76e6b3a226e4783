"""Several rankings made one: shards of one count, languages side by side, mixtures.

Knows: what may be added up, and what the result says of its origin. Does not know: files, terminals.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from frspec.artifacts import provenance
from frspec.errors import UserError
from frspec.ranking.flaws import MOST
from frspec.ranking.mixture import BY_ID, balanced, by_id, normalised
from frspec.ranking.ranking import Ids, Ranking
from frspec.ranking.shard_facts import SHARD_FACTS, missing_shards

OF_PARTS = ("documents", "characters", "tokens")
SUMS = (*OF_PARTS, "skipped")
OWN = ("program", "date", "command", "part", "parts", "merged", "sources", *SHARD_FACTS)
"""Facts that the result has of its own, or not at all; of the others it has those that all agree on."""


@dataclass(frozen=True)
class Input:
    """A ranking, how the user named it, and how much of the mixture it is to make up."""

    name: str
    ranking: Ranking
    weight: float | None = None

    @property
    def parts(self) -> Mapping[str, Ids]:
        """Its counts by part; of one that has no parts, under the name of its file or of the part that it is."""
        facts = self.ranking.provenance
        own = str(facts.get("part") or ("" if "job" in facts else Path(self.name).stem))
        return self.ranking.parts or {own: self.ranking.by_id}

    @property
    def tokens(self) -> int:
        """How many tokens it has counted."""
        return sum(int(part.sum()) for part in self.parts.values())

    def facts_of(self, part: str) -> Mapping[str, Any]:
        """What its provenance says of one of its parts."""
        if self.ranking.parts:
            return self.ranking.facts_of(part)
        return {**self.ranking.provenance, "tokens": self.tokens}


def merge(
    inputs: Sequence[Input], balance: bool = False, partial: bool = False, smooth: float | None = None
) -> Ranking:
    """One ranking with the parts of all.

    Without weights counts add up, and parts of the same name with them. With weights every ranking makes up that much
    of the mixture, as its own parts do of it. ``balance`` gives all parts the same weight. Shards of one job become
    what one count of everything would have been; ``partial``: though some are missing. ``smooth``: how much of the
    mixture one more part makes up, called ``BY_ID``, in which an id's share falls with its number (``mixture.by_id``).

    Raises:
        UserError: for rankings that have no counts or not one tokenizer, for weights where they mean nothing, and for
            shards that are there twice, or missing, or of different jobs.
    """
    _check(inputs)
    absent = missing_shards([(entry.name, entry.ranking.provenance) for entry in inputs], partial)
    weights = _weights(inputs, balance)
    parts = _parts(inputs)
    if balance:
        if "" in parts:
            raise UserError("--balance weighs parts, and the job of these shards has none; leave it out")
        weights = balanced(parts)
    facts = _facts(inputs, list(parts)) | ({"missing": absent} if absent else {})
    if smooth is not None:
        parts, weights = _smoothed(parts, weights, smooth)
        facts["smooth"] = smooth
    fingerprint = inputs[0].ranking.fingerprint
    assert fingerprint is not None
    return Ranking.from_parts(parts, fingerprint, facts, weights)


def _smoothed(
    parts: Mapping[str, Ids], weights: Mapping[str, float] | None, share: float
) -> tuple[dict[str, Ids], dict[str, float]]:
    if "" in parts:
        raise UserError("--smooth adds a part, and the job of these shards has none; merge the result once more")
    if BY_ID in parts:
        raise UserError(f"one of these is smoothed already: it has a part {BY_ID}; smooth what it was made of")
    before = normalised(weights or {name: int(part.sum()) for name, part in parts.items() if part.any()})
    counted = {name: part for name, part in parts.items() if name in before}
    smoothed = {name: weight * (1 - share) for name, weight in before.items()} | {BY_ID: share}
    return {**counted, BY_ID: by_id(len(next(iter(parts.values()))))}, smoothed


def _check(inputs: Sequence[Input]) -> None:
    first = inputs[0]
    for entry in inputs:
        ranking = entry.ranking
        if ranking.counts is None:
            raise UserError(f"{entry.name} is an id list without counts, so there is nothing to add up; take rankings")
        if ranking.fingerprint is None:
            raise UserError(
                f"{entry.name} does not say its tokenizer; make it a ranking first: "
                f"`frspec convert {entry.name} --tokenizer MODEL -o FILE`"
            )
        if ranking.fingerprint != first.ranking.fingerprint or len(ranking) != len(first.ranking):
            raise UserError(
                f"{entry.name} is of another tokenizer ({_tokenizer(ranking)}) than {first.name} "
                f"({_tokenizer(first.ranking)}); their ids are not the same tokens"
            )
    if not 0 < sum(entry.tokens for entry in inputs) <= MOST:
        raise UserError("these rankings have counted no tokens, or more than 64 bits hold; look at them: `frspec show`")


def _tokenizer(ranking: Ranking) -> str:
    return str(ranking.provenance.get("tokenizer") or ranking.fingerprint)


def _weights(inputs: Sequence[Input], balance: bool) -> dict[str, float] | None:
    """Of each part: its ranking's weight times its own share in that."""
    weighed = [entry for entry in inputs if entry.weight is not None]
    if not weighed:
        mixed = next((entry.name for entry in inputs if entry.ranking.weights), None)
        if mixed and not balance:
            raise UserError(
                f"{mixed} is a mixture by weights, whose counts are shares; give every ranking a weight, or --balance"
            )
        return None
    without = next((entry.name for entry in inputs if entry.weight is None), None)
    if balance or without:
        raise UserError("--balance and weights exclude each other" if balance else f"{without} has no weight; give all")
    found = dict[str, float]()
    for entry in weighed:
        if "job" in entry.ranking.provenance:
            raise UserError(f"{entry.name} is a shard of a job, which has no weight of its own; merge its job first")
        for name, part in entry.parts.items():
            if name in found:
                raise UserError(f"two rankings have a part {name}, for which there can't be two weights; rename a file")
            inner = (entry.ranking.weights or {}).get(name, int(part.sum()) / max(1, entry.tokens))
            found[name] = (entry.weight or 0) * inner
    return found


def _parts(inputs: Sequence[Input]) -> dict[str, Ids]:
    found = dict[str, Ids]()
    for entry in inputs:
        for name, part in entry.parts.items():
            found[name] = found[name] + part if name in found else part
    # A shard in which nothing was found has no names either.
    return {name: part for name, part in found.items() if name or len(found) == 1}


def _facts(inputs: Sequence[Input], names: Sequence[str]) -> dict[str, Any]:
    all_facts = [entry.ranking.provenance for entry in inputs]
    first = all_facts[0]
    sums = SUMS if "job" in first else (*SUMS, "files")  # the shards of a job are all of the same files
    agreed = {
        name: value
        for name, value in first.items()
        if name not in (*OWN, *sums) and all(facts.get(name) == value for facts in all_facts)
    }
    named = [facts.get("sources") for facts in all_facts]
    sources = dict.fromkeys(str(source) for names in named if isinstance(names, list) for source in names)
    whole = [{**facts, "tokens": entry.tokens} for facts, entry in zip(all_facts, inputs, strict=True)]
    of_parts = {
        name: _sums(OF_PARTS, [entry.facts_of(name) for entry in inputs if name in entry.parts])
        for name in names
        if name
    }
    return provenance(
        **agreed,
        sources=list(sources),
        **_sums(sums, whole),
        merged=[_origin(entry) for entry in inputs],
        **({"parts": of_parts} if of_parts else {}),
    )


def _origin(entry: Input) -> dict[str, Any]:
    missing = entry.ranking.provenance.get("missing")
    known = {"name": entry.name, "tokens": entry.tokens, "weight": entry.weight, "missing": missing}
    return {name: value for name, value in known.items() if value is not None}


def _sums(names: Sequence[str], facts: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Numbers that all of them have, added up."""
    known = (name for name in names if all(isinstance(entry.get(name), int) for entry in facts))
    return {name: sum(entry[name] for entry in facts) for name in known}
