"""The cost table: lines between points, through a file and back, and what is measured of a real model."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from frspec.engine.controlling import make_controller
from frspec.engine.llm import LLM
from frspec.speculation.costs import Costs, between
from frspec.speculation.drafters.base import DraftState
from frspec.speculation.drafters.model import ModelDrafter
from frspec.speculation.measuring import measure
from frspec.speculation.plan import TreeShape

POINTS = ((1, 2.0), (2, 2.5), (5, 2.5), (9, 4.0))


@given(st.integers(1, 9))
def test_between_points_it_is_numpys_interpolation(at: int) -> None:
    assert between(POINTS, at) == pytest.approx(np.interp(at, *zip(*POINTS, strict=True)))


def test_beyond_the_last_point_the_line_goes_on() -> None:
    assert between(POINTS, 13) == pytest.approx(5.5)
    assert between(((1, 3.0),), 4) == pytest.approx(12.0)
    assert between(((2, 3.0), (4, 2.0)), 8) == 2.0, "never cheaper still"
    assert between(((1, 1.0), (17, 5.0), (33, 5.0)), 49) == pytest.approx(7.0), "one disturbed point makes nothing free"


def test_one_size_between_those_that_are_known() -> None:
    heads = {8: ((1, 0.1), (8, 0.3)), 16: ((1, 0.2), (8, 0.5)), 64: ((1, 1.0), (8, 2.0))}
    costs = Costs(POINTS, 0.1, 0.2, ((1, 0.5),), heads, {8: 0.01, 16: 0.02, 64: 0.1})
    for size in (8, 12, 16, 50, 64):
        one = costs.of_size(size)
        for place, rows in enumerate((1, 8)):
            head = np.interp(size, list(heads), [points[place][1] for points in heads.values()])
            noise = np.interp(size, [8, 16, 64], [0.01, 0.02, 0.1]) * rows
            assert one.draft(rows, size, noisy=True) == pytest.approx(between(costs.layer, rows) + head + noise)


def test_through_json_and_back() -> None:
    costs = Costs(POINTS, 0.1, 0.2, ((1, 0.5),), {8: ((1, 0.1), (8, 0.2))}, {8: 0.3}, 0.4)
    assert Costs.from_json(json.loads(json.dumps(costs.as_json()))) == costs
    for broken in ({"target": []}, {"target": [[2, 1.0], [1, 1.0]]}, {"pick": "x"}, {"layer": [[1, -1.0]]}):
        with pytest.raises((KeyError, TypeError, ValueError)):
            Costs.from_json({**costs.as_json(), **broken})


@pytest.fixture(scope="module")
def llm(stories: Path) -> LLM:
    return LLM(stories)


def test_every_part_of_a_real_round_is_measured(llm: LLM, stories: Path) -> None:
    own = llm.with_draft(str(stories)).engine
    assert own.drafter is not None
    costs = measure(own.target, own.drafter)
    assert [rows for rows, _ in costs.target] == [1, 2, 5, 9, 17, 33]
    assert costs.heads is not None
    assert list(costs.heads) == [2048]
    for seconds in (costs.pick, costs.noisy_pick, *(s for _, s in (*costs.target, *costs.layer, *costs.heads[2048]))):
        assert 0 < seconds < 1
    assert len(own.target.blocks) == own.target.config.num_hidden_layers, "measuring leaves the target whole"
    assert measure(own.target, llm.with_draft("ngram").engine.drafter).heads is None  # type: ignore[arg-type]


def test_a_table_is_measured_once_and_only_for_what_it_is_of(
    llm: LLM, stories: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FRSPEC_CACHE", str(tmp_path))
    measured = []
    monkeypatch.setattr("frspec.engine.controlling.measure", lambda *of: measured.append(of) or measure(*of))
    engine = llm.with_draft(str(stories)).engine
    (file,) = (tmp_path / "costs").iterdir()
    kept = json.loads(file.read_text())
    assert kept["provenance"]["program"].startswith("frspec")
    assert engine.drafter is not None
    again = make_controller(engine.target, engine.drafter)
    assert again is not None
    assert len(measured) == 1
    assert again.costs == Costs.from_json(kept["costs"])
    spoilt = [
        "", "{}", json.dumps([]), json.dumps({**kept, "costs": {}}),
        json.dumps({**kept, "key": {**kept["key"], "threads": 99}}),
        json.dumps({**kept, "key": {**kept["key"], "versions": {}}}),
    ]  # fmt: skip
    for count, text in enumerate(spoilt, 2):
        file.write_text(text)
        make_controller(engine.target, engine.drafter)
        assert len(measured) == count
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(before + 1)
        make_controller(engine.target, engine.drafter)
    finally:
        torch.set_num_threads(before)
    assert len(measured) == len(spoilt) + 2
    assert len(list((tmp_path / "costs").iterdir())) == 2


def test_exact_passes_have_a_table_of_their_own(stories: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRSPEC_CACHE", str(tmp_path))
    for exact in (False, True):
        LLM(stories, draft="ngram", exact=exact)
    assert len(list((tmp_path / "costs").iterdir())) == 2


def test_what_is_measured_with_is_known_to_the_drafter(llm: LLM, stories: Path) -> None:
    """A target's vocabulary may be padded beyond that of its draft model."""

    class Small(ModelDrafter):
        def row_levels(self, vocab_size: int) -> Sequence[int]:
            return bytes(100) + bytes([len(self.sizes)]) * (vocab_size - 100)

        def catch_up(self, states: Sequence[DraftState]) -> Tensor:
            seen.update(token for state in states for token in state.tokens)
            return super().catch_up(states)

    seen, full = set[int](), llm.with_draft(str(stories)).engine
    assert isinstance(full.drafter, ModelDrafter)
    measure(full.target, Small(full.drafter.decoder, full.drafter.head, TreeShape()))
    assert seen
    assert max(seen) < 100


def test_a_cache_that_cannot_be_written_is_done_without(
    llm: LLM, stories: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("FRSPEC_CACHE", str(tmp_path / "file"))
    assert llm.with_draft(str(stories)).engine.controller is not None
