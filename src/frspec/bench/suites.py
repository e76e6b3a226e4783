"""Questions of published suites, in the files they are published as.

Knows: the suites' names, folders and fields. Does not know: models, chat templates, how many questions are asked.
Spec-Bench (arXiv 2401.07851), MT-Bench (2306.05685), GSM8K (2110.14168), HumanEval (2107.03374), and the sets of the
EAGLE repository (2401.15077), whose form FR-Spec's share.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from frspec import hub
from frspec.errors import UserError
from frspec.text.bad import Bad
from frspec.text.blocks import blocks
from frspec.text.places import find_files
from frspec.text.reading import Reading
from frspec.text.records import records_of
from frspec.text.shards import Shard

DATA = "FRSPEC_BENCH_DATA"
"""The environment variable with the folder that holds suites."""
TURNS = ("turns", "category")
MT_BENCH = ("writing", "roleplay", "reasoning", "math", "coding", "extraction", "stem", "humanities")
"""Spec-Bench's own evaluation makes one task of these."""


@dataclass(frozen=True)
class Question:
    """What a model is asked, of which task, and where it stands (line from 1).

    Either ``text`` is to be continued, or ``messages`` to be answered, and then each of ``later`` in turn, the answers
    before it being the model's own.
    """

    task: str
    source: str
    line: int
    text: str | None = None
    messages: tuple[dict[str, Any], ...] = ()
    later: tuple[str, ...] = ()
    category: str = ""


@dataclass(frozen=True)
class Suite:
    """Patterns of its files in its folder of ``$FRSPEC_BENCH_DATA``; ``field``: where a line without turns has its
    question, and whether that is a chat's (``asked``) or a text to be continued."""

    folder: str
    files: tuple[str, ...]
    field: str = "turns"
    asked: bool = True


SUITES = {
    "spec-bench": Suite("spec_bench", ("question.jsonl",)),
    "mt-bench": Suite("mt_bench", ("question.jsonl",)),
    "gsm8k": Suite("gsm8k", ("test.jsonl",), field="question"),
    "humaneval": Suite("humaneval", ("HumanEval.jsonl.gz", "HumanEval.jsonl"), field="prompt", asked=False),
    "eagle": Suite("eagle", ("*_question.jsonl", "*/question.jsonl")),
}


def is_suite(source: str) -> bool:
    """Whether a source is ``NAME`` or ``NAME=PATH`` of a suite; ``./NAME`` is a file of that name."""
    return source.partition("=")[0] in SUITES


def read_suite(source: str) -> Iterator[Question]:
    """The questions of ``NAME=PATH`` (the suite's file, or the folder it lies in) or ``NAME`` (in $FRSPEC_BENCH_DATA).

    Raises:
        UserError: when there is no such file, or a line lacks what its suite needs.
    """
    name, _, given = source.partition("=")
    for file in _files(name, SUITES[name], given):
        yield from _read(name, file)


def _read(name: str, file: Path) -> Iterator[Question]:
    (found,) = find_files(file)
    for line, record in (record for block in blocks(Shard("", found), Reading()) for record in records_of(block)):
        try:
            question = _question(name, SUITES[name], file, line, record)
            for text in (question.text or "", *(message["content"] for message in question.messages), *question.later):
                text.encode()
        except UnicodeEncodeError as error:
            raise UserError(f"{file}, line {line}: holds a lone surrogate, which is not Unicode") from error
        except ValueError as error:
            raise UserError(f"{file}, line {line}: {error}") from error
        yield question


def _files(name: str, suite: Suite, given: str) -> list[Path]:
    if given:
        place = hub.local(given)
    elif os.environ.get(DATA):
        place = hub.local(os.environ[DATA]) / suite.folder
    else:
        raise UserError(f"{name} needs its questions: give {name}=PATH, or name the folder of suites in ${DATA}")
    if place.is_file():
        return [place]
    if not place.exists():
        raise UserError(f"nothing is called {place}; give the questions as {name}=PATH")
    found = next((files for files in (sorted(place.glob(pattern)) for pattern in suite.files) if files), None)
    if found is None:
        raise UserError(f"{place} holds no {' and no '.join(suite.files)}; give the suite's file as {name}=PATH")
    return found


def _question(name: str, suite: Suite, file: Path, line: int, record: Any) -> Question:
    """Raises ``ValueError`` saying what is missing."""
    if isinstance(record, Bad) or not isinstance(record, dict):
        raise ValueError(record.reason if isinstance(record, Bad) else "not JSON Lines; rename it to end in .jsonl")
    if suite.field != "turns" and "turns" not in record:
        text = _text(record, suite.field, name)
        if not suite.asked:
            return Question(name, str(file), line, text=text)
        return Question(name, str(file), line, messages=(_user(text),))
    turns, category = record.get("turns"), _text(record, "category", name)
    if not isinstance(turns, list) or not turns or not all(isinstance(turn, str) and turn for turn in turns):
        raise ValueError(f"a question of {name} needs turns: a list of texts; it has {', '.join(record) or 'nothing'}")
    task = _task(name, file, category)
    return Question(task, str(file), line, None, (_user(turns[0]),), tuple(turns[1:]), category)


def _text(record: dict[str, Any], field: str, name: str) -> str:
    value = record.get(field)
    if not isinstance(value, str) or not value:
        raise ValueError(f"a question of {name} needs the text {field!r}; it has {', '.join(record) or 'nothing'}")
    return value


def _user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def _task(name: str, file: Path, category: str) -> str:
    """Under which name the table shows it: the EAGLE repository has a file for each task, the others a field."""
    if name == "spec-bench":
        return "mt_bench" if category in MT_BENCH else category
    if name == "mt-bench":
        return category
    if name == "eagle":
        stem = file.name.partition(".")[0]
        return file.parent.name if stem == "question" else stem.removesuffix("_question")
    return name


def spread(questions: Sequence[Question]) -> list[Question]:
    """Another order, in which the first n are as evenly as possible of all tasks, and of all categories of each."""
    by_category = _alternate([(question.task + "/" + question.category, question) for question in questions])
    return _alternate([(question.task, question) for question in by_category])


def _alternate(keyed: Sequence[tuple[str, Question]]) -> list[Question]:
    """One of each key after the other, until each has none left."""
    places = dict[str, int]()
    ranked = []
    for key, question in keyed:
        ranked.append((places.setdefault(key, 0), question))
        places[key] += 1
    return [question for _, question in sorted(ranked, key=lambda item: item[0])]
