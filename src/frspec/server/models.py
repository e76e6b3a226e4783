"""``/v1/models``, ``/version``, ``/health``: what is served, and whether it lives.

Knows: names. Does not know: requests for text.
"""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request

from frspec.server.errors import ApiError
from frspec.server.protocol.answers import Health, Model, Models, Version, responses
from frspec.server.serving import VERSION, Serving, serving_of

router = APIRouter()


@router.get("/v1/models", responses=responses(Models, stream=False), response_model=None)
async def list_models(request: Request) -> dict[str, Any]:
    """The names the model goes by."""
    serving = serving_of(request.app)
    return {"object": "list", "data": [_describe(serving, name) for name in serving.names]}


@router.get("/v1/models/{name:path}", responses=responses(Model, stream=False), response_model=None)
async def retrieve_model(name: str, request: Request) -> dict[str, Any]:
    """The model by one of its names."""
    serving = serving_of(request.app)
    return _describe(serving, serving.model(name))


@router.get("/version", responses=responses(Version, stream=False), response_model=None)
async def version() -> dict[str, str]:
    """frspec's version."""
    return {"version": VERSION}


@router.get("/health", responses=responses(Health, stream=False), response_model=None)
async def health(request: Request) -> dict[str, str]:
    """Whether the engine runs and takes requests; needs no key."""
    service = serving_of(request.app).service
    if not service.alive or service.draining:
        what = "the server is shutting down" if service.draining else "the engine has stopped"
        raise ApiError(503, what)
    return {"status": "ok"}


def _describe(serving: Serving, name: str) -> dict[str, Any]:
    return {
        "id": name,
        "object": "model",
        "created": serving.created,
        "owned_by": "frspec",
        "max_model_len": serving.max_model_len,
    }
