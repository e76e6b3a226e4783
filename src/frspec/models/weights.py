"""The tensors of a checkpoint folder by name, whatever files hold them; and tensors into a file.

Knows: model.safetensors, pytorch_model.bin, and the shards of either. Does not know: which tensors a model needs.
"""

from __future__ import annotations

import pickle
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from frspec.errors import UserError
from frspec.keys import read_object

SINGLE = ("model.safetensors", "pytorch_model.bin")
INDEXED = ("model.safetensors.index.json", "pytorch_model.bin.index.json")


class Weights:
    """Every tensor in ``folder``: names and shapes at once, contents when asked for.

    Raises:
        UserError: when there is no checkpoint, a file is damaged, or the index and its shards disagree.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._shards: dict[str, _Shard] = {}
        self._where: dict[str, _Shard] = {}
        for name in SINGLE:
            if (folder / name).is_file():
                self._add(_open(folder / name))
                return
            if (folder / f"{name}.index.json").is_file():
                self._add_indexed(folder / f"{name}.index.json")
                return
        raise UserError(f"{folder} holds no weights; it needs one of {', '.join(SINGLE + INDEXED)}")

    def __iter__(self) -> Iterator[str]:
        return iter(self._where)

    def __contains__(self, name: str) -> bool:
        return name in self._where

    def file(self, name: str) -> Path:
        """The file that holds ``name``."""
        return self._where[name].file

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of ``name``, without reading it."""
        return self._where[name].shape(name)

    def read(self, name: str) -> Tensor:
        """The tensor itself, on the CPU, as stored."""
        return self._where[name].read(name)

    def _add(self, shard: _Shard) -> None:
        for name in shard.names:
            if name in self._where:
                raise UserError(f"{shard.file} holds {name}, which {self.file(name)} holds too; fetch both again")
            self._where[name] = shard

    def _add_indexed(self, index: Path) -> None:
        listed = read_object(index).get("weight_map")
        if not isinstance(listed, dict) or not listed:
            raise UserError(f"{index} has no weight_map; fetch it again")
        for file in dict.fromkeys(listed.values()):
            if not isinstance(file, str) or Path(file).name != file:
                raise UserError(f"{index} names the shard {file!r}, which is not a file beside it")
            self._add(_open(index.parent / file))
        for name, file in listed.items():
            if name not in self._where or self.file(name).name != file:
                raise UserError(f"{index.parent / file} lacks {name}, which {index.name} says it holds")
        for name in self._where:
            if name not in listed:
                raise UserError(f"{self.file(name)} holds {name}, which {index.name} does not list")


def save_tensors(file: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write a safetensors file.

    Raises:
        OSError: when it cannot be written, as other writers do and ``artifacts.atomic_path`` expects.
    """
    try:
        save_file(dict(tensors), file, metadata=dict(metadata))
    except SafetensorError as error:
        raise OSError(str(error)) from error


class _Shard(ABC):
    """One file of tensors."""

    file: Path
    names: list[str]

    @abstractmethod
    def shape(self, name: str) -> tuple[int, ...]: ...

    @abstractmethod
    def read(self, name: str) -> Tensor: ...


class _Safetensors(_Shard):
    def __init__(self, file: Path) -> None:
        self.file = file
        with _damage(file):
            self._open: Any = safe_open(file, framework="pt")
            self.names = list(self._open.keys())  # type: ignore[no-untyped-call]

    def shape(self, name: str) -> tuple[int, ...]:
        return tuple(self._open.get_slice(name).get_shape())

    def read(self, name: str) -> Tensor:
        with _damage(self.file):
            tensor: Tensor = self._open.get_tensor(name)
            return tensor


class _Pickled(_Shard):
    """A torch archive of plain tensors; mapped into memory, so that reading one leaves the others on disk."""

    def __init__(self, file: Path) -> None:
        self.file = file
        with _damage(file):
            legacy = not zipfile.is_zipfile(file)
            self._tensors = torch.load(file, map_location="cpu", weights_only=True, mmap=not legacy)
        if not isinstance(self._tensors, dict) or not all(isinstance(t, Tensor) for t in self._tensors.values()):
            raise UserError(f"{file} is not a plain map from names to tensors; convert it to safetensors")
        self.names = list(self._tensors)

    def shape(self, name: str) -> tuple[int, ...]:
        return tuple(self._tensors[name].shape)

    def read(self, name: str) -> Tensor:
        tensor: Tensor = self._tensors[name]
        return tensor


def _open(file: Path) -> _Shard:
    if not file.is_file():
        raise UserError(f"{file} is missing; fetch the checkpoint again")
    return _Safetensors(file) if file.suffix == ".safetensors" else _Pickled(file)


@contextmanager
def _damage(file: Path) -> Iterator[None]:
    """Turn what the file libraries raise on a damaged or unsafe file into one line."""
    try:
        yield
    except (SafetensorError, OSError, RuntimeError, EOFError, ValueError, KeyError, pickle.UnpicklingError) as error:
        reason = " ".join(str(error).split())[:160]
        raise UserError(f"{file} is truncated or not a file of plain tensors ({reason}); fetch it again") from error
