"""What is fetched of a repository. The listings are those of the published ones, shortened where shards repeat."""

from pathlib import Path

import huggingface_hub
import pytest

from frspec import hub
from frspec.errors import UserError
from frspec.hub import CHECKPOINT_FILES, TOKENIZER_FILES, files_to_fetch

COMMON = [".gitattributes", "README.md", "config.json", "generation_config.json", "tokenizer.json", "tokenizer.model"]
SAFE = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "model.safetensors.index.json"]
TORCH = ["pytorch_model-00001-of-00002.bin", "pytorch_model-00002-of-00002.bin", "pytorch_model.bin.index.json"]
USED = COMMON[2:]


@pytest.mark.parametrize(
    ("more", "wanted"),
    [
        ([*SAFE, *TORCH], SAFE),  # Llama-2, Mistral-7B-v0.1
        ([*SAFE, "consolidated.safetensors", "params.json", "tekken.json"], [*SAFE, "params.json", "tekken.json"]),
        ([*SAFE, "original/consolidated.00.pth", "original/params.json", "original/tokenizer.model"], SAFE),  # Llama-3
        (["model.safetensors", "onnx/model.onnx", "onnx/config.json", "tf_model.h5"], ["model.safetensors"]),
        (TORCH, TORCH),  # Vicuna
        (["pytorch_model.bin", "optimizer.bin", "training_args.bin", "scheduler.pt"], ["pytorch_model.bin"]),
        (["model.safetensors", "additional_chat_templates/tool_use.jinja", "chat_template.jinja"],
         ["model.safetensors", "additional_chat_templates/tool_use.jinja", "chat_template.jinja"]),
    ],
)  # fmt: skip
def test_weights_are_fetched_once(more: list[str], wanted: list[str]) -> None:
    assert files_to_fetch([*COMMON, *more], CHECKPOINT_FILES) == [*USED, *wanted]


def test_a_tokenizer_comes_without_weights() -> None:
    listing = [*COMMON, *SAFE, *TORCH, "qwen.tiktoken", "vocab.json", "merges.txt", "original/tokenizer.model"]
    wanted = [*USED, "model.safetensors.index.json", "qwen.tiktoken", "vocab.json", "merges.txt"]
    assert files_to_fetch(listing, TOKENIZER_FILES) == wanted


def test_the_hub_is_asked_for_those_files_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def listing(self: object, name: str, revision: str | None) -> list[str]:
        return [*COMMON, *SAFE, *TORCH, "odd[1].json"]

    def download(name: str, revision: str | None, allow_patterns: list[str]) -> str:
        kept = huggingface_hub.utils.filter_repo_objects(
            [*COMMON, *SAFE, *TORCH, "odd[1].json"], allow_patterns=allow_patterns
        )
        assert list(kept) == [*USED, *SAFE, "odd[1].json"]
        return str(tmp_path)

    monkeypatch.setattr(huggingface_hub.HfApi, "list_repo_files", listing)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    assert hub.resolve("some/model", "main") == tmp_path


def test_a_name_the_hub_does_not_take_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r"cannot fetch some/bad\.\.name from the hub: .*; check the name"):
        hub.resolve("some/bad..name")


class BrokenError(Exception):
    """Of a library that nobody here has heard of."""


def test_whatever_ends_a_download_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def download(*_: object, **__: object) -> str:
        raise BrokenError("peer closed connection\nafter 5 bytes")

    monkeypatch.setattr(huggingface_hub.HfApi, "list_repo_files", lambda *_, **__: COMMON)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    with pytest.raises(UserError) as error:
        hub.resolve("some/model")
    assert (
        str(error.value)
        == "some/model came only in part from the hub: peer closed connection; run it again, it goes on there"
    )
