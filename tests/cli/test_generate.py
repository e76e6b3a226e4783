"""``frspec generate`` as its user meets it: a real process, real pipes, a real Ctrl-C."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from frspec import LLM, SamplingParams
from tests.patience import PATIENCE

FRSPEC = [sys.executable, "-c", "from frspec.cli.main import main; main()"]


def frspec(*arguments: str, stdin: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*FRSPEC, *arguments], input=stdin, capture_output=True, text=True, check=False, env=os.environ | environment
    )


@pytest.fixture(scope="module")
def greedy(stories: Path) -> str:
    return LLM(stories).generate("Once upon a time", SamplingParams(temperature=0, max_tokens=40))[0].outputs[0].text


def test_text_goes_to_stdout_and_figures_to_stderr(stories: Path, greedy: str) -> None:
    for draft in ([], ["--draft", "ngram"], ["--draft", str(stories), "--tree-width", "1"]):
        done = frspec(
            "generate", "Once upon a time", "--model", str(stories), "--temperature", "0", "--max-tokens", "40", *draft
        )
        assert (done.returncode, done.stdout) == (0, greedy + "\n")
        figures, times = done.stderr.strip().splitlines()
        assert re.fullmatch(
            r"40 tokens, [\d.]+ tok/s, mean acceptance length [\d.]+ over \d+ target passes, seed \d+", figures
        )
        assert "verify" in times
        assert ("draft layer" in times) == ("--tree-width" in draft)


def test_a_single_token_has_no_speed(stories: Path) -> None:
    """Nothing was timed after it, and no pass followed the one that read the prompt."""
    settings = ["--model", str(stories), "--temperature", "0", "--seed", "5"]
    done = frspec("generate", "Once upon a time", "--max-tokens", "1", *settings)
    assert done.stderr.splitlines()[0] == "1 token, seed 5"


def test_prompts_from_stdin_a_file_and_a_conversation(stories: Path, greedy: str, tmp_path: Path) -> None:
    settings = ["--model", str(stories), "--temperature", "0", "--max-tokens", "40"]
    assert frspec("generate", "-", *settings, stdin="Once upon a time").stdout == greedy + "\n"
    (tmp_path / "prompt.txt").write_text("Once upon a time")
    assert frspec("generate", "--prompt-file", str(tmp_path / "prompt.txt"), *settings).stdout == greedy + "\n"
    (tmp_path / "talk.json").write_text('[{"role": "user", "content": "Hi"}]')
    refused = frspec("generate", "--messages", str(tmp_path / "talk.json"), *settings)
    assert refused.returncode == 1
    assert "chat template" in refused.stderr


def test_json_is_one_object(stories: Path, greedy: str) -> None:
    done = frspec(
        "generate", "Once upon a time", "--model", str(stories), "--temperature", "0", "--max-tokens", "40", "--json",
        "--draft", "ngram", "-n", "2", "--logprobs", "1",
    )  # fmt: skip
    printed = json.loads(done.stdout)
    assert [output["text"] for output in printed["outputs"]] == [greedy, greedy]
    assert printed["outputs"][0]["finish_reason"] == "length"
    assert len(printed["outputs"][0]["logprobs"]) == 40
    assert printed["metrics"]["target_passes"] > 0
    assert printed["mean_acceptance_length"] >= 1


def test_what_the_sampler_is_asked_for_reaches_it(stories: Path, greedy: str) -> None:
    """Each option against the same request through ``LLM``."""
    llm = LLM(stories)
    first, second = llm.get_tokenizer().encode(greedy, add_special_tokens=False)[:2]
    words = ["--bad-words", greedy.split()[0], "--bad-words", "girl", "--logit-bias", f"{second}=3.5",
             "--logit-bias", "7=-1", "--prompt-logprobs", "2"]  # fmt: skip
    asked = {"bad_words": [greedy.split()[0], "girl"], "logit_bias": {second: 3.5, 7: -1.0}, "prompt_logprobs": 2}
    allowed = ["--allowed-token-ids", str(first), "--allowed-token-ids", str(second)]
    for more, also in (([], {}), (allowed, {"allowed_token_ids": [first, second]})):
        done = frspec("generate", "Once upon a time", "--model", str(stories), "--temperature", "0",
                      "--max-tokens", "20", "--json", *words, *more)  # fmt: skip
        assert done.returncode == 0, done.stderr
        printed = json.loads(done.stdout)
        params = SamplingParams(temperature=0, max_tokens=20, **asked, **also)
        (expected,) = llm.generate("Once upon a time", params)
        assert printed["outputs"][0]["token_ids"] == expected.outputs[0].token_ids
        assert len(printed["prompt_logprobs"]) == len(expected.prompt_token_ids)
        assert set(printed["outputs"][0]["token_ids"]) <= {first, second} or not also
    refused = frspec("generate", "Hi", "--model", str(stories), "--logit-bias", "7:2")
    assert refused.returncode == 2
    assert "42=-1.5" in refused.stderr


def test_template_variables_reach_the_template(stories: Path, tmp_path: Path) -> None:
    folder = tmp_path / "chatty"
    shutil.copytree(stories, folder)
    (folder / "chat_template.jinja").write_text("{{ messages[0].content }}{% if loud %}!{% endif %}")
    (tmp_path / "talk.json").write_text('[{"role": "user", "content": "Hi"}]')
    words = [
        "generate",
        "--messages",
        str(tmp_path / "talk.json"),
        "--model",
        str(folder),
        "--json",
        "--max-tokens",
        "1",
    ]
    done = frspec(*words, "--chat-template-kwargs", '{"loud": true}')
    assert json.loads(done.stdout)["prompt"] == "Hi!"
    for bad in ("loud", "[1]"):
        refused = frspec(*words, "--chat-template-kwargs", bad)
        assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)
    refused = frspec("generate", "Hi", "--model", str(folder), "--chat-template-kwargs", "{}")
    assert "--messages" in refused.stderr


def test_a_stdout_of_ascii_gets_escapes(stories: Path) -> None:
    words = ["generate", "Caf\u00e9", "--model", str(stories), "--max-tokens", "3", "--json"]
    done = frspec(*words, PYTHONIOENCODING="ascii")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["prompt"] == "Caf\u00e9"
    code = "from frspec.cli import main; main.frspec = lambda **_: print('caf\u00e9 \u2603'); main.main()"
    plain = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=os.environ | {"PYTHONIOENCODING": "ascii"}
    )
    assert (plain.returncode, plain.stdout) == (0, "caf\\xe9 \\u2603\n")


def test_a_sliding_window_bounds_the_context(stories: Path, tmp_path: Path) -> None:
    folder = tmp_path / "mistral"
    shutil.copytree(stories, folder)
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "mistral", "architectures": ["MistralForCausalLM"], "sliding_window": 64}
    (folder / "config.json").write_text(json.dumps(config))
    words = ["generate", "Once", "--model", str(folder), "--ignore-eos"]
    done = frspec(*words, "--max-tokens", "200", "--json")
    printed = json.loads(done.stdout)
    assert len(printed["prompt_token_ids"]) + len(printed["outputs"][0]["token_ids"]) == 64
    refused = frspec(*words, "--max-model-len", "65")
    assert refused.returncode == 1
    assert "1 to 64 positions: sliding windows are not implemented" in refused.stderr


def test_no_space_behind_stdout_is_one_line(stories: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here to stand for a full disk")
    for mode in ([], ["--json"]):
        with Path("/dev/full").open("w") as full:
            arguments = [*FRSPEC, "generate", "Once", "--model", str(stories), "--max-tokens", "5", *mode]
            done = subprocess.run(arguments, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
        assert done.returncode == 1
        assert "Traceback" not in done.stderr
        assert done.stderr.splitlines()[-1].startswith("frspec: no space left")


def test_ctrl_c_ends_with_what_there_is(stories: Path) -> None:
    arguments = ["generate", "Once", "--model", str(stories), "--max-tokens", "500", "--ignore-eos", "--json"]
    slow = "import time, frspec.engine.engine as e; step = e.Engine.step\n"
    slow += "import sys; say = lambda: print('stepping', file=sys.stderr, flush=True)\n"
    slow += "e.Engine.step = lambda self: (step(self), say(), time.sleep(0.05))[0]\n"
    slow += "from frspec.cli.main import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", slow, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    for _ in range(5):
        assert process.stderr.readline() == "stepping\n"
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=PATIENCE)
    printed = json.loads(stdout)
    assert process.returncode == 130
    assert printed["outputs"][0]["finish_reason"] == "abort"
    assert 0 < len(printed["outputs"][0]["token_ids"]) < 500
    assert "Traceback" not in stderr


MISTAKES = {
    "no such folder": ["Hi", "--model", "no/such/folder/here"],
    "give one of": ["--model", "{model}"],
    "temperature": ["Hi", "--model", "{model}", "--temperature", "-2"],
    "needs a ranking": ["Hi", "--model", "{model}", "--draft", "{model}", "--draft-vocab", "100"],
    "--revision": ["Hi", "--model", "{model}", "--revision", "main"],
    "cannot read the prompt": ["--prompt-file", "no-such-file", "--model", "{model}"],
    "the context holds": ["word " * 600, "--model", "{model}"],
    "max_model_len": ["Hi", "--model", "{model}", "--max-model-len", "100000"],
    "not there": ["Hi", "--model", "{model}", "--device", "cuda:7"],
}


@pytest.mark.parametrize("message", MISTAKES)
def test_a_users_mistake_is_one_line(stories: Path, message: str) -> None:
    done = frspec("generate", *[argument.format(model=stories) for argument in MISTAKES[message]])
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("frspec: ")
    assert message.replace("no such folder", "no folder") in done.stderr


def test_the_form_of_a_text_is_asked_for_on_the_command_line(tmp_path: Path) -> None:
    """With the model that comes with frspec; each form against what it must be."""
    schema = {
        "type": "object",
        "properties": {"a": {"type": "integer"}},
        "required": ["a"],
        "additionalProperties": False,
    }
    (tmp_path / "schema.json").write_text(json.dumps(schema))
    (tmp_path / "sum.lark").write_text('start: NUMBER "+" NUMBER\nNUMBER: /[0-9]{1,2}/')
    forms = {
        r"\{\s*\"a\"\s*:\s*-?\d+\s*\}": ["--json-schema", str(tmp_path / "schema.json")],
        r"\[\s*\]": ["--json-schema", '{"type": "array", "maxItems": 0}'],
        r"[0-9]{1,2}\+[0-9]{1,2}": ["--grammar", str(tmp_path / "sum.lark")],
    }
    for pattern, arguments in forms.items():
        done = frspec("generate", "Say: ", "--seed", "1", *arguments)
        assert done.returncode == 0, done.stderr
        assert re.fullmatch(pattern, done.stdout.removesuffix("\n"))


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--regex", "a", "--choice", "b"], "has regex and choice"),
        (["--regex", "("], "unclosed group"),
        (["--json-schema", '{"not": {}}'], "Unimplemented"),
        (["--json-schema", "missing.json"], "cannot read missing.json"),
        (["--choice", "yes", "--ignore-eos"], "stop_token_ids"),
    ],
)
def test_forms_that_cannot_be_honoured_are_told_in_one_line(arguments: list[str], told: str) -> None:
    done = frspec("generate", "Say: ", *arguments)
    assert done.returncode == 1
    assert told in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
