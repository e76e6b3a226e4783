"""What a model has answered so far, in a file that a killed run leaves to the next one; and which tokens that were.

Knows: one file of JSON Lines, and the settings that it belongs to. Does not know: prompts, what the settings mean.
Its first line is an object with ``program`` and ``settings``, every other one an answer. A line is written in one piece
as soon as its answer is whole: a kill costs the answers under way, and at most half a line is left at the end.
"""

from __future__ import annotations

import json
import os
from array import array
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from frspec.artifacts import check_place, provenance
from frspec.engine.writing import Answer
from frspec.errors import UserError
from frspec.ranking.ranking import Ids
from frspec.train.state import first_difference


class AnswerJournal:
    """The file at ``path``, for answers under ``settings`` (JSON, under the names that a user knows them by).

    ``known``: the answers that an interrupted run left there, by talk and turn. The end of a ``with`` block that
    nothing went wrong in removes the file.

    Raises:
        UserError: when the file is of another program version or other settings, no journal or a damaged one, or cannot
            be written.
    """

    def __init__(self, path: Path, settings: Mapping[str, Any]) -> None:
        self.path = path
        self._head = {"program": provenance()["program"], "settings": json.loads(json.dumps(settings))}
        self.known: dict[tuple[int, int], Answer] = {}
        check_place(path)
        try:
            whole = self._read() if path.exists() else 0
            self._file: BinaryIO = path.open("ab", buffering=0)
            self._file.truncate(whole)
        except OSError as error:
            raise UserError(f"cannot write {path}: {error.strerror or error}; choose another place") from error
        if not whole:
            self._write(self._head)

    def add(self, answer: Answer) -> None:
        """Keep an answer.

        Raises:
            UserError: when there is no room; what is there stays good.
        """
        self._write({"talk": answer.talk, "turn": answer.turn, "reason": answer.reason, "ids": answer.ids.tolist()})

    def __enter__(self) -> AnswerJournal:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Whatever went wrong, the file is left to the next run; what ended well needs none."""
        self._file.close()
        if kind is None:
            self.path.unlink(missing_ok=True)

    def _write(self, record: Mapping[str, Any]) -> None:
        left = memoryview(json.dumps(record, separators=(",", ":")).encode() + b"\n")
        try:
            while left:
                left = left[os.write(self._file.fileno(), left) :]
        except OSError as error:
            raise UserError(
                f"cannot write {self.path}: {error.strerror or error}; make room, and the same command goes on"
            ) from error

    def _read(self) -> int:
        """Take over what is there; how many bytes of it are whole lines."""
        whole = 0
        with self.path.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                if not line.endswith(b"\n"):
                    break
                whole += len(line)
                try:
                    record = json.loads(line)
                    if number == 1:
                        self._check(record["program"], record["settings"])
                    else:
                        self._take(_answer(record))
                except (ValueError, KeyError, TypeError, OverflowError) as error:
                    raise self._refusal(f"is no journal of answers, or damaged in line {number} ({error!r})") from error
        return whole

    def _take(self, answer: Answer) -> None:
        if self.known.setdefault((answer.talk, answer.turn), answer) is not answer:
            raise ValueError("an answer that is there already; were there two runs at a time?")

    def _check(self, program: str, settings: Mapping[str, Any]) -> None:
        if program != self._head["program"]:
            raise self._refusal(f"was left by {program}, and this is {self._head['program']}")
        if (difference := first_difference(settings, self._head["settings"])) is not None:
            raise self._refusal(f"belongs to other answers: {difference}")

    def _refusal(self, why: str) -> UserError:
        return UserError(f"{self.path} {why}; give what it was begun with, or --restart to write everything again")


def _answer(record: Mapping[str, Any]) -> Answer:
    return Answer(int(record["talk"]), int(record["turn"]), array("i", record["ids"]), str(record["reason"]))


def count_answers(answers: Iterable[Answer], vocab_size: int) -> Ids:
    """How often each id was emitted, int64 [vocab_size]; ids behind these, which no tokenizer knows, are left out."""
    by_id = np.zeros(vocab_size, dtype=np.int64)
    for answer in answers:
        ids = np.asarray(answer.ids)
        np.add.at(by_id, ids[ids < vocab_size], 1)
    return by_id
