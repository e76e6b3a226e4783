"""``frspec serve``'s options: every one of them from every source, what is refused, and the process they make."""

from __future__ import annotations

import json
import re
import socket
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import click
import pytest
import torch
from click.testing import CliRunner
from fastapi import FastAPI

from frspec import shipped
from frspec.cli import threads
from frspec.cli.options import draft_options, model_options, tree_options
from frspec.cli.serve import SETTINGS, serve
from frspec.errors import UserError
from frspec.server.run import bind, run
from frspec.server.settings import Settings
from tests.server.serve_process import ServeProcess, command
from tests.shipped.conftest import write_target

ROOT = Path(__file__).parents[2]
PARAMS = [param for param in serve.params if param.name not in ("config", "threads")]
OPTIONS = [param for param in PARAMS if isinstance(param, click.Option)]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_target(tmp_path_factory.mktemp("models") / "tiny", 32, 0)


def parsed(*words: str) -> dict[str, Any]:
    return serve.make_context("serve", list(words)).params


def samples(param: click.Parameter) -> tuple[list[str], list[Any]]:
    """Three texts that differ, where that is possible, and what they mean."""
    if isinstance(param, click.Option) and param.is_flag:
        return ["true", "false", ""], [True, False, True]
    if isinstance(param.type, click.Choice):
        texts = [*reversed(param.type.choices), *param.type.choices, *param.type.choices][:3]
        return texts, texts
    if isinstance(param.type, click.IntRange | click.types.IntParamType):
        return ["11", "12", "13"], [11, 12, 13]
    if isinstance(param.type, click.types.FloatParamType):
        return ["1.5", "2.5", "3"], [1.5, 2.5, 3.0]
    texts = ["from-file", "from-environment", "from-flag"]
    several = isinstance(param, click.Option) and param.multiple
    return texts, [(text,) for text in texts] if several else list(texts)


@pytest.mark.parametrize("param", PARAMS, ids=lambda param: str(param.name))
def test_flag_before_environment_before_file_before_default(
    param: click.Parameter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = str(param.name)
    (in_file, in_environment, in_flag), (from_file, from_environment, from_flag) = samples(param)
    file = tmp_path / "options.toml"
    key = name.replace("_", "-")
    file.write_text(f"{key} = {in_file if in_file in ('true', '11', '1.5') else json.dumps(in_file)}\n")
    assert parsed("--config", str(file))[name] == from_file
    monkeypatch.setenv(f"FRSPEC_SERVE_{name.upper()}", in_environment)
    assert parsed()[name] == from_environment
    assert parsed("--config", str(file))[name] == from_environment
    if isinstance(param, click.Argument):
        words = [in_flag]
    else:
        words = [param.opts[0]] if param.is_flag else [param.opts[0], in_flag]
    assert parsed("--config", str(file), *words)[name] == from_flag
    assert parsed(*words, "--config", str(file))[name] == from_flag, "wherever --config stands"


def test_the_number_of_threads_comes_from_everywhere_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    used: list[int] = []
    monkeypatch.setattr(threads, "cores", lambda: 99)
    monkeypatch.setattr(torch, "set_num_threads", used.append)
    file = tmp_path / "options.toml"
    file.write_text("threads = 11")
    parsed("--config", str(file))
    monkeypatch.setenv("FRSPEC_SERVE_THREADS", "12")
    parsed("--config", str(file))
    parsed("--config", str(file), "--threads", "13")
    assert used == [11, 12, 13]


def test_the_file_itself_may_come_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "options.toml"
    file.write_text('model = "mine"\nport = 9000\napi-key = ["a", "b"]\nserved_model_name = "one"\nexact = true\n')
    monkeypatch.setenv("FRSPEC_SERVE_CONFIG", str(file))
    found = parsed()
    assert (found["model"], found["port"], found["api_key"]) == ("mine", 9000, ("a", "b"))
    assert (found["served_model_name"], found["exact"]) == (("one",), True)


def test_several_values_in_one_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRSPEC_SERVE_API_KEY", "one two")
    assert parsed()["api_key"] == ("one", "two")
    monkeypatch.delenv("FRSPEC_SERVE_API_KEY")
    for variable in ("VLLM_API_KEY", "FRSPEC_API_KEY"):
        monkeypatch.setenv(variable, variable.lower())
        assert parsed()["api_key"] == (variable.lower(),)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("prot = 8000", "sets prot, but"), ("help = true", "sets help, but"), ("config = 'x'", "sets config, but"),
        ("max-n = 1\nmax_n = 2", "max_n twice"), ("log-requests = true\nenable-log-requests = true", "twice"),
        ("[server]\nport = 1", "sets server, but"), ("host = ['a', 'b']", "host to what no flag"),
        ("api-key = [['a']]", "api-key to what no flag"), ("host = 2026-01-01", "host to what no flag"),
        ("host = {a = 1}", "host to what no flag"), ("port = ", "cannot read"), ("\xff", "cannot read"),
    ],
)  # fmt: skip
def test_a_file_that_says_what_no_option_is(content: str, complaint: str, tmp_path: Path) -> None:
    file = tmp_path / "options.toml"
    file.write_bytes(content.encode("latin-1"))
    with pytest.raises(UserError, match=complaint):
        parsed("--config", str(file))
    with pytest.raises(UserError, match="cannot read"):
        parsed("--config", str(tmp_path / "none.toml"))


@pytest.mark.parametrize("content", ["port = 8000.5", "port = true", "max-n = 0", "exact = 'maybe'", "dtype = 'int3'"])
def test_a_value_in_a_file_is_checked_as_the_flags_is(content: str, tmp_path: Path) -> None:
    file = tmp_path / "options.toml"
    file.write_text(content)
    with pytest.raises(click.BadParameter):
        parsed("--config", str(file))


def test_a_variable_that_nothing_reads_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRSPEC_SERVE_PROT", "8000")
    with pytest.raises(UserError, match="FRSPEC_SERVE_PROT"):
        parsed()


@pytest.mark.parametrize("variable", ["FRSPEC_API_KEY", "FRSPEC_SERVE_API_KEY"])
def test_an_empty_key_does_not_leave_the_door_open(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, "")
    with pytest.raises(UserError, match=variable):
        parsed()


def test_every_setting_has_an_option() -> None:
    known = set(SETTINGS) | {"api_keys", "served_model_names", "default_sampling"}
    assert known == set(Settings.__dataclass_fields__)
    assert {name: parsed()[name] for name in SETTINGS} == {
        name: () if name.startswith("allowed") else getattr(Settings(), name) for name in SETTINGS
    }


def test_the_tables_of_the_document_are_those_options() -> None:
    document = (ROOT / "docs" / "operating.md").read_text()
    rows = re.findall(r"^\| `(--[a-z-]+)` \| (?:`([^`]*)`|on)? ?\|", document, re.MULTILINE)
    shared = {param.name for stack in (draft_options, tree_options, model_options) for param in _options(stack)}
    options = {param.opts[0]: param for param in OPTIONS if param.name not in shared}
    assert {flag for flag, _ in rows} == set(options)
    usual = parsed()
    for flag, default in rows:
        value = usual[str(options[flag].name)]
        assert default == ("" if value in (None, (), False, True) else str(value)), flag


def _options(stack: Any) -> list[click.Parameter]:
    return click.command()(stack(lambda: None)).params


def test_what_cannot_be_served_is_refused_before_the_model_is_loaded(tmp_path: Path) -> None:
    def refused(*words: str) -> str:
        with pytest.raises(UserError) as error:
            CliRunner().invoke(serve, [shipped.NAME, *words], catch_exceptions=False)
        assert "\n" not in str(error.value)
        return str(error.value)

    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.MonkeyPatch.context() as patch:
        patch.setattr("frspec.engine.llm.LLM", None)
        port = str(taken.getsockname()[1])
        assert f"port {port}" in refused("--port", port)
        assert "--host" in refused("--host", "256.0.0.1")
        assert "--host" in refused("--host", "x" * 70)
        assert "--host" in refused("--host", "192.0.2.1"), "another machine's address"
        assert "no folder" in refused("--generation-config", str(tmp_path / "none"))
        assert "chat template" in refused("--chat-template", str(tmp_path / "none.jinja"))
        assert "API key" in refused("--api-key", "")


def test_a_broken_template_is_found_before_anybody_connects(model: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.jinja"
    broken.write_text("{% if %}")
    with pytest.raises(UserError, match="chat template"):
        CliRunner().invoke(serve, [str(model), "--port", "0", "--chat-template", str(broken)], catch_exceptions=False)


def test_the_whole_way(model: Path, tmp_path: Path) -> None:
    """Options from all sources meet in one server; its answers show each of them."""
    file, template = tmp_path / "options.toml", tmp_path / "own.jinja"
    template.write_text("{% for m in messages %}[{{ m.content }}]{% endfor %}")
    file.write_text(f'max-n = 2\nmax-output-tokens = 5\nchat-template = "{template}"\nvllm-metrics = true\n')
    (model / "generation_config.json").write_text('{"temperature": 0.0, "eos_token_id": [2, 0]}')
    words = command(model, "--config", str(file), "--served-model-name", "one", "--served-model-name", "two", "--draft",
                    "ngram", "--root-path", "/llm")  # fmt: skip
    talk = {"messages": [{"role": "user", "content": "once"}]}
    with ServeProcess(words, FRSPEC_API_KEY="secret", FRSPEC_SERVE_MAX_N="1") as server:
        assert server.http.post("/v1/chat/completions", json=talk).status_code == 401
        assert server.http.get("/").status_code == 200
        server.http.headers["Authorization"] = "Bearer secret"
        assert [model["id"] for model in server.http.get("/v1/models").json()["data"]] == ["one", "two"]
        answers = [server.http.post("/v1/chat/completions", json={**talk, "seed": seed}).json() for seed in range(2)]
        texts = [answer["choices"][0]["message"]["content"] for answer in answers]
        assert texts[0] == texts[1], "temperature 0 is the model's own recommendation"
        assert [answer["usage"]["completion_tokens"] for answer in answers] == [5, 5]
        assert server.http.post("/v1/chat/completions", json={**talk, "max_tokens": 6}).status_code == 400
        assert server.http.post("/v1/chat/completions", json={**talk, "n": 2}).status_code == 400
        count = server.http.post("/tokenize", json={"prompt": "[once]", "add_special_tokens": False}).json()["count"]
        assert answers[0]["usage"]["prompt_tokens"] == count
        assert 'vllm:generation_tokens_total{engine="0",model_name="one"} 10.0' in server.http.get("/metrics").text
        server.signal()
        assert server.end() == 0
        assert [line.split()[1] for line in server.said] == ["loaded;", "serving"], "and no warning"
        assert "secret" not in "".join(server.said)
        assert "once" not in "".join(server.said), "no request's text is logged unless asked"


def test_a_place_that_another_takes_while_the_model_is_loaded() -> None:
    with bind(Settings(port=0)) as first:
        settings = Settings(port=first.getsockname()[1])
        with bind(settings) as second:
            first.listen()
            with pytest.raises(UserError, match="cannot listen"):
                run(FastAPI(), MagicMock(), settings, second, access_log=False)
