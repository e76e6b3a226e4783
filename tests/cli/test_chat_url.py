"""``frspec chat --url``: with a server of ours the same conversation as without one; with others what they tell."""

from __future__ import annotations

import io
import json
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import click
import pytest

from frspec import LLM, SamplingParams
from frspec.cli.chat_remote import RemoteSession
from frspec.cli.remote import Remote
from frspec.errors import UserError
from tests.cli.terminal_process import TerminalProcess
from tests.patience import PATIENCE, until
from tests.server.serve_process import SLOW, ServeProcess, command
from tests.shipped.conftest import write_target

FRSPEC = [sys.executable, "-c", "from frspec.cli.main import main; main()"]
QUESTIONS = ["once upon", "there was", "the little dog"]
GREEDY = ["--temperature", "0", "--max-tokens", "20"]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_target(tmp_path_factory.mktemp("models") / "tiny", 32, 0)


@pytest.fixture(scope="module")
def server(model: Path) -> Iterator[ServeProcess]:
    draft = ["--draft", str(model), "--tree-width", "1", "--num-speculative-tokens", "3"]
    with ServeProcess(command(model, "--served-model-name", "one", "--served-model-name", "two", *draft)) as served:
        yield served


@pytest.fixture(scope="module")
def talk(model: Path) -> list[dict[str, str]]:
    llm, messages = LLM(model), []
    for question in QUESTIONS:
        messages.append({"role": "user", "content": question})
        answer = llm.chat(messages, SamplingParams(temperature=0, max_tokens=20))[0].outputs[0].text
        messages.append({"role": "assistant", "content": answer})
    return messages


def answers(messages: list[dict[str, str]]) -> str:
    """As a pipe gives it to a reader of lines: a random model writes \\r, too."""
    text = "".join(message["content"] + "\n" for message in messages if message["role"] == "assistant")
    return io.StringIO(text, newline=None).read()


def piped(url: str, typed: str, *words: str) -> subprocess.CompletedProcess[str]:
    line = [*FRSPEC, "chat", "--url", url, *words]
    return subprocess.run(line, input=typed, capture_output=True, text=True, timeout=PATIENCE, check=False)


def test_the_same_conversation_as_without_a_server(
    server: ServeProcess, talk: list[dict[str, str]], tmp_path: Path
) -> None:
    saved = tmp_path / "talk.json"
    done = piped(server.url, "\n".join([*QUESTIONS, f"/save {saved}", "/stats"]), *GREEDY, "--colour")
    assert done.returncode == 0, done.stderr
    assert json.loads(saved.read_text()) == talk
    assert click.unstyle(done.stdout) == answers(talk)
    green = "".join(re.findall("\x1b\\[32m(.*?)\x1b\\[0m", done.stdout, re.DOTALL))
    assert len(green) > len(answers(talk)) / 3, "a model that drafts for itself"
    figures = re.findall(r"(\d+) tokens, [\d.]+ tok/s, ([\d.]+) per pass", done.stderr)
    assert len(figures) == 3
    assert float(figures[0][1]) > 1.5
    cached, prompt = map(int, re.search(r"cached prompt tokens +(\d+) of (\d+)", done.stderr).groups())
    assert 0 < cached < prompt
    assert re.search(r"context +\d+ of 256 tokens", done.stderr)
    assert re.search(r"time +(verify|draft) \d+%", done.stderr)
    assert piped(server.url + "/v1/", QUESTIONS[0], *GREEDY, "--model", "two").stdout == answers(talk[:2])


def test_an_answer_once_more(server: ServeProcess, tmp_path: Path) -> None:
    saved = tmp_path / "talk.json"
    typed = f"/again\n{QUESTIONS[0]}\n/again\n/save {saved}"
    done = piped(server.url, typed, "--temperature", "2", "--max-tokens", "30", "--ignore-eos")
    assert done.returncode == 1
    assert "there is no answer to give again" in done.stderr
    kept = json.loads(saved.read_text())
    assert [message["role"] for message in kept] == ["user", "assistant"]
    assert done.stdout.endswith(answers(kept)), "the later of two answers is kept"
    assert len(re.findall("per pass", done.stderr)) == 2
    same = piped(server.url, f"{QUESTIONS[0]}\n/again", "--seed", "5", "--max-tokens", "30", "--ignore-eos").stdout
    assert same[: len(same) // 2] == same[len(same) // 2 :], "a seed that was given stays"


def test_ctrl_c_stops_the_server_too(model: Path, tmp_path: Path) -> None:
    saved = tmp_path / "talk.json"
    with ServeProcess(command(model, before=SLOW)) as slow:
        line = [*FRSPEC, "chat", "--url", slow.url, "--max-tokens", "200", "--ignore-eos", "--seed", "1"]
        with TerminalProcess(line, NO_COLOR="1") as terminal:
            terminal.until("> ")
            terminal.type("once\n")
            terminal.until("once\n")
            terminal.until(" ")
            terminal.type("\x03")
            terminal.until("stopped; what was written stays")
            ended = 'frspec:request_success_total{engine="0",finished_reason="abort",model_name="tiny"} 1.0'
            until(lambda: ended in slow.http.get("/metrics").text)
            terminal.until("> ")
            terminal.type(f"/save {saved}\n")
            terminal.until("saved 2 messages")
            terminal.type("/exit\n")
            assert terminal.rest()[1] == 0
        assert json.loads(saved.read_text())[1]["content"]
        begun = threading.Timer(0.5, slow.signal, [signal.SIGKILL])
        begun.start()
        cut = piped(slow.url, "once", "--max-tokens", "200", "--ignore-eos")
        assert (cut.returncode, cut.stderr.count("Traceback")) == (1, 0)
        assert slow.url in cut.stderr


def test_keys_and_refusals_are_one_line(model: Path) -> None:
    words = command(model, "--max-output-tokens", "5", "--draft", "none")
    with ServeProcess(words, FRSPEC_API_KEY="secret") as guarded:
        assert piped(guarded.url, "once", "--max-tokens", "3", "--api-key", "secret").returncode == 0
        for arguments, told in (
            (["--api-key", "wrong"], "refuses (401)"), ([], "FRSPEC_API_KEY"),
            (["--api-key", "secret", "--max-tokens", "6"], "refuses (400): max_tokens asks for 6"),
            (["--api-key", "secret", "--model", "other"], "refuses (404)"),
            (["--api-key", "secret", "--draft", "none"], "--draft is for a model of this process"),
            (["--api-key", "secret", "--threads", "1"], "--threads is for a model of this process"),
        ):  # fmt: skip
            refused = piped(guarded.url, "once", *arguments)
            assert (refused.returncode, refused.stdout, refused.stderr.count("\n")) == (1, "", 1), refused.stderr
            assert told in refused.stderr
            assert "secret" not in refused.stderr
    gone = piped(guarded.url, "once")
    assert "does a server run there?" in gone.stderr
    assert (
        "--api-key is for a server"
        in subprocess.run(
            [*FRSPEC, "chat", "--api-key", "x"], input="", capture_output=True, text=True, check=False
        ).stderr
    )


@pytest.mark.parametrize(
    "url",
    [
        "localhost:8000", "ftp://x", "http://", "http://x:y", "http://u:p@x", "http://x?k=1", "http://[::1",
        "http://a..b", f"http://{'a' * 64}", "http://x/\u00fc",
    ],
)  # fmt: skip
def test_what_is_no_url(url: str) -> None:
    with pytest.raises(UserError):
        Remote(url, None)


@pytest.mark.parametrize("key", ["\u043a\u043b\u044e\u0447", "line\n", "a\r\nb"])
def test_what_is_no_key(key: str) -> None:
    with pytest.raises(UserError, match="no header can hold") as refused:
        Remote("http://127.0.0.1:1", key).models()
    assert key not in str(refused.value)


class Other(BaseHTTPRequestHandler):
    """A server that is not ours; ``script`` is what it does for each path, ``asked`` what it was asked."""

    script: dict[str, Any] = {}  # noqa: RUF012 - set by each test
    asked: list[tuple[str, dict[str, str], Any]] = []  # noqa: RUF012

    def do_GET(self) -> None:
        self._answer(None)

    def do_POST(self) -> None:
        self._answer(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

    def _answer(self, body: Any) -> None:
        self.asked.append((self.path, dict(self.headers), body))
        status, pieces = self.script[self.path]
        self.send_response(status)
        if status == 302:
            self.send_header("Location", "http://127.0.0.1:1/")
        self.end_headers()
        for piece in pieces:
            self.wfile.write(piece if isinstance(piece, bytes) else f"data: {json.dumps(piece)}\n\n".encode())
            self.wfile.flush()
            time.sleep(0.01)

    def log_message(self, *_: object) -> None:
        pass


MODELS = (200, [b'{"data": [{"id": "theirs"}]}'])


@contextmanager
def other(answer: Any, models: Any = MODELS) -> Iterator[str]:
    Other.script = {"/x/v1/models": models, "/x/v1/chat/completions": answer}
    Other.asked = []
    with ThreadingHTTPServer(("127.0.0.1", 0), Other) as place:
        thread = threading.Thread(target=place.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{place.server_address[1]}/x"
        place.shutdown()


def chunk(text: str | None, reason: str | None = None) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": reason}]}


USAGE = {"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 3}}
DONE = b"data: [DONE]\n\n"


def test_a_server_that_is_not_ours() -> None:
    answer = [b": a comment\n\n", chunk(""), chunk("Grüß "), chunk("Gott"), chunk(None, "stop"), USAGE, DONE]
    with other((200, answer)) as url:
        done = piped(url, "Hi\n/stats", "--temperature", "0.5", "--api-key", "k", "--system", "Be kind.")
        assert (done.returncode, done.stdout) == (0, "Grüß Gott\n"), done.stderr
        assert re.search(r"^3 tokens, [\d.]+ tok/s$", done.stderr, re.MULTILINE)
        for unknown in ("mean acceptance", "per pass", "context"):
            assert unknown not in done.stderr
        (_, headers, _), (_, _, body) = Other.asked
        assert headers["Authorization"] == "Bearer k"
        assert body == {
            "model": "theirs", "stream": True, "stream_options": {"include_usage": True}, "temperature": 0.5,
            "messages": [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hi"}],
        }, "what was not said is the server's to choose, and nobody else's names are used"  # fmt: skip


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ((500, [b"<html>oops"]), "refuses (500): Internal Server Error"),
        ((429, [rb'{"error": {"message": "too\n\u001b[2Jmany"}}']), "refuses (429): too [2Jmany"),
        ((404, [b'{"detail": "Not Found"}']), "Not Found"), ((302, []), "refuses (302)"),
        ((200, [chunk("begun"), {"error": {"message": "broken"}}, DONE]), "ended the answer: broken"),
        ((200, [chunk("begun")]), "broke off"), ((200, [chunk("begun"), DONE]), "broke off"),
        ((200, [b"data: {oops\n\n"]), "not JSON"), ((200, [b"data: []\n\n"]), "no JSON object"),
        ((200, [b"hello, this is a web page\n"]), "broke off"),
    ],
)  # fmt: skip
def test_servers_that_fail(answer: Any, told: str) -> None:
    with other(answer) as url:
        session = RemoteSession(Remote(url, None), None, {}, SamplingParams(), [])
        with pytest.raises(UserError, match=re.escape(told)) as failed:
            list(session.ask("Hi"))
        assert "\n" not in str(failed.value)
        kept = "".join(message["content"] for message in session.messages if message["role"] == "assistant")
        assert kept == ("begun" if chunk("begun") in answer[1] else ""), "what was shown stays"
        assert len(Other.asked) == 2, "no redirect is followed"


@pytest.mark.parametrize("models", [(200, [b"{}"]), (200, [b'{"data": []}']), (200, [b"<p>"]), (404, [])])
def test_what_is_no_server_of_models(models: Any) -> None:
    with other((200, [DONE]), models) as url, pytest.raises(UserError, match=url):
        Remote(url, None).models()
