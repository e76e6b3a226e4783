"""Opening other programs' files: what lies in them, as lists and numpy arrays.

Knows: torch files, .npy, safetensors, GGUF, JSON, text. Does not know: which numbers are ids. Nothing read here can run
code: torch files are read with ``weights_only``, .npy without pickles.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from frspec.artifacts import atomic_path
from frspec.errors import UserError

Array = npt.NDArray[Any]
MAPPINGS = ("d2t", "t2d")
"""The only tensors of a checkpoint that are read."""
ARRAYS = (".npy", ".pt", ".safetensors")


@dataclass(frozen=True)
class Held:
    """What one file holds. kind: torch, numpy, safetensors, gguf or text. value: a list, an array or a dict."""

    path: Path
    kind: str
    value: Any


def open_file(path: Path) -> Held:
    """What lies in ``path``, told by its first bytes; of a checkpoint folder, in the file with ``d2t`` or ``t2d``.

    Raises:
        UserError: when it cannot be read, or not without running code.
    """
    if path.is_dir():
        path = _file_of_checkpoint(path)
    start = first_bytes(path)
    if start.startswith((b"PK", b"\x80")):
        return Held(path, "torch", _read_torch(path, start.startswith(b"PK")))
    if start.startswith(b"\x93NUMPY"):
        return Held(path, "numpy", _read_numpy(path))
    if start.startswith(b"GGUF"):
        return Held(path, "gguf", _read_gguf(path))
    if start[8:9] == b"{":
        return Held(path, "safetensors", read_safetensors(path))
    return Held(path, "text", _read_text(path))


def first_bytes(path: Path) -> bytes:
    """Enough of ``path`` to tell what kind of file it is."""
    try:
        with path.open("rb") as file:
            return file.read(16)
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error


def _file_of_checkpoint(folder: Path) -> Path:
    for file in sorted(folder.glob("*.safetensors")):
        if read_safetensors(file):
            return file
    if (folder / "pytorch_model.bin").exists():
        return folder / "pytorch_model.bin"
    raise UserError(f"{folder} is a folder without d2t or t2d in its weights; name a file, or an EAGLE-3 checkpoint")


def read_safetensors(path: Path) -> dict[str, Array]:
    """The tensors of ``MAPPINGS`` that are in ``path``; empty for a file that is damaged or has none."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np") as file:
            names = set(file.keys())
            return {name: file.get_tensor(name) for name in MAPPINGS if name in names}
    except SafetensorError:
        return {}


def _read_torch(path: Path, zipped: bool) -> Any:
    import torch

    try:
        # Mapped, so that of a checkpoint of gigabytes only what is used is read.
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=zipped)
    except Exception as error:  # of a damaged file torch lets escape whatever its parsers trip over
        raise UserError(f"{path} is no id list that can be read without running code: {_reason(error)}") from error
    if isinstance(content, torch.Tensor):
        return _to_numpy(content, path)
    if isinstance(content, Mapping) and any(name in content for name in MAPPINGS):
        return {name: _to_numpy(content[name], path) for name in MAPPINGS if name in content}
    return list(content) if isinstance(content, tuple) else content


def _to_numpy(content: Any, path: Path) -> Array:
    """A tensor, or a list of numbers in a tensor's place, as an array."""
    import torch

    try:
        return torch.as_tensor(content).numpy().copy()
    except (TypeError, ValueError, RuntimeError) as error:
        raise UserError(f"{path} holds no plain numbers: {error}") from error


def _read_numpy(path: Path) -> Array:
    try:
        return np.asarray(np.load(path, allow_pickle=False))
    except Exception as error:  # of a damaged header numpy lets the tokenizer's errors escape
        raise UserError(f"{path} is no array that can be read without running code: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


def gguf_library(path: Path) -> Any:
    """The ``gguf`` package of llama.cpp, or how to get it."""
    try:
        import gguf
    except ImportError as error:
        raise UserError(f"{path} is llama.cpp's format, which needs its package; `pip install gguf`") from error
    return gguf


def _read_gguf(path: Path) -> dict[str, Array]:
    gguf = gguf_library(path)
    try:
        tensors = {tensor.name: tensor for tensor in gguf.GGUFReader(path).tensors if tensor.name in MAPPINGS}
        return {name: np.array(tensor.data) for name, tensor in tensors.items()}
    except Exception as error:  # the reader checks little: a damaged file ends in any of numpy's errors
        raise UserError(f"{path} is a damaged GGUF file: {_reason(error)}") from error


def _read_text(path: Path) -> Any:
    try:
        text = path.read_bytes().decode("utf-8").strip()
        if not text.startswith(("[", "{")):
            return [int(line) for line in text.splitlines()]
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is neither a ranking nor a list of token ids: {error}") from error


def write_torch(content: Any, path: Path) -> None:
    """Write lists, dicts of numbers, or numpy arrays (as tensors) with ``torch.save``."""
    import torch

    if isinstance(content, np.ndarray):
        content = torch.from_numpy(content)
    elif isinstance(content, dict):
        content = {k: torch.from_numpy(v) if isinstance(v, np.ndarray) else v for k, v in content.items()}
    whole = io.BytesIO()  # torch and numpy say no disk is full, but that numbers of bytes are unexpected
    torch.save(content, whole)
    with atomic_path(path) as temporary:
        temporary.write_bytes(whole.getbuffer())


def write_arrays(arrays: dict[str, Array], path: Path) -> None:
    """Write named arrays as safetensors or a torch file; one alone in .npy or .pt is the bare array."""
    if path.suffix not in ARRAYS or (path.suffix == ".npy" and len(arrays) > 1):
        endings = ", ".join(ARRAYS if len(arrays) == 1 else ARRAYS[1:])
        raise UserError(f"cannot tell how {path} is to hold {' and '.join(arrays)}; name it {endings}")
    alone = next(iter(arrays.values()))
    if path.suffix == ".pt":
        return write_torch(alone if len(arrays) == 1 else arrays, path)
    from safetensors.numpy import save

    whole = io.BytesIO(save(arrays) if path.suffix == ".safetensors" else b"")
    if path.suffix == ".npy":
        np.save(whole, alone)
    with atomic_path(path) as temporary:
        temporary.write_bytes(whole.getbuffer())
    return None
