"""The journal of answers, broken in every way; and their tokens, against ``collections.Counter``."""

import json
import os
from array import array
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest

from frspec.engine.writing import Answer
from frspec.errors import UserError
from frspec.train.answers import AnswerJournal, count_answers

SETTINGS = {"--seed": 0, "the model": [0.5, -1.25], "dtype": "torch.float32"}
ANSWERS = [Answer(0, 1, array("i", [5, 7, 7, 2]), "stop"), Answer(3, 2, array("i", [131071, 7]), "length")]


def written(path: Path) -> bytes:
    with suppress(KeyboardInterrupt), AnswerJournal(path, SETTINGS) as journal:
        for answer in ANSWERS:
            journal.add(answer)
        raise KeyboardInterrupt
    return path.read_bytes()


def test_a_journal_that_is_cut_anywhere_keeps_its_whole_lines(tmp_path: Path) -> None:
    path = tmp_path / "r.answers"
    content = written(path)
    for size in range(len(content) + 1):
        path.write_bytes(content[:size])
        whole = max(0, content[:size].count(b"\n") - 1)
        journal = AnswerJournal(path, SETTINGS)
        assert list(journal.known.values()) == ANSWERS[:whole]
        for answer in ANSWERS[whole:]:
            journal.add(answer)
        assert path.read_bytes() == content


def test_lines_are_there_at_once(tmp_path: Path) -> None:
    with AnswerJournal(tmp_path / "r.answers", SETTINGS) as journal:
        for number, answer in enumerate(ANSWERS, 1):
            journal.add(answer)
            lines = [json.loads(line) for line in (tmp_path / "r.answers").read_text().splitlines()]
            assert [line["ids"] for line in lines[1:]] == [list(answer.ids) for answer in ANSWERS[:number]]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"--seed": 1}, "--seed was 0 and is now 1"),
        ({"the model": [0.5, -1.5]}, "the model has changed"),
        ({"dtype": "torch.bfloat16"}, "dtype was 'torch.float32'"),
        ({"top_k": 5}, "top_k was None and is now 5"),
    ],
)
def test_other_settings_are_refused_by_name(change: dict[str, object], named: str, tmp_path: Path) -> None:
    content = written(tmp_path / "r.answers")
    with pytest.raises(UserError, match=f"other answers: {named}.*--restart"):
        AnswerJournal(tmp_path / "r.answers", {**SETTINGS, **change})
    assert (tmp_path / "r.answers").read_bytes() == content


def test_the_same_model_on_another_machine_is_the_same(tmp_path: Path) -> None:
    written(tmp_path / "r.answers")
    same = AnswerJournal(tmp_path / "r.answers", {**SETTINGS, "the model": [0.5001, -1.2501]})
    assert list(same.known.values()) == ANSWERS


def test_another_program_version_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = written(tmp_path / "r.answers")
    (tmp_path / "r.answers").write_bytes(content.replace(b"frspec ", b"frspec 0.0.0-", 1))
    with pytest.raises(UserError, match=r"was left by frspec 0\.0\.0-.*, and this is frspec"):
        AnswerJournal(tmp_path / "r.answers", SETTINGS)


@pytest.mark.parametrize(
    "line", [b"{", b"[]", b"\0\0", b'{"talk": 1}', b'{"talk":1,"turn":1,"reason":"x","ids":[1e9]}']
)
def test_a_damaged_line_is_named(line: bytes, tmp_path: Path) -> None:
    head, first, second = written(tmp_path / "r.answers").splitlines(keepends=True)
    (tmp_path / "r.answers").write_bytes(head + first + line + b"\n" + second)
    with pytest.raises(UserError, match="damaged in line 3"):
        AnswerJournal(tmp_path / "r.answers", SETTINGS)
    (tmp_path / "r.answers").write_bytes(line + b"\n")
    with pytest.raises(UserError, match="is no journal of answers"):
        AnswerJournal(tmp_path / "r.answers", SETTINGS)


def test_an_answer_counts_once(tmp_path: Path) -> None:
    head, first, _ = written(tmp_path / "r.answers").splitlines(keepends=True)
    (tmp_path / "r.answers").write_bytes(head + first + first)
    with pytest.raises(UserError, match=r"line 3 .*two runs at a time"):
        AnswerJournal(tmp_path / "r.answers", SETTINGS)


def test_no_space(tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    journal = AnswerJournal(tmp_path / "r.answers", SETTINGS)
    before = (tmp_path / "r.answers").read_bytes()
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, journal._file.fileno())
    os.close(full)
    with pytest.raises(UserError, match="No space left on device; make room"):
        journal.add(ANSWERS[0])
    assert (tmp_path / "r.answers").read_bytes() == before


def test_counts(tmp_path: Path) -> None:
    counter = Counter(id for answer in ANSWERS for id in answer.ids)
    counts = count_answers(ANSWERS, 131_072)
    assert {id: int(times) for id, times in enumerate(counts) if times} == counter
    del counter[131_071]  # a row of the model's head that the tokenizer has no token for
    assert {id: int(times) for id, times in enumerate(count_answers(ANSWERS, 131_071)) if times} == counter
