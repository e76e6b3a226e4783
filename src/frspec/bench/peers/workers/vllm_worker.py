"""vLLM on its CPU backend: plain, with n-gram drafts, and with an EAGLE head.

Knows: how to make it sample what was asked for, and where a pass ends. Does not know: who asks.
"""

from __future__ import annotations

import os
from typing import Any

from .protocol import Bursts, Request

NGRAM = {"method": "ngram", "num_speculative_tokens": 5, "prompt_lookup_max": 4, "prompt_lookup_min": 2}
EAGLE_TOKENS = 4
CACHE_GIB = 2


class VLLM:
    """One engine in this process; its steps are taken by hand, so that each pass is seen."""

    def __init__(self, told: dict[str, Any]) -> None:
        threads = told["threads"]
        os.environ |= {
            "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
            "VLLM_CPU_OMP_THREADS_BIND": ",".join(map(str, sorted(os.sched_getaffinity(0))[:threads])),
            "VLLM_CPU_KVCACHE_SPACE": str(CACHE_GIB),
            "VLLM_NO_USAGE_STATS": "1",
            "HF_HUB_OFFLINE": "1",
        }
        import vllm

        self.versions = {"vllm": vllm.__version__}
        self.weights = told["dtype"]
        eagle = {"method": "eagle", "model": told.get("head"), "num_speculative_tokens": EAGLE_TOKENS}
        drafts = {None: None, "ngram": NGRAM, "eagle": eagle}[told.get("drafts")]
        self._params, self._count = vllm.SamplingParams, 0
        self._engine = vllm.LLM(
            told["folder"], skip_tokenizer_init=True, dtype=told["dtype"], max_model_len=told["context"],
            max_num_seqs=1, enable_prefix_caching=False, speculative_config=drafts,
        ).llm_engine  # fmt: skip

    def run(self, request: Request, bursts: Bursts) -> None:
        """Steps of the engine until the prompt's answer has ended."""
        self._count += 1
        params = self._params(
            temperature=request.temperature, top_p=request.top_p, seed=request.seed, max_tokens=request.max_tokens,
            stop_token_ids=request.stop_ids, ignore_eos=True, detokenize=False,
        )  # fmt: skip
        self._engine.add_request(str(self._count), {"prompt_token_ids": request.ids}, params)
        known = 0
        while self._engine.has_unfinished_requests():
            for output in self._engine.step():
                ids = list(output.outputs[0].token_ids)
                bursts.came(ids[known:])
                known = len(ids)


load = VLLM
