"""What the target agrees with: of every share of a pass, what becomes text.

Knows: requests, scores, which nodes a text keeps. Does not know: how the pass was made, who runs next.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor

from frspec.engine.request import Request
from frspec.engine.scheduler import Counts
from frspec.engine.share import Share
from frspec.engine.synthetic import SyntheticAcceptance
from frspec.errors import UserError
from frspec.speculation.experience import Verdict
from frspec.speculation.verify import verify
from frspec.types import Round, StepStats

Observe = Callable[[Request, Sequence[int], Tensor], None]
"""Hears which tokens followed which features of a request."""


@dataclass
class Accepting:
    """The second half of a step.

    stats, counts: the engine's. synthetic: acceptance that is drawn instead of earned. ``draft_seconds`` and
    ``verify_seconds``: of the pass, for ``Round``.
    """

    stats: StepStats
    counts: Counts
    synthetic: SyntheticAcceptance | None = None
    draft_seconds: float = 0.0
    verify_seconds: float = 0.0

    def accept(self, shares: Sequence[Share], features: Tensor, logits: Tensor, observe: Observe) -> list[Verdict]:
        """Keep of every share what the target agrees with; what it said of the drafted ones.

        features [T, H] of all rows, logits [W, V] float32 of the wanted ones. A request that breaks here ends, alone.
        """
        # A GPU finds all rows' best tokens at once; a CPU had rather look at no more rows than the walk comes to.
        greedy = logits.device.type != "cpu" and any(share.request.params.greedy for share in shares)
        best = logits.argmax(-1).tolist() if greedy else []
        start, verdicts = 0, list[Verdict]()
        for share in shares:
            own = slice(start, start + len(share.wanted))
            try:
                rows = features[share.rows], logits[own], best[own], observe
                if share.reading:
                    self._keep_prompt(share, *rows)
                else:
                    verdicts.append(self._keep_path(share, *rows))
            except Exception as error:  # one request cannot be honoured, or broke; the others go on
                share.request.fail(error)
            start = own.stop
        return verdicts

    def _keep_prompt(self, share: Share, features: Tensor, logits: Tensor, best: list[int], observe: Observe) -> None:
        request, start, count = share.request, share.cache.length, len(share.tree)
        following = request.tokens[start + 1 : start + count + 1]
        request.note_prompt(start, following, logits)
        if share.samples:
            if not bool(logits[-1].isfinite().all()):
                raise UserError("the model's scores are not finite numbers; its weights are damaged or overflow")
            request.emit(_pick(request, logits[-1], best[-1:]), logits[-1])
            request.output.depths.append(0)
            self.counts.generated_tokens += 1
            following.append(request.tokens[-1])
        share.cache.commit(count)
        observe(request, following, features)
        if share.samples:
            request.note_time()  # by now the drafter, too, has read the prompt

    def _keep_path(self, share: Share, features: Tensor, logits: Tensor, best: list[int], observe: Observe) -> Verdict:
        request, tree = share.request, share.tree

        def pick(node: int) -> tuple[int, bool]:
            token = _pick(request, logits[node], best[node : node + 1])
            if self.synthetic is not None:
                token = self.synthetic.pick(tree, node, token, request)
            return token, request.emit(token, logits[node])

        tokens, parents, depths = tree.tokens.tolist(), tree.parents.tolist(), tree.depths.tolist()
        path, emitted = verify(tokens, parents, pick)
        share.cache.commit(path)
        observe(request, emitted, features[path])
        for stats in (request.metrics, self.stats):
            stats.count(depths[1:], accepted=len(path) - 1, emitted=len(emitted))
        self.counts.generated_tokens += len(emitted)
        self.counts.drafts += len(tokens) > 1
        request.output.depths += [*range(1, len(path)), 0]
        if request.rounds is not None:
            seconds = (self.draft_seconds, self.verify_seconds)
            request.rounds.append(Round(tokens, parents, depths, path, emitted, *seconds))
        request.note_time()
        return Verdict(request.draft, tree, path, emitted)


def _pick(request: Request, logits: Tensor, best: list[int]) -> int:
    """The target's token after one row."""
    return best[0] if best and request.sampler.plain else request.sampler.pick(logits)
