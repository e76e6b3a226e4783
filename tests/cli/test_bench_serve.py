"""``frspec bench serve``: the table, the JSON, the file, and what is refused."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from frspec.cli.bench import bench
from frspec.cli.plot import plot
from frspec.errors import UserError
from tests.bench.fake_server import FakeServer


@pytest.fixture
def fakes() -> Iterator[list[FakeServer]]:
    servers = [FakeServer("frspec"), FakeServer("frspec", twist="and refuse all")]
    yield servers
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    file = tmp_path / "texts.jsonl"
    file.write_text("".join(json.dumps({"text": f"{number} is a number"}) + "\n" for number in range(4)))
    return file


def invoke(*words: object) -> Result:
    return CliRunner().invoke(bench, ["serve", *map(str, words)], catch_exceptions=False)


def test_table_json_and_picture(fakes: list[FakeServer], texts: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    file = tmp_path / "result.json"
    urls = [word for name, fake in zip("ab", fakes, strict=True) for word in ("--url", f"{name}={fake.url}")]
    done = invoke(texts, *urls, "--max-concurrency", "2,1", "--num-prompts", 4, "--max-tokens", 5, "-o", file)
    assert done.exit_code == 0
    found = json.loads(done.stdout.splitlines()[-1])
    assert (found["prompts"], found["temperature"], found["left_out"].keys()) == (4, 0.0, {"b"})
    assert "frspec: b is left out: it answers nothing: 400: not this" in done.stderr
    (row,) = found["servers"]
    assert [figures["concurrency"] for figures in row["levels"]] == [1, 2]
    lines = [line for line in done.stdout.splitlines() if "│" in line]
    assert len(lines) == 2
    for line, figures in zip(lines, row["levels"], strict=True):
        cells = [cell.strip() for cell in line.strip("│").split("│")]
        assert cells[:4] == ["a", str(figures["concurrency"]), f"{figures['tokens_per_second']:.0f}", "1.00"]
        assert cells[-2:] == ["4/4", "0"]
    written = json.loads(file.read_text())
    assert (written["kind"], written["servers"]) == ("frspec bench serve", found["servers"])
    picture = tmp_path / "picture.svg"
    words = [str(file), "-o", str(picture), "--kind", "serving"]
    assert CliRunner().invoke(plot, words, catch_exceptions=False).exit_code == 0
    drawn = picture.read_text()
    assert all(word in drawn for word in ("clients", "tok/s", ">a<"))
    with pytest.raises(UserError, match="--kind serving"):
        CliRunner().invoke(plot, [str(file), "-o", str(picture)], catch_exceptions=False)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--max-concurrency", "0"], "is no list of numbers of clients"),
        (["--max-concurrency", "1,x"], "is no list of numbers of clients"),
        (["--max-concurrency", "5"], "5 clients need as many questions, and there are 4"),
        (["--url", "nameless", "--max-concurrency", "1"], "is not NAME=VALUE"),
    ],
)
def test_what_cannot_be_measured(texts: Path, words: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        invoke(texts, *words)
