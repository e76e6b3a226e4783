"""Files made by the documented code of other programs, never by ours; and ours read back by their code."""

import sys
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import gguf
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from torch import Tensor

from frspec.errors import UserError
from frspec.ranking.formats import load_ranking, read_source, write_source
from frspec.ranking.ranking import Ranking

FILES = settings(deadline=None, max_examples=40)
VOCAB = 40
TEXT = torch.tensor([9, 3, 3, 17, 3, 9, 39, 0, 9, 9])
MASK = torch.tensor([1, 1, 1, 1, 1, 1, 0, 1, 1, 1])
"""A document and which of its tokens the assistant wrote: 9 four times, 3 three times, 0 and 17 once, 39 never."""


def speculators_frequencies(input_ids: Tensor, loss_mask: Tensor) -> dict[int, int]:
    """speculators 0.9, ``save_token_frequency_distribution``, up to its ``torch.save``."""
    frequencies: Counter[int] = Counter()
    ids, counts = input_ids[loss_mask.to(torch.bool)].unique(return_counts=True)
    frequencies.update(dict(zip(ids.tolist(), counts.tolist(), strict=True)))
    return dict(frequencies)


def speculators_mappings(frequencies: dict[int, int], draft_size: int, target_size: int) -> tuple[Tensor, Tensor]:
    """speculators 0.9, ``build_vocab_mappings_from_distribution``."""
    chosen = sorted(frequencies, key=lambda id: (-frequencies[id], id))[:draft_size]
    chosen += [id for id in range(draft_size) if id not in set(chosen)][: draft_size - len(chosen)]
    chosen.sort()
    t2d = torch.zeros(target_size, dtype=torch.bool)
    t2d[chosen] = True
    return torch.tensor(chosen, dtype=torch.long) - torch.arange(draft_size, dtype=torch.long), t2d


def eagle_mappings(used: list[int], vocab_size: int) -> tuple[Tensor, Tensor]:
    """EAGLE-3's training and SpecForge, ``process_token_dict_to_mappings``."""
    used = sorted(used)
    return torch.tensor([used[i] - i for i in range(len(used))]), torch.tensor([i in used for i in range(vocab_size)])


def eagle_decodes(d2t: Tensor) -> list[int]:
    """EAGLE-3's drafting: ``topk_index + self.d2t[topk_index]``."""
    rows = torch.arange(len(d2t))
    return (rows + d2t[rows]).tolist()


def llama_cpp_gguf(d2t: Tensor, path: Path) -> None:
    """llama.cpp's conversion/llama.py: d2t of EAGLE-3 is written as absolute ids, I64."""
    data = d2t.to(torch.int64).numpy().reshape(-1)
    writer = gguf.GGUFWriter(path, "eagle3")
    writer.add_array("eagle3.extract_layers", [2, 16, 29])
    writer.add_tensor("fc.weight", np.zeros((4, 8), dtype=np.float32))
    absolute = data + np.arange(data.size, dtype=np.int64)
    writer.add_tensor("d2t", absolute, raw_dtype=gguf.GGMLQuantizationType.I64)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


USED = [17, 3, 0, 9]
D2T, T2D = eagle_mappings(USED, VOCAB)
WEIGHTS = {"fc.weight": torch.zeros(4, 8, dtype=torch.bfloat16), "lm_head.weight": torch.zeros(4, 4)}


def test_the_two_programs_agree() -> None:
    frequencies = speculators_frequencies(TEXT, MASK)
    assert frequencies == {9: 4, 3: 3, 0: 1, 17: 1}
    d2t, t2d = speculators_mappings(frequencies, 4, VOCAB)
    assert torch.equal(d2t, D2T)
    assert torch.equal(t2d, T2D)


def test_token_freq(tmp_path: Path) -> None:
    torch.save(speculators_frequencies(TEXT, MASK), tmp_path / "anything")
    ranking = load_ranking(tmp_path / "anything")
    assert ranking.ids[:4].tolist() == [9, 3, 0, 17]
    assert ranking.counts is not None
    assert ranking.counts[:5].tolist() == [4, 3, 1, 1, 0]
    assert (len(ranking), ranking.fingerprint, ranking.ordered) == (18, None, True)
    assert ranking.covering(0.75).tolist() == [9, 3]


@pytest.mark.parametrize("counts", [torch.bincount(TEXT, minlength=VOCAB), torch.bincount(TEXT).tolist()])
def test_counts_by_id_when_said(tmp_path: Path, counts: Any) -> None:
    torch.save(counts, tmp_path / "token_freq.pt")
    torch.save(counts, tmp_path / "x.pt")
    for ranking in (load_ranking(tmp_path / "token_freq.pt"), read_source(tmp_path / "x.pt", "token-freq").ranking):
        assert ranking.ids[:5].tolist() == [9, 3, 0, 17, 39]
        assert ranking.counts is not None
        assert ranking.counts.sum() == len(TEXT)


def save_npy(tensor: Tensor, path: Path) -> None:
    np.save(path, tensor.cpu().numpy())


MAPPINGS = {
    "d2t-4.npy": lambda path: save_npy(D2T, path),
    "t2d-4.npy": lambda path: save_npy(T2D, path),
    "mask.npy": lambda path: save_npy(T2D, path),
    "d2t.pt": lambda path: torch.save(D2T, path),
    "mask.pt": lambda path: torch.save(T2D, path),
    "cache.pt": lambda path: torch.save({"d2t": D2T, "t2d": T2D}, path),
    "lists.pt": lambda path: torch.save({"d2t": D2T.tolist(), "t2d": T2D.tolist()}, path),
    "legacy.pt": lambda path: torch.save({"d2t": D2T}, path, _use_new_zipfile_serialization=False),
    "d2t.safetensors": lambda path: save_file({"d2t": D2T}, path),
    "model.safetensors": lambda path: save_file(WEIGHTS | {"d2t": D2T, "t2d": T2D}, path),
    "pytorch_model.bin": lambda path: torch.save(WEIGHTS | {"d2t": D2T, "t2d": T2D}, path),
    "head.gguf": lambda path: llama_cpp_gguf(D2T, path),
}


@pytest.mark.parametrize("name", MAPPINGS)
def test_mappings(name: str, tmp_path: Path) -> None:
    MAPPINGS[name](tmp_path / name)
    source = read_source(tmp_path / name)
    assert source.ranking.ids.tolist() == sorted(USED) == eagle_decodes(D2T)
    assert not source.ranking.ordered
    assert source.ranking.counts is None
    says_vocabulary = name not in ("d2t-4.npy", "d2t.pt", "legacy.pt", "d2t.safetensors", "head.gguf")
    assert source.vocab_size == (VOCAB if says_vocabulary else None)
    with pytest.raises(UserError, match="stand by number"):
        source.ranking.prefix(2)
    assert source.ranking.prefix(4).tolist() == sorted(USED)


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
def test_checkpoint_folders(name: str, tmp_path: Path) -> None:
    """The file that has the mapping, wherever it is among others."""
    if name == "model.safetensors":
        save_file(WEIGHTS, tmp_path / "model-00001-of-00002.safetensors")
        name = "model-00002-of-00002.safetensors"
    MAPPINGS["model.safetensors" if "safe" in name else name](tmp_path / name)
    assert load_ranking(tmp_path).ids.tolist() == sorted(USED)


AMBIGUOUS = {
    "ascending": ([0, 3, 9, 17], ["--from token-map", "--from d2t"]),
    "rising with repeats": ([0, 2, 7, 7, 13], ["--from d2t", "--from token-freq"]),
    "repeats": ([5, 0, 0, 2], ["--from token-freq"]),
    "zeros": ([0, 0, 0], ["--from d2t", "--from token-freq"]),
}


@pytest.mark.parametrize("name", AMBIGUOUS)
def test_what_could_be_two_things_is_refused(name: str, tmp_path: Path) -> None:
    numbers, advice = AMBIGUOUS[name]
    torch.save(numbers, tmp_path / "list.pt")
    torch.save(torch.tensor(numbers), tmp_path / "tensor.pt")
    np.save(tmp_path / "array.npy", np.array(numbers))
    for file in ("list.pt", "tensor.pt", "array.npy"):
        with pytest.raises(UserError, match="could be") as refusal:
            load_ranking(tmp_path / file)
        assert all(flag in str(refusal.value) for flag in advice)
        assert file in str(refusal.value)


def test_what_is_said_is_believed(tmp_path: Path) -> None:
    torch.save(torch.tensor([0, 3, 9, 17]), tmp_path / "x.pt")
    read = {name: read_source(tmp_path / "x.pt", name).ranking for name in ("token-map", "d2t", "gguf", "token-freq")}
    assert read["token-map"].ids.tolist() == read["gguf"].ids.tolist() == [0, 3, 9, 17]
    assert read["d2t"].ids.tolist() == [0, 4, 11, 20]
    assert read["token-freq"].ids.tolist() == [3, 2, 1, 0]
    (tmp_path / "x.pt").rename(tmp_path / "freq_4.pt")  # FR-Spec's name
    assert load_ranking(tmp_path / "freq_4.pt").ids.tolist() == [0, 3, 9, 17]
    (tmp_path / "freq_4.pt").rename(tmp_path / "d2t-4.pt")
    assert load_ranking(tmp_path / "d2t-4.pt").ids.tolist() == [0, 4, 11, 20]


def test_a_map_that_contradicts_itself_is_refused(tmp_path: Path) -> None:
    """As when somebody saved absolute ids beside EAGLE's mask."""
    torch.save({"d2t": torch.tensor(sorted(USED)), "t2d": T2D}, tmp_path / "cache.pt")
    with pytest.raises(UserError, match=r"not the same.*--from d2t, t2d or gguf"):
        load_ranking(tmp_path / "cache.pt")
    assert read_source(tmp_path / "cache.pt", "gguf").ranking.ids.tolist() == sorted(USED)
    assert read_source(tmp_path / "cache.pt", "t2d").ranking.ids.tolist() == sorted(USED)


BAD = {
    "float": (torch.tensor([0.5, 0.1]), None, "no list of token ids"),
    "empty": ({}, None, "neither counts by token id"),
    "other weights": ({"fc.weight": torch.zeros(2, 2)}, None, "neither counts by token id"),
    "floats in d2t": ({"d2t": torch.zeros(4)}, None, "no list of token ids"),
    "text in d2t": ({"d2t": ["a"]}, None, "no plain numbers"),
    "ids twice": ({"d2t": torch.tensor([1, 0])}, None, "the id 1 stands in it 2 times"),
    "below zero": ({"d2t": torch.tensor([-3, 0])}, None, "a negative id"),
    "empty mask": ({"t2d": torch.zeros(4, dtype=torch.bool)}, None, "names no id"),
    "square mask": (torch.ones(2, 2, dtype=torch.bool), None, "no t2d"),
    "mask of ids": (torch.tensor([4, 2]), "t2d", "no t2d"),
    "negative count": ({3: -1}, None, "negative count"),
    "negative token": ({-3: 1}, None, "counts token -3"),
    "endless": ({10**12: 1}, None, "counts token 1000000000000, which no vocabulary has"),
    "huge count": ({3: 2**70}, None, "beyond 64 bits"),
    "shares": ({3: 0.5}, None, "neither counts by token id"),
    "no counts": ({"d2t": D2T}, "token-freq", "no counts by token id"),
    "no map": ({3: 1}, "d2t", "holds no d2t"),
    "not own": ([3, 1], "ranking", "is a damaged ranking"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_contents(name: str, tmp_path: Path) -> None:
    content, format, message = BAD[name]
    torch.save(content, tmp_path / "x.pt")
    with pytest.raises(UserError, match=message) as error:
        read_source(tmp_path / "x.pt", format)
    assert "x.pt" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["d2t-4.npy", "head.gguf", "cache.pt", "model.safetensors"])
@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_cut_files(name: str, share: float, tmp_path: Path) -> None:
    MAPPINGS[name](tmp_path / name)
    content = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(content[: int(share * len(content))])
    with pytest.raises(UserError, match=name):
        load_ranking(tmp_path / name)


@pytest.mark.parametrize("name", MAPPINGS)
@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_damaged_files(name: str, tmp_path: Path) -> None:
    """Bytes changed anywhere: the file reads, or is refused in one line; nothing else escapes."""
    MAPPINGS[name](tmp_path / name)
    content, random = (tmp_path / name).read_bytes(), Random(name)
    refusals = []
    for _ in range(40):
        damaged = bytearray(content)
        for _ in range(random.choice((1, 3, 9))):
            damaged[random.randrange(min(len(damaged), random.choice((100, len(damaged)))))] = random.randrange(256)
        (tmp_path / name).write_bytes(damaged)
        try:
            load_ranking(tmp_path / name)
        except UserError as error:
            refusals.append(str(error))
    assert refusals
    assert not any("\n" in refusal for refusal in refusals)


def test_gguf_needs_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    llama_cpp_gguf(D2T, tmp_path / "head.gguf")
    monkeypatch.setitem(sys.modules, "gguf", None)
    with pytest.raises(UserError, match="pip install gguf"):
        load_ranking(tmp_path / "head.gguf")


def test_no_pickles(tmp_path: Path) -> None:
    np.save(tmp_path / "d2t.npy", np.array([print, print], dtype=object), allow_pickle=True)
    torch.save({"d2t": print}, tmp_path / "x.pt")
    for file in ("d2t.npy", "x.pt"):
        with pytest.raises(UserError, match="without running code"):
            load_ranking(tmp_path / file)


def test_places_without_a_map(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="without d2t or t2d"):
        load_ranking(tmp_path)
    save_file(WEIGHTS, tmp_path / "model.safetensors")
    for place in (tmp_path, tmp_path / "model.safetensors"):
        with pytest.raises(UserError, match=r"without d2t or t2d|no ranking"):
            load_ranking(place)


def ranking_of(counts: list[int]) -> Ranking:
    return Ranking.from_counts(np.array(counts), "f" * 32, {"tokens": sum(counts)})


def loaded(path: Path) -> dict[str, Any]:
    """``d2t`` and ``t2d`` as the programs get them."""
    if path.suffix == ".safetensors":
        return load_file(path)
    content = torch.load(path, weights_only=True) if path.suffix == ".pt" else torch.from_numpy(np.load(path))
    return content if isinstance(content, dict) else {path.stem[:3]: content}


@FILES
@given(counts=st.lists(st.integers(0, 50), min_size=2, max_size=30), data=st.data())
def test_others_read_what_is_written(
    tmp_path_factory: pytest.TempPathFactory, counts: list[int], data: st.DataObject
) -> None:
    """What their documented code makes of our files is what it makes of the same counts by itself."""
    folder, ranking = tmp_path_factory.mktemp("written"), ranking_of(counts)
    size, vocab = data.draw(st.integers(1, len(counts))), len(counts) + data.draw(st.integers(0, 3))
    source = read_source(save(ranking, folder / "my.ranking"))
    d2t, t2d = speculators_mappings(dict(enumerate(counts)), size, vocab)
    for name in ("d2t.npy", "d2t.pt", "d2t.safetensors", "t2d.npy", "t2d.pt", "cache.pt", "maps.safetensors"):
        format = name[:3] if name[1:3] in ("2t", "2d") else "eagle3"
        write_source(type(source)(ranking, vocab), ranking.prefix(size), folder / name, format)
        tensors = loaded(folder / name)
        assert set(tensors) == ({"d2t", "t2d"} if format == "eagle3" else {format})
        assert torch.equal(tensors.get("d2t", d2t), d2t)
        assert torch.equal(tensors.get("t2d", t2d), t2d)
        assert tensors.get("d2t", d2t).dtype == torch.int64
        assert tensors.get("t2d", t2d).dtype == torch.bool
    write_source(source, ranking.prefix(size), folder / "freq.pt", "token-map")
    hot = torch.tensor(torch.load(folder / "freq.pt", weights_only=True), dtype=torch.int64)  # SGLang; CPM.cu: int32
    assert hot.tolist() == ranking.prefix(size).tolist()


def save(ranking: Ranking, path: Path) -> Path:
    ranking.save(path)
    return path


@FILES
@given(counts=st.lists(st.integers(0, 2**40), min_size=1, max_size=30).filter(any))
def test_speculators_reads_what_is_written(tmp_path_factory: pytest.TempPathFactory, counts: list[int]) -> None:
    path = tmp_path_factory.mktemp("counts") / "token_freq.pt"
    source = read_source(save(ranking_of(counts), path.with_name("my.ranking")))
    lost = write_source(source, source.ranking.ids, path, "token-freq")
    frequencies = torch.load(path, weights_only=True)
    assert frequencies == {id: count for id, count in enumerate(counts) if count}
    never = counts.count(0)
    assert lost == ["fingerprint", "provenance"] + ([f"{never} ids that never occurred"] if never else [])
    d2t, _ = speculators_mappings(frequencies, len(frequencies), len(counts))
    assert eagle_decodes(d2t) == sorted(frequencies)


def test_llama_cpp_reads_what_is_written(tmp_path: Path) -> None:
    source = read_source(save(ranking_of([3, 0, 9, 9, 1]), tmp_path / "my.ranking"))
    assert write_source(source, source.ranking.prefix(3), tmp_path / "x.gguf", "gguf") == [
        "counts", "fingerprint", "provenance", "order", "the 2 ids behind these"
    ]  # fmt: skip
    (tensor,) = gguf.GGUFReader(tmp_path / "x.gguf").tensors
    assert (tensor.name, tensor.tensor_type) == ("d2t", gguf.GGMLQuantizationType.I64)
    assert tensor.data.tolist() == [0, 2, 3]


ROUND = {
    "token-map": "freq_3.pt", "json": "x.json", "text": "x.txt", "d2t": "d2t.npy", "t2d": "t2d.pt",
    "eagle3": "x.safetensors", "gguf": "x.gguf",
}  # fmt: skip


@pytest.mark.parametrize("name", ROUND)
@FILES
@given(ids=st.lists(st.integers(0, 300), min_size=1, max_size=20, unique=True))
def test_there_and_back(name: str, ids: list[int], tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("round") / ROUND[name]
    (path.parent / "start.json").write_text(str(ids))
    source = read_source(path.parent / "start.json")
    write_source(type(source)(source.ranking, 301), source.ranking.ids, path, name)
    back = read_source(path)
    keeps = name in ("token-map", "json", "text")
    assert back.ranking.ids.tolist() == (ids if keeps else sorted(ids))
    assert back.ranking.ordered == keeps
    assert back.vocab_size == (301 if name in ("t2d", "eagle3") else None)
    write_source(back, back.ranking.ids, path.with_stem(path.stem + "2"), name)
    assert read_source(path.with_stem(path.stem + "2")).ranking.ids.tolist() == back.ranking.ids.tolist()
