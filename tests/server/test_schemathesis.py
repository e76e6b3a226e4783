"""Our own description at ``/openapi.json``, and whether the server keeps to it, by schemathesis.

What a schema cannot say (ids that lie in the vocabulary, prompts that fit) is refused with 400 too, so that a request
that keeps to the schema is accepted is not checked here, but in the other files.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from frspec.engine.service import Service
from frspec.server.settings import Settings
from tests.patience import PATIENCE
from tests.server.conftest import idle, served

LIMITS = Settings(served_model_names=("tiny",), max_output_tokens=4, max_n=2)
CHECKS = [
    not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance,
    negative_data_rejection, unsupported_method,
]  # fmt: skip


@pytest.fixture(scope="module")
def schema(tiny: Service) -> Iterator[Any]:
    with served(tiny, LIMITS) as url:
        yield schemathesis.openapi.from_url(f"{url}/openapi.json")
    idle(tiny)


@pytest.mark.parametrize("mode", list(GenerationMode))
def test_the_server_keeps_to_its_description(schema: Any, mode: GenerationMode) -> None:
    answered = {}
    for found in schema.get_all_operations():
        operation = found.ok()
        if mode == GenerationMode.POSITIVE or operation.body:  # any path is a name: none is wrong
            answered[operation.path] = statuses_of(operation, mode)
    if mode == GenerationMode.POSITIVE:
        del answered["/v1/models/{name}"]  # names are not guessed
        assert all(200 in statuses for statuses in answered.values()), answered
    else:
        assert set.union(*answered.values()) == {400}
        assert len(answered) == 4


def statuses_of(operation: Any, mode: GenerationMode) -> set[int]:
    """What came of requests that schemathesis made up."""
    statuses = set()

    @settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
    @given(case=operation.as_strategy(generation_mode=mode))
    def keep(case: Any) -> None:
        statuses.add(case.call_and_validate(checks=CHECKS, timeout=PATIENCE).status_code)

    keep()
    return statuses
