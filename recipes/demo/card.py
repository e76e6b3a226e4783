"""The model card: the template ``card.md.jinja`` filled with what was measured.

Knows: where each figure is recorded. Does not know: the sentences around them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from math import prod
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined, UndefinedError
from safetensors import safe_open

from frspec import shipped
from frspec.errors import UserError
from frspec.ranking.ranking import Ranking
from frspec.text.folders import read_json

TEMPLATE = Path(__file__).with_name("card.md.jinja")
MARK = re.compile(r"[\\`*_\[\]<>#|$&~]")
BEGINNING = re.compile(r"^(\d*)([-+=.)])")


def write_card(
    place: Path, training: Mapping[str, Any], samples: Mapping[str, Any], benches: Sequence[Mapping[str, Any]]
) -> None:
    """README.md beside the three parts in ``place``.

    training: the target's provenance.json. samples, benches: what sample.py and ``frspec bench --output`` wrote.

    Raises:
        UserError: when one of them lacks a figure that the card gives.
    """
    config = read_json(place / shipped.TARGET / "config.json")
    parameters = _parameters(place / shipped.TARGET / "model.safetensors")
    environment = Environment(undefined=StrictUndefined, keep_trailing_newline=True)
    environment.filters |= {"count": count, "fixed": fixed, "quote": quote}
    try:
        text = environment.from_string(TEMPLATE.read_text("utf-8")).render(
            config=config,
            parameters=parameters,
            head_share=config["vocab_size"] * config["hidden_size"] / parameters,
            training=training,
            head=read_json(place / shipped.HEAD / "frspec.json"),
            ranking=Ranking.load(place / shipped.RANKING).provenance,
            samples=samples,
            benches=benches,
            **_files(place),
        )
    except UndefinedError as error:
        raise UserError(f"the model card cannot be written: {error}; make that file again") from error
    (place / "README.md").write_text(text, encoding="utf-8")


def count(number: Any) -> str:
    """A whole number with its thousands apart; like ``fixed`` it lets jinja name a figure that is not there."""
    return f"{int(number):,}"


def fixed(number: Any, digits: int) -> str:
    """A number with so many decimals."""
    return f"{float(number):.{digits}f}"


def quote(text: str) -> str:
    """A Markdown block quote of ``text``, word for word and line for line."""
    return "\n".join(f"> {_plain(line)}  " if line.strip() else ">" for line in text.strip().splitlines())


def _plain(line: str) -> str:
    """A line in which nothing is markup: neither inside it nor what begins it."""
    return BEGINNING.sub(r"\1\\\2", MARK.sub(r"\\\g<0>", line.strip()))


def _files(place: Path) -> dict[str, Any]:
    files = [
        {"name": file.relative_to(place).as_posix(), "size": file.stat().st_size, "sha256": shipped.sha256(file)}
        for file in sorted(place.rglob("*"))
        if file.is_file()
    ]
    sizes = {
        what: sum(file["size"] for file in files if file["name"].split("/")[0] == part)
        for what, part in (("target", shipped.TARGET), ("head", shipped.HEAD), ("ranking", shipped.RANKING))
    }
    return {"files": files, "sizes": sizes, "total": sum(sizes.values())}


def _parameters(file: Path) -> int:
    with safe_open(file, framework="np") as tensors:
        return sum(prod(tensors.get_slice(name).get_shape()) for name in tensors.keys())  # noqa: SIM118 - no mapping
