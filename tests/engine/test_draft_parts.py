"""A draft vocabulary from one part of a ranking: the ids are that part's, the text is plain decoding's."""

from pathlib import Path

import numpy as np
import pytest
import torch

from frspec.bench.lineup import own_methods
from frspec.engine.llm import LLM
from frspec.engine.tuning import Choice, Subject, find, keep
from frspec.models.eagle import new_head, save_eagle
from frspec.ranking.ranking import Ranking
from frspec.speculation.drafters.eagle import EagleDrafter
from frspec.speculation.plan import TreeShape
from frspec.types import SamplingParams
from tests.engine.conftest import PROMPTS, ids

WARM = SamplingParams(temperature=0.9, max_tokens=30, seed=7)


@pytest.fixture(scope="module")
def folder(plain: LLM, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A head, and a ranking of two languages: a likes low ids and has nothing of the upper half, b likes high ones."""
    folder = tmp_path_factory.mktemp("parts")
    config, tensors = new_head(plain.engine.target, torch.Generator().manual_seed(0))
    save_eagle(folder / "head", config, tensors, torch.float32, {})
    rising = np.arange(1, 2049)
    parts = {"a": np.where(rising <= 1024, 4000 - rising, 0), "b": rising}
    Ranking.from_parts(parts, plain.get_tokenizer().fingerprint).save(folder / "all.ranking")
    return folder


def drafter(llm: LLM) -> EagleDrafter:
    assert isinstance(llm.engine.drafter, EagleDrafter)
    return llm.engine.drafter


def test_a_part_drafts_and_the_text_stays(plain: LLM, stories: Path, folder: Path) -> None:
    expected = ids(plain.generate(PROMPTS, WARM))
    head, file = str(folder / "head"), f"{folder}/all.ranking"
    parted = {"by size": ("64@b", file), "by file": (64, f"{file}@b"), "given": ("64@b", Ranking.load(file))}
    for vocab, ranking in parted.values():
        llm = LLM(stories, draft=head, draft_vocab=vocab, ranking=ranking)
        assert ids(llm.generate(PROMPTS, WARM)) == expected
        levels = drafter(llm).head.levels(2048)
        assert {token for token in range(2048) if levels[token] == 0} >= set(range(2048 - 60, 2048))
        assert len(drafter(llm).sizes) == 1


def test_a_part_without_a_size_is_left_to_the_controller(plain: LLM, stories: Path, folder: Path) -> None:
    expected = ids(plain.generate(PROMPTS, WARM))
    file = f"{folder}/all.ranking"
    sizes = []
    for vocab, ranking in (("@a", file), (None, f"{file}@a")):
        llm = LLM(stories, draft=str(folder / "head"), draft_vocab=vocab, ranking=ranking)
        assert ids(llm.generate(PROMPTS, WARM)) == expected
        assert llm.engine.controller is not None
        sizes.append(drafter(llm).sizes)
    assert sizes[0] == sizes[1]
    assert sizes[0][-1] == 2048, "all ids are a choice too"
    fixed = LLM(stories, draft=str(folder / "head"), draft_vocab="@a", ranking=file, num_speculative_tokens=4)
    assert len(drafter(fixed).sizes) == 1
    assert abs(drafter(fixed).sizes[0] - 512) < 10


def test_bench_and_tune_compare_parts(plain: LLM, folder: Path) -> None:
    sizes, shapes = ["64@a", "64@b", "@b", "full"], [None, TreeShape(2, 2, 1)]
    methods = own_methods(plain, [str(folder / "head")], sizes, shapes, f"{folder}/all.ranking")
    found = {method.name: method.setting.draft_vocab_size for method in methods}
    names = [f"eagle {size} {shape}" for size in sizes for shape in ("auto", "chain:2")]
    assert list(found) == ["plain", *names]
    assert found["eagle @b auto"] is None, "the controller chooses"
    assert all(64 <= (found[f"eagle 64@{part} chain:2"] or 0) < 74 for part in "ab")
    assert 512 <= (found["eagle @b chain:2"] or 0) < 522


def test_a_choice_for_a_part_is_found_by_any_name_of_its_file(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FRSPEC_CACHE", str(tmp_path))
    choice = Choice("64@b", None, 1.5, "2026-01-01")
    keep(Subject("m", "d", f"{folder}/all.ranking@a"), choice, {})
    monkeypatch.chdir(folder)
    assert find(Subject("m", "d", "all.ranking@a")) == choice
    for other in ("all.ranking", "all.ranking@b"):
        assert find(Subject("m", "d", other)) is None
