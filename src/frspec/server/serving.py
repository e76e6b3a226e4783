"""What all routes of one server share.

Knows: the service, the settings, by which names the model goes, who asks. Does not know: what is asked.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass, field
from importlib.metadata import version

from fastapi import FastAPI, Request

from frspec.engine.service import Service
from frspec.server.errors import ApiError
from frspec.server.limits import Gate
from frspec.server.metrics import Metrics
from frspec.server.settings import Settings
from frspec.text.tokenizer import Tokenizer
from frspec.text.tool_calls import ToolFormat

VERSION = version("frspec")


@dataclass(frozen=True)
class Serving:
    """names: what requests may call the model, the first of them in answers. tool_format: how the model writes calls;
    None where nothing documents it. fingerprint: changes when answers may. created: the server's start, seconds
    since 1970.
    """

    service: Service
    settings: Settings
    tokenizer: Tokenizer
    gate: Gate
    metrics: Metrics
    names: tuple[str, ...]
    tool_format: ToolFormat | None
    fingerprint: str
    created: int = field(default_factory=lambda: int(time.time()))

    @property
    def max_model_len(self) -> int:
        """Positions, prompt and output together."""
        return self.service.llm.max_model_len

    def model(self, name: str | None) -> str:
        """The model's name for an answer.

        Raises:
            ApiError: 404 when it is another model's.
        """
        if name is None or name in self.names:
            return name or self.names[0]
        raise ApiError(
            404,
            f"the model {name[:200]!r} is not served here; this server has {', '.join(self.names)}",
            param="model",
            code="model_not_found",
        )


def fingerprint(service: Service, name: str) -> str:
    """Of the version, the model's shape and name, its vocabulary. It takes a while where there are many tokens."""
    config, vocabulary = service.llm.config, service.llm.get_tokenizer().fingerprint
    told = f"{name} {config.hidden_size} {config.num_hidden_layers} {vocabulary}"
    return f"frspec-{VERSION}-{hashlib.sha256(told.encode()).hexdigest()[:8]}"


def serving_of(app: FastAPI) -> Serving:
    """What ``make_app`` put there."""
    serving = app.state.serving
    assert isinstance(serving, Serving)
    return serving


def client_of(request: Request) -> str:
    """Whose request it is, for fair turns: its API key's hash where keys are used, else its address."""
    if serving_of(request.app).settings.api_keys:
        _, _, key = request.headers.get("authorization", "").partition(" ")
        return hashlib.sha256(key.strip().encode()).hexdigest()
    return request.client.host if request.client else ""
