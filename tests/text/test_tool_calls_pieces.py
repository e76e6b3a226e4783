"""However a text is cut, its events are the same; where JSON ends, the ``json`` module decides."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frspec.text.tool_calls import CallArguments, CallStart
from frspec.text.tool_calls.json_scanner import JsonScanner
from tests.text.tool_calls import FORMAT, byte_tokenizer, calls, content, read, tool

VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.text(max_size=5), VALUES, max_size=3)
NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True)
TOOLS = [tool("f", {"a": {"type": "string"}, "b": {"type": "integer"}})]

# Pieces of answers: markers, parts of markers, whole calls and parts of calls, put together at random.
PIECES = {
    "hermes": ["<tool_call>", "</tool_call>", '{"name": "f", "arguments": {"a": [1]}}', '"name": ', "<tool", "\n"],
    "llama3_json": ["<|python_tag|>", '{"name": "f", "parameters": {"a": 1}}', ";", '{"parameters"', ": {}", "<|pyth"],
    "mistral": ["[TOOL_CALLS]", "[ARGS]", "[CALL_ID]abcDEF123", "f", '[{"name": "f", "arguments": {}}', ",", "]", "{}"],
    "xlam": ["[", "]", ", ", '{"name": "f", "arguments": {"a": 1}}', '{"name"', ': "f"', '"arguments": {'],
    "pythonic": ["[", "]", "f(a=1)", "g(b='x)')", ", ", "f(", "a=", "<|python_start|>", "<|python_end|>"],
    "qwen3_coder": [
        "<tool_call>", "\n<function=f>\n", "<parameter=a>", "\nx\n", "</parameter>", "<parameter=b>\n7\n</parameter>\n",
        "</function>", "</tool_call>",
    ],
}  # fmt: skip
ANY_PIECES = ["Hello", " ", "\n\n", "{", "}", '"', "\\", "é\N{GRINNING FACE}", "<|eot|>", "<|e"]


@given(data=st.data())
@pytest.mark.parametrize("name", PIECES)
@pytest.mark.parametrize("eager", [True, False], ids=["eager", "held"])
def test_cuts_do_not_matter(name: str, eager: bool, data: st.DataObject) -> None:
    text = "".join(data.draw(st.lists(st.sampled_from(PIECES[name] * 2 + ANY_PIECES), max_size=12)))
    cuts = data.draw(st.lists(st.integers(0, len(text)), max_size=8))
    tokenizer = SPECIAL if data.draw(st.booleans()) else None
    whole = read(FORMAT[name], text, tools=TOOLS, tokenizer=tokenizer, eager=eager)
    assert read(FORMAT[name], text, cuts, TOOLS, tokenizer, eager) == whole
    assert read(FORMAT[name], text, range(len(text)), TOOLS, tokenizer, eager) == whole
    indices = [event.index for event in whole if isinstance(event, CallStart)]
    assert indices == list(range(len(indices)))
    if not eager:
        assert all(isinstance(json.loads(arguments), dict) for _, arguments in calls(whole))


SPECIAL = byte_tokenizer(["<|eot|>", "[TOOL_CALLS]", "[ARGS]", "<|python_tag|>"])


@given(st.lists(st.tuples(NAMES, OBJECTS), min_size=1, max_size=3), st.booleans(), st.data())
def test_any_calls_are_read_back(made: list[tuple[str, dict[str, Any]]], ascii: bool, data: st.DataObject) -> None:
    def dump(value: Any) -> str:
        return json.dumps(value, ensure_ascii=ascii)

    texts = {
        "hermes": "\n".join(
            f"<tool_call>\n{dump({'name': name, 'arguments': value})}\n</tool_call>" for name, value in made
        ),
        "llama3_json": "; ".join(dump({"name": name, "parameters": value}) for name, value in made),
        "xlam": dump([{"name": name, "arguments": value} for name, value in made]),
        "mistral": "".join(f"[TOOL_CALLS]{name}[ARGS]{dump(value)}" for name, value in made),
    }
    for one, text in texts.items():
        cuts = data.draw(st.lists(st.integers(0, len(text)), max_size=8))
        events = read(FORMAT[one], text, cuts)
        assert calls(events) == [(name, dump(value)) for name, value in made]
        assert content(events) == ""
        assert not any(isinstance(event, CallArguments) and not event.text for event in events)


@given(VALUES, st.data())
def test_where_json_ends(value: Any, data: st.DataObject) -> None:
    text = json.dumps([value], ensure_ascii=data.draw(st.booleans()), indent=data.draw(st.sampled_from([None, 1])))
    scanner = JsonScanner()
    assert scanner.scan(text + "]}x", 0) == len(text)
    assert scanner.done
    prefix = text[: data.draw(st.integers(0, len(text) - 1))]
    scanner = JsonScanner()
    assert scanner.scan(prefix, 0) == len(prefix)
    assert not scanner.done
    assert not scanner.broken


@given(VALUES, st.data())
def test_what_is_json(value: Any, data: st.DataObject) -> None:
    """A valid text with a change in it: the scanner accepts what ``json`` accepts."""
    text = json.dumps([value])
    at = data.draw(st.integers(1, len(text)))
    changed = text[:at] + data.draw(st.text('[]{}:,"\\0123.eE+-tfnul \n\x01', max_size=2)) + text[at + 1 :]
    try:
        _, end = json.JSONDecoder(parse_constant=refuse).raw_decode(changed)
    except ValueError:
        end = -1
    scanner = JsonScanner()
    got = scanner.scan(changed, 0)
    assert (got if scanner.done else -1) == end


@pytest.mark.parametrize(
    "text",
    [
        "[0, -0, 10, 0.5, 1E+3, 1e-03, -1.25e9]", "[00]", "[01]", "[-]", "[-01]", "[1.]", "[.5]", "[1e]", "[1e+]",
        "[+1]", "[0x1]", "[NaN]", "[Infinity]", "[true, false, null]", "[tru]", "[True]", "[nulll]", "[1 2]", "[1,]",
        "[,1]", "[]", "{}", "[}", '{"a": 1,}', '{"a" 1}', '{"a":}', "{1: 2}", '{"a": {"b": []}, "a": 2}',
        '["\\u00aF\\n\\/\\""]', '["\\u00g0"]', '["\\x"]', '["\x1f"]',
        '["\x7f\N{GRINNING FACE}"]', '["\\ud800"]', " \t\r\n[\n1\t,\r2 ]", "['a']", "\xa0[]", '"a"', "null", "/**/1",
    ],
)  # fmt: skip
def test_what_is_json_case_by_case(text: str) -> None:
    scanner = JsonScanner()
    end = scanner.scan(text, 0)
    try:
        json.loads(text, parse_constant=refuse)
    except ValueError:
        assert not scanner.done
    else:
        assert scanner.done
        assert end == len(text)


def refuse(constant: str) -> Any:
    raise ValueError(constant)
