"""Which settings are refused, and what a checkpoint's own recommendations become."""

import json
from dataclasses import FrozenInstanceError
from pathlib import Path
from typing import Any

import pytest

from frspec.errors import UserError
from frspec.server.defaults import default_sampling
from frspec.server.settings import Settings


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("port", -1), ("port", 65536), ("max_body_bytes", 0), ("max_prompt_tokens", 0), ("max_output_tokens", -5),
        ("max_n", 0), ("max_stop", -1), ("max_stop_length", -1), ("max_logprobs", -1), ("max_list_items", -1),
        ("max_grammar_bytes", 0), ("max_streams", 0), ("max_streams_per_client", 0), ("timeout_body", 0),
        ("timeout_body", float("nan")), ("timeout_graceful_shutdown", -1), ("timeout_graceful_shutdown", float("nan")),
        ("root_path", "llm"), ("root_path", "/llm/"), ("root_path", "/"), ("allowed_origins", ("example.org",)),
        ("allowed_origins", ("https://example.org/",)), ("allowed_origins", ('["*"]',)), ("served_model_names", ("",)),
        ("served_model_names", ("a\nb",)),
    ],
)  # fmt: skip
def test_no_server_could_mean_this(name: str, value: Any) -> None:
    with pytest.raises(UserError, match=name):
        Settings(**{name: value})


@pytest.mark.parametrize("key", ["", " ", " secret", "secret\n", "schlüssel", "\x00"])
def test_a_key_that_no_client_could_send_is_refused_and_not_repeated(key: str) -> None:
    with pytest.raises(UserError, match="API key") as refused:
        Settings(api_keys=("good", key))
    assert len(key.strip()) < 4 or key not in str(refused.value)


def test_what_is_fine() -> None:
    settings = Settings(port=0, root_path="/a/b", allowed_origins=("*", "http://localhost:3000"), max_stop=0)
    assert settings.host == "127.0.0.1"
    with pytest.raises(FrozenInstanceError):
        settings.port = 1  # type: ignore[misc]


def write(folder: Path, **content: Any) -> Path:
    (folder / "generation_config.json").write_text(json.dumps(content))
    return folder


def test_a_checkpoint_recommends_sampling_parameters(tmp_path: Path) -> None:
    assert default_sampling(tmp_path) == {}
    qwen = {"bos_token_id": 1, "do_sample": True, "eos_token_id": [1, 2], "repetition_penalty": 1.05,
            "temperature": 0.7, "top_p": 0.8, "top_k": 20, "transformers_version": "4.37.0"}  # fmt: skip
    expected = {"repetition_penalty": 1.05, "temperature": 0.7, "top_p": 0.8, "top_k": 20}
    assert default_sampling(write(tmp_path, **qwen)) == expected
    assert default_sampling(write(tmp_path, max_new_tokens=100, top_p=None)) == {"max_tokens": 100}


@pytest.mark.parametrize("wrong", [{"temperature": -1}, {"top_p": "high"}, {"top_k": 1.5}])
def test_a_recommendation_that_no_request_could_follow_is_refused(tmp_path: Path, wrong: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=rf"generation_config.json: {next(iter(wrong))}"):
        default_sampling(write(tmp_path, **wrong))
