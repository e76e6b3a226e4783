"""The application: every route of the server, put together.

Knows: which parts there are. Does not know: what they do, processes, flags.
"""

from __future__ import annotations

from pathlib import Path

from fastapi import FastAPI

from frspec.engine.service import Service
from frspec.server import chat, completions, models, tokenize
from frspec.server.errors import add_errors
from frspec.server.limits import Gate
from frspec.server.metrics import add_metrics
from frspec.server.security import add_security
from frspec.server.serving import VERSION, Serving, client_of, fingerprint
from frspec.server.settings import Settings
from frspec.server.static import add_page
from frspec.text.tool_calls import find_format

__all__ = ["client_of", "make_app"]


def make_app(service: Service, settings: Settings) -> FastAPI:
    """The server of ``service``, which somebody else starts and ends.

    Raises:
        UserError: when the settings name a tool call format that there is none of.
    """
    tokenizer = service.llm.get_tokenizer()
    names = settings.served_model_names or (Path(tokenizer.name).name,)
    app = FastAPI(
        title="frspec",
        version=VERSION,
        description="OpenAI's API for text, by lossless speculative decoding.",
        docs_url=None,  # its pages load scripts from elsewhere
        redoc_url=None,
    )
    add_security(app, settings)
    add_errors(app)
    app.state.serving = Serving(
        service=service,
        settings=settings,
        tokenizer=tokenizer,
        gate=Gate(settings),
        metrics=add_metrics(app, service, settings, names[0]),
        names=names,
        tool_format=find_format(settings.tool_call_parser, tokenizer.tool_template),
        fingerprint=fingerprint(service, names[0]),
    )
    for part in (chat, completions, models, tokenize):
        app.include_router(part.router)
    add_page(app)
    return app
