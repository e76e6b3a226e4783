"""Draft vocabularies as maps between the rows of two heads.

Knows: EAGLE-3's ``d2t`` and ``t2d``, as EAGLE, SpecForge and speculators save them: ``d2t[i]`` is the target's id of
row ``i`` minus ``i``, int64 [N]; ``t2d[id]`` says whether the draft head has that id, bool [V]. llama.cpp's converter
adds the ``i``: a GGUF's ``d2t`` (I64) holds the ids themselves. In all of them the rows are in ascending order of the
ids, so which ids are frequent is lost.

Does not know: the heads. A map belongs to the head trained on it: another one's map makes nonsense of its rows.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from frspec.artifacts import atomic_path
from frspec.errors import UserError
from frspec.ranking.formats.containers import Array, Held, gguf_library, write_arrays
from frspec.ranking.formats.lists import whole_numbers
from frspec.ranking.ranking import Ids


def read_d2t(held: Held) -> tuple[Ids, int | None]:
    """The ids of offsets, in the order of the rows. The second is None, as a ``d2t`` does not say the vocabulary."""
    offsets = whole_numbers(_named(held, "d2t"), held.path)
    return offsets + np.arange(len(offsets)), None


def read_t2d(held: Held) -> tuple[Ids, int]:
    """The ids that a mask names, ascending, and the mask's length: the rows of the target's head."""
    mask = _named(held, "t2d")
    if not isinstance(mask, np.ndarray) or mask.dtype != np.bool_:
        mask = whole_numbers(mask, held.path)
    if mask.ndim != 1 or not np.isin(mask, (0, 1)).all():
        raise UserError(f"{held.path} is no t2d: that is one yes or no for each id of the vocabulary")
    ids = np.flatnonzero(mask)
    if len(ids) == 0:
        raise UserError(f"{held.path} has a t2d that names no id; a draft vocabulary needs at least one")
    return ids.astype(np.int64), len(mask)


def read_pair(held: Held) -> tuple[Ids, int | None]:
    """What the ``d2t`` and ``t2d`` of one file say; either may be missing.

    Raises:
        UserError: when both are there and differ.
    """
    value = held.value if isinstance(held.value, dict) else {}
    if "d2t" not in value:
        return read_t2d(held)
    ids, size = read_d2t(held)
    if "t2d" in value:
        masked, size = read_t2d(held)
        if not np.array_equal(np.sort(ids), masked):
            raise UserError(
                f"{held.path} holds a d2t of {len(ids)} and a t2d of {len(masked)} ids that are not the same; one is "
                "wrong, or d2t holds no offsets: say which to believe by --from d2t, t2d or gguf (ids as they stand)"
            )
    return ids, size


def read_absolute(held: Held) -> tuple[Ids, None]:
    """The ids of llama.cpp's ``d2t``, in the order of the rows."""
    return whole_numbers(_named(held, "d2t"), held.path), None


def _named(held: Held, name: str) -> Any:
    value = held.value.get(name) if isinstance(held.value, dict) else held.value
    if value is None:
        raise UserError(f"{held.path} holds no {name}; it is not the weights of an EAGLE-3 head")
    return value


def write_d2t(ids: Ids, path: Path) -> None:
    """Offsets of the ids in ascending order."""
    write_arrays({"d2t": _offsets(ids)}, path)


def write_t2d(ids: Ids, path: Path, vocab_size: int | None) -> None:
    """A mask over ``vocab_size`` ids, the rows of the target's head."""
    write_arrays({"t2d": _mask(ids, vocab_size)}, path)


def write_pair(ids: Ids, path: Path, vocab_size: int | None) -> None:
    """Both, as SpecForge's ``vocab_mapping_path`` and EAGLE-3's ``cache.pt`` have them."""
    write_arrays({"d2t": _offsets(ids), "t2d": _mask(ids, vocab_size)}, path)


def write_absolute(ids: Ids, path: Path) -> None:
    """A GGUF file with nothing but the tensor ``d2t``, as llama.cpp's converter puts it beside a draft head."""
    gguf = gguf_library(path)
    with atomic_path(path) as temporary:
        writer = gguf.GGUFWriter(temporary, "eagle3")
        writer.add_tensor("d2t", np.sort(ids), raw_dtype=gguf.GGMLQuantizationType.I64)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()


def _offsets(ids: Ids) -> Ids:
    return np.sort(ids) - np.arange(len(ids))


def _mask(ids: Ids, vocab_size: int | None) -> Array:
    if vocab_size is None:
        raise UserError(
            "a t2d is as long as the target's head, which nothing here says; pass --vocab-size with the number that "
            "is vocab_size in the target's config.json"
        )
    mask = np.zeros(vocab_size, dtype=np.bool_)
    mask[ids] = True
    return mask
