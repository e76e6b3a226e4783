"""Guides against brute force over small languages, and what is refused."""

import itertools
import json
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from random import Random
from time import process_time

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer as Backend
from tokenizers import decoders, models, pre_tokenizers

from frspec.errors import UserError
from frspec.speculation.guidance import LARGEST_TREE, Guide, compile_guide
from frspec.speculation.sampler import Sampler
from frspec.text.tokenizer import Tokenizer
from frspec.types import SamplingParams, StructuredOutputs, TokenTree
from tests.engine.drafters import tree_of
from tests.speculation.schemas import random_schema

EOS = 0
LETTERS = ["a", "b", "c", "ab", "bc", "cab"]


def byte_level(texts: Sequence[str]) -> Tokenizer:
    """A tokenizer of these texts alone, after ``</s>``."""
    backend = Backend(models.BPE(vocab={text: id for id, text in enumerate(["</s>", *texts])}, merges=[]))
    backend.add_special_tokens(["</s>"])
    backend.pre_tokenizer, backend.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    return Tokenizer(backend, "letters", {"eos_token": "</s>"})


@pytest.fixture(scope="module")
def letters() -> Tokenizer:
    return byte_level(LETTERS)


@pytest.fixture(scope="module")
def demo() -> Tokenizer:
    return Tokenizer.load("demo")


def guide_of(tokenizer: Tokenizer, stops: Sequence[int] = (EOS,), vocab_size: int | None = None, **asked) -> Guide:
    eos = tokenizer.eos_id
    assert eos is not None
    return compile_guide(StructuredOutputs(**asked), tokenizer, vocab_size or tokenizer.vocab_size, [eos], stops)


def ids_of(guide: Guide) -> set[int]:
    return set(np.flatnonzero(guide.allowed()).tolist())


def by_force(language: set[str], text: str) -> set[int]:
    """What may follow ``text`` in a language of so many texts."""
    found = {id for id, letter in enumerate(LETTERS, 1) if any(whole.startswith(text + letter) for whole in language)}
    return found | ({EOS} if text in language else set())


LANGUAGES = ["(a|bc|c){1,3}", "a*b{2}c?", "(ab|a|cab)*c", "a{3,5}|b", "[ab]?(c|ca)"]


@pytest.mark.parametrize("regex", LANGUAGES)
def test_what_may_follow_is_what_brute_force_finds(letters: Tokenizer, regex: str) -> None:
    pattern = re.compile(regex)
    language = {
        "".join(t) for n in range(8) for t in itertools.product("abc", repeat=n) if pattern.fullmatch("".join(t))
    }
    seen, stack = 0, [("", guide_of(letters, regex=regex))]
    while stack:
        text, guide = stack.pop()
        allowed, expected = ids_of(guide), by_force(language, text)
        seen += 1
        if len(text) >= 4:  # nearer to the end the list of texts is cut off
            continue
        if allowed != expected:  # what the bytes leave no choice about is written as the tokenizer would write it
            assert len({(LETTERS[id - 1])[0] for id in expected - {EOS}}) == 1
            assert len(allowed) == 1
            assert allowed <= expected
        for id in allowed - {EOS}:
            after = guide.copy()
            after.observe(id)
            stack.append((text + LETTERS[id - 1], after))
    assert seen > 4


@pytest.mark.parametrize(
    "params",
    [
        SamplingParams(temperature=0),
        SamplingParams(),
        SamplingParams(temperature=1.7, top_k=2),
        SamplingParams(top_p=0.7),
        SamplingParams(min_p=0.2, logit_bias={2: 4.0, 5: -1.0}),
        SamplingParams(repetition_penalty=1.4, frequency_penalty=0.5, temperature=0.6),
    ],
    ids=str,
)
def test_a_guided_pick_is_the_pick_from_scores_without_the_rest(letters: Tokenizer, params: SamplingParams) -> None:
    """The exact rule: forbidden scores are minus infinity before all else. Both ways to the pick are taken."""
    generator = torch.Generator().manual_seed(0)
    for seed in range(60):
        guide = guide_of(letters, regex="(a|bc|c){1,3}" if seed % 2 else "[abc]{2,9}")
        guided, plain = Sampler(params, seed, [1, 2], [EOS], [], guide), Sampler(params, seed, [1, 2], [EOS])
        for _ in range(4):
            logits = torch.randn(letters.vocab_size, generator=generator) * 3
            forbidden = torch.from_numpy(~guide.allowed())
            token = plain.pick(logits.masked_fill(forbidden, -torch.inf))
            assert guided.pick(logits) == token
            if token == EOS:
                break
            guided.observe(token)
            plain.observe(token)


@pytest.mark.parametrize("seed", range(6))
def test_trying_drafts_changes_nothing(demo: Tokenizer, seed: int) -> None:
    """After the same tokens the same ids are allowed, whatever was tried in between; and trees fit."""
    asked = [{"json": random_schema(seed)}, {"regex": r"(\d{3}-[a-z]{2,5}! ?){2,4}"}, {"json_object": True}]
    grammar = 'start: "a" b "c"\nb: "x" | "y" b | "begin" b "end"'
    rng = Random(seed)
    for form in (*asked, {"grammar": grammar}, {"choice": ["yes", "no", "perhaps later, or much later"]}):
        undisturbed = guide_of(demo, [2], **form)
        other, text = undisturbed.copy(), [5]
        for _ in range(25):
            allowed = np.flatnonzero(undisturbed.allowed()).tolist()
            drafted, room = random_tree(rng, text[-1], allowed, demo.vocab_size), rng.randrange(9)
            fitted = other.fit(drafted, room)
            fitted.check(text[-1], demo.vocab_size, room, max(LARGEST_TREE, len(drafted)))
            assert {node for node in paths(drafted) if follows(undisturbed, node, room)} <= paths(fitted)
            assert all(follows(undisturbed, node, room) for node in paths(fitted))
            assert np.array_equal(other.allowed(), undisturbed.allowed())
            token = rng.choice(allowed)
            if token == 2:
                break
            for guide in (undisturbed, other):
                guide.observe(token)
            text.append(token)


def random_tree(rng: Random, root: int, allowed: list[int], vocab_size: int) -> TokenTree:
    tokens, parents = [root], [0]
    for _ in range(rng.randrange(12)):
        parent, token = rng.randrange(len(tokens)), rng.choice(allowed if rng.random() < 0.8 else range(vocab_size))
        if (parent, token) not in zip(parents[1:], tokens[1:], strict=True):
            parents.append(parent)
            tokens.append(token)
    return tree_of(tokens, parents)


def paths(tree: TokenTree) -> set[tuple[int, ...]]:
    """Every node as the drafts that lead to it."""
    found = [()]
    for token, parent in zip(tree.tokens.tolist()[1:], tree.parents.tolist()[1:], strict=True):
        found.append((*found[parent], token))
    return set(found)


def follows(guide: Guide, tokens: Sequence[int], room: int) -> bool:
    """Whether the text may go on with these, by looking at what is allowed before each."""
    guide = guide.copy()
    for token in tokens:
        if not guide.allowed()[token] or token == 2:
            return False
        guide.observe(token)
    return len(tokens) <= room


def test_what_is_forced_is_drafted(demo: Tokenizer) -> None:
    guide = guide_of(demo, [2], regex="The capital of France is (Paris|London), as everybody knows\\.")
    tree = guide.fit(TokenTree.chain([7]), 40)
    assert tree.is_chain()
    assert demo.decode(tree.tokens.tolist()[1:]) == "The capital of France is"
    assert len(guide.fit(TokenTree.chain([7]), 2)) == 3
    written = demo.encode("The capital of France is Paris", add_special_tokens=False)
    for token in written:
        guide.observe(token)
    tree = guide.fit(TokenTree.chain([written[-1], demo.encode(" nonsense", add_special_tokens=False)[0]]), 40)
    assert demo.decode(tree.tokens.tolist()[1:]) == ", as everybody knows."


def test_drafts_go_on_behind_what_is_forced(demo: Tokenizer) -> None:
    guide = guide_of(demo, [2], regex="Once upon a time(, there was| in) [a-z]{3,9} end of the story")
    right = demo.encode("Once upon a time, there was", add_special_tokens=False)
    tree = guide.fit(TokenTree.chain([7, *right]), 40)
    assert tree.tokens.tolist()[: len(right) + 1] == [7, *right]


def test_stop_tokens_come_where_the_text_may_end_and_others_never(letters: Tokenizer) -> None:
    guide = guide_of(letters, stops=[3], regex="ab?")  # "c" ends the text, and ignore_eos keeps EOS from it
    assert ids_of(guide) == {1, 4}
    guide.observe(1)
    assert ids_of(guide) == {2, 3}
    guide.observe(2)
    assert ids_of(guide) == {3}
    guide.observe(3)


def test_ids_past_the_tokenizer_are_never_allowed(letters: Tokenizer) -> None:
    wide = guide_of(letters, vocab_size=40, regex="(?s).*")
    assert len(wide.allowed()) == 40
    assert ids_of(wide) == set(range(7))
    narrow = guide_of(letters, vocab_size=5, regex="(?s).*")
    assert len(narrow.allowed()) == 5


@pytest.mark.parametrize("name", ["demo", "tokenizers/qwen2", "models/tinystories-656k"])
def test_every_id_stands_for_what_it_is_decoded_to(name: str, data: Path) -> None:
    from frspec.speculation.guidance.vocabulary import vocabulary_of

    tokenizer = Tokenizer.load(name if name == "demo" else data / name)
    seen = vocabulary_of(tokenizer, (tokenizer.eos_id or 0,))
    assert seen.vocab_size == tokenizer.vocab_size
    plain = [id for id in range(tokenizer.vocab_size) if id not in tokenizer.special_ids]
    wrong = [id for id in plain if seen.decode_bytes([id]) != tokenizer.token_bytes(id)]
    assert all(tokenizer.token_bytes(id) == b"\xff" for id in wrong)  # a byte that no text has


CHOICES = [
    "yes",
    'a "b"',
    "c\\d",
    "tab\there",
    "two\nlines",
    "naïve",
    "😀",
    "{x}",
    "/x/",
    "yes, but",
    "'",
    "<|im_end|>",
]


def test_any_text_can_be_a_choice(demo: Tokenizer) -> None:
    guide = guide_of(demo, [2], choice=CHOICES)
    for text in CHOICES:
        own = guide.copy()
        for byte in text.encode():
            token = next(id for id in range(8, 300) if demo.token_bytes(id) == bytes([byte]))
            if not own.allowed()[token]:  # where it is sure what comes, only the tokenizer's own way is left
                break
            own.observe(token)
        else:
            assert own.allowed()[2]
    assert not guide.allowed()[2]


REFUSED = {
    "not": ({"json": {"not": {"type": "string"}}}, 'Unimplemented keys: \\["not"\\]'),
    "uniqueItems": ({"json": {"type": "array", "uniqueItems": True}}, "uniqueItems"),
    "if": ({"json": {"if": {"type": "string"}, "then": {"maxLength": 3}}}, "Unimplemented"),
    "overlapping oneOf": ({"json": {"oneOf": [{"type": "integer"}, {"type": "number"}]}}, "oneOf"),
    "unknown format": ({"json": {"type": "string", "format": "colour"}}, "format"),
    "remote ref": ({"json": {"$ref": "https://example.com/schema.json"}}, "example.com"),
    "lookahead": ({"json": {"type": "string", "pattern": "(?=a)b"}}, "look-around"),
    "unsatisfiable": ({"json": {"type": "integer", "minimum": 5, "maximum": 3}}, "Unsatisfiable"),
    "nothing but itself": ({"json": {"$ref": "#"}}, "cannot be honoured"),
    "a type that is none": ({"json": {"type": "strin"}}, "strin"),
    "a list": ({"json": "[1]"}, "is a list"),
    "no JSON": ({"json": "{"}, "no JSON schema"),
    "not a number": ({"json": {"minimum": float("nan")}}, "no JSON schema"),
    "loosened": ({"json": {"x-guidance": {"lenient": True}, "not": {}}}, "x-guidance"),
    "loosened inside": ({"grammar": 'start: %json {"x-guidance": {"lenient": true}, "not": {}}'}, "Unimplemented"),
    "names that may be the same": ({"json": {"type": "object", "minProperties": 2}}, "minProperties"),
    "names inside": ({"json": {"anyOf": [{"items": {"minProperties": 3, "required": ["a"]}}]}}, "minProperties"),
    "regex": ({"regex": "(a"}, "unclosed group"),
    "backreference": ({"regex": r"(?P<x>a)(?P=x)"}, "cannot be honoured"),
    "word boundary": ({"regex": r"\bx"}, "lookaround"),
    "no rule": ({"grammar": "start: x"}, "unknown name"),
    "no start": ({"grammar": 'x: "a"'}, "no start"),
    "no text": ({"grammar": "start: start"}, "cannot be honoured"),
    "temperature": ({"grammar": "start: a\na[temperature=0.5]: /x+/"}, "temperature"),
    "max_tokens": ({"grammar": 'a[capture, max_tokens=3]: /x+/\nstart: a "y"'}, "max_tokens"),
    "stop": ({"grammar": 'a[stop="b"]: /x+/\nstart: a "c"'}, "stop"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_honoured_exactly_is_refused_in_one_line(demo: Tokenizer, name: str) -> None:
    asked, told = REFUSED[name]
    with pytest.raises(UserError, match=told) as refusal:
        guide_of(demo, [2], **asked)
    assert "\n" not in str(refusal.value)
    assert len(str(refusal.value)) < 500


def test_refusals_of_the_request_itself(letters: Tokenizer) -> None:
    with pytest.raises(UserError, match="stop token"):
        guide_of(letters, stops=[], regex="a")
    with pytest.raises(UserError, match="skip_tokenizer_init"):
        compile_guide(StructuredOutputs(regex="a"), None, 7, [EOS], [EOS])
    with pytest.raises(UserError, match="no tokens for '!a'"):
        guide_of(letters, regex="!a")
    guide = guide_of(letters, regex="ab")
    with pytest.raises(UserError, match="cannot be honoured"):
        guide.observe(3)
    for impossible in ({}, {"regex": "a", "choice": ["b"]}, {"choice": "abc"}, {"choice": [""]}, {"choice": []},
                       {"regex": ""}, {"grammar": 3}, {"json": 3}, {"json_object": False}):  # fmt: skip
        with pytest.raises(UserError, match="structured_outputs"):
            StructuredOutputs(**impossible)
    with pytest.raises(UserError, match="StructuredOutputs"):
        SamplingParams(structured_outputs={"regex": "a"})


def chain(count: int, last: str = '"a"') -> str:
    return "\n".join(["start: r0", *(f"r{i}: r{i + 1}" for i in range(count)), f"r{count}: {last}"])


def references(count: int) -> dict[str, object]:
    """Schemas that refer to the next, each 40 deep in itself, which JSON's own limit allows."""
    links = {}
    for place in range(count):
        link: dict[str, object] = {"$ref": f"#/$defs/d{place + 1}"}
        for _ in range(40):
            link = {"items": link}
        links[f"d{place}"] = link
    return {"$ref": "#/$defs/d0", "$defs": {**links, f"d{count}": {"type": "integer"}}}


def nested(count: int) -> str:
    return '{"items":' * count + "{}" + "}" * count


BOMBS = {
    "deep schema": {"json": nested(5000)},
    "very deep schema": {"json": nested(100_000)},
    "parentheses": {"grammar": "start: " + "(" * 20_000 + '"a"' + ")" * 20_000},
    "regex parentheses": {"regex": "(" * 30_000 + ")" * 30_000},
    "large": {"json": {"enum": ["x" * 70_000]}},
    "a long repetition": {"regex": "a{1000000}"},
    "repetitions of repetitions": {"regex": "(((b{100}){100}){100}){100}"},
    "many choices of one": {"grammar": "start: " + " | ".join(f'"a{i}"' for i in range(5000))},
    "all of any": {"json": {"allOf": [{"anyOf": [{"required": [f"{i}{j}"]} for j in range(4)]} for i in range(9)]}},
    "optional properties": {"json": {"properties": {f"k{i}": {"type": "null"} for i in range(1500)}, "type": "object"}},
}


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_are_refused_soon(demo: Tokenizer, name: str) -> None:
    guide_of(demo, [2], regex="a")  # the tokenizer's own second is not meant
    begun = process_time()
    with pytest.raises(UserError):
        guide_of(demo, [2], **BOMBS[name])
    assert process_time() - begun < 20  # they take under a second; without limits, minutes and gigabytes


@pytest.mark.parametrize("shape", ["rules", "references"])
def test_deep_grammars_do_not_end_the_process(shape: str) -> None:
    """Recursion as deep as the largest grammar allows, which on an ordinary stack is a segmentation fault."""
    asked = {"grammar": chain(4600)} if shape == "rules" else {"json": references(130)}
    program = (
        "import json, sys\n"
        "from frspec.speculation.guidance import compile_guide\n"
        "from frspec.text.tokenizer import Tokenizer\n"
        "from frspec.types import StructuredOutputs\n"
        "tokenizer = Tokenizer.load('demo')\n"
        "guide = compile_guide(StructuredOutputs(**json.load(sys.stdin)), tokenizer, 131072, [2], [2])\n"
        "for _ in range(3):\n"
        "    other = guide.copy()\n"
        "    token = int(other.allowed().nonzero()[0][0])\n"
        "    other.observe(token)\n"
        "del guide, other\n"
        "print('alive')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], input=json.dumps(asked), capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout.strip()) == (0, "alive"), done.stderr
