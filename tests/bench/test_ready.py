"""Peers that cannot run here are named and left out; they never end or slow a comparison."""

import sys
from collections.abc import Sequence

import pytest

from frspec.bench.compare import warm_up
from frspec.bench.methods import Method, Sample
from frspec.bench.peers import Subject, check_names, ready
from frspec.errors import UserError
from frspec.types import SamplingParams
from tests.bench.conftest import PROMPTS

PARAMS = SamplingParams(temperature=0, max_tokens=4)


def warm(method: Method) -> None:
    warm_up(method, PROMPTS, PARAMS)


def test_one_that_is_not_installed(subject: Subject, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    monkeypatch.delitem(sys.modules, "frspec.bench.peers.transformers_peer", raising=False)
    methods, missing = ready(["transformers", "transformers-prompt-lookup"], subject, warm)
    assert methods == []
    assert list(missing) == ["transformers", "transformers-prompt-lookup"]
    assert missing["transformers"] == "transformers is not installed (pip install transformers)"


def test_one_that_fails_when_it_is_tried(subject: Subject) -> None:
    class Broken:
        name, peer = "broken", True

        def run(self, prompt: Sequence[int], params: SamplingParams) -> Sample:
            raise RuntimeError("no such instruction\nat 0x00")

    methods, missing = ready(["transformers"], subject, lambda _: warm(Broken()))
    assert methods == []
    assert missing == {"transformers": "it failed (RuntimeError: no such instruction)"}


def test_each_once_in_working_order(subject: Subject) -> None:
    methods, missing = ready(["transformers", "transformers"], subject, warm)
    assert ([method.name for method in methods], missing) == (["transformers"], {})


def test_an_unknown_name_gets_the_known_ones() -> None:
    with pytest.raises(UserError, match=r"'vllm' is unknown; the peers are transformers, transformers-prompt-lookup"):
        check_names(["transformers", "vllm"])
