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
    with pytest.raises(
        UserError, match=r"'sglang' is unknown; the peers are transformers, transformers-prompt-lookup, "
    ):
        check_names(["transformers", "sglang"])


ENVIRONMENTS = {
    "install it there and leave =python3 out": ["transformers=python3"],
    "no/such/python is no program; name the python of the environment with vllm": ["vllm=no/such/python"],
    "openvino is asked for in two environments": ["openvino=sh", "openvino"],
}


@pytest.mark.parametrize("message", ENVIRONMENTS)
def test_an_environment_that_cannot_be_is_refused(message: str) -> None:
    with pytest.raises(UserError, match=message):
        check_names(ENVIRONMENTS[message])


def test_one_that_is_not_installed_in_its_environment(subject: Subject) -> None:
    methods, missing = ready([f"llama.cpp={sys.executable}"], subject, warm)
    assert methods == []
    (why,) = missing.values()
    assert why == f"llama_cpp is not installed in {sys.executable}'s environment (pip install llama-cpp-python gguf)"


def test_an_eagle_peer_needs_a_head(subject: Subject) -> None:
    assert ready(["vllm-eagle"], subject, warm)[1] == {
        "vllm-eagle": "it failed (it needs an EAGLE head; name one with --draft)"
    }
