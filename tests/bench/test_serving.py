"""Servers under load: what is asked, when it came, what becomes of servers that fail, and the figures."""

import asyncio
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from frspec.bench.serving.answers import Answer, read_stream
from frspec.bench.serving.client import Client, load
from frspec.bench.serving.figures import Batch, level
from frspec.bench.serving.programs import make_servers
from frspec.bench.serving.run import Asking, run
from frspec.bench.serving.servers import Server
from frspec.bench.suites import Question
from frspec.errors import UserError
from tests.bench import fake_server
from tests.bench.fake_server import GAP, FakeServer
from tests.bench.processes import state
from tests.patience import PATIENCE, until

WORDS = "once upon a time there was a small dog who liked to run"
COMMAND = [sys.executable, fake_server.__file__, "{port}"]


@pytest.fixture
def fake() -> Iterator[FakeServer]:
    server = FakeServer()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def frspec() -> Iterator[FakeServer]:
    server = FakeServer("frspec")
    yield server
    server.shutdown()
    server.server_close()


def asked(text: str, max_tokens: int = 50) -> tuple[str, dict]:
    return "/v1/completions", {"prompt": text, "max_tokens": max_tokens}


def answers(url: str, *texts: str, concurrency: int = 1, seconds: float = PATIENCE) -> list[Answer]:
    client = Client(url, seconds=seconds)
    return [read_stream(each) for each in asyncio.run(load(client, [asked(text) for text in texts], concurrency))]


def test_text_tokens_and_times(fake: FakeServer) -> None:
    (answer,) = answers(fake.url, WORDS)
    count = len(WORDS.split())
    assert (answer.text, answer.tokens, answer.reason, answer.error) == (WORDS, count, "stop", None)
    assert answer.first is not None
    assert GAP <= answer.first - answer.sent < answer.last - answer.sent
    assert answer.last - answer.sent >= count * GAP


def test_a_chats_first_token_is_its_first_text(fake: FakeServer) -> None:
    body = {"messages": [{"role": "user", "content": WORDS}], "max_tokens": 5}
    answer = read_stream(asyncio.run(Client(fake.url).ask("/v1/chat/completions", body)))
    assert (answer.text, answer.tokens) == ("once upon a time there", 5)
    assert answer.first is not None
    assert answer.first - answer.sent >= GAP  # the role came before


FAULTS = {
    "refuse": "400: not this",
    "html": "502: <h1>Bad gateway</h1>",
    "then vanish": "it broke off",
    "then fail": "it broke",
}


@pytest.mark.parametrize("word", FAULTS)
def test_what_is_no_answer(fake: FakeServer, word: str) -> None:
    bad, good = answers(fake.url, f"hello {word}", "hello")
    assert (bad.error or "").startswith(FAULTS[word])
    assert good.text == "hello"


def test_an_answer_without_its_usage_is_none(fake: FakeServer) -> None:
    fake.counted = False
    assert answers(fake.url, "hello")[0].error == "it ended without its usage"


def test_no_end_and_nobody_there(fake: FakeServer) -> None:
    assert answers(fake.url, " ".join(["word"] * 40), seconds=0.1)[0].error == "no end within 0.1 s"
    fake.shutdown()
    fake.server_close()
    assert answers(fake.url, "hello")[0].error is not None


def test_as_many_at_a_time_and_in_order(fake: FakeServer) -> None:
    texts = [f"{number} {WORDS}" for number in range(9)]
    assert [answer.text for answer in answers(fake.url, *texts, concurrency=3)] == texts
    assert fake.most == 3


def test_addresses_and_keys(fake: FakeServer) -> None:
    body = asked("hello")
    for path in ("", "/", "/v1", "/v1/"):
        assert read_stream(asyncio.run(Client(fake.url + path, "sesame").ask(*body))).text == "hello"
    asyncio.run(Client(fake.url + "/behind/v1").ask(*body))
    assert [each["path"] for each in fake.bodies] == ["/v1/completions"] * 4 + ["/behind/v1/completions"]
    assert fake.keys == ["Bearer sesame"] * 4 + [None]
    for url in ("127.0.0.1:8000", "ftp://127.0.0.1", "http://", "http://a?b=c"):
        with pytest.raises(UserError, match=f"{re.escape(repr(url))} is no address of a server"):
            Client(url)


def test_figures_by_hand() -> None:
    def batch(rate: float) -> Batch:
        """Two answers at a time of 11 and 21 tokens, the whole in 32 / rate seconds."""
        took = 32 / rate
        each = [Answer(100.0, 100.5, 100 + took, "a", 11, "stop"), Answer(100.0, 100.1, 100 + took, "b", 21, "length")]
        return Batch([*each, Answer(100.0, error="gone")], {"drafts": 4.0, "accepted": 6.0, "generated": 24.0})

    rounds, first = [batch(16), batch(32), batch(8)], [batch(8), batch(8), batch(8)]
    found = level(2, rounds, first, {0: ("a", "stop", 11), 1: ("b", "stop", 21)})
    assert (found["concurrency"], found["tokens_per_second"], found["ratio_to_first"]) == (2, 16.0, 2.0)
    assert found["tokens_per_second_of_rounds"] == [16.0, 32.0, 8.0]
    assert found["first_token_seconds"] == pytest.approx(0.3)
    # (2 - .5) / 10, (2 - .1) / 20, (1 - .5) / 10, (1 - .1) / 20, (4 - .5) / 10, (4 - .1) / 20
    assert found["token_seconds"] == pytest.approx((0.095 + 0.15) / 2)
    assert found["token_seconds_p95"] == pytest.approx(0.195 + 0.75 * (0.35 - 0.195))
    assert (found["tokens"], found["answers"], found["errors"], found["first_error"]) == (96, 6, 3, "gone")
    assert found["mean_acceptance_length"] == 2.5
    assert found["drafted_share"] == 0.25
    assert (found["identical"], found["compared"]) == (3, 6)  # b should have ended by itself
    assert level(2, rounds, first, None)["identical"] is None


def compare(*servers: Server, temperature: float = 0.0, rounds: int = 2) -> tuple[dict, list[str]]:
    questions = [Question("t", "s", n, messages=({"role": "user", "content": f"{n} {WORDS}"},)) for n in range(3)]
    questions.append(Question("t", "s", 4, text="to be continued"))
    told: list[str] = []
    asking = Asking(questions, temperature, 6, seed=10)
    return asyncio.run(run(servers, asking, [1, 2], rounds, lambda *words: told.append(": ".join(words)))), told


def test_a_whole_comparison(fake: FakeServer, frspec: FakeServer) -> None:
    found, told = compare(Server("ours", frspec.url), Server("theirs", fake.url))
    assert (told, found["left_out"]) == ([], {})
    ours, theirs = found["servers"]
    assert [ours[key] for key in ("server", "frspec", "version", "model")] == ["ours", True, "7.0", "parrot"]
    assert not theirs["frspec"]
    for row in found["servers"]:
        for figures, clients in zip(row["levels"], (1, 2), strict=True):
            assert figures["concurrency"] == clients
            assert (figures["answers"], figures["errors"], figures["tokens"]) == (8, 0, 2 * (3 * 6 + 3))
            assert (figures["identical"], figures["compared"]) == (8, 8)
            assert figures["mean_acceptance_length"] == 1 + (2 * (3 * 5 + 2)) / 8
            assert len(figures["tokens_per_second_of_rounds"]) == 2
    assert (frspec.most, fake.most) == (2, 2)
    for server in (frspec, fake):  # each question with its own seed, in every round and with any number of clients
        seeds = {(each.get("prompt") or each["messages"][0]["content"])[:2]: each.get("seed") for each in server.bodies}
        assert seeds == ({"0 ": 10, "1 ": 11, "2 ": 12, "to": 13} if server is frspec else dict.fromkeys(seeds))
        assert len(server.bodies) == 2 * 2 + 4 * 4  # the warm-up first
        assert {body["stream_options"]["include_usage"] for body in server.bodies} == {True}


def test_other_texts_are_counted_where_they_should_be_the_same(fake: FakeServer, frspec: FakeServer) -> None:
    frspec.twist = fake.twist = "twisted"
    other = FakeServer("frspec")
    servers = Server("ours", frspec.url), Server("also ours", other.url), Server("theirs", fake.url)
    for temperature, theirs in ((0.0, 4), (1.0, None)):
        found, _ = compare(*servers, temperature=temperature, rounds=1)
        assert [row["levels"][0]["identical"] for row in found["servers"]] == [4, 3, theirs]
    other.shutdown()
    other.server_close()


def test_who_fails_is_named_and_left_out(fake: FakeServer, frspec: FakeServer) -> None:
    frspec.twist = "refuse"
    gone = Server("gone", "http://127.0.0.1:9")
    dead = Server("dead", command=[sys.executable, "-c", "import sys; sys.exit('no such model')"])
    found, told = compare(Server("theirs", fake.url), Server("refuses", frspec.url), gone, dead)
    assert [row["server"] for row in found["servers"]] == ["theirs"]
    assert found["servers"][0]["levels"][0]["identical"] is None  # nobody to compare with
    assert found["left_out"]["refuses"] == "it answers nothing: 400: not this"
    assert found["left_out"]["gone"].startswith("nothing answers at http://127.0.0.1:9 (")
    assert found["left_out"]["dead"] == "its process ended with status 1: no such model"
    assert len(told) == 3
    with pytest.raises(UserError, match="no server is left to measure"):
        compare(Server("gone", "http://127.0.0.1:9"))


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_started_one_runs_only_while_it_works() -> None:
    server = Server("started", command=COMMAND)
    asyncio.run(server.ready())
    assert server._process is not None
    pid = server._process.pid
    until(lambda: state(pid) == "T")
    with server.working():
        assert read_stream(asyncio.run(server.client.ask(*asked("hello")))).text == "hello"
    until(lambda: state(pid) == "T")
    server.close()
    assert server._process.returncode == -signal.SIGKILL


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="nobody can be stopped here")
def test_sigterm_ends_what_was_started(tmp_path: Path) -> None:
    (tmp_path / "texts.jsonl").write_text('{"text": "once"}\n')
    mark = tmp_path / "pid"
    code = f"import os, time; open({str(mark)!r}, 'w').write(str(os.getpid())); time.sleep(600)"
    words = ["bench", "serve", str(tmp_path / "texts.jsonl"), "--max-concurrency", "1", "--start"]
    words.append(f"slow={shlex.join([sys.executable, '-c', code, '{port}'])}")
    done = subprocess.Popen([sys.executable, "-c", "from frspec.cli.main import main; main()", *words])
    until(lambda: mark.exists() and mark.read_text())
    done.terminate()
    assert done.wait(PATIENCE) == 143
    with pytest.raises(ProcessLookupError):
        os.kill(int(mark.read_text()), 0)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems cannot tie a process to its parent")
def test_started_ones_end_with_whoever_started_them() -> None:
    script = (
        "import asyncio, time; from frspec.bench.serving.servers import Server\n"
        f"server = Server('started', command={COMMAND!r}); asyncio.run(server.ready())\n"
        "print(server._process.pid, flush=True); time.sleep(600)"
    )
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    until(lambda: state(pid) in ("", "Z"))


def test_commands_of_servers(tmp_path: Path) -> None:
    plain, drafted, other, vllm = make_servers(
        "demo", ["mine=serve it --port {port}"], [], [f"vllm={sys.executable}"], "sesame", 7
    )
    assert [server.name for server in (plain, drafted, other, vllm)] == ["plain", "drafted", "mine", "vllm"]
    assert plain._command[-2:] == ["--draft", "none"]
    assert plain._environment["FRSPEC_API_KEY"] == "sesame"
    assert other._command[:-1] == ["serve", "it", "--port"]
    assert other._command[-1] == other.client.url.rpartition(":")[2]
    for server in (plain, drafted, vllm):
        assert server._command[server._command.index("--max-num-seqs") + 1] == "7"
        assert "--no-enable-prefix-caching" in server._command
    assert vllm._command[0] == os.path.abspath(sys.executable)  # noqa: PTH100
    assert [server.name for server in make_servers(str(tmp_path), [], [], [], None, 1)] == ["plain"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"commands": ["a=b"]}, "--start a=b does not say where the port goes"),
        ({"commands": ["a='b {port}"]}, "is no command (No closing quotation)"),
        ({"commands": ["a=b {port}"], "urls": ["a=http://127.0.0.1:1"]}, "two servers are called a"),
        ({"urls": ["http://127.0.0.1:1"]}, "--url http://127.0.0.1:1 is not NAME=VALUE"),
        ({"commands": ["=b"]}, "--start =b is not NAME=VALUE"),
        ({"peers": ["sglang"]}, "the only --peer that serves is vllm"),
        ({"peers": ["vllm=/no/such/python"]}, "/no/such/python is no program"),
        ({"urls": ["a=127.0.0.1:1"]}, "is no address of a server"),
    ],
)
def test_servers_that_cannot_be(words: dict, message: str) -> None:
    given = {"commands": [], "urls": [], "peers": []} | words
    with pytest.raises(UserError, match=re.escape(message)):
        make_servers(None, **given, key=None, seats=1)
