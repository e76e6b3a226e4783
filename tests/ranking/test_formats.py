"""Id lists as FR-Spec and SGLang read and write them."""

import pickle
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from frspec.errors import UserError
from frspec.ranking.formats import read_ids, save_ranking, write_ids
from frspec.ranking.ranking import Ranking

IDS = [7, 0, 131071, 3]


@pytest.mark.parametrize("suffix", [".pt", ".json", ".txt"])
@given(ids=st.lists(st.integers(0, 2**40), min_size=1, max_size=30, unique=True))
def test_there_and_back(tmp_path_factory: pytest.TempPathFactory, suffix: str, ids: list[int]) -> None:
    path = tmp_path_factory.mktemp("ids") / f"freq{suffix}"
    write_ids(ids, path)
    assert read_ids(path).tolist() == ids


def test_sglang_reads_what_is_written(tmp_path: Path) -> None:
    """SGLang makes a tensor of what ``torch.load(path, weights_only=True)`` gives."""
    write_ids(IDS, tmp_path / "freq_4.pt")
    loaded = torch.load(tmp_path / "freq_4.pt", weights_only=True)
    assert torch.tensor(loaded, dtype=torch.int64).tolist() == IDS


@pytest.mark.parametrize("content", [IDS, tuple(IDS), torch.tensor(IDS), torch.tensor(IDS, dtype=torch.int32)])
@pytest.mark.parametrize("zipped", [True, False])
def test_torch_files(tmp_path: Path, content: object, zipped: bool) -> None:
    torch.save(content, tmp_path / "x", _use_new_zipfile_serialization=zipped)
    assert read_ids(tmp_path / "x").tolist() == IDS


@pytest.mark.parametrize(
    "text", ["[7, 0, 131071, 3]", " [7,\n0,131071,3]\n", "7\n0\n131071\n3\n", "7\r\n 0\r\n131071\r\n3"]
)
def test_texts_are_told_by_content(tmp_path: Path, text: str) -> None:
    (tmp_path / "x").write_text(text)
    assert read_ids(tmp_path / "x").tolist() == IDS


@pytest.mark.parametrize("name", ["freq_4.pt", "ids.json", "ids.txt"])
def test_a_ranking_is_not_written_under_the_name_of_a_list(name: str, tmp_path: Path) -> None:
    ranking = Ranking.from_counts([1, 2], "f" * 32)
    with pytest.raises(UserError, match="`frspec convert`"):
        ranking.save(tmp_path / name)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("text", ["words", "{}", "1\n1\n", "[-1]"])
def test_messages_name_the_file_once(text: str, tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_text(text)
    with pytest.raises(UserError, match=r"t\.jsonl") as refusal:
        Ranking.load(tmp_path / "t.jsonl")
    assert str(refusal.value).count("t.jsonl") == 1


def test_a_list_is_a_ranking_without_counts(tmp_path: Path) -> None:
    write_ids(IDS, tmp_path / "freq_4.pt")
    ranking = Ranking.load(tmp_path / "freq_4.pt")
    assert ranking.prefix(2).tolist() == IDS[:2]
    assert ranking.counts is None
    assert ranking.fingerprint is None
    ranking.check_fingerprint("any")
    for ask in (lambda: ranking.covering(0.9), lambda: ranking.coverage([0])):
        with pytest.raises(UserError, match="no counts"):
            ask()
    with pytest.raises(UserError, match="no counts to save"):
        save_ranking(ranking, tmp_path / "r")


class Evil:
    """Pickled by reference: unpickling it would call ``print``."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return print, ("run",)


BAD = {
    "twice": (b"[1, 2, 1]", "the id 1 stands in it 2 times"),
    "negative": (b"1\n-2\n", "a negative id"),
    "bool": (b"[1, true]", "no list of token ids"),
    "float": (b"[1, 2.5]", "no list of token ids"),
    "huge": (b"[99999999999999999999]", "no list of token ids"),
    "nested": (b"[[1], [2]]", "no list of token ids"),
    "empty list": (b"[]", "no list of token ids"),
    "empty": (b"", "no list of token ids"),
    "object": (b'{"ids": [1]}', "JSON but no list"),
    "cut": (b"[1, 2", "neither a ranking nor a list"),
    "words": (b"one\ntwo\n", "neither a ranking nor a list"),
    "binary": (b"\xff\x00\x01", "neither a ranking nor a list"),
    "cut torch": (b"PK\x03\x04 and no more", "cannot|can be read without"),
    "pickle": (pickle.dumps(Evil(), protocol=2), "without running code"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_lists(tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    content, message = BAD[name]
    path = tmp_path / "x"
    path.write_bytes(content)
    with pytest.raises(UserError, match=message) as error:
        Ranking.load(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)
    assert capsys.readouterr().out == "", "no code was run"


@pytest.mark.parametrize("content", [{"ids": [1]}, torch.tensor([[1, 2]]), torch.tensor([1.0]), [1, 1]])
def test_bad_torch_contents(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "x")
    with pytest.raises(UserError):
        Ranking.load(tmp_path / "x")


def test_bad_writes(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"name it \.pt, \.json, \.txt"):
        write_ids(IDS, tmp_path / "ids.bin")
    with pytest.raises(UserError, match="stands in it 2 times"):
        write_ids([1, 1], tmp_path / "ids.txt")
    assert not list(tmp_path.iterdir())
