"""``frspec demo`` in a pipe and in a terminal's colours: three times the same text, and a table."""

import json
import sys
from pathlib import Path

import click
import pytest
import torch
from click.testing import CliRunner

from frspec import LLM, SamplingParams
from frspec.cli.demo import demo
from frspec.models.checkpoint import load_decoder
from frspec.models.eagle import new_head, save_eagle
from frspec.ranking.ranking import Ranking
from frspec.text.tokenizer import Tokenizer
from tests.cli.terminal_process import TerminalProcess


@pytest.fixture(scope="module")
def arguments(stories: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("demo")
    config, tensors = new_head(load_decoder(stories), torch.Generator().manual_seed(0))
    save_eagle(folder / "head", config, tensors, torch.float32, {})
    Ranking.from_counts([1] * 2048, Tokenizer.load(stories).fingerprint).save(folder / "my.ranking")
    return ["--model", str(stories), "--draft", str(folder / "head"), "--ranking", str(folder / "my.ranking")]


@pytest.mark.parametrize("temperature", ["0", "1"])
def test_three_times_the_same_text(stories: Path, arguments: list[str], temperature: str) -> None:
    done = CliRunner().invoke(demo, [*arguments, "--max-tokens", "30", "--temperature", temperature])
    assert done.exit_code == 0, done.output
    params = SamplingParams(temperature=float(temperature), seed=0, max_tokens=30)
    text = LLM(stories).generate("Once upon a time", params)[0].outputs[0].text
    assert done.stdout.count("Once upon a time" + text) == 3
    assert "identical output: yes" in done.stdout
    assert "\x1b" not in done.stdout, "a pipe gets no colours"


def test_a_text_of_one_token(arguments: list[str]) -> None:
    done = CliRunner().invoke(demo, [*arguments, "--max-tokens", "1"])
    assert done.exit_code == 0, done.output


def test_accepted_drafts_are_coloured(stories: Path, arguments: list[str]) -> None:
    itself = [argument if argument != arguments[3] else str(stories) for argument in arguments]
    done = CliRunner().invoke(demo, [*itself, "--max-tokens", "30", "--colour", "--num-speculative-tokens", "15"])
    assert done.exit_code == 0, done.output
    parts = done.stdout.split("──")
    assert "\x1b[" not in parts[2], "plain decoding accepts no drafts"
    assert parts[4].count("\x1b[32m") > 3, json.dumps(parts[4])


@pytest.mark.parametrize("no_color", ["1", None])
def test_a_terminal_of_forty_columns(stories: Path, arguments: list[str], no_color: str | None) -> None:
    itself = [argument if argument != arguments[3] else str(stories) for argument in arguments]
    command = [sys.executable, "-c", "from frspec.cli.main import main; main()", "demo", *itself, "--tree-depth", "4"]
    with TerminalProcess([*command, "--max-tokens", "60"], columns=40, NO_COLOR=no_color) as terminal:
        screen, status = terminal.rest()
    assert status == 0, screen
    lines = click.unstyle(screen).splitlines()
    assert max(map(len, lines)) <= 40
    assert "identical output: yes" in lines
    assert not any("…" in line for line in lines)
    assert ("\x1b[32m" in screen) == (no_color is None)
    assert no_color is None or "\x1b" not in screen
