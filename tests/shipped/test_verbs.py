"""Every verb where no model is named: the shipped one, drafting with its own head and ranking."""

import json
import shlex
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from frspec import LLM, SamplingParams, shipped
from frspec.cli.main import VERBS, frspec
from frspec.errors import UserError
from frspec.ranking.ranking import Ranking
from frspec.text.tokenizer import Tokenizer

QUESTION = "Tell me a story about a little girl and a bird."


def run(*arguments: str | Path, **options: str) -> Result:
    done = CliRunner().invoke(frspec, [str(argument) for argument in arguments], catch_exceptions=False, **options)
    assert done.exit_code == 0, done.output
    return done


def refused(*arguments: str | Path) -> str:
    """The one line that a ``UserError`` becomes."""
    with pytest.raises(UserError) as error:
        run(*arguments)
    assert "\n" not in str(error.value)
    return str(error.value)


def answer(prompt: object, **params: object) -> str:
    llm = LLM("demo")
    source = prompt if isinstance(prompt, str) else llm.chat_prompt(prompt)
    return llm.generate(source, SamplingParams(**params))[0].outputs[0].text


@pytest.mark.parametrize(
    "drafting",
    [[], ["--draft-vocab", "64"], ["--draft-vocab", "0.9"], ["--draft-vocab", "full"], ["--ranking", "demo"],
     ["--draft-vocab", "demo"], ["--draft", "demo"], ["--draft", "ngram"], ["--draft", "none"]],
    ids=" ".join,
)  # fmt: skip
def test_generate(tiny: Path, drafting: list[str]) -> None:
    done = run("generate", "once upon", "--max-tokens", "20", "--temperature", "0", *drafting)
    assert done.stdout == answer("once upon", temperature=0, max_tokens=20) + "\n"
    assert ("draft head" in done.stderr) == (drafting[-1:] not in (["ngram"], ["none"]))


def test_generate_with_a_ranking_file(tiny: Path, tmp_path: Path) -> None:
    counts, fingerprint = range(280, 0, -1), Tokenizer.load("demo").fingerprint
    Ranking.from_counts(counts, fingerprint).save(tmp_path / "my.ranking")
    for option in ("--ranking", "--draft-vocab"):
        done = run("generate", "once upon", "--max-tokens", "9", "--temperature", "0", option, tmp_path / "my.ranking")
        assert "draft head" in done.stderr


def test_chat(tiny: Path) -> None:
    done = run("chat", "--temperature", "0", "--max-tokens", "12", input="Hi\n")
    assert done.stdout == answer([{"role": "user", "content": "Hi"}], temperature=0, max_tokens=12) + "\n"


@pytest.mark.parametrize("colour", [True, False])
@pytest.mark.parametrize("columns", ["40", "100"])
def test_demo(tiny: Path, monkeypatch: pytest.MonkeyPatch, columns: str, colour: bool) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    text = answer([{"role": "user", "content": QUESTION}], temperature=0, max_tokens=16)
    done = run("demo", "--max-tokens", "16", *(["--colour"] if colour else []))
    shown = click.unstyle(done.stdout)
    assert shown.count(f"> {QUESTION}\n\n{text}\n") == 3
    assert "identical output: yes" in shown
    assert colour or done.stdout.count("\x1b") == 3 * text.count("\x1b")  # the random model may write one itself
    table = shown.partition("tok/s")[2].partition("identical output")[0].splitlines()
    assert [line.split()[0] for line in table if line.endswith("%")] == ["plain", "full", "ranked"]
    assert max(map(len, table)) <= int(columns)
    assert not any("…" in line for line in table)


def test_what_demo_says_to_type_next_can_be_typed(tiny: Path) -> None:
    lines = run("demo", "--max-tokens", "2").stdout.partition("next:\n")[2].splitlines()
    assert len(lines) == 3
    for line in lines:
        program, verb, *arguments = shlex.split(line)
        assert (program, verb in VERBS) == ("frspec", True)
        if arguments != ["--help"]:
            command = frspec.get_command(click.Context(frspec), verb)
            assert command is not None
            command.make_context(verb, arguments)


def test_demo_of_another_model_needs_a_head_and_a_ranking(tiny: Path, other: Path) -> None:
    assert "--draft HEAD --ranking FILE" in refused("demo", "--model", other)
    assert "another tokenizer" in refused(
        "demo", "--model", other, "--draft", other.parent / "head", "--ranking", "demo"
    )
    assert "another model" in refused("demo", "--model", other, "--draft", "demo", "--ranking", "demo")
    assert "needs a drafter with a head" in refused("demo", "--draft", "none")


def test_foreign_parts_are_refused(tiny: Path, other: Path, tmp_path: Path) -> None:
    Ranking.from_counts([1] * 280, Tokenizer.load(other).fingerprint).save(tmp_path / "foreign.ranking")
    for verb in (["generate", "x"], ["chat"], ["demo"]):
        assert "another tokenizer" in refused(*verb, "--ranking", tmp_path / "foreign.ranking")
        assert "another model: its hidden_size is 64" in refused(*verb, "--draft", other.parent / "head")
    assert "needs a drafter with a head" in refused("generate", "x", "--draft", "none", "--ranking", "demo")


def test_bench(tiny: Path, other: Path, tmp_path: Path) -> None:
    lines = [json.dumps({"text": f"once upon a time {number}"}) + "\n" for number in range(3)]
    (tmp_path / "texts.jsonl").write_text("".join(lines))
    arguments = ["bench", tmp_path / "texts.jsonl", "--max-tokens", "6"]
    assert methods(*arguments, "--draft-vocab", "full,64") == ["plain", "ngram", "eagle full", "eagle 64"]
    assert methods(*arguments, "--draft", "none") == ["plain"]
    assert methods(*arguments, "--model", other) == ["plain"]
    draft = ["--draft", "demo", "--draft-vocab", "64", "--ranking", "demo"]
    assert methods(*arguments, *draft) == ["plain", "eagle 64"]
    assert "another tokenizer" in refused(
        *arguments, "--model", other, "--draft", other.parent / "head", "--draft-vocab", "64", "--ranking", "demo"
    )


def methods(*arguments: str | Path) -> list[str]:
    rows = json.loads(run(*arguments).stdout.splitlines()[-1])["methods"]
    assert all(row["identical_outputs"] == row["outputs"] for row in rows)
    return [row["method"] for row in rows]


def test_rank_show_and_convert(tiny: Path, tmp_path: Path) -> None:
    shown = json.loads(run("show", "demo", "--json").stdout)
    assert (shown["file"], shown["ids"]) == ("demo", 280)
    run("convert", "demo", "-o", tmp_path / "ids.txt", "--size", "3")
    assert (tmp_path / "ids.txt").read_text() == "279\n278\n277\n"
    (tmp_path / "texts.jsonl").write_text('{"text": "once upon a time"}\n')
    run("rank", "--tokenizer", "demo", tmp_path / "texts.jsonl", "-o", tmp_path / "r", "--workers", "1")
    assert Ranking.load(tmp_path / "r").fingerprint == Ranking.load("demo").fingerprint


def test_train(tiny: Path, tmp_path: Path) -> None:
    lines = [json.dumps({"text": f"once upon a time there was the little dog {number}"}) + "\n" for number in range(40)]
    (tmp_path / "texts.jsonl").write_text("".join(lines))
    run("train", "--data", tmp_path / "texts.jsonl", "-o", tmp_path / "head", "--steps", "2", "--batch-tokens", "64")
    done = run("generate", "x", "--draft", tmp_path / "head", "--max-tokens", "4", "--ignore-eos")
    assert "draft head" in done.stderr


def test_a_missing_model_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shipped, "FOLDER", tmp_path)
    for line in (["generate", "x"], ["chat"], ["demo"], ["bench", tmp_path], ["show", "demo"]):
        assert "install frspec again" in refused(*line)
