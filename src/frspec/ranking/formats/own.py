"""frspec's own file of a ranking.

A safetensors file: ``ids`` and ``counts``, int64 [V] in rank order, and under ``frspec`` in its metadata a JSON object
with ``schema``, ``fingerprint`` and ``provenance``. That is schema 1. Schema 2 is written only where there is more to
say: for each part named in the object's ``parts`` the tensors ``parts/NAME/ids``, ascending, and ``parts/NAME/counts``,
int64 and without zeros, and the object's ``weights`` by name or null; of a part that was saved alone, the tensor
``backoff``, int64 [V] by id.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from frspec.artifacts import atomic_path
from frspec.errors import UserError
from frspec.ranking.formats.lists import ID_LISTS
from frspec.ranking.ranking import Ids, Ranking

SCHEMAS = (1, 2)


def save_ranking(ranking: Ranking, path: Path) -> None:
    """Write a counted ranking to ``path``.

    Raises:
        UserError: for an id list, counts of an unknown tokenizer, a name that says an id list, or when the place
            cannot be written.
    """
    check_ranking_name(path)
    if ranking.counts is None:
        raise UserError("an id list has no counts to save as a ranking; count texts with `frspec rank`")
    if ranking.fingerprint is None:
        raise UserError(
            "nothing says which tokenizer's these counts are, and a ranking must; "
            "`frspec convert COUNTS --tokenizer MODEL -o FILE` makes one"
        )
    from safetensors.numpy import save

    more = {"parts": list(ranking.parts), "weights": ranking.weights} if ranking.parts else {}
    tensors = {"ids": ranking.ids, "counts": ranking.counts}
    for name, part in ranking.parts.items():
        used = np.flatnonzero(part)
        tensors |= {f"parts/{name}/ids": used, f"parts/{name}/counts": part[used]}
    if ranking.backoff is not None:
        tensors["backoff"] = ranking.backoff
    about = {
        "schema": SCHEMAS[len(tensors) > 2],
        "fingerprint": ranking.fingerprint,
        "provenance": dict(ranking.provenance),
    }
    with atomic_path(path) as temporary:
        temporary.write_bytes(save(tensors, {"frspec": json.dumps(about | more)}))


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
            if about.get("schema") not in SCHEMAS:
                raise UserError(
                    f"{path} is no ranking of schema {' or '.join(map(str, SCHEMAS))} (it has {about.get('schema')}); "
                    "make it again with `frspec rank`"
                )
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
        ids, counts = tensors["ids"], tensors["counts"]
        more = _parts(about, tensors, len(ids)) if about["schema"] > 1 else {}
        try:
            return Ranking(ids, counts, str(about["fingerprint"]), dict(about["provenance"]), **more)
        except UserError as error:
            raise UserError(f"{path} is {error}") from error
    except (SafetensorError, ValueError, KeyError, IndexError, AttributeError, TypeError) as error:
        raise UserError(f"{path} is a damaged ranking: {error}; make it again with `frspec rank`") from error


def _parts(about: dict[str, Any], tensors: dict[str, Any], size: int) -> dict[str, Any]:
    """What schema 2 has beside ids and counts, as ``Ranking`` takes it."""
    names, weights = about.get("parts", []), about.get("weights")
    return {
        "parts": {name: _dense(tensors[f"parts/{name}/ids"], tensors[f"parts/{name}/counts"], size) for name in names},
        "weights": None if weights is None else {str(name): float(weight) for name, weight in weights.items()},
        "backoff": tensors.get("backoff"),
    }


def _dense(ids: Ids, counts: Ids, size: int) -> Ids:
    if not ids.dtype == counts.dtype == np.int64 or ids.shape != counts.shape or (len(ids) and ids.min() < 0):
        raise ValueError(f"a part of {ids.dtype}{list(ids.shape)} ids and {counts.dtype}{list(counts.shape)} counts")
    if (ids[1:] <= ids[:-1]).any():
        raise ValueError("a part whose ids do not rise")
    by_id = np.zeros(size, dtype=np.int64)
    by_id[ids] = counts
    return by_id
