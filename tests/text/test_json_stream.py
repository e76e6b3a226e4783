"""Lines that are too long to be held, against the standard library's JSON."""

import json
import random
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from frspec.text.bad import Flaw
from frspec.text.json_stream import DEPTH, JsonStream
from frspec.text.long_line import LongLine
from frspec.text.reading import Reading

ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)
TEXT = st.text() | st.text(st.sampled_from('"\\/bnt\ud83d\ude00\ud800é\U0001f999\n u0'))
OTHERS = st.dictionaries(st.sampled_from(["id", "lang", "", 'a"b\\', "é", "messages"]), ANY, max_size=2)
OBJECT = st.builds(lambda some, text, more: some | {"text": text} | more, OTHERS, TEXT, OTHERS)
PLAIN = Reading()
many = settings(deadline=None, max_examples=200)


class Chunks:
    """As much of a ``Stream`` as a line needs: its bytes, so many at a time."""

    def __init__(self, content: bytes, size: int) -> None:
        self.left = [content[at : at + size] for at in range(0, len(content), size)]

    def read(self) -> bytes:
        return self.left.pop(0) if self.left else b""

    def put_back(self, content: bytes) -> None:
        self.left.insert(0, content)


def read_over(content: bytes, size: int) -> bool:
    """Whether it is JSON."""
    stream = JsonStream(Chunks(content, size).read)
    try:
        stream.skip()
        return not stream.peek()
    except Flaw:
        return False


def text_in(content: bytes, size: int, reading: Reading = PLAIN) -> tuple[str, str] | None:
    """The text and the part; None where the line is refused."""
    line = LongLine(Chunks(content, size), reading)  # type: ignore[arg-type]
    try:
        return "".join(line.pieces()), line.part
    except Flaw:
        return None


def loaded(content: bytes, **options: Any) -> tuple[bool, Any]:
    """Whether the standard library takes it for JSON, and what it makes of it."""
    try:
        return True, json.loads(content.decode(), **options)
    except ValueError:
        return False, None


def damaged(content: bytes, seed: int) -> bytes:
    """With a few bytes changed, left out or put in, mostly by such as mean something."""
    chance, made = random.Random(seed), bytearray(content)
    for _ in range(chance.choice([1, 1, 2, 5])):
        place = chance.randrange(len(made) + 1)
        made[place : place + chance.randint(0, 2)] = chance.choice(
            [b"", b'"', b"\\", b"\\u", b"{", b"]", b",", b":", b" ", b"0", b"-", b"e", b"\xff", b"\xc3", b"\n", b"\x00"]
        )
    return bytes(made)


@many
@given(value=ANY, ascii=st.booleans(), indent=st.none() | st.just(2), size=st.integers(1, 9), seed=st.integers())
@example([1e400, float("nan"), -float("inf"), {"a": [[]]}, {}], True, None, 1, 0)
@example({"a": 'b\\"\\\\', "c": "\\\\ud83d\U0001f999"}, True, None, 1, 0)
def test_json_is_told_from_what_is_none(value: Any, ascii: bool, indent: int | None, size: int, seed: int) -> None:
    content = json.dumps(value, ensure_ascii=ascii, indent=indent).encode("utf-8", "surrogatepass")
    for form in (content, damaged(content, seed), damaged(damaged(content, seed), seed + 1)):
        assert read_over(form, size) == loaded(form)[0], form


@many
@given(
    some=st.lists(ANY, min_size=1, max_size=9),
    in_lists=st.lists(st.booleans(), max_size=9),
    sizes=st.lists(st.integers(1, 300), min_size=1, max_size=6),
    ascii=st.booleans(),
    indent=st.none() | st.just(1),
    seed=st.integers(),
)
def test_many_small_values_are_told_alike_however_they_are_cut(
    some: list[Any], in_lists: list[bool], sizes: list[int], ascii: bool, indent: int | None, seed: int
) -> None:
    value: Any = some * 9
    for in_list in in_lists:
        value = [value, value] if in_list else {"a": value, "é": value}
        if len(json.dumps(value)) > 20_000:
            break
    content = json.dumps(value, ensure_ascii=ascii, indent=indent).encode("utf-8", "surrogatepass")
    for form in (content, damaged(content, seed), damaged(damaged(content, seed), seed + 1)):
        expected = loaded(form)[0]
        for size in (*sizes, len(form) + 1):
            assert read_over(form, size) == expected, (size, form)


@pytest.mark.parametrize("inner", ["[]", '{"a": 1}', '[1, {"b": [2]}]', '"a"'])
def test_how_deep_is_too_deep_does_not_depend_on_the_cuts(inner: str) -> None:
    levels = DEPTH - inner.count("[") - inner.count("{")
    for opening, closing in (("[", "]"), ('{"a": ', "}"), ("[1, ", ", 2]")):
        for more in (0, 1):
            content = (opening * (levels + more) + inner + closing * (levels + more)).encode()
            for size in (1, 7, 2000, len(content)):
                assert read_over(content, size) == (more == 0), (more, size)


@pytest.mark.parametrize("end", [b"]", b"}"])
def test_every_mistake_among_small_values_is_found(end: bytes) -> None:
    """Each in the midst of many that are none, where they are gone over at once."""
    good = rb'{"a": [1, "\u00e9\n"], "b": null}' if end == b"]" else b'"a": [1, {"b": -1.5e3}]'
    others = (b'{"a": [[[[[[[]]]]]]]}', b"NaN") if end == b"]" else (b'"": {}', rb'"\"": -Infinity')
    bad = [good[:at] + byte + good[at + 1 :] for at in range(len(good)) for byte in (b"", b"\x00", b"\xff", b"]", b",")]
    for some in (*others, *bad):
        line = (b"[" if end == b"]" else b"{") + b" , ".join([good] * 5 + [some] + [good] * 5) + end
        for size in (11, len(line)):
            assert read_over(line, size) == loaded(line)[0], line


@many
@given(value=OBJECT, ascii=st.booleans(), size=st.integers(1, 9), seed=st.integers())
@example({"text": "\ud83d"}, True, 6, 0)
@example({"text": "\\\ud83d"}, True, 1, 0)
@example({"text": "\\ud83d\ude00"}, True, 3, 0)
@example({"text": "a\ud83d\ude00b\\\ud83d\ude00"}, True, 1, 0)
def test_the_text_is_that_of_the_standard_library(value: dict[str, Any], ascii: bool, size: int, seed: int) -> None:
    content = json.dumps(value, ensure_ascii=ascii).encode("utf-8", "surrogatepass")
    for form in (content, damaged(content, seed).replace(b"\n", b"\t")):
        valid, found = loaded(form)
        text = found.get("text") if valid and isinstance(found, dict) else None
        wanted = (text, "") if isinstance(text, str) and encodes(text) else None
        assert text_in(form, size) in (wanted, twice(form)), form


def twice(content: bytes) -> object:
    """None, which is what becomes of a line, if it has a name twice."""
    names = list[str]()
    loaded(content, object_pairs_hook=lambda pairs: names.extend(name for name, _ in pairs) or dict(pairs))
    return None if len(names) > len(set(names)) else "once"


def encodes(text: str) -> bool:
    try:
        return bool(text.encode() or True)
    except UnicodeEncodeError:
        return False


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"text": "a", "text": "b"}', "field 'text' stands twice"),
        (b'{"messages": [{"role": "user", "content": "a"}]}', "a conversation in a line that is too long to be held"),
        (b'{"text": null, "messages": "a"}', "a text under another name than 'text'"),
        (b'{"text": null}', "field 'text' is null"),
        (b'{"body": "a", "n": [1, {"b": 2}]}', "no field 'text'; it has body, n; name one with --field"),
        (b'{"text": 7}', "field 'text' is a int, not a text"),
        (b'{"text": {"a": 1}}', "field 'text' is a dict, not a text"),
        (b'{"text": "a\\ud800"}', "holds a lone surrogate"),
        (b'{"text": "a\\ud8', r"not JSON: it ends within a string \(byte"),
        (b'{"text": "a\\x"}   ', r"not JSON: no such escape \(byte 12 of the line\)"),
        (b'{"text": "a\xff"}', r"not UTF-8 \(byte 12 of the line\)"),
        (b'{"text": "a\xc3', r"not JSON: it ends within a string"),
        (b'{"text": "a\tb"}', r"not JSON: a control character in a string \(byte 12 of the line\)"),
        (b'{"text": "a"} {', r"not JSON: more behind the object \(byte 15 of the line\)"),
        (b'{"text": "a"', r"not JSON: expected , or } \(byte 13 of the line\)"),
        (b'{"text": "a", }', r'not JSON: expected " \(byte 15 of the line\)'),
        (b'{"text": tru}', r"not JSON: expected a value \(byte 10 of the line\)"),
        (b'{"n": ' + b"1" * 5000 + b', "text": ""}', r"not JSON: a number that is too long \(byte 7 of the line\)"),
        (b'{"n": ' + b"[" * 9999, f"not JSON: nested more than {DEPTH} deep"),
        (b'["a"]', r"not a JSON object; JSON Lines has one object on each line \(jq -c '\.\[\]' makes"),
        (b"  ", "^$"),
    ],
)
def test_what_is_wrong_is_said(line: bytes, reason: str) -> None:
    for size in (1, 5, 9999):
        with pytest.raises(Flaw, match=reason):
            list(LongLine(Chunks(line, size), Reading()).pieces())  # type: ignore[arg-type]


@pytest.mark.parametrize("size", [1, 99])
def test_what_it_counts_for_may_stand_anywhere(size: int) -> None:
    reading = Reading(field="body", by="lang")
    assert text_in(b'{"lang": "de", "body": "a"}', size, reading) == ("a", "de")
    assert text_in(b'{"x": {"lang": "en"}, "body": "a", "lang": 7}', size, reading) == ("a", "7")
    for bad in (b'{"body": "a"}', b'{"body": "a", "lang": ""}', b'{"body": "a", "lang": [1]}', b'{"lang": "de"}'):
        assert text_in(bad, size, reading) is None


def test_a_long_text_is_given_piece_by_piece() -> None:
    """And none of it is held longer than that."""
    given, seen = 0, 0

    class Endless:
        def read(self) -> bytes:
            nonlocal given
            given += 1
            return b'{"text": "' if given == 1 else b"\\u00e9" * 1000 if given < 500 else b'"}' if given == 500 else b""

    for piece in LongLine(Endless(), Reading()).pieces():  # type: ignore[arg-type]
        seen += len(piece)
        assert seen >= (given - 3) * 1000
    assert seen == 498_000
