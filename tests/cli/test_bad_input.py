"""Tokenizers that are none, ids that the model has no rows for, downloads that end early: one line each."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import torch

from frspec.models.checkpoint import load_decoder
from frspec.models.eagle import new_head, save_eagle
from tests.cli.outside import Outside
from tests.patience import PATIENCE


@pytest.fixture
def frspec(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Outside:
    return Outside(monkeypatch, capsys)


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    lines = [json.dumps({"text": f"Once upon a time there were {count} dogs."}) for count in range(60)]
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    return tmp_path / "a.jsonl"


@pytest.mark.parametrize(
    ("vocabulary", "words"),
    [
        ({}, "is empty"),
        ({"a": 0, "b": 4_000_000_000}, "goes up to the id 4,000,000,000"),
        ({"a": 1, "b": 1}, "gives the id 1 to two tokens"),
    ],
)
def test_a_vocabulary_without_a_fingerprint(
    vocabulary: dict[str, int], words: str, stories: Path, texts: Path, tmp_path: Path, frspec: Outside
) -> None:
    whole = json.loads((stories / "tokenizer.json").read_text()) | {"added_tokens": [], "post_processor": None}
    whole["model"] |= {"vocab": vocabulary, "merges": [], "unk_token": None, "byte_fallback": False}
    (tmp_path / "tokenizer.json").write_text(json.dumps(whole))
    said = frspec.refusal("rank", "--tokenizer", tmp_path, texts, "-o", tmp_path / "a.ranking", "--workers", "1")
    assert f"the vocabulary of {tmp_path} {words}" in said
    assert not list(tmp_path.glob("*.ranking*"))


def test_ids_beyond_the_head(stories: Path, texts: Path, tmp_path: Path, frspec: Outside) -> None:
    """By every entrance, and also where only smaller ids of the list would be used."""
    config, tensors = new_head(load_decoder(stories), torch.Generator().manual_seed(0))
    save_eagle(tmp_path / "head", config, tensors, torch.float32, {})
    ids = tmp_path / "ids.json"
    ids.write_text("[5, 6, 2048]")
    generate = ["generate", "Once", "--model", stories, "--draft", tmp_path / "head"]
    train = ["train", stories, "--data", texts, "-o", tmp_path / "new"]
    for words in (
        [*generate, "--draft-vocab", ids],
        [*generate, "--ranking", ids],
        [*generate, "--ranking", ids, "--draft-vocab", "2"],
        [*train, "--draft-vocab", ids],
        [*train, "--ranking", ids, "--draft-vocab", "2"],
        ["tune", stories, "--draft", tmp_path / "head", "--ranking", ids, "--prompts", texts],
        ["bench", texts, "--model", stories, "--draft", tmp_path / "head", "--ranking", ids, "--draft-vocab", "2"],
        ["serve", stories, "--draft", tmp_path / "head", "--ranking", ids, "--port", "0"],
    ):
        assert "names token 2048, but the target's head has 2048 rows" in frspec.refusal(*words)
    for name in ("a.txt", "t2d.npy", "d2t.npy", "freq.pt"):
        said = frspec.refusal("convert", ids, "-o", tmp_path / name, "--vocab-size", "2048")
        assert "the id 2048 is outside a vocabulary of 2048" in said
        assert not (tmp_path / name).exists()


class Hub(BaseHTTPRequestHandler):
    """As much of the hub's protocol as fetching takes; it sends half of tokenizer.json for the whole."""

    files: dict[str, bytes]
    commit = "a" * 40

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        name = path.rpartition("/")[2]
        if path.startswith("/api/models/me/tok/tree"):
            about = {"type": "file", "oid": "0"}
            self._answer([about | {"path": name, "size": len(whole)} for name, whole in self.files.items()])
        elif path.startswith("/api/models/me/tok"):
            files = [{"rfilename": name} for name in self.files]
            self._answer({"_id": "1", "id": "me/tok", "sha": self.commit, "siblings": files})
        elif "/resolve/" in path and name in self.files:
            whole = self.files[name]
            cut = self.command == "GET" and name == "tokenizer.json"
            self._send(whole[: len(whole) // 2] if cut else whole, ETag=f'"{name}"', **{"X-Repo-Commit": self.commit})
        else:
            self.send_error(404)

    def do_HEAD(self) -> None:
        self.do_GET()

    def _answer(self, content: Any) -> None:
        self._send(json.dumps(content).encode(), **{"Content-Type": "application/json"})

    def _send(self, content: bytes, **headers: str) -> None:
        self.send_response(200)
        for name, value in (headers | {"Content-Length": str(len(content))}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Tests are quiet."""


@pytest.fixture
def hub(stories: Path) -> Iterator[str]:
    Hub.files = {name: (stories / name).read_bytes() for name in ("config.json", "tokenizer.json")}
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def test_a_download_that_ends_early(hub: str, texts: Path, tmp_path: Path) -> None:
    """And the part that came, when the hub cannot be asked any longer."""
    command = "from frspec.cli.main import main; main()"
    words = ["rank", "--tokenizer", "me/tok", str(texts), "-o", str(tmp_path / "a.ranking")]

    def said(**more: str) -> str:
        place = {"HF_HOME": str(tmp_path / "hub"), "PATH": "", **more}
        done = subprocess.run(
            [sys.executable, "-c", command, *words],
            env=place,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert (done.returncode, done.stderr.count("\n")) == (1, 1), done.stderr
        assert not list(tmp_path.glob("*.ranking*"))
        return done.stderr

    first = said(HF_ENDPOINT=hub)
    assert "me/tok came only in part from the hub" in first
    assert "run it again" in first
    assert "me/tok has no tokenizer.json" in said(HF_HUB_OFFLINE="1")
