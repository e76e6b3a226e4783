"""frspec's own file of a ranking.

A safetensors file: ``ids`` and ``counts``, int64 [V] in rank order, and under ``frspec`` in its metadata a JSON object
with ``schema``, ``fingerprint`` and ``provenance``.
"""

from __future__ import annotations

import json
from pathlib import Path

from frspec.artifacts import atomic_path
from frspec.errors import UserError
from frspec.ranking.formats.lists import ID_LISTS
from frspec.ranking.ranking import Ranking

SCHEMA = 1


def save_ranking(ranking: Ranking, path: Path) -> None:
    """Write a counted ranking to ``path``.

    Raises:
        UserError: for an id list, counts of an unknown tokenizer, a name that says an id list, or when the place
            cannot be written.
    """
    check_ranking_name(path)
    if ranking.counts is None:
        raise UserError("an id list has no counts to save as a ranking; write it with write_ids")
    if ranking.fingerprint is None:
        raise UserError(
            "nothing says which tokenizer's these counts are, and a ranking must; "
            "`frspec convert COUNTS --tokenizer MODEL -o FILE` makes one"
        )
    from safetensors.numpy import save

    about = {"schema": SCHEMA, "fingerprint": ranking.fingerprint, "provenance": dict(ranking.provenance)}
    with atomic_path(path) as temporary:
        temporary.write_bytes(save({"ids": ranking.ids, "counts": ranking.counts}, {"frspec": json.dumps(about)}))


def check_ranking_name(path: Path) -> None:
    """Refuse names by which other programs would take a ranking for an id list."""
    if path.suffix in ID_LISTS:
        raise UserError(
            f"{path} is the name of an id list, not of a ranking; name the ranking otherwise (such as "
            f"{path.with_suffix('.ranking').name}) and write the list from it with `frspec convert`"
        )


def read_ranking(path: Path) -> Ranking:
    """The ranking in a safetensors file.

    Raises:
        UserError: when it is damaged, of another schema, or no ranking.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np") as file:
            about = json.loads((file.metadata() or {}).get("frspec", "{}"))
            if about.get("schema") != SCHEMA:
                raise UserError(
                    f"{path} is no ranking of schema {SCHEMA} (it has {about.get('schema')}); "
                    "make it again with `frspec rank`"
                )
            ids, counts = file.get_tensor("ids"), file.get_tensor("counts")
        try:
            return Ranking(ids, counts, str(about["fingerprint"]), dict(about["provenance"]))
        except UserError as error:
            raise UserError(f"{path} is {error}") from error
    except (SafetensorError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise UserError(f"{path} is a damaged ranking: {error}; make it again with `frspec rank`") from error
