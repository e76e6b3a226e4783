"""What an operator decides about a server: where it listens, who may come in, how much one request may ask.

Knows: names, defaults, which values make sense. Does not know: flags, files, environment variables; models.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from frspec.errors import UserError

_UNLIMITED = ("max_prompt_tokens", "max_output_tokens")
_AT_LEAST_ONE = (
    "max_body_bytes", "max_prompt_tokens", "max_output_tokens", "max_n", "max_grammar_bytes", "max_streams",
    "max_streams_per_client",
)  # fmt: skip
_AT_LEAST_ZERO = ("max_stop", "max_stop_length", "max_logprobs", "max_list_items", "timeout_graceful_shutdown")


@dataclass(frozen=True)
class Settings:
    """The settings of one server.

    host, port: where it listens; port 0 is any that is free. api_keys: any one of them lets a client in; none are asked
    for if there are none. served_model_names: what requests may call the model, the first of them in answers; if there
    are none, the model's own name. root_path: the path a proxy puts before all routes, and removes.
    allowed_origins: web pages' origins that may read answers (CORS), "*" for all. allowed_hosts: names in the Host
    header that are served besides loopback's own, "*" for all; if there are none, Host is only looked at on a loopback
    address without keys.

    max_body_bytes: of a request. timeout_body: seconds a request may take to arrive. max_prompt_tokens,
    max_output_tokens (each completion's): None for as many as the context holds. max_n: completions of one request, of
    all its prompts. max_stop, max_stop_length: stop strings, and characters of each and of bad words. max_logprobs:
    ``top_logprobs``. max_list_items: entries of ``logit_bias``, ``stop_token_ids`` and ``bad_words``.
    max_grammar_bytes: a schema, regular expression or grammar, and a request's tools. max_streams,
    max_streams_per_client: requests that generate at one time, streamed or not.

    default_sampling: sampling parameters of requests that do not say, by their names in ``SamplingParams``.
    tool_call_parser: the format of the model's tool calls; None to recognise it from the chat template.
    log_requests: write prompts to the log. vllm_metrics: metrics under vLLM's names too.
    timeout_graceful_shutdown: seconds that running requests are given at the end.

    Raises:
        UserError: on a value that no server could mean.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    api_keys: tuple[str, ...] = ()
    served_model_names: tuple[str, ...] = ()
    root_path: str = ""
    allowed_origins: tuple[str, ...] = ()
    allowed_hosts: tuple[str, ...] = ()
    max_body_bytes: int = 4 << 20
    timeout_body: float = 30.0
    max_prompt_tokens: int | None = None
    max_output_tokens: int | None = None
    max_n: int = 16
    max_stop: int = 16
    max_stop_length: int = 1000
    max_logprobs: int = 20
    max_list_items: int = 1024
    max_grammar_bytes: int = 64 << 10
    max_streams: int = 256
    max_streams_per_client: int = 64
    default_sampling: Mapping[str, Any] = field(default_factory=dict)
    tool_call_parser: str | None = None
    log_requests: bool = False
    vllm_metrics: bool = False
    timeout_graceful_shutdown: float = 30.0

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65535:
            raise UserError(f"port is {self.port}; it must be from 0 (any that is free) to 65535")
        for least, names in ((1, _AT_LEAST_ONE), (0, _AT_LEAST_ZERO)):
            for name in names:
                value = getattr(self, name)
                if not (value is None and name in _UNLIMITED) and not value >= least:
                    raise UserError(f"{name} is {value}; it must be at least {least}")
        if not self.timeout_body > 0:
            raise UserError(f"timeout_body is {self.timeout_body}; it must be above 0 seconds")
        if self.root_path and (not self.root_path.startswith("/") or self.root_path.endswith("/")):
            raise UserError(f"root_path is {self.root_path!r}; it must begin with / and not end with it, such as /llm")
        self._check_texts()

    def _check_texts(self) -> None:
        for key in self.api_keys:
            if not key or not key.isascii() or not key.isprintable() or key != key.strip():
                raise UserError("an API key is empty or holds spaces at its ends or characters that no header can hold")
        for name in self.served_model_names:
            if not name or not name.isprintable():
                raise UserError(f"{name!r} in served_model_names is no name")
        for origin in self.allowed_origins:
            scheme, separator, rest = origin.partition("://")
            if origin != "*" and (not scheme or not separator or not rest or "/" in rest):
                raise UserError(
                    f"{origin!r} in allowed_origins is no origin; give scheme, host and port, "
                    "such as https://chat.example.org"
                )
