"""The documents tell the truth: every command line they show parses, every flag and argument exists."""

import ast
import importlib
import inspect
import re
import shlex
from pathlib import Path

import click
import pytest

from frspec import LLM, SamplingParams
from frspec.cli.main import VERBS

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "recipes" / "pipeline.sh"]
CALLS = {"LLM": LLM, "SamplingParams": SamplingParams}


def blocks(document: Path, language: str) -> list[str]:
    if document.suffix == ".sh":
        return [document.read_text()] if language == "bash" else []
    return re.findall(rf"```{language}\n(.*?)```", document.read_text(), re.DOTALL)


def commands() -> list[tuple[str, list[str]]]:
    found = []
    for document in DOCUMENTS:
        for block in blocks(document, "bash"):
            for line in block.replace("\\\n", " ").splitlines():
                words = shlex.split(re.sub(r"\$\(\(.*?\)\)|\$\w+", "8", line), comments=True)
                words = words[1:] if words[:1] == ["say"] else words
                if words[:1] == ["frspec"] and len(words) > 1:
                    found.append((f"{document.name}: {' '.join(words)}", words[1:]))
    return found


@pytest.mark.parametrize("words", [words for _, words in commands()], ids=[name for name, _ in commands()])
def test_commands_parse(words: list[str]) -> None:
    verb, *arguments = words
    if verb.startswith("-"):
        return
    assert verb in VERBS
    command = getattr(importlib.import_module(f"frspec.cli.{verb}"), verb)
    assert isinstance(command, click.Command)
    command.make_context(verb, arguments)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_python_examples_use_arguments_that_exist(document: Path) -> None:
    for block in blocks(document, "python"):
        try:
            tree = ast.parse(block)
        except SyntaxError:  # a sketch of signatures, not an example
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in CALLS:
                known = inspect.signature(CALLS[node.func.id]).parameters
                assert {keyword.arg for keyword in node.keywords} <= set(known)


@pytest.mark.parametrize("verb", VERBS)
def test_every_option_is_explained(verb: str) -> None:
    command = getattr(importlib.import_module(f"frspec.cli.{verb}"), verb)
    assert command.help
    options = [p for p in command.params if isinstance(p, click.Option)]
    unexplained = [p.name for p in options if not p.help]
    assert not unexplained


def test_links_between_documents_lead_somewhere() -> None:
    for document in DOCUMENTS:
        for target in re.findall(r"\]\(([^)#:]+)\)", document.read_text()):
            assert (document.parent / target).exists(), f"{document.name} links to {target}"
