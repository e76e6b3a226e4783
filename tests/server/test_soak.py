"""The soak of recipes/serve_soak.py, small: every fault it knows among proper requests of every kind."""

import asyncio
import sys
from pathlib import Path

import pytest

RECIPES = Path(__file__).parents[2] / "recipes"


@pytest.mark.skipif(sys.platform != "linux", reason="looks at the server through /proc")
def test_nothing_leaks_and_nobody_gets_anothers_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(RECIPES))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    import serve_soak
    from soak.faults import FAULTS
    from soak.load import BURST
    from soak.served import Served
    from soak.wanted import KINDS

    with Served("demo", tmp_path / "log") as served:
        found = asyncio.run(serve_soak.soak(served, 90, 8, variants=1, seed=0, minutes=10, bursts=1))
    assert (found["failed"], found["unexpected"]) == (0, {})
    outcomes = found["outcomes"]
    assert set(FAULTS) <= set(outcomes)
    proper = {kind: counts for kind, counts in outcomes.items() if kind.partition(", read")[0] in KINDS}
    assert {kind.partition(", read")[0] for kind in proper} == set(KINDS)
    assert all(set(counts) == {"same"} for counts in proper.values())
    assert sum(outcomes["burst"].values()) == BURST
    assert outcomes["burst"]["200"] >= 8
    assert outcomes["burst"]["503"] >= 1
    assert found["left"]["after"] == {"running": 0, "waiting": 0}
    assert found["after"]["files"] == found["before"]["files"]
    assert found["after"]["megabytes"] < found["before"]["megabytes"] + 200
    end = found["end"]
    assert (end["status"], end["errors"]) == (0, [])
    assert set(end["streams"]) <= {"finished", "told"}
