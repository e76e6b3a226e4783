"""Calls that a grammar forces are read back and satisfy their schemas, whatever tokens are drawn among those allowed.

Drawing stands for a model: the grammar must hold for any. Schemas are judged by the ``jsonschema`` package.
"""

import json
import random
from typing import Any

import jsonschema
import numpy as np
import pytest

from frspec import LLM, SamplingParams
from frspec.errors import UserError
from frspec.speculation.guidance import Guide, compile_guide
from frspec.text.tokenizer import Tokenizer
from frspec.text.tool_calls.tool_format import Choice, ToolFormat
from frspec.types import StructuredOutputs
from tests.text.tool_calls import FORMAT, byte_tokenizer, calls, content, read, tool

PLACE = {"type": "object", "properties": {"x": {"type": "integer", "maximum": 9}}, "required": ["x"]}
WEATHER = {
    "city": {"type": "string", "maxLength": 6},
    "unit": {"enum": ["C", "F\n"]},
    "days": {"type": "array", "items": {"type": "integer", "minimum": 0, "maximum": 31}, "maxItems": 3},
    "where": {"$ref": "#/$defs/Place"},
}
DEFINITIONS = {"$defs": {"Place": PLACE | {"additionalProperties": False}}}
TOOLS = [tool("get_weather", WEATHER, required=["city", "where"], **DEFINITIONS), tool("nöp"), tool("say", {})]
BARE = [  # what bare text can be held to
    tool("get_weather", WEATHER | {"city": {"type": ["string", "null"]}}, required=["city", "where"], **DEFINITIONS),
    tool("nop"),
]
STRICT = [{"type": "function", "function": {"name": "f", "strict": True}}]
NAMED = {"type": "function", "function": {"name": "get_weather"}}
END = "<|end|>"
MARKERS = ["[TOOL_CALLS]", "[ARGS]", "[CALL_ID]", "<|python_tag|>"]


@pytest.fixture(scope="module", params=["text", "tokens", "demo"])
def tokenizer(request: pytest.FixtureRequest) -> Tokenizer:
    """Markers spelled as text, markers as tokens, and 131,072 tokens without markers."""
    if request.param == "demo":
        return Tokenizer.load("demo")
    if request.param == "text":
        return byte_tokenizer([END])
    return byte_tokenizer([END, *MARKERS], ["<tool_call>", "</tool_call>", "<think>", "</think>"])


def start(outputs: StructuredOutputs | None, tokenizer: Tokenizer) -> Guide:
    assert outputs is not None
    assert tokenizer.eos_id is not None
    return compile_guide(outputs, tokenizer, tokenizer.vocab_size, [tokenizer.eos_id], [tokenizer.eos_id])


def allowed(guide: Guide) -> list[int]:
    return [int(id) for id in np.flatnonzero(np.asarray(guide.allowed()))]


def write(guide: Guide, ids: list[int]) -> None:
    """Go on with ``ids``, each of which must be allowed."""
    for id in ids:
        assert id in allowed(guide)
        guide.observe(id)


def draw(outputs: StructuredOutputs | None, tokenizer: Tokenizer, seed: int, begin: str = "") -> str | None:
    """A text of allowed tokens that begins so, as a request for calls sees it; None when it has not ended. Every other
    time it tries to end something."""
    chance, guide = random.Random(seed), start(outputs, tokenizer)
    ends = [[tokenizer.eos_id], *(tokenizer.encode(text) for text in ['"', "}", "]", ",", ".\n</parameter>\n"])]
    ids = tokenizer.encode(begin)
    write(guide, ids)
    ending: list[int] = []
    for _ in range(400):
        fit = np.flatnonzero(np.asarray(guide.allowed()))
        possible = [end for end in ends if end[0] in fit]
        if not ending and possible and chance.random() < 0.5:
            ending = list(chance.choice(possible))
        if ending and ending[0] in fit:
            token = ending.pop(0)
        else:
            token, ending = int(chance.choice(fit)), []
        if token == tokenizer.eos_id:
            return tokenizer.decode(ids, skip_special_tokens=False)
        guide.observe(token)
        ids.append(token)
    return None


def check(one: ToolFormat, text: str, tools: list[dict[str, Any]], tokenizer: Tokenizer) -> list[str]:
    """The names of the calls in ``text``, their arguments checked against the schemas."""
    events = read(one, text, tools=tools, tokenizer=tokenizer)
    assert read(one, text, tools=tools, tokenizer=tokenizer, eager=False) == events
    schemas = {tool["function"]["name"]: tool["function"].get("parameters") for tool in tools}
    for name, arguments in calls(events):
        jsonschema.validate(json.loads(arguments), schemas[name] or {"maxProperties": 0})
    return [name for name, _ in calls(events)]


@pytest.mark.parametrize("name", ["hermes", "llama3_json", "mistral", "qwen3_coder", "xlam"])
def test_forced_calls(name: str, tokenizer: Tokenizer) -> None:
    one, tools = FORMAT[name], BARE if name == "qwen3_coder" else TOOLS
    texts: list[list[str]] = []
    for seed in range(12):
        choice: Choice = "required" if seed % 2 else NAMED
        text = draw(one.constrain(tools, choice, tokenizer), tokenizer, seed)
        if text is None:
            continue
        texts.append(check(one, text, tools, tokenizer))
        assert content(read(one, text, tools=tools, tokenizer=tokenizer)) == ""
        assert texts[-1] == ["get_weather"] if choice == NAMED else texts[-1]
    assert len(texts) >= 6
    assert max(map(len, texts)) > 1 or name == "llama3_json"


@pytest.mark.parametrize("name", ["hermes", "llama3_json", "mistral", "qwen3_coder", "xlam"])
def test_strict_functions_where_text_is_allowed(name: str) -> None:
    one, tokenizer = FORMAT[name], byte_tokenizer([END, *MARKERS], ["<tool_call>", "</tool_call>", "<think>"])
    tools = json.loads(json.dumps(BARE if name == "qwen3_coder" else TOOLS))
    tools[0]["function"]["strict"] = True
    outputs = one.constrain(tools, "auto", tokenizer)
    for other in tools[1:]:  # not strict: any object will do
        other["function"]["parameters"] = {"type": "object"}
    whole = {"llama3_json": '{"name": "', "xlam": '[{"name": "'}  # with which no text may begin
    begin = whole.get(name) or "I call." + one.reader.opening
    texts = [draw(outputs, tokenizer, seed, begin=begin) for seed in range(20)]
    called = [check(one, text, tools, tokenizer) for text in texts if text is not None]
    assert len(called) >= 10
    assert all(called)
    assert any("get_weather" in names for names in called)

    guide = start(outputs, tokenizer)
    write(guide, tokenizer.encode("I think: [{" if name in whole else "<think>Some text\n first."))
    assert tokenizer.eos_id in allowed(guide)


def test_markers_cannot_be_spelled() -> None:
    tokenizer = byte_tokenizer([END], ["<tool_call>", "</tool_call>"])
    guide = start(FORMAT["hermes"].constrain(STRICT, "auto", tokenizer), tokenizer)
    write(guide, [tokenizer.encode(byte)[0] for byte in "<tool_call"])
    assert tokenizer.encode(">")[0] not in allowed(guide)
    assert tokenizer.encode("s")[0] in allowed(guide)


@pytest.mark.parametrize("choice", ["auto", "required"])
def test_one_call_at_most(choice: str) -> None:
    tokenizer = byte_tokenizer([END], ["<tool_call>", "</tool_call>"])
    guide = start(FORMAT["hermes"].constrain(TOOLS, choice, tokenizer, parallel=False), tokenizer)
    write(guide, tokenizer.encode('<tool_call>\n{"name": "nöp", "arguments": {}}\n</tool_call>'))
    assert allowed(guide) == [tokenizer.eos_id]


def test_a_model_calls_with_and_without_drafts() -> None:
    """The shipped model, which knows nothing of tools: its calls are whole, and the drafts change none."""
    tokenizer, one = Tokenizer.load("demo"), FORMAT["hermes"]
    outputs = one.constrain(TOOLS[:1], "required", tokenizer, parallel=False)
    params = SamplingParams(temperature=1, seed=5, max_tokens=120, structured_outputs=outputs)
    llm = LLM("demo", num_speculative_tokens=8)
    plain = llm.generate("Weather?", params)[0]
    drafted = llm.with_draft("demo", ranking="demo").generate("Weather?", params)[0]
    assert plain.outputs[0].finish_reason == "stop"
    assert check(one, plain.outputs[0].text, TOOLS, tokenizer) == ["get_weather"]
    assert drafted.outputs[0].token_ids == plain.outputs[0].token_ids
    # What the grammar leaves no choice in costs no passes: names, keys, tags.
    assert 2 * plain.metrics.target_passes < len(plain.outputs[0].token_ids)


def test_nothing_to_guarantee() -> None:
    tokenizer = byte_tokenizer([END])
    for one in FORMAT.values():
        assert one.constrain(TOOLS, "auto", tokenizer) is None
        assert one.constrain(TOOLS, "none", tokenizer) is None


def test_what_cannot_be_guaranteed_is_refused() -> None:
    tokenizer = byte_tokenizer([END])

    def refused(name: str, tools: list[dict[str, Any]], choice: Choice) -> str:
        with pytest.raises(UserError) as error:
            FORMAT[name].constrain(tools, choice, tokenizer)
        return str(error.value)

    assert "pythonic cannot be guaranteed" in refused("pythonic", TOOLS, "required")
    assert "not among the tools" in refused("hermes", TOOLS, {"type": "function", "function": {"name": "x"}})
    assert "<tool_call> is no token of this model" in refused("hermes", STRICT, "auto")
    assert "must be of type object" in refused("hermes", [tool("f", {}, type="array")], "required")
    long = [tool("f", {"a": {"type": "string", "minLength": 3}})]
    assert "the schema of f.a" in refused("qwen3_coder", long, "required")
    assert "parameters of function f use 'minProperties'" in refused(
        "qwen3_coder", [tool("f", {}, minProperties=1)], "required"
    )
    both = [tool("f", {"a": {"type": "string", "anyOf": [{"type": "null"}]}})]
    assert "the schema of f.a" in refused("qwen3_coder", both, "required")
    assert "use 'a>b'" in refused("qwen3_coder", [tool("f", {"a>b": {}})], "required")
    assert "the schema of f.a" in refused("qwen3_coder", [tool("f", {"a": False})], "required")
    either = [tool("f", {"a": {"type": ["string", "integer"]}})]
    assert "the schema of f.a" in refused("qwen3_coder", either, "required")
