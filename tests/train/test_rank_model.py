"""``frspec rank --from-model`` as a user meets it, against Hugging Face's own generation and plain decoding."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from transformers import LlamaForCausalLM

from frspec.cli.rank import rank
from frspec.engine.llm import LLM
from frspec.errors import UserError
from frspec.ranking.ranking import Ranking
from frspec.text.sources import read_documents
from frspec.train.examples import encode_documents

from .conftest import TEXTS

SOME = 10


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    file = tmp_path / "prompts.jsonl"
    file.write_text("".join(json.dumps({"text": text[:30]}) + "\n" for text in TEXTS[:SOME]))
    return file


def arguments(model: Path, prompts: Path, output: Path, *more: str) -> list[str]:
    return ["--from-model", str(model), "--prompts", str(prompts), "-o", str(output), "--max-tokens", "24", *more]


def run(*words: str) -> str:
    result = CliRunner().invoke(rank, list(words), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def counted(file: Path) -> dict[int, int]:
    ranking = Ranking.load(file)
    assert ranking.counts is not None
    return {int(id): int(times) for id, times in zip(ranking.ids, ranking.counts, strict=True) if times}


def test_greedy_answers_are_those_of_hugging_face(tiny: Path, llm: LLM, texts: Path, tmp_path: Path) -> None:
    reference = LlamaForCausalLM.from_pretrained(tiny, dtype=torch.float32)
    expected, ended = Counter[int](), Counter[str]()
    for text in TEXTS[:SOME]:
        ids = torch.tensor([llm.get_tokenizer().encode(text[:30])])
        made = reference.generate(ids, max_new_tokens=24, do_sample=False, pad_token_id=0)[0, ids.shape[1] :].tolist()
        expected.update(made)
        ended["stop" if made[-1] == 0 else "length"] += 1
    told = run(*arguments(tiny, texts, tmp_path / "own.ranking", "--temperature", "0"))
    assert counted(tmp_path / "own.ranking") == expected
    about = Ranking.load(tmp_path / "own.ranking").provenance
    assert about["ended"] == ended
    assert (about["documents"], about["tokens"], about["model"]) == (SOME, expected.total(), str(tiny))
    assert f"{expected.total():,} tokens of {SOME} answers" in told
    assert sorted(file.name for file in tmp_path.iterdir()) == ["own.ranking", "prompts.jsonl"]


def test_whatever_drafts_the_counts_are_the_same(tiny: Path, texts: Path, tmp_path: Path) -> None:
    for draft, together in (("none", "1"), ("ngram", "16")):
        more = ("--draft", draft, "--max-num-seqs", together, "--samples", "2")
        run(*arguments(tiny, texts, tmp_path / f"{draft}.ranking", *more))
    assert counted(tmp_path / "none.ranking") == counted(tmp_path / "ngram.ranking")
    assert Ranking.load(tmp_path / "none.ranking").provenance["documents"] == 2 * SOME
    run(*arguments(tiny, texts, tmp_path / "other.ranking", "--samples", "2", "--seed", "1"))
    assert counted(tmp_path / "other.ranking") != counted(tmp_path / "none.ranking")


KILLED = """
import os, signal, sys
import frspec.train.answers as answers
from frspec.cli.main import main

how, at, so_far, add = sys.argv.pop(1), int(sys.argv.pop(1)), 0, answers.AnswerJournal.add

def dying(journal, answer):
    global so_far
    so_far += 1
    if how == "during" and so_far == at:
        write = os.write
        os.write = lambda file, line: write(file, line[: len(line) // 2]) and os.kill(os.getpid(), signal.SIGKILL)
    add(journal, answer)
    if how == "after" and so_far == at:
        os.kill(os.getpid(), signal.SIGKILL)

answers.AnswerJournal.add = dying
main()
"""


def test_killed_runs_end_with_the_same_ranking(tiny: Path, chats_file: Path, tmp_path: Path) -> None:
    """SIGKILL after a random answer, and in the middle of writing one down."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}

    def start(how: str, at: int, name: str) -> subprocess.CompletedProcess[str]:
        words = arguments(tiny, chats_file, tmp_path / name, "--keep-answers", str(tmp_path / f"{name}.jsonl"))
        return subprocess.run(
            [sys.executable, "-c", KILLED, how, str(at), "rank", *words],
            env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip

    draw = random.Random(6)
    kept = tmp_path / "killed.answers"
    for how in ("after", "during"):
        died = start(how, draw.randint(2, 5), "killed")
        assert died.returncode == -signal.SIGKILL, died.stderr
        assert sorted(file.name for file in tmp_path.iterdir()) == [".killed.lock", "killed.answers"], (
            "both held by none"
        )
    assert not kept.read_bytes().endswith(b"\n")
    last = start("never", 0, "killed")
    assert last.returncode == 0, last.stderr
    assert "going on behind the" in last.stderr
    whole = start("never", 0, "whole")
    assert whole.returncode == 0, whole.stderr
    one, other = Ranking.load(tmp_path / "whole"), Ranking.load(tmp_path / "killed")
    assert one.ids.tolist() == other.ids.tolist()
    assert counted(tmp_path / "whole") == counted(tmp_path / "killed")
    assert (tmp_path / "whole.jsonl").read_bytes() == (tmp_path / "killed.jsonl").read_bytes()
    assert not kept.exists()
    assert not (tmp_path / ".killed.lock").exists()


def test_another_setting_is_refused_until_restart(tiny: Path, texts: Path, tmp_path: Path) -> None:
    words = arguments(tiny, texts, tmp_path / "own.ranking")
    run(*words, "--keep-answers", str(tmp_path / "a.jsonl"))
    head = {"program": "frspec 0", "settings": {}}
    (tmp_path / "own.ranking.answers").write_text(json.dumps(head) + "\n")
    with pytest.raises(UserError, match=r"left by frspec 0.*--restart"):
        run(*words)
    run(*words, "--restart")
    assert not (tmp_path / "own.ranking.answers").exists()


def test_what_differs_is_named(tiny: Path, texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = arguments(tiny, texts, tmp_path / "own.ranking")
    with monkeypatch.context() as patch:
        patch.setattr(Ranking, "save", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        assert CliRunner().invoke(rank, words).exit_code == 1
    left = (tmp_path / "own.ranking.answers").read_bytes()
    more = {
        "--seed was 0 and is now 4": ("--seed", "4"),
        "--samples was 1": ("--samples", "3"),
        "temperature was 1.0 and is now 0.5": ("--temperature", "0.5"),
        "max_tokens was 24": ("--max-tokens", "23"),
        "what --prompts holds was '10 prompts": ("--limit", "9"),
        "dtype was 'torch.float32'": ("--dtype", "bfloat16"),
    }
    for named, asked in more.items():
        with pytest.raises(UserError, match=named):
            run(*words, *asked)
    assert (tmp_path / "own.ranking.answers").read_bytes() == left
    assert "going on behind the 10 answers" in run(*words, "--draft", "ngram")


def test_kept_answers_are_conversations_that_training_reads(
    tiny: Path, llm: LLM, chats_file: Path, texts: Path, tmp_path: Path
) -> None:
    kept = tmp_path / "answers.jsonl"
    more = (str(texts), "--keep-answers", str(kept), "--limit", "14")
    run(*arguments(tiny, chats_file, tmp_path / "own.ranking", *more))
    records = [json.loads(line) for line in kept.read_text().splitlines()]
    chats = [json.loads(line)["messages"] for line in chats_file.read_text().splitlines()]
    assert len(records) == 14
    for record, chat in zip(records[:12], chats, strict=True):
        assert record["messages"][:-1] == chat[:3]
        assert record["messages"][-1]["role"] == "assistant"
        assert record["messages"][-1] != chat[3]
    assert all(record["text"].startswith(text[:30]) for record, text in zip(records[12:], TEXTS, strict=False))
    examples = list(encode_documents(llm.get_tokenizer(), read_documents(str(kept))))
    assert len(examples) == 14
    assert {tuple(record["finish_reasons"]) for record in records} <= {("stop",), ("length",)}


def test_every_turn_of_a_suite_is_answered(tiny: Path, tmp_path: Path) -> None:
    suite = tmp_path / "question.jsonl"
    suite.write_text(json.dumps({"category": "qa", "turns": ["A dog?", "Its name?"]}) + "\n")
    words = ["--from-model", str(tiny), "--prompts", f"mt-bench={suite}", "-o", str(tmp_path / "r")]
    run(*words, "--max-tokens", "8", "--keep-answers", str(tmp_path / "a.jsonl"))
    (record,) = map(json.loads, (tmp_path / "a.jsonl").read_text().splitlines())
    assert [message["role"] for message in record["messages"]] == ["user", "assistant"] * 2
    assert [message["content"] for message in record["messages"][::2]] == ["A dog?", "Its name?"]
    assert Ranking.load(tmp_path / "r").provenance["documents"] == 2


def test_the_models_makers_say_how_to_sample(tiny: Path, texts: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny, folder)
    (folder / "generation_config.json").write_text(json.dumps({"temperature": 0.25, "top_k": 7, "max_new_tokens": 3}))
    sampling = []
    for more in ((), ("--temperature", "0"), ("--generation-config", "none")):
        run(*arguments(folder, texts, tmp_path / "r", "--limit", "2", *more))
        sampling.append(Ranking.load(tmp_path / "r").provenance["sampling"])
    assert [(one["temperature"], one["top_k"]) for one in sampling] == [(0.25, 7), (0.0, 7), (1.0, -1)]
    assert {one["max_tokens"] for one in sampling} == {24}


def test_what_cannot_be_asked(tiny: Path, texts: Path, chats_file: Path, tmp_path: Path) -> None:
    output = tmp_path / "own.ranking"
    with texts.open("a") as file:
        file.write(json.dumps({"text": "word " * 300}) + "\n{broken\n" + json.dumps({"text": ""}) + "\n")
    with pytest.raises(UserError, match="line 12"):
        run(*arguments(tiny, texts, output))
    with pytest.raises(UserError, match=r"prompts.jsonl:11 has \d+ tokens, but the context holds 192"):
        run(*arguments(tiny, texts, output, "--limit", "11"))
    assert list(tmp_path.iterdir()) == [texts]
    told = run(*arguments(tiny, texts, output, "--skip-bad"))
    assert "2 prompts skipped" in told
    assert "prompts.jsonl:11 has" in told
    about = Ranking.load(output).provenance
    assert (about["documents"], about["skipped"]) == (SOME, 2)
    with pytest.raises(UserError, match="no prompts in"):
        run(*arguments(tiny, texts, output, "--skip", "20", "--skip-bad"))
    mute = tmp_path / "mute"
    shutil.copytree(tiny, mute)
    (mute / "tokenizer_config.json").write_text(json.dumps({"eos_token": "<|im_end|>"}))
    with pytest.raises(UserError, match=r"chats.jsonl:1: .* has no chat template"):
        run(*arguments(mute, chats_file, output))


def test_prompts_and_ranking_are_not_written_over(tiny: Path, texts: Path, tmp_path: Path) -> None:
    before, out = texts.read_bytes(), tmp_path / "r"
    for output, keep, what in ((out, texts, "prompts"), (texts, tmp_path / "k", "prompts"), (out, out, "ranking")):
        with pytest.raises(UserError, match=rf"would be written over the {what} of that name"):
            run(*arguments(tiny, texts, output, "--keep-answers", str(keep)))
    assert texts.read_bytes() == before


def test_help_of_its_own() -> None:
    assert "--from-model" in run("--help")
    assert "--keep-answers" in run("--from-model", "demo", "--help")
    assert "--keep-answers" in run("--from-model=demo", "--help")
    assert CliRunner().invoke(rank, ["--from-model", "demo", "-o", "r", "texts.jsonl"]).exit_code == 2
