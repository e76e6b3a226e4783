"""``frspec convert`` as a user meets it."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from safetensors.torch import save_file

from frspec.cli.convert import FORMATS as CHOICES
from frspec.cli.main import frspec
from frspec.errors import UserError
from frspec.ranking.formats import FORMATS
from frspec.ranking.ranking import Ranking
from frspec.text.tokenizer import Tokenizer


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(frspec, ["convert", *map(str, arguments)], catch_exceptions=False)


@pytest.fixture
def ranking(tmp_path: Path) -> Path:
    Ranking.from_counts(np.array([1, 50, 9, 40]), "f" * 32, {"tokens": 100}).save(tmp_path / "my.ranking")
    return tmp_path / "my.ranking"


def test_writes_what_the_name_says(ranking: Path, tmp_path: Path) -> None:
    said = run(ranking, "-o", tmp_path / "freq_2.pt", "--size", "2")
    assert said.exit_code == 0
    assert said.stdout == ""
    assert said.stderr == (
        f"{tmp_path / 'freq_2.pt'}: 2 of 4 ids as token-map; "
        "it does not keep: counts, fingerprint, provenance, the 2 ids behind these\n"
    )
    assert torch.load(tmp_path / "freq_2.pt", weights_only=True) == [1, 3]
    run(ranking, "-o", tmp_path / "a.json", "--size", "0.95")
    assert json.loads((tmp_path / "a.json").read_text()) == [1, 3, 2]
    assert run(tmp_path / "a.json", "-o", tmp_path / "a.txt").stderr.endswith("3 of 3 ids as text\n")
    assert (tmp_path / "a.txt").read_text() == "1\n3\n2\n"
    run(ranking, "-o", tmp_path / "token_freq.pt", "--size", "3")
    assert torch.load(tmp_path / "token_freq.pt", weights_only=True) == {1: 50, 3: 40, 2: 9}
    assert run(ranking, "-o", tmp_path / "copy.ranking").stderr.endswith("4 of 4 ids as ranking\n")
    assert Ranking.load(tmp_path / "copy.ranking").provenance == {"tokens": 100}


def test_maps_name_what_they_lose(ranking: Path, tmp_path: Path) -> None:
    said = run(ranking, "-o", tmp_path / "d2t-2.npy", "--size", "2")
    assert said.stderr.endswith(
        "2 of 4 ids as d2t; it does not keep: counts, fingerprint, provenance, order, the 2 ids behind these\n"
    )
    assert np.load(tmp_path / "d2t-2.npy").tolist() == [1, 2]
    run(ranking, "-o", tmp_path / "maps.pt", "--to", "eagle3", "--size", "2", "--vocab-size", "6")
    maps = torch.load(tmp_path / "maps.pt", weights_only=True)
    assert maps["t2d"].tolist() == [False, True, False, True, False, False]
    assert run(tmp_path / "maps.pt", "-o", tmp_path / "t2d.npy").stderr.endswith("2 of 2 ids as t2d\n")
    assert np.load(tmp_path / "t2d.npy").tolist() == maps["t2d"].tolist(), "the length came with the map"


def test_a_heads_map_becomes_a_list(tmp_path: Path) -> None:
    save_file({"d2t": torch.tensor([1, 2]), "fc.weight": torch.zeros(2, 2)}, tmp_path / "model.safetensors")
    run(tmp_path, "-o", tmp_path / "ids.json")
    assert json.loads((tmp_path / "ids.json").read_text()) == [1, 3]
    with pytest.raises(UserError, match="stand by number"):
        run(tmp_path, "-o", tmp_path / "one.json", "--size", "1")


def test_counts_become_a_ranking(tmp_path: Path) -> None:
    tokenizer = Tokenizer.load("demo")
    torch.save({7: 5, 2: 9}, tmp_path / "token_freq.pt")
    with pytest.raises(UserError, match="--tokenizer MODEL"):
        run(tmp_path / "token_freq.pt", "-o", tmp_path / "my.ranking")
    run(tmp_path / "token_freq.pt", "-o", tmp_path / "my.ranking", "--tokenizer", "demo")
    ranking = Ranking.load(tmp_path / "my.ranking")
    assert (len(ranking), ranking.fingerprint) == (tokenizer.vocab_size, tokenizer.fingerprint)
    assert ranking.ids[:3].tolist() == [2, 7, 0]
    assert ranking.provenance["tokens"] == 14
    assert ranking.provenance["tokenizer"] == "demo"
    run("demo", "-o", tmp_path / "token_freq.pt")
    run(tmp_path / "token_freq.pt", "-o", tmp_path / "my.ranking", "--tokenizer", "demo")
    again, demo = Ranking.load(tmp_path / "my.ranking"), Ranking.load("demo")
    assert np.array_equal(again.ids, demo.ids)
    assert again.counts is not None
    assert np.array_equal(again.counts, demo.counts)


def test_ambiguous_input_asks(tmp_path: Path) -> None:
    torch.save(torch.tensor([1, 2]), tmp_path / "x.pt")
    with pytest.raises(UserError, match=r"--from token-map.*--from d2t"):
        run(tmp_path / "x.pt", "-o", tmp_path / "ids.json")
    run(tmp_path / "x.pt", "-o", tmp_path / "ids.json", "--from", "d2t")
    assert json.loads((tmp_path / "ids.json").read_text()) == [1, 3]


def test_refuses(ranking: Path, tmp_path: Path) -> None:
    (tmp_path / "ids.json").write_text("[5, 3]")
    torch.save({7: 5, 200_000: 9}, tmp_path / "other.pt")
    there = sorted(tmp_path.iterdir())
    assert run(ranking, "-o", tmp_path / "a.txt", "--size", "many").exit_code == 2
    assert run(ranking, "-o", tmp_path / "t2d.npy", "--vocab-size", str(10**12)).exit_code == 2
    for words, match in (
        ([ranking, "-o", tmp_path / "a.csv"], "what kind of id list"),
        ([ranking, "-o", tmp_path / "a.npy"], "or pass --to"),
        ([ranking, "-o", tmp_path / "a.txt", "--size", "5"], "cannot take 5 ids"),
        ([ranking, "-o", tmp_path / "a.ranking", "--size", "2"], "a ranking holds every id"),
        ([ranking, "-o", tmp_path / "a.pt", "--to", "ranking"], "is the name of an id list"),
        ([ranking, "-o", tmp_path / "a.bin", "--to", "token-map"], r"end in \.pt"),
        ([ranking, "-o", tmp_path / "d2t.pt", "--to", "token-map"], "named like d2t"),
        ([ranking, "-o", tmp_path / "t2d.npy"], "--vocab-size"),
        ([ranking, "-o", tmp_path / "t2d.npy", "--vocab-size", "3"], "the id 3 is outside a vocabulary of 3"),
        (
            [tmp_path / "ids.json", "-o", tmp_path / "a.txt", "--vocab-size", "5"],
            "the id 5 is outside a vocabulary of 5",
        ),
        ([tmp_path / "ids.json", "-o", tmp_path / "d2t.npy", "--vocab-size", "4"], "the id 5 is outside"),
        ([ranking, "-o", tmp_path / "a.ranking", "--tokenizer", "demo"], "another tokenizer"),
        ([tmp_path / "ids.json", "-o", tmp_path / "token_freq.pt"], "has none"),
        ([tmp_path / "ids.json", "-o", tmp_path / "a.ranking"], "no counts to save"),
        ([tmp_path / "ids.json", "-o", tmp_path / "a.ranking", "--tokenizer", "demo"], "has no counts"),
        ([tmp_path / "other.pt", "-o", tmp_path / "a.ranking", "--tokenizer", "demo"], "beyond the 131,072"),
        ([tmp_path / "none", "-o", tmp_path / "a.txt"], "cannot read"),
    ):
        with pytest.raises(UserError, match=match):
            run(*words)
    assert sorted(tmp_path.iterdir()) == there


def test_every_format_can_be_asked_for() -> None:
    assert list(CHOICES.choices) == list(FORMATS)
