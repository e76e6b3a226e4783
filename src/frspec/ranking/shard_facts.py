"""Whether rankings are the shards of one job, and all of them.

Knows: the facts ``shard`` ("3/16") and ``job`` of a provenance. Does not know: counts, what a job is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

from frspec.errors import UserError

SHARD_FACTS = ("shard", "job", "missing")
NAMED = 12  # missing shards that are named; the rest are counted


def missing_shards(entries: Sequence[tuple[str, Mapping[str, Any]]], partial: bool) -> str | None:
    """Which shards of the job of ``entries`` (names and provenances) are missing, in words; None where none is.

    Raises:
        UserError: when some entries are no shards of the same job as the others, one is there twice, or one is
            missing and what is there is not to be taken as it is (``partial``).
    """
    if not any("job" in facts for _, facts in entries):
        if partial:
            raise UserError("--partial is for shards of a job, and these rankings are none; leave it out")
        partials = [name for name, facts in entries if "missing" in facts]
        if len(partials) > 1:
            raise UserError(
                f"{partials[0]} and {partials[1]} are partial merges, which may hold the same shard; "
                "name the rankings of their shards instead"
            )
        return None
    first, job = next((name, facts["job"]) for name, facts in entries if "job" in facts)
    found = dict[int, str]()
    counts = set[int]()
    for name, facts in entries:
        if "merged" in facts and "missing" in facts:
            raise UserError(
                f"{name} is a partial merge; name the rankings of its shards instead, all of the job at once"
            )
        if facts.get("job") != job:
            raise UserError(f"{name} and {first} are not shards of one job; merge the shards of each job by themselves")
        number, count = _shard(name, facts)
        if number in found:
            raise UserError(f"{found[number]} and {name} are the same shard, {number}/{count}; name it once")
        found[number] = name
        counts.add(count)
    if len(counts) > 1:
        raise UserError(
            f"these shards are of {' and of '.join(map(str, sorted(counts)))}; count with the same --shard i/n"
        )
    (count,) = counts
    absent = count - len(found)
    if not absent:
        return None
    named = islice((str(number) for number in range(1, count + 1) if number not in found), NAMED)
    more = f" and {absent - NAMED:,} more" if absent > NAMED else ""
    words = f"{', '.join(named)}{more} of {count}"
    if not partial:
        raise UserError(f"missing shards: {words}; name their rankings too, or merge what is there with --partial")
    return f"shards {words}"


def _shard(name: str, facts: Mapping[str, Any]) -> tuple[int, int]:
    try:
        number, count = map(int, str(facts.get("shard")).split("/"))
    except ValueError:
        number = count = 0
    if not 1 <= number <= count:
        raise UserError(f"{name} says that it is shard {facts.get('shard')} of a job, which can't be; count it again")
    return number, count
