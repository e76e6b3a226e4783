"""Rankings and id lists as files.

Knows: frspec's ranking file, and the id lists other programs use. Does not know: what ids mean.

A ranking is a safetensors file: ``ids`` and ``counts``, int64 [V] in rank order, and under ``frspec`` in its
metadata a JSON object with ``schema``, ``fingerprint`` and ``provenance``. An id list is what FR-Spec and SGLang call
a token map (``freq_32768.pt``: a list or tensor of ids saved by torch), a JSON list, or text with one id a line. It
keeps a prefix of the order and loses the rest: counts, fingerprint, provenance, and the ids behind the prefix.
"""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from frspec import shipped
from frspec.artifacts import atomic_path
from frspec.errors import UserError
from frspec.ranking.ranking import Ids, Ranking

SCHEMA = 1
ID_LISTS = (".pt", ".json", ".txt")


def save_ranking(ranking: Ranking, path: Path) -> None:
    """Write a counted ranking to ``path``.

    Raises:
        UserError: for an id list, a name that says one, or when the place cannot be written.
    """
    check_ranking_name(path)
    if ranking.counts is None:
        raise UserError("an id list has no counts to save as a ranking; write it with write_ids")
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


def load_ranking(name: str | Path) -> Ranking:
    """The ranking in the file ``name``, or the id list, recognised by content; "demo" is the shipped ranking.

    Raises:
        UserError: when it is neither, truncated, of another schema, or names an id twice or outside its range.
    """
    path = shipped.ranking() if name == shipped.NAME else Path(name)
    try:
        with path.open("rb") as file:
            start = file.read(16)
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    if start[8:9] == b"{":
        return _load_safetensors(path)
    return _ranking(path, read_ids(path), None, None, {"id list": str(path)})


def _ranking(path: Path, *content: Any) -> Ranking:
    try:
        return Ranking(*content)
    except UserError as error:
        raise UserError(f"{path} is {error}") from error


def _load_safetensors(path: Path) -> Ranking:
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
        return _ranking(path, ids, counts, str(about["fingerprint"]), dict(about["provenance"]))
    except (SafetensorError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise UserError(f"{path} is a damaged ranking: {error}; make it again with `frspec rank`") from error


def read_ids(path: Path) -> Ids:
    """The ids of an id list in its order, [N] int64.

    Raises:
        UserError: when it is not a list of distinct ids.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    saved_by_torch = content.startswith((b"PK", b"\x80"))
    values = _read_torch(path) if saved_by_torch else _read_text(content, path)
    whole = [value for value in values if isinstance(value, int) and not isinstance(value, bool)]
    if len(whole) != len(values) or not whole or max(map(abs, whole)) >= 2**63:
        raise UserError(f"{path} is no list of token ids")
    return np.array(whole, dtype=np.int64)


def _read_torch(path: Path) -> Sequence[Any]:
    import pickle

    import torch

    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, pickle.UnpicklingError, ValueError, KeyError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(f"{path} is no id list that can be read without running code: {reason}") from error
    if isinstance(content, torch.Tensor) and content.ndim == 1:
        content = content.tolist()
    if not isinstance(content, list | tuple):
        raise UserError(f"{path} holds a {type(content).__name__}, not a list of token ids")
    return content


def _read_text(content: bytes, path: Path) -> Sequence[Any]:
    try:
        text = content.decode("utf-8").strip()
        if not text.startswith(("[", "{")):
            return [int(line) for line in text.splitlines()]
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is neither a ranking nor a list of token ids: {error}") from error
    if not isinstance(values, list):
        raise UserError(f"{path} is JSON but no list of token ids")
    return values


def write_ids(ids: Sequence[int] | Ids, path: Path) -> None:
    """Write ids as the kind of list the name ends in: ``.pt`` (FR-Spec, SGLang), ``.json`` or ``.txt``.

    Raises:
        UserError: for another ending, repeated or negative ids, or when the place cannot be written.
    """
    ranking = Ranking(np.array(ids, dtype=np.int64), None, None)
    values = ranking.ids.tolist()
    if path.suffix not in ID_LISTS:
        raise UserError(f"cannot tell what kind of id list {path} is to be; name it {', '.join(ID_LISTS)}")
    if path.suffix == ".pt":
        import torch

        torch.save(values, buffer := io.BytesIO())
        content = buffer.getvalue()
    elif path.suffix == ".json":
        content = f"{json.dumps(values)}\n".encode()
    else:
        content = "".join(f"{id}\n" for id in values).encode()
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)
