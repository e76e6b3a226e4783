"""The end: SIGTERM while texts are being written.

Knows: streams, exit statuses. Does not know: what was asked before.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from typing import Any

from frspec.bench.serving.answers import NoAnswer, events
from frspec.bench.serving.client import Exchange
from soak.served import PATIENCE, Served

STREAMS = 16
"""More than run at a time: some still wait."""
LENGTHS = (60, 900)
"""Tokens: some can be finished in the time that is left, some cannot."""
STORY = {"messages": [{"role": "user", "content": "Tell me a story."}], "ignore_eos": True, "stream": True}
OWN_FAULT = re.compile(r"a text failed \(RuntimeError: poison\)|a request failed: EngineFailure")
"""What the log says of poisoned requests."""


async def end(served: Served) -> dict[str, Any]:
    """Exit status, what became of the streams, and the errors in the log that the poison does not explain."""
    bodies = [{**STORY, "seed": seed, "max_tokens": LENGTHS[seed % 2]} for seed in range(STREAMS)]
    asked = [asyncio.create_task(served.client.ask("/v1/chat/completions", body)) for body in bodies]
    while (await served.gauges())["num_requests_running"] == 0:
        await asyncio.sleep(0.01)
    served.terminate()
    async with asyncio.timeout(PATIENCE):
        streams = Counter(_fate(exchange) for exchange in await asyncio.gather(*asked))
        status = await asyncio.to_thread(served.process.wait)
    errors = [line for line in served.said().splitlines() if " ERROR " in line and not OWN_FAULT.search(line)]
    return {"status": status, "streams": dict(streams), "errors": errors}


def _fate(exchange: Exchange) -> str:
    """ "finished", "told" (an error, in the stream or instead of it), or how it broke off."""
    try:
        last = [event for _, event in events(exchange)][-1]
    except NoAnswer as error:
        return "told" if str(error).startswith("503") else f"broke off: {error}"
    return "told" if "error" in last else "finished"
