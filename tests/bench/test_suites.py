"""The published suites in their published files, and what a broken line is told."""

import json
from collections import Counter
from pathlib import Path

import pytest

from frspec.bench.suites import DATA, Question, is_suite, read_suite, spread
from frspec.errors import UserError

SPEC_BENCH = {"mt_bench", "translation", "summarization", "qa", "math_reasoning", "rag"}


@pytest.fixture
def suites(data: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(DATA, str(data / "bench"))
    return data / "bench"


def test_spec_bench(suites: Path) -> None:
    questions = list(read_suite("spec-bench"))
    assert Counter(question.task for question in questions) == dict.fromkeys(SPEC_BENCH, 80)
    raw = [json.loads(line) for line in (suites / "spec_bench" / "question.jsonl").read_text().splitlines()]
    assert [[q.messages[0]["content"], *q.later] for q in questions] == [record["turns"] for record in raw]
    assert [question.line for question in questions] == list(range(1, 481))
    assert {(len(question.later), question.task == "mt_bench") for question in questions} == {(0, False), (1, True)}
    first = spread(questions)[:48]
    assert Counter(question.task for question in first) == dict.fromkeys(SPEC_BENCH, 8)
    assert len({question.category for question in first if question.task == "mt_bench"}) == 8
    assert sorted(map(id, spread(questions))) == sorted(map(id, questions))


def test_the_other_suites(suites: Path) -> None:
    mt_bench = list(read_suite("mt-bench"))
    assert len(mt_bench) == 80
    assert len({question.task for question in mt_bench}) == 8
    gsm8k = list(read_suite("gsm8k"))
    assert len(gsm8k) == 1319
    assert gsm8k[0].messages[0]["content"].startswith("Janet\u2019s ducks lay 16 eggs")
    assert {question.task for question in gsm8k} == {"gsm8k"}
    tasks = Counter(question.task for question in read_suite("eagle"))
    assert tasks == {"gsm8k": 80, "humaneval": 80, "mt_bench": 80, "qa": 80, "sum": 80}
    humaneval = list(read_suite("humaneval"))
    assert len(humaneval) == 164
    assert humaneval[0].text is not None
    assert humaneval[0].text.startswith("from typing import List")


def test_a_path_is_the_file_or_its_folder(suites: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(DATA)
    asked = list(read_suite(f"gsm8k={suites / 'eagle' / 'gsm8k_question.jsonl'}"))
    assert len(asked) == 80
    assert {question.task for question in asked} == {"gsm8k"}
    assert len(list(read_suite(f"spec-bench={suites / 'spec_bench'}"))) == 480
    (tmp_path / "alpaca").mkdir()
    line = {"question_id": 1, "category": "alpaca", "turns": ["Name a colour."]}
    (tmp_path / "alpaca" / "question.jsonl").write_text(json.dumps(line) + "\n")
    (question,) = read_suite(f"eagle={tmp_path}")
    assert (question.task, question.messages) == ("alpaca", ({"role": "user", "content": "Name a colour."},))


def test_names_of_suites_and_of_files() -> None:
    assert is_suite("spec-bench")
    assert is_suite("gsm8k=questions.jsonl")
    assert not is_suite("./gsm8k")
    assert not is_suite("gsm8k.jsonl")


BROKEN = {
    "needs turns: a list of texts; it has question_id, category": {"question_id": 1, "category": "qa"},
    "needs turns": {"category": "qa", "turns": "Who?"},
    "needs turns: a list of texts; it has category, turns": {"category": "qa", "turns": []},
    "needs the text 'category'; it has turns": {"turns": ["Who?"]},
    "not a JSON object": ["Who?"],
}


@pytest.mark.parametrize("message", BROKEN)
def test_a_line_that_lacks_something(message: str, tmp_path: Path) -> None:
    file = tmp_path / "question.jsonl"
    whole = {"question_id": 0, "category": "qa", "turns": ["Who?", "Why?"]}
    file.write_text(f"{json.dumps(whole)}\n\n{json.dumps(BROKEN[message])}\n")
    with pytest.raises(UserError) as caught:
        list(read_suite(f"spec-bench={file}"))
    assert str(caught.value).startswith(f"{file}, line 3: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_text_that_is_none(tmp_path: Path) -> None:
    file = tmp_path / "question.jsonl"
    file.write_text('{"category": "qa", "turns": ["A \\ud800"]}\n')
    with pytest.raises(UserError, match="line 1: holds a lone surrogate"):
        list(read_suite(f"mt-bench={file}"))
    file.write_bytes(b'{"category": "qa", "turns": ["\xff"]}\n')
    with pytest.raises(UserError, match="line 1: not UTF-8"):
        list(read_suite(f"mt-bench={file}"))


def test_other_suites_broken(tmp_path: Path) -> None:
    (tmp_path / "test.jsonl").write_text('{"answer": "4"}\n')
    with pytest.raises(UserError, match=r"line 1: a question of gsm8k needs the text 'question'; it has answer"):
        list(read_suite(f"gsm8k={tmp_path}"))
    (tmp_path / "HumanEval.jsonl").write_text('{"prompt": 3}\n')
    with pytest.raises(UserError, match=r"line 1: a question of humaneval needs the text 'prompt'"):
        list(read_suite(f"humaneval={tmp_path}"))
    with pytest.raises(UserError, match=r"holds no question\.jsonl; give the suite's file as mt-bench=PATH"):
        list(read_suite(f"mt-bench={tmp_path}"))


def test_without_a_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nothing is called .*gone; give the questions as humaneval=PATH"):
        list(read_suite(f"humaneval={tmp_path / 'gone'}"))
    monkeypatch.delenv(DATA, raising=False)
    with pytest.raises(UserError, match=r"give spec-bench=PATH, or name the folder of suites in \$FRSPEC_BENCH_DATA"):
        list(read_suite("spec-bench"))


def test_spread_keeps_the_order_within_a_task() -> None:
    questions = [Question(task, "", line) for line, task in enumerate("aaabbc")]
    assert [question.line for question in spread(questions)] == [0, 3, 5, 1, 4, 2]
