"""What the server says of itself."""

from __future__ import annotations

from importlib.metadata import version

import httpx
import openai
import pytest


def test_the_models_names(client: openai.OpenAI) -> None:
    models = list(client.models.list())
    assert [model.id for model in models] == ["demo", "org/demo"]
    assert {(model.object, model.owned_by, model.max_model_len) for model in models} == {("model", "frspec", 1024)}
    assert client.models.retrieve("org/demo").id == "org/demo"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("other")


def test_answers_are_given_in_the_name_that_was_asked_for(client: openai.OpenAI) -> None:
    for name, expected in (("org/demo", "org/demo"), (None, "demo")):
        answer = client.completions.create(model="demo", prompt="a", max_tokens=1, extra_body={"model": name})
        assert answer.model == expected


def test_health_and_version(url: str) -> None:
    assert httpx.get(f"{url}/health").json() == {"status": "ok"}
    assert httpx.get(f"{url}/version").json() == {"version": version("frspec")}
