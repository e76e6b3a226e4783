"""What went wrong, in the words and the shape OpenAI's clients expect.

Knows: which error has which status, and how a failed check of a request names its field. Does not know: routes,
streams.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from frspec.engine.service import Overloaded
from frspec.errors import UserError

log = logging.getLogger("frspec")

TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
    503: "overloaded",
}
RETRY_SECONDS = 1


class ApiError(Exception):
    """An answer that is an error: its HTTP status and what the ``error`` object says."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        type: str | None = None,
        param: str | None = None,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.param, self.code = status, message, param, code
        self.type = type or TYPES.get(status, "invalid_request_error" if status < 500 else "internal_error")
        self.headers = dict(headers or {})

    def text(self) -> str:
        """The JSON object, in ASCII: it may quote what is no text at all."""
        named = {"message": self.message, "type": self.type, "param": self.param, "code": self.code}
        return json.dumps({"error": named})

    def response(self) -> Response:
        """The whole answer."""
        return Response(self.text(), self.status, self.headers, "application/json")


def refuse(message: str, param: str | None = None, code: str | None = None) -> ApiError:
    """A request that cannot be honoured: status 400."""
    return ApiError(400, message, param=param, code=code)


class Gone(Exception):  # noqa: N818 - nothing went wrong
    """The client left; nobody reads an answer."""


def as_api_error(error: Exception) -> ApiError:
    """Any exception as what the client is told; of one that is not the client's fault, nothing but that it happened."""
    if isinstance(error, ApiError):
        return error
    if isinstance(error, Overloaded):
        return ApiError(503, str(error), headers={"Retry-After": str(RETRY_SECONDS)})
    if isinstance(error, UserError):
        named = re.match(
            r"(\w+)(?:=| names token )|(messages\[\S*)", str(error)
        )  # as SamplingParams and messages begin what they say
        return refuse(str(error), named[1] or named[2] if named else None)
    if isinstance(error, RecursionError):
        return refuse("the request is nested too deeply")
    if isinstance(error, UnicodeEncodeError):  # no text of the model's holds any
        return refuse("the request holds a lone surrogate (\\ud800 to \\udfff), which is not Unicode")
    log.error("a request failed: %s", type(error).__name__, exc_info=error)
    return ApiError(500, "something broke inside the server; this request is lost, others are not")


def add_errors(app: FastAPI) -> None:
    """Answer every exception in OpenAI's shape."""

    async def known(request: Request, error: Exception) -> Response:  # noqa: ARG001 - Starlette's signature
        return as_api_error(error).response()

    async def gone(request: Request, error: Exception) -> Response:  # noqa: ARG001
        return Response(status_code=499)

    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Gone, gone)
    app.add_exception_handler(ApiError, known)
    app.add_exception_handler(UserError, known)
    app.add_exception_handler(RuntimeError, known)  # EngineFailure among them
    app.add_exception_handler(Exception, known)


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    messages = {
        404: f"there is nothing at {request.url.path}",
        405: f"{request.url.path} does not answer {request.method}",
    }
    message = messages.get(error.status_code, str(error.detail))
    if error.__cause__ is not None:  # FastAPI could not read the body, and does not say why
        message = f"the body is not JSON: {_unreadable(error.__cause__)}"
    return ApiError(error.status_code, message, headers=error.headers).response()


def _unreadable(why: BaseException) -> str:
    if isinstance(why, RecursionError):
        return "it is nested too deeply"
    return "it is not UTF-8" if isinstance(why, UnicodeError) else "a number in it has too many digits"


async def _invalid(request: Request, error: Exception) -> Response:  # noqa: ARG001
    """A body that is none of the requests that were described, as status 400 and about one field."""
    assert isinstance(error, RequestValidationError)
    first = _most_telling(error.errors())
    kind, where = first["type"], first["loc"][1:]
    if kind == "json_invalid":
        return refuse(f"the body is not JSON: {first['ctx']['error']} at character {where[0]}").response()
    if not where:
        return refuse("the body is not a JSON object; send one, as application/json").response()
    param = _path(error.body, where, missing=kind == "missing")
    if kind == "extra_forbidden":
        return refuse(f"{param} is not a field this server honours; leave it out", param, "unknown_field").response()
    return refuse(f"{param}: {first['msg']}", param).response()


def _most_telling(errors: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """Of a union's branches each has its error: the one that got furthest was meant."""
    return max(errors, key=lambda error: len(error["loc"]))


def _path(body: Any, where: Sequence[int | str], missing: bool) -> str:
    """``messages[0].content``: what of pydantic's location is in the body; the rest names a union's branches."""
    path = ""
    for place, step in enumerate(where):
        if isinstance(step, int) and isinstance(body, list) and step < len(body):
            path, body = f"{path}[{step}]", body[step]
        elif isinstance(step, str) and (
            (isinstance(body, dict) and step in body) or (missing and place == len(where) - 1)
        ):
            path, body = f"{path}.{step}" if path else step, body.get(step) if isinstance(body, dict) else None
    return path
