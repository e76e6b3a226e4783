"""Tool calls as the formats' own documents write them, and texts that only look like calls."""

import json

import pytest

from frspec.errors import UserError
from frspec.text.tool_calls import CallArguments, CallStart, Content, find_format
from tests.text.tool_calls import FORMAT, byte_tokenizer, calls, content, read, tool

# Format, answer, content, calls. From Qwen's "Function Calling", NousResearch's Hermes-Function-Calling, the model
# cards of Llama 3.1 and 3.2, mistral-common's and Mistral's documentation, Qwen3-Coder's chat template.
DOCUMENTED = {
    "qwen": (
        "hermes",
        '<tool_call>\n{"name": "get_current_temperature", "arguments": {"location": "San Francisco, CA, USA"}}\n'
        '</tool_call>\n<tool_call>\n{"name": "get_temperature_date", "arguments": {"location": "San Francisco, CA, '
        'USA", "date": "2024-10-01"}}\n</tool_call>',
        "",
        [
            ("get_current_temperature", {"location": "San Francisco, CA, USA"}),
            ("get_temperature_date", {"location": "San Francisco, CA, USA", "date": "2024-10-01"}),
        ],
    ),
    "hermes": (
        "hermes",
        'Let me see.\n<tool_call>\n{"arguments": {"symbol": "TSLA"}, "name": "get_stock_fundamentals"}\n</tool_call>\n',
        "Let me see.",
        [("get_stock_fundamentals", {"symbol": "TSLA"})],
    ),
    "llama 3.1": (
        "llama3_json",
        '{"name": "get_current_conditions", "parameters": {"location": "San Francisco, CA", "unit": "Fahrenheit"}}',
        "",
        [("get_current_conditions", {"location": "San Francisco, CA", "unit": "Fahrenheit"})],
    ),
    "llama 3.1, ipython": (
        "llama3_json",
        '<|python_tag|>{"type": "function", "name": "trending_songs", "parameters": {"n": "10", "genre": "all"}}',
        "",
        [("trending_songs", {"n": "10", "genre": "all"})],
    ),
    "llama 3.2": (
        "pythonic",
        "[get_weather(city='San Francisco', metric='celsius'), get_weather(city=\"Seattle\", metric='celsius')]",
        "",
        [
            ("get_weather", {"city": "San Francisco", "metric": "celsius"}),
            ("get_weather", {"city": "Seattle", "metric": "celsius"}),
        ],
    ),
    "llama 3.2, numbers": (
        "pythonic",
        "[get_user_info(user_id=7890, special='black')]",
        "",
        [("get_user_info", {"user_id": 7890, "special": "black"})],
    ),
    "mistral v3": (
        "mistral",
        '[TOOL_CALLS] [{"name": "get_current_weather", "arguments": {"location": "Paris, France", "format": '
        '"celsius"}}, {"name": "get_time", "arguments": {}, "id": "VvvODy9mT"}]',
        "",
        [("get_current_weather", {"location": "Paris, France", "format": "celsius"}), ("get_time", {})],
    ),
    "mistral v13": (
        "mistral",
        'I will look. [TOOL_CALLS]get_weather[ARGS]{"city": "Paris"}[TOOL_CALLS]get_time[ARGS]{"zone": [1, 2]}',
        "I will look.",
        [("get_weather", {"city": "Paris"}), ("get_time", {"zone": [1, 2]})],
    ),
    "xlam": (
        "xlam",
        '[{"name": "tool_call_name", "arguments": {"arg1": "value1", "arg2": 2}}, {"name": "g", "arguments": {}}]',
        "",
        [("tool_call_name", {"arg1": "value1", "arg2": 2}), ("g", {})],
    ),
    "qwen 3 coder": (
        "qwen3_coder",
        "I will.\n\n<tool_call>\n<function=example_function_name>\n<parameter=example_parameter_1>\nvalue_1\n"
        "</parameter>\n<parameter=example_parameter_2>\nThis is the value for the second parameter\nthat can span\n"
        "multiple lines\n</parameter>\n</function>\n</tool_call>",
        "I will.",
        [
            (
                "example_function_name",
                {
                    "example_parameter_1": "value_1",
                    "example_parameter_2": "This is the value for the second parameter\nthat can span\nmultiple lines",
                },
            )
        ],
    ),
}

# Format, text: none of these is a call, and every character comes back.
NO_CALLS = [
    ("hermes", "Use <tool_call> to call. <tool_call>\nno JSON\n</tool_call> so."),
    ("hermes", '<tool_call>\n{"name": "f", "arguments": "text"}\n</tool_call>'),
    ("hermes", '<tool_call>\n{"name": 3, "arguments": {}}\n</tool_call>'),
    ("hermes", '<tool_call>\n{"name": "f"}\n</tool_call>'),
    ("hermes", "a <tool_cal"),
    ("llama3_json", '{"answer": 42, "name": "f"}'),
    ("llama3_json", 'The JSON is {"name": "f", "parameters": {}}'),
    ("llama3_json", "{"),
    ("llama3_json", " \n"),
    ("mistral", "[TOOL_CALLS] none today"),
    ("mistral", '[TOOL_CALLS] [{"name": "f", "arguments": 1}]'),
    ("pythonic", "[1, 2, 3]"),
    ("pythonic", "[f(x=y)]"),
    ("pythonic", "[f(1)]"),
    ("pythonic", "[f(x=open('/etc/passwd'))]"),
    ("pythonic", "[f(**{'x': 1})]"),
    ("pythonic", "[f(x=1e999)]"),
    ("pythonic", "[f(x=" + "[" * 5000 + "]" * 5000 + ")]"),
    ("pythonic", "[f](https://example.org)"),
    ("xlam", '[{"role": "user"}] and more'),
    ("xlam", "[]"),
    ("qwen3_coder", '<tool_call>\n{"name": "f", "arguments": {}}\n</tool_call>'),
    ("qwen3_coder", "<tool_call>\n<function=a\nb>\n</function>\n</tool_call>"),
]

# Broken after the name is known: held back they are content, eagerly sent they are calls whose arguments stay broken.
BROKEN = [
    ("hermes", 'See <tool_call>\n{"name": "f", "arguments": {"a": 1,}}\n</tool_call> end', '{"a": 1,}}\n', "See end"),
    ("hermes", '<tool_call>\n{"name": "f", "arguments": {"a": "x', '{"a": "x', ""),
    ("llama3_json", '{"name": "f", "parameters": {"a": nul1}}', '{"a": nul1}}', ""),
    ("mistral", '[TOOL_CALLS]f[ARGS]{"a"; 1} more', '{"a"; 1} more', ""),
    ("mistral", '[TOOL_CALLS] [{"name": "f", "arguments": {"a": [}}]', '{"a": [}}]', ""),
    ("qwen3_coder", "<tool_call>\n<function=f>\n<parameter=a>\nx\n</parameter>\noh</tool_call>", '{"a": "x"oh', ""),
]


@pytest.mark.parametrize("name", DOCUMENTED)
@pytest.mark.parametrize("eager", [True, False], ids=["eager", "held"])
def test_as_documented(name: str, eager: bool) -> None:
    one, text, said, called = DOCUMENTED[name]
    events = read(FORMAT[one], text, eager=eager)
    assert [(name, json.loads(arguments)) for name, arguments in calls(events)] == called
    assert content(events) == said
    assert [event.id for event in events if isinstance(event, CallStart)] == [f"id{i}" for i in range(len(called))]


@pytest.mark.parametrize(("one", "text"), NO_CALLS)
@pytest.mark.parametrize("eager", [True, False], ids=["eager", "held"])
def test_what_is_no_call_comes_back_untouched(one: str, text: str, eager: bool) -> None:
    assert read(FORMAT[one], text, eager=eager) == [Content(text)]


@pytest.mark.parametrize(("one", "text", "arguments", "said"), BROKEN)
def test_arguments_that_break(one: str, text: str, arguments: str, said: str) -> None:
    assert read(FORMAT[one], text, eager=False) == [Content(text)]
    events = read(FORMAT[one], text)
    assert calls(events) == [("f", arguments)]
    assert content(events) == said


@pytest.mark.parametrize("eager", [True, False], ids=["eager", "held"])
def test_a_call_after_one_that_breaks(eager: bool) -> None:
    text = '[TOOL_CALLS]f[ARGS]{"a": 1;}[TOOL_CALLS]g[ARGS]{} done'
    events = read(FORMAT["mistral"], text, eager=eager)
    assert calls(events) == ([("f", '{"a": 1;}')] if eager else []) + [("g", "{}")]
    assert content(events) == ("" if eager else '[TOOL_CALLS]f[ARGS]{"a": 1;}') + " done"
    numbers = [event.index for event in events if isinstance(event, CallStart)]
    assert numbers == list(range(len(numbers)))


def test_arguments_go_out_while_they_are_written() -> None:
    parser = FORMAT["hermes"].parser(new_id=lambda: "me")
    assert parser.push('Yes.\n<tool_call>\n{"name": "write"') == [Content("Yes.")]
    assert parser.push(', "arguments": {"text": "Once upon') == [
        CallStart(0, "me", "write"),
        CallArguments(0, '{"text": "Once upon'),
    ]
    assert parser.push(" a time") == [CallArguments(0, " a time")]
    assert parser.push('"}}\n</tool_call>') == [CallArguments(0, '"}')]
    assert parser.close() == []
    assert parser.calls == 1


def test_half_a_marker_is_never_content() -> None:
    parser = FORMAT["mistral"].parser()
    assert parser.push("Done [TOOL") == [Content("Done")]
    assert parser.push("S] and [TOOL_C") == [Content(" [TOOLS] and")]
    start = parser.push('ALLS]f[ARGS]{"a": 1}')[0]
    assert isinstance(start, CallStart)
    assert start.name == "f"


def test_markers_in_arguments_are_text() -> None:
    inside = '{"a": "</tool_call>", "b": "<tool_call>"}'
    text = f'<tool_call>\n{{"name": "f", "arguments": {inside}}}\n</tool_call> ok'
    events = read(FORMAT["hermes"], text)
    assert calls(events) == [("f", inside)]
    assert content(events) == " ok"


def test_text_between_and_after_calls() -> None:
    one = '<tool_call>\n{"name": "f", "arguments": {}}\n</tool_call>'
    events = read(FORMAT["hermes"], f"A {one}\nthen {one}\n\nB")
    assert [event.text if isinstance(event, Content) else event.index for event in events] == [
        "A", 0, 0, "\nthen", 1, 1, "\n\nB"
    ]  # fmt: skip


def test_values_of_qwen3_coder_have_the_types_of_the_schema() -> None:
    properties = {
        "text": {"type": "string"},
        "count": {"type": "integer"},
        "flag": {"type": "boolean"},
        "maybe": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        "place": {"$ref": "#/$defs/Place"},
        "wrong": {"type": "number"},
    }
    place = {"type": "object", "properties": {"x": {"type": "integer"}}}
    tools = [tool("f", properties, **{"$defs": {"Place": place}})]
    values = {
        "text": '12 "quoted"\n', "count": "12", "flag": "True", "maybe": "None", "place": '{"x": 3}', "wrong": "much",
        "unknown": "7",
    }  # fmt: skip
    body = "".join(f"<parameter={key}>\n{value}\n</parameter>\n" for key, value in values.items())
    events = read(
        FORMAT["qwen3_coder"], f"<tool_call>\n<function=f>\n{body}</function>\n</tool_call>", tools=tools, eager=False
    )
    assert json.loads(calls(events)[0][1]) == {
        "text": '12 "quoted"\n', "count": 12, "flag": True, "maybe": None, "place": {"x": 3}, "wrong": "much",
        "unknown": "7",
    }  # fmt: skip


@pytest.mark.parametrize(
    "parameters",
    [
        None, [], {"properties": 3}, {"properties": {"a": 3}},
        {"properties": {"a": {"type": 3, "anyOf": 4, "enum": 5}}},
        {"properties": {"a": {"$ref": "#/$defs/A"}}, "$defs": [1]},
        {"properties": {"a": {"$ref": "#/$defs/A"}}, "$defs": {"A": {"$ref": "#/$defs/A"}}},
        {"properties": {"a": {"$ref": "#/$defs/A"}}, "$defs": {"A": {"anyOf": [{"$ref": "#/$defs/A"}] * 1000}}},
    ],
)  # fmt: skip
def test_schemas_that_are_none_say_nothing(parameters: object) -> None:
    tools = [{"type": "function", "function": {"name": "f", "parameters": parameters}}]
    text = "<tool_call>\n<function=f>\n<parameter=a>\n12\n</parameter>\n</function>\n</tool_call>"
    assert calls(read(FORMAT["qwen3_coder"], text, tools=tools)) == [("f", '{"a": "12"}')]


def test_python_values_become_json() -> None:
    text = r"""[f(a=[1, -2.5, (3,)], b={'x': None, 'y': true}, c='a)b\'', d="\ud83d\ude00", e=False, f=null)]"""
    events = read(FORMAT["pythonic"], text)
    assert json.loads(calls(events)[0][1]) == {
        "a": [1, -2.5, [3]], "b": {"x": None, "y": True}, "c": "a)b'", "d": "\N{GRINNING FACE}", "e": False, "f": None
    }  # fmt: skip


def test_mistral_ids() -> None:
    parser = FORMAT["mistral"].parser()
    text = "[TOOL_CALLS]f[CALL_ID]abcDEF123[ARGS]{}[TOOL_CALLS]g[CALL_ID]no id[ARGS]{}[TOOL_CALLS]h[ARGS]{}"
    ids = [event.id for event in parser.push(text) + parser.close() if isinstance(event, CallStart)]
    assert ids[0] == "abcDEF123"
    assert len(set(ids)) == 3
    assert all(len(id) == 9 and id.isalnum() and id.isascii() for id in ids)
    events = FORMAT["hermes"].parser().push('<tool_call>{"name": "f", "arguments": {}}')
    assert isinstance(events[0], CallStart)
    assert events[0].id.startswith("call_")


def test_special_tokens_are_left_out_but_for_markers() -> None:
    tokenizer = byte_tokenizer(["<|eot_id|>", "<|eom_id|>", "<|python_tag|>"])
    one = FORMAT["llama3_json"]
    assert one.needs_special_tokens(tokenizer)
    call = '{"name": "f", "parameters": {"a": "é"}}'
    for text, said in [
        (f"<|python_tag|>{call}<|eom_id|>", ""),
        (f"Hello<|eot_id|> there<|python_tag|>{call}", "Hello there"),
        ("<|eot_id|>Hello <|eot<|eom_id|> there<|python_tag|>", "Hello <|eot there"),
        ('<|python_tag|>brave_search.call(query="x")<|eom_id|>', 'brave_search.call(query="x")'),
    ]:
        ids = tokenizer.encode(text)
        shown = tokenizer.decode(ids, skip_special_tokens=False)
        assert shown == text
        for cuts in ((), range(len(text))):
            events = read(one, shown, cuts, tokenizer=tokenizer)
            assert content(events) == said
            assert calls(events) == ([("f", '{"a": "é"}')] if call in text else [])
        if call not in text:
            assert said == tokenizer.decode(ids, skip_special_tokens=True)


def test_names_of_formats() -> None:
    for name in [
        "hermes",
        "llama3_json",
        "llama4_json",
        "mistral",
        "pythonic",
        "llama4_pythonic",
        "qwen3_coder",
        "qwen3_xml",
    ]:
        one = find_format(name, None)
        assert one is not None
        assert name in one.names
    assert find_format(None, None) is None
    with pytest.raises(UserError, match="no tool call parser gpt; there are hermes,"):
        find_format("gpt", None)
