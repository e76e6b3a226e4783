"""``/tokenize`` and ``/detokenize`` against Hugging Face's tokenizer."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer

from frspec import shipped

TALK = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Yes?"}]


@pytest.fixture(scope="module")
def reference() -> Any:
    return AutoTokenizer.from_pretrained(str(shipped.FOLDER / "target"))


@pytest.fixture(scope="module")
def post(url: str) -> Any:
    with httpx.Client(base_url=url) as http:
        yield lambda path, **body: http.post(path, json=body)


def test_text(post: Any, reference: Any) -> None:
    @settings(max_examples=25, deadline=None)
    @given(st.text())
    def same(text: str) -> None:
        answer = post("/tokenize", prompt=text, return_token_strs=True).json()
        ids = reference(text)["input_ids"]
        assert answer["tokens"] == ids
        assert answer["count"] == len(ids)
        assert answer["token_strs"] == reference.convert_ids_to_tokens(ids)
        assert post("/detokenize", tokens=ids).json() == {"prompt": text}

    same()


def test_a_conversation(post: Any, reference: Any) -> None:
    ids = reference.apply_chat_template(TALK, add_generation_prompt=True, return_dict=True)["input_ids"]
    answer = post("/tokenize", model="demo", messages=TALK).json()
    assert answer == {"count": len(ids), "max_model_len": 1024, "tokens": ids}
    begun = reference.apply_chat_template(TALK, continue_final_message=True, return_dict=True)["input_ids"]
    assert (
        post("/tokenize", messages=TALK, add_generation_prompt=False, continue_final_message=True).json()["tokens"]
        == begun
    )


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        ("/tokenize", {}, "prompt"),
        ("/tokenize", {"prompt": 5}, "prompt"),
        ("/tokenize", {"prompt": "a", "messages": TALK}, None),
        ("/tokenize", {"prompt": "a", "colour": 1}, "colour"),
        ("/detokenize", {"tokens": [131072]}, "tokens"),
        ("/detokenize", {"tokens": [-1]}, "tokens[0]"),
        ("/detokenize", {"tokens": ["a"]}, "tokens[0]"),
    ],
    ids=str,
)
def test_what_is_no_text(post: Any, path: str, body: dict[str, Any], param: str | None) -> None:
    answer = post(path, **body)
    assert answer.status_code == 400
    assert param is None or answer.json()["error"]["param"] == param


def test_another_model(post: Any) -> None:
    assert post("/tokenize", model="other", prompt="a").status_code == 404
