"""Lists of ids in rank order.

Knows: the token maps of FR-Spec, SGLang and CPM.cu, JSON lists, text with one id a line. A token map is a Python list
saved by torch under ``freq_N.pt``; SGLang and CPM.cu make a tensor of what ``torch.load(weights_only=True)`` gives, so
a tensor in the file is one too.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from frspec.artifacts import atomic_path
from frspec.errors import UserError
from frspec.ranking.formats.containers import Held, open_file, write_torch
from frspec.ranking.ranking import Ids, Ranking

ID_LISTS = (".pt", ".json", ".txt")


def read_ids(path: Path) -> Ids:
    """The ids of an id list in its order, [N] int64.

    Raises:
        UserError: when it is no list of whole numbers.
    """
    return ids_of(open_file(path))


def ids_of(held: Held) -> Ids:
    """Whole numbers [N] int64 of a list or a one-dimensional array."""
    if held.kind == "text" and not isinstance(held.value, list):
        raise UserError(f"{held.path} is JSON but no list of token ids")
    return whole_numbers(held.value, held.path)


def whole_numbers(value: Any, path: Path) -> Ids:
    """A list or an array as int64 [N].

    Raises:
        UserError: when it is neither, empty, or not of whole numbers.
    """
    if isinstance(value, np.ndarray):
        if value.ndim != 1 or value.dtype.kind not in "iu" or len(value) == 0:
            raise UserError(f"{path} is no list of token ids: it holds {value.dtype}{list(value.shape)}")
        return value.astype(np.int64)
    if not isinstance(value, list):
        raise UserError(f"{path} holds a {type(value).__name__}, not a list of token ids")
    if not value or any(type(entry) is not int or abs(entry) >= 2**63 for entry in value):
        raise UserError(f"{path} is no list of token ids")
    return np.array(value, dtype=np.int64)


def write_ids(ids: Sequence[int] | Ids, path: Path) -> None:
    """Write ids as the kind of list the name ends in: ``.pt`` (FR-Spec, SGLang, CPM.cu), ``.json`` or ``.txt``.

    Raises:
        UserError: for another ending, repeated or negative ids, or when the place cannot be written.
    """
    writers = {".pt": write_token_map, ".json": write_json, ".txt": write_text}
    if path.suffix not in writers:
        raise UserError(f"cannot tell what kind of id list {path} is to be; name it {', '.join(ID_LISTS)}")
    writers[path.suffix](Ranking(np.array(ids, dtype=np.int64), None, None).ids, path)


def write_token_map(ids: Ids, path: Path) -> None:
    """What FR-Spec writes: a Python list, saved by torch."""
    write_torch(ids.tolist(), path)


def write_json(ids: Ids, path: Path) -> None:
    """A JSON list on one line."""
    with atomic_path(path) as temporary:
        temporary.write_text(f"{json.dumps(ids.tolist())}\n")


def write_text(ids: Ids, path: Path) -> None:
    """One id a line."""
    with atomic_path(path) as temporary:
        temporary.write_text("".join(f"{id}\n" for id in ids.tolist()))
