"""How other programs read and write draft vocabularies, in their own code.

Knows: which function of which installed package does it. Does not know: frspec.
Packages are not imported, as most want a GPU's libraries for that; the one function is taken out of its file. So
``pip install --no-deps`` of them is enough. EAGLE-3 and FR-Spec are no packages: what they do is one line of torch.
"""

from __future__ import annotations

import ast
import json
import logging
import os
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch

SCOPE = {"torch": torch, "os": os, "Counter": Counter, "Path": Path, "logger": logging.getLogger("borrowed")}
"""What the borrowed functions use of their modules."""
MAPPING = "speculators.train.vocab_mapping"


class MissingError(Exception):
    """A package is not installed, or has no such function."""


def borrow(module: str, name: str) -> Callable[..., Any]:
    """The function of that name in a module that is not imported."""
    package, _, rest = module.partition(".")
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise MissingError(f"{package} is not installed")
    file = Path(spec.submodule_search_locations[0], *rest.split(".")).with_suffix(".py")
    nodes = ast.parse(file.read_text()).body if file.exists() else []
    found: list[ast.stmt] = [node for node in nodes if isinstance(node, ast.FunctionDef) and node.name == name]
    if not found:
        raise MissingError(f"{module} has no {name}")
    scope = dict[str, Any](SCOPE, tqdm=lambda items, **_: items)
    exec(compile(ast.Module(found, []), file, "exec"), scope)  # annotations stay texts here, so there too
    function: Callable[..., Any] = scope[name]
    return function


@dataclass(frozen=True)
class Program:
    """Another program beside ``ids``, most frequent first, of a vocabulary of ``size``.

    ``ordered``: whether its files tell which ids are more frequent.
    """

    ids: Sequence[int]
    size: int
    format: ClassVar[str]
    file: ClassVar[str]
    code: ClassVar[str]
    ordered: ClassVar[bool] = False

    def finds(self, file: Path) -> bool:
        """Whether it finds the ids in a file of frspec's."""
        raise NotImplementedError

    def write(self, file: Path) -> None:
        """Write them as it does."""
        raise NotImplementedError

    def _counts(self) -> dict[int, int]:
        """Counts for which the order is that of the ids."""
        return {number: len(self.ids) - place for place, number in enumerate(self.ids)}

    def _mappings(self, counts: dict[int, int]) -> tuple[Any, Any]:
        build = borrow(MAPPING, "build_vocab_mappings_from_distribution")
        d2t, t2d = build(counts, len(self.ids), self.size)
        return d2t.numpy(), t2d.numpy()

    def _are(self, d2t: Any) -> bool:
        """As EAGLE-3, SpecForge and speculators read it: the row's number is added."""
        return bool(np.array_equal(np.asarray(d2t) + np.arange(len(d2t)), np.sort(self.ids)))


class TokenMap(Program):
    format, file, ordered = "token-map", "freq.pt", True
    code = "SGLang `load_token_map`; FR-Spec `torch.save`"

    def finds(self, file: Path) -> bool:
        load = borrow("sglang.srt.speculative.spec_utils", "load_token_map")
        return bool(load(str(file)).tolist() == list(self.ids))

    def write(self, file: Path) -> None:
        torch.save(list(self.ids), file)


class TokenFreq(Program):
    format, file, ordered = "token-freq", "token_freq.pt", True
    code = "speculators `build_vocab_mappings_from_distribution`, `save_token_frequency_distribution`"

    def finds(self, file: Path) -> bool:
        return self._are(self._mappings(torch.load(file, weights_only=True))[0])

    def write(self, file: Path) -> None:
        counts = self._counts()
        tokens = torch.repeat_interleave(torch.tensor(list(counts)), torch.tensor(list(counts.values())))
        texts = [{"input_ids": tokens, "loss_mask": torch.ones_like(tokens)}]
        borrow(MAPPING, "save_token_frequency_distribution")(texts, file)


class D2t(Program):
    format, file = "d2t", "d2t.npy"
    code = "speculators `build_vocab_mappings_from_distribution`"

    def finds(self, file: Path) -> bool:
        return self._are(np.load(file))

    def write(self, file: Path) -> None:
        np.save(file, self._mappings(self._counts())[0])


class T2d(D2t):
    format, file = "t2d", "t2d.npy"

    def finds(self, file: Path) -> bool:
        return bool(np.array_equal(np.load(file), self._mappings(self._counts())[1]))

    def write(self, file: Path) -> None:
        np.save(file, self._mappings(self._counts())[1])


class Pair(Program):
    format, file = "eagle3", "mapping.pt"
    code = "SpecForge `process_token_dict_to_mappings`"

    def _made(self) -> dict[str, torch.Tensor]:
        make = borrow("specforge.data.preprocessing", "process_token_dict_to_mappings")
        with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere):
            return dict(zip(("d2t", "t2d"), make(Counter(self._counts()), len(self.ids), self.size), strict=True))

    def finds(self, file: Path) -> bool:
        held, made = torch.load(file, weights_only=True), self._made()
        return all(torch.equal(held[name], tensor) for name, tensor in made.items())

    def write(self, file: Path) -> None:
        torch.save(self._made(), file)


class Gguf(Program):
    format, file = "gguf", "d2t.gguf"
    code = "llama.cpp's `GGUFReader`, `GGUFWriter`"

    def finds(self, file: Path) -> bool:
        from gguf import GGUFReader

        tensors = {tensor.name: tensor.data for tensor in GGUFReader(file).tensors}
        return bool(np.array_equal(tensors["d2t"], np.sort(self.ids)))

    def write(self, file: Path) -> None:
        from gguf import GGMLQuantizationType, GGUFWriter

        writer = GGUFWriter(file, "eagle3")
        writer.add_tensor("d2t", np.sort(self.ids), raw_dtype=GGMLQuantizationType.I64)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()


class Json(Program):
    format, file, code, ordered = "json", "ids.json", "Python's `json`", True

    def finds(self, file: Path) -> bool:
        return bool(json.loads(file.read_text()) == list(self.ids))

    def write(self, file: Path) -> None:
        file.write_text(json.dumps(list(self.ids)))


class Text(Program):
    format, file, code, ordered = "text", "ids.txt", "numpy `loadtxt`, `savetxt`", True

    def finds(self, file: Path) -> bool:
        return bool(np.array_equal(np.loadtxt(file, dtype=np.int64), self.ids))

    def write(self, file: Path) -> None:
        np.savetxt(file, self.ids, "%d")


PROGRAMS = (TokenMap, TokenFreq, D2t, T2d, Pair, Gguf, Json, Text)
