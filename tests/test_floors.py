"""Imports point down the floors of docs/architecture.md, and only down."""

import ast
from pathlib import Path

import frspec

FLOORS = {
    "errors": 0, "types": 0, "artifacts": 0, "hub": 0, "shipped": 0, "clock": 0, "machine": 0, "kept": 0, "keys": 0,
    "text": 1,
    "ranking": 2,
    "models": 3,
    "speculation": 4,
    "engine": 5,
    "train": 6,
    "bench": 7, "server": 7, "cli": 7,
}  # fmt: skip


def test_imports_point_down() -> None:
    root = Path(frspec.__file__).parent
    wrong = []
    for file in root.rglob("*.py"):
        here = file.relative_to(root).parts[0].removesuffix(".py")
        if here == "__init__":
            continue
        for node in ast.walk(ast.parse(file.read_text())):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            for name in names:
                if name.startswith("frspec."):
                    there = name.split(".")[1]
                    up = FLOORS[there] > FLOORS[here]
                    sideways = FLOORS[there] == FLOORS[here] > 0 and there != here != "cli"
                    if up or sideways:
                        wrong.append(f"{file.relative_to(root)} imports {name}")
    assert not wrong
