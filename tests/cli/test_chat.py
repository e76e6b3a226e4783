"""``frspec chat`` as its user meets it: on a terminal, and between pipes."""

import json
import re
import shutil
import signal
import subprocess
import sys
from itertools import count
from pathlib import Path

import click
import pytest

from frspec import LLM, SamplingParams
from frspec.cli.chat_local import LocalSession
from frspec.engine.request import Request
from frspec.models.cache import KVCache
from tests.cli.terminal_process import TerminalProcess
from tests.patience import PATIENCE

FRSPEC = [sys.executable, "-c", "from frspec.cli.main import main; main()"]
SLOW = [sys.executable, "-c", """
import time, frspec.engine.engine as e
step = e.Engine.step
e.Engine.step = lambda self: (time.sleep(0.05), step(self))[1]
from frspec.cli.main import main; main()
"""]  # fmt: skip
TEMPLATE = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}assistant:"
QUESTIONS = ["Once upon a time there was a dog", "Then the dog saw a cat", "What did the cat say"]
GREEDY = SamplingParams(temperature=0, max_tokens=30)
SETTINGS = ["--temperature", "0", "--max-tokens", "30"]


@pytest.fixture(scope="module")
def chatty(stories: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "chatty"
    shutil.copytree(stories, folder)
    (folder / "chat_template.jinja").write_text(TEMPLATE)
    return folder


@pytest.fixture(scope="module")
def llm(chatty: Path) -> LLM:
    return LLM(chatty)


@pytest.fixture(scope="module")
def talk(llm: LLM) -> list[dict[str, str]]:
    """What the conversation must be: each question put to ``LLM.chat`` by hand."""
    return by_hand(llm, [], QUESTIONS)


def by_hand(llm: LLM, before: list[dict[str, str]], questions: list[str]) -> list[dict[str, str]]:
    messages = list(before)
    for question in questions:
        messages.append({"role": "user", "content": question})
        messages.append({"role": "assistant", "content": llm.chat(messages, GREEDY)[0].outputs[0].text})
    return messages


def answers(messages: list[dict[str, str]]) -> str:
    return "".join(message["content"] + "\n" for message in messages if message["role"] == "assistant")


def piped(model: Path, typed: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [*FRSPEC, "chat", "--model", str(model), *SETTINGS, *arguments]
    return subprocess.run(command, input=typed, capture_output=True, text=True, check=False)


def test_a_piped_conversation_is_saved_and_resumed(
    chatty: Path, llm: LLM, talk: list[dict[str, str]], tmp_path: Path
) -> None:
    saved = tmp_path / "my talk.json"
    first = piped(chatty, "\n".join([*QUESTIONS[:2], f"/save {saved}"]), "--draft", "ngram")
    assert (first.returncode, first.stdout) == (0, answers(talk[:4]))
    assert json.loads(saved.read_text()) == talk[:4]
    *figures, said = first.stderr.splitlines()
    assert sum(bool(re.fullmatch(r"\d+ tokens, [\d.]+ tok/s, [\d.]+ per pass", line)) for line in figures) == 2
    assert said == f"saved 4 messages in {saved}"
    resumed = piped(chatty, QUESTIONS[2], "--messages", str(saved))
    assert resumed.stdout == answers(talk[4:])
    asked = tmp_path / "asked.json"
    asked.write_text(json.dumps(talk[:5]))
    waiting = piped(chatty, "", "--messages", str(asked))
    assert waiting.stdout == answers(talk[4:]), "a question at the end of the file is answered"
    generated = subprocess.run(
        [*FRSPEC, "generate", "--messages", str(asked), "--model", str(chatty), *SETTINGS],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert generated.stdout == answers(talk[4:])


@pytest.mark.parametrize("draft", [None, "ngram"])
def test_every_turn_is_llm_chat(llm: LLM, chatty: Path, draft: str | None) -> None:
    """Ids of prompts and answers, with the cache of earlier turns in use, against a model that has none."""
    params = SamplingParams(temperature=1, seed=3, max_tokens=25)
    session = LocalSession(LLM(chatty, draft=draft, enable_prefix_caching=True), params, [], system="Be kind.")
    for turn, question in enumerate(QUESTIONS):
        history = [*session.messages, {"role": "user", "content": question}]
        *_, last = session.ask(question)
        (expected,) = llm.chat(history, params)
        assert last.prompt_token_ids == expected.prompt_token_ids
        assert last.outputs[0].token_ids == expected.outputs[0].token_ids
        assert session.messages == [*history, {"role": "assistant", "content": expected.outputs[0].text}]
        assert (session.totals.cached_tokens > 0) == (turn > 0)
    session.reset()
    assert session.messages == [{"role": "system", "content": "Be kind."}]


@pytest.mark.parametrize("where", ["forward", "logits", "commit", "observe", "propose", "emit"])
@pytest.mark.parametrize("after", [False, True])
def test_ctrl_c_anywhere_leaves_nothing_wrong_behind(
    llm: LLM, chatty: Path, where: str, after: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each function of a step is interrupted, at its beginning or end, in one turn; the later ones are as ever."""
    params = SamplingParams(temperature=1, seed=8, max_tokens=30, ignore_eos=True)
    own = LLM(chatty, draft=str(chatty), enable_prefix_caching=True, num_speculative_tokens=15)
    owner = {"commit": KVCache, "observe": own.engine.drafter, "propose": own.engine.drafter, "emit": Request}
    target = owner.get(where, own.engine.target)
    session = LocalSession(own, params, [])
    for late in (0, 1, 3):
        list(session.ask(QUESTIONS[0]))
        messages, calls, real = list(session.messages), count(), getattr(target, where)

        def interrupted(*arguments: object, calls=calls, late=late, real=real) -> object:
            press = next(calls) == late
            result = None if press and not after else real(*arguments)
            if press:
                raise KeyboardInterrupt
            return result

        with monkeypatch.context() as patch:
            patch.setattr(target, where, interrupted)
            with pytest.raises(KeyboardInterrupt):
                list(session.ask(QUESTIONS[1]))
        assert session.messages[: len(messages)] == messages
        assert len(session.messages) in (len(messages), len(messages) + 2)
        history = [*session.messages, {"role": "user", "content": QUESTIONS[2]}]
        *_, last = session.ask(QUESTIONS[2])
        assert last.num_cached_tokens > 0
        assert last.outputs[0].token_ids == llm.chat(history, params)[0].outputs[0].token_ids
        session.reset()


def test_messages_of_several_lines(chatty: Path, tmp_path: Path) -> None:
    saved = tmp_path / "talk.json"
    typed = (
        f'one\\\ntwo\\\nthree\n\n   \n"""/four\n\n  five"""\n"""six"""\n"""\nseven\n"""\n/save {saved}\n/reset\neight\\'
    )
    done = piped(chatty, typed, "--max-tokens", "1")
    assert done.returncode == 0, done.stderr
    asked = [message["content"] for message in json.loads(saved.read_text()) if message["role"] == "user"]
    assert asked == ["one\ntwo\nthree", "/four\n\n  five", "six", "seven"]
    assert done.stdout.count("\n") >= 5, "the line that wanted to go on is sent when the input ends"


def test_colours_only_where_they_belong(chatty: Path, talk: list[dict[str, str]]) -> None:
    draft = ["--draft", str(chatty), "--tree-width", "1"]
    for option in ([], ["--no-colour"]):
        assert piped(chatty, QUESTIONS[0], *draft, *option).stdout == answers(talk[:2])
    coloured = piped(chatty, QUESTIONS[0], *draft, "--color").stdout
    assert click.unstyle(coloured) == answers(talk[:2])
    green = "".join(re.findall("\x1b\\[32m(.*?)\x1b\\[0m", coloured, re.DOTALL))
    assert len(talk[1]["content"]) / 2 < len(green) < len(talk[1]["content"]), "a model that drafts for itself"


def test_a_terminal(chatty: Path, talk: list[dict[str, str]], tmp_path: Path) -> None:
    draft = ["--draft", str(chatty), "--tree-width", "1"]
    command = [*FRSPEC, "chat", "--model", str(chatty), *SETTINGS, *draft]
    with TerminalProcess(command, columns=200) as terminal:
        greeting = terminal.until("> ")
        assert "/help" in greeting
        terminal.interrupt("/exit or Ctrl-D leaves")
        terminal.until("> ")
        terminal.type(QUESTIONS[0][:-3] + "cat\x7f\x7f\x7fdog\n")  # typed, taken back, typed again
        terminal.until("dog\n")
        shown = terminal.until("> ")
        assert "\x1b[32m" in shown
        answer, figures = click.unstyle(shown).rsplit("\n30 tokens, ")
        assert answer.split() == talk[1]["content"].split()
        assert re.match(r"[\d.]+ tok/s, [\d.]+ per pass\ncut off at --max-tokens 30\n", figures)
        terminal.type("/reset\n")
        terminal.until("> ")
        terminal.type("\x1b[A\x1b[A\n")  # two lines back in the history
        assert answer in click.unstyle(terminal.until("per pass"))
        terminal.until("> ")
        terminal.type("/stats\n")
        stats = click.unstyle(terminal.until("> "))
        for name in (
            "tok/s",
            "mean acceptance length",
            "accepted at position",
            "cached prompt",
            "context",
            "draft head",
        ):
            assert name in stats
        terminal.type("\x04")
        left, status = terminal.rest()
        assert status == 0
        assert "Traceback" not in left


def test_ctrl_c_stops_the_answer_and_not_the_program(chatty: Path, llm: LLM, tmp_path: Path) -> None:
    saved = tmp_path / "talk.json"
    command = [*SLOW, "chat", "--model", str(chatty), "--temperature", "0", "--max-tokens", "400", "--ignore-eos"]
    with TerminalProcess(command, NO_COLOR="1") as terminal:
        terminal.until("> ")
        terminal.type("Once\n")
        terminal.until("Once\n")
        shown = terminal.until(" ")
        terminal.type("\x03")
        shown += terminal.until("stopped; what was written stays")
        terminal.until("> ")
        terminal.type(f"/save {saved}\n")
        terminal.until("saved 2 messages")
        terminal.type("/exit\n")
        _, status = terminal.rest()
    assert status == 0
    assert "\x1b[3" not in shown
    kept = json.loads(saved.read_text())
    whole = llm.chat(kept[:1], SamplingParams(temperature=0, max_tokens=400, ignore_eos=True))[0].outputs[0].text
    assert 0 < len(kept[1]["content"]) < len(whole)
    assert whole.startswith(kept[1]["content"])
    printed = re.sub(r"\^C|\d+ tokens?,?.*", "", shown, flags=re.DOTALL)
    assert printed.split() == kept[1]["content"].split(), "what is kept is what was shown"


def test_ctrl_c_before_the_first_word_takes_the_message_back(chatty: Path) -> None:
    slow = SLOW[2].replace("time.sleep(0.05)", "print('reading', flush=True), time.sleep(60)")
    command = [sys.executable, "-c", slow, "chat", "--model", str(chatty), "--max-tokens", "1"]
    with TerminalProcess(command, NO_COLOR="1") as terminal:
        terminal.until("> ")
        terminal.type("Once\n")
        terminal.until("reading")
        terminal.type("\x03")
        terminal.until("the message was taken back")
        terminal.until("> ")
        terminal.type("/save talk.json\n")
        terminal.until("nothing to save")


def test_ctrl_c_ends_a_script(chatty: Path) -> None:
    command = [*SLOW, "chat", "--model", str(chatty), "--max-tokens", "400", "--ignore-eos"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write("Once\nTwice\n")
        process.stdin.flush()
        process.stdout.read(1)
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert stderr.strip() == "frspec: interrupted"


def test_forty_columns(chatty: Path) -> None:
    with TerminalProcess([*FRSPEC, "chat", "--model", str(chatty), *SETTINGS], columns=40, NO_COLOR="1") as terminal:
        terminal.until("> ")
        terminal.type("/help\n")
        screen = terminal.until("> ")
        terminal.type("Once upon\n")
        terminal.until("Once upon\n")
        screen += terminal.until("> ")
        terminal.type("/stats\n")
        screen += terminal.until("> ")
    assert max(map(len, screen.splitlines())) <= 40
    assert "\x1b[3" not in screen


def test_a_full_context_is_said_and_the_conversation_kept(chatty: Path, tmp_path: Path) -> None:
    saved = tmp_path / "talk.json"
    typed = f"Once upon a time\nTell me more\n/save {saved}\n/reset\nOnce upon a time\n"
    done = piped(chatty, typed, "--max-model-len", "32", "--ignore-eos", "--max-tokens", "100")
    assert done.returncode == 1, "a script learns that a message was not answered"
    said = [line for line in done.stderr.splitlines() if "the context" in line]
    assert "the context of 32 tokens is full" in said[0]
    assert "the message was not sent" in said[1]
    assert len(said) == 3
    assert all("/reset" in line for line in said)
    assert [message["role"] for message in json.loads(saved.read_text())] == ["user", "assistant"]
    half = len(done.stdout) // 2
    assert done.stdout[:half] == done.stdout[half:], "the same question to a new conversation"


def test_commands_that_cannot_be_done(chatty: Path, tmp_path: Path) -> None:
    notes = tmp_path / "notes.txt"
    notes.write_text("mine")
    typed = f"/save {notes}\n/save\n/sing\n/reset now\n\udcff\nHi\n/save {notes}\n/save {notes}/x\n/stats\n/exit\nHi"
    done = subprocess.run(
        [*FRSPEC, "chat", "--model", str(chatty), "--max-tokens", "2"],
        input=typed.encode(errors="surrogateescape"), capture_output=True, check=False,
    )  # fmt: skip
    said = done.stderr.decode()
    assert done.returncode == 1
    for part in ("nothing to save", "needs the name of a file", "unknown command /sing", "what is 'now'", "surrogate",
                 "is not a conversation; choose another name", "cannot write", "2 in 1 answer"):  # fmt: skip
        assert part in said
    assert "Traceback" not in said
    assert notes.read_text() == "mine"


def test_what_cannot_be_begun(stories: Path, chatty: Path, tmp_path: Path) -> None:
    own = tmp_path / "own.json"
    own.write_text('[{"role": "system", "content": "Be kind."}]')
    for model, arguments, message in (
        (stories, [], "has no chat template"),
        (chatty, ["--messages", "-"], "stdin"),
        (chatty, ["--messages", str(tmp_path / "none.json")], "cannot read the conversation"),
        (chatty, ["--messages", str(own), "--system", "Be rude."], "leave --system out"),
        (chatty, ["--chat-template-kwargs", "[]"], "JSON object"),
        (chatty, ["--top-p", "2"], "top_p"),
    ):
        refused = piped(model, "Hi", *arguments)
        assert (refused.returncode, refused.stdout, refused.stderr.count("\n")) == (1, "", 1)
        assert message in refused.stderr
