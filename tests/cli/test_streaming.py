"""Which text accepted drafts brought, and what of it a terminal shows."""

import io
import os
import re
import textwrap
from pathlib import Path
from unittest.mock import patch

import click
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frspec import LLM, SamplingParams
from frspec.cli.streaming import Drafted
from frspec.cli.terminal import Writer, wants_colour
from frspec.text.tokenizer import Tokenizer
from frspec.types import CompletionOutput, RequestMetrics, RequestOutput

TALK = "Once upon a time there was a little dog named Tim."


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def snapshot(text: str, ends: list[int]) -> RequestOutput:
    """Every other token was a draft."""
    depths = [place % 2 for place in range(len(ends))]
    answer = CompletionOutput(0, text, list(range(len(ends))), text_ends=ends, depths=depths)
    return RequestOutput("0", None, [1], [answer], False, 0, RequestMetrics())


@pytest.fixture(scope="module")
def llm(stories: Path) -> LLM:
    return LLM(stories)


@pytest.mark.parametrize("stop", [[], ["help", "once upon a day", ".\n"]])
@pytest.mark.parametrize("shape", [{"tree_width": 1}, {"tree_depth": 2}])
def test_all_but_the_last_token_of_a_pass_were_drafts(
    stories: Path, llm: LLM, stop: list[str], shape: dict[str, int]
) -> None:
    params = SamplingParams(temperature=0.8, seed=5, max_tokens=60, stop=stop)
    decode, prompt = llm.get_tokenizer().backend.decode, llm.get_tokenizer().encode(TALK)
    drafted, shown, flags, before = Drafted(), "", "", 0
    expected = ""
    for output in LLM(stories, draft=str(stories), **shape).stream(TALK, params):
        ids = output.outputs[0].token_ids
        for place in range(before, len(ids)):
            new = len(decode(prompt + ids[: place + 1])) - len(decode(prompt + ids[:place]))
            expected += (".x"[place < len(ids) - 1]) * new
        before = len(ids)
        for piece, was_draft in drafted.pieces(output):
            shown += piece
            flags += ".x"[was_draft] * len(piece)
        assert shown == output.outputs[0].text
    assert flags == expected[: len(flags)]
    assert flags.count("x") > flags.count(".") / 4
    assert drafted.pieces(output) == []


@settings(max_examples=60, deadline=None)
@given(text=st.text("aé☃日本 👩‍👧.\n", max_size=30), cuts=st.lists(st.integers(1, 6), min_size=1, max_size=40))
def test_no_character_is_lost_or_shown_twice(stories_tokenizer: Tokenizer, text: str, cuts: list[int]) -> None:
    """Byte tokens and passes of any length; what is final after each comes from the tokenizer library."""
    ids = stories_tokenizer.encode("x" + text, add_special_tokens=False)
    ids = ids[len(stories_tokenizer.encode("x", add_special_tokens=False)) :]
    texts = [stories_tokenizer.backend.decode([1, *ids[: place + 1]]).rstrip("\ufffd") for place in range(len(ids))]
    drafted, shown, flags, place, passes = Drafted(), "", "", 0, 0
    while place < len(ids):
        place, passes = min(len(ids), place + cuts[passes % len(cuts)]), passes + 1
        known = texts[place - 1]
        for piece, was_draft in drafted.pieces(snapshot(known, list(map(len, texts[:place])))):
            shown, flags = shown + piece, flags + ".x"[was_draft] * len(piece)
        assert shown == known
    ends = [0, *map(len, texts)]
    assert flags == "".join(".x"[place % 2] * (ends[place + 1] - ends[place]) for place in range(len(ids)))


@pytest.fixture(scope="module")
def stories_tokenizer(stories: Path) -> Tokenizer:
    return Tokenizer.load(stories)


def written(pieces: list[tuple[str, bool]], columns: int | None, colour: bool = False) -> str:
    out = io.StringIO() if columns is None else Terminal()
    with patch.dict(os.environ, {"COLUMNS": str(columns or 80)}):
        writer = Writer(out, colour)
    for text, drafted in pieces:
        writer.write(text, drafted)
    writer.end()
    return out.getvalue()


def cut(text: str, lengths: list[int]) -> list[tuple[str, bool]]:
    pieces, place = [], 0
    while place < len(text):
        length = lengths[len(pieces) % len(lengths)]
        pieces.append((text[place : place + length], len(pieces) % 2 == 0))
        place += length
    return pieces


WORDS = st.lists(st.text("abcdefgh,.-é", min_size=1, max_size=12), max_size=30)
LENGTHS = st.lists(st.integers(1, 9), min_size=1, max_size=10)


@settings(deadline=None)
@given(words=WORDS, lengths=LENGTHS, columns=st.integers(12, 50))
def test_words_break_as_textwrap_breaks_them(words: list[str], lengths: list[int], columns: int) -> None:
    text = " ".join(words)
    lines = written(cut(text, lengths), columns).rstrip("\n").splitlines()
    expected = textwrap.wrap(text, columns, break_long_words=False, break_on_hyphens=False)
    assert [line.rstrip(" ") for line in lines] == expected
    assert all(len(line) <= columns for line in lines)


@settings(deadline=None)
@given(text=st.text("ab \n\t日本語é☃", max_size=80), lengths=LENGTHS, columns=st.integers(4, 20))
def test_nothing_but_white_space_differs(text: str, lengths: list[int], columns: int) -> None:
    pieces = cut(text, lengths)
    plain, coloured = written(pieces, columns), written(pieces, columns, colour=True)
    assert click.unstyle(coloured) == plain == written([(text, False)], columns)
    assert re.sub(r"\s", "", plain) == re.sub(r"\s", "", text)
    for line in plain.split("\n"):
        overlong = any(len(run) > columns for run in re.findall("[abé☃]+", line))
        assert overlong or len(re.sub("[日本語]", "ab", line).expandtabs(8)) <= columns
    assert written(pieces, None) == text + "\n"


def test_long_words_and_control_characters() -> None:
    assert written([("see ", False), ("x" * 25, True)], 10) == "see \n" + "x" * 25 + "\n"
    assert written([("a\x1b[2Jb\r\x9b", False)], 40) == "a\\x1b[2Jb\\x0d\\x9b\n"
    assert written([("a\x1b[2Jb\r", False)], None) == "a\x1b[2Jb\r\n"


def test_when_there_is_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert (wants_colour(None, Terminal()), wants_colour(None, io.StringIO())) == (True, False)
    monkeypatch.setenv("NO_COLOR", "1")
    assert (wants_colour(None, Terminal()), wants_colour(True, io.StringIO())) == (False, True)
    monkeypatch.setenv("NO_COLOR", "")
    monkeypatch.setenv("TERM", "dumb")
    assert not wants_colour(None, Terminal())
