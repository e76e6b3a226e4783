"""Drawn acceptance: the rates that were asked for come out, against binomial bounds and closed forms."""

import math

import pytest
import torch

from frspec.engine.request import Request
from frspec.engine.synthetic import SyntheticAcceptance, expected_length
from frspec.errors import UserError
from frspec.speculation.verify import verify
from frspec.types import SamplingParams, TokenTree

EOS, STOP = 7, 9


def request(seed: int) -> Request:
    return Request([1, 2, 3], SamplingParams(stop_token_ids=[STOP], max_tokens=None), seed, [EOS], 10**6)


def walk(synthetic: SyntheticAcceptance, tree: TokenTree, on: Request, honest: int) -> list[int]:
    """What one pass over the tree emits, by the engine's own walk."""

    def pick(node: int) -> tuple[int, bool]:
        token = synthetic.pick(tree, node, honest, on)
        on.tokens.append(token)
        return token, False

    path, emitted = verify(tree.tokens.tolist(), tree.parents.tolist(), pick)
    on.metrics.count(tree.depths[1:].tolist(), len(path) - 1, len(emitted))
    return emitted


def test_each_depth_is_accepted_at_its_rate() -> None:
    synthetic, tree = SyntheticAcceptance([0.8, 0.5]), TokenTree.chain([3, 20, 21, 22, 23])
    for seed in range(20):
        on = request(seed)
        for _ in range(400):
            walk(synthetic, tree, on, honest=50)
        reached = on.metrics.target_passes
        for rate, accepted in zip([0.8, 0.5, 0.5, 0.5], on.metrics.accepted_per_position, strict=True):
            # The golden sequence's discrepancy is below log(n) for n of these; independent draws miss by sqrt(n) / 2.
            assert abs(accepted - rate * reached) < math.log(reached)
            reached = accepted


def test_requests_differ_in_where_they_begin() -> None:
    """Over many seeds the first draw is as likely right as the rate says, whatever came first elsewhere."""
    tree, synthetic = TokenTree.chain([3, 20, 21]), SyntheticAcceptance([0.7])
    lengths = [len(walk(synthetic, tree, request(seed), honest=50)) for seed in range(3000)]
    for least, chance in ((2, 0.7), (3, 0.49)):
        share = sum(length >= least for length in lengths) / len(lengths)
        assert abs(share - chance) < 4 * math.sqrt(chance * (1 - chance) / len(lengths))


def test_the_same_seed_draws_the_same() -> None:
    tree = TokenTree.chain([3, 20, 21, 22])
    texts = []
    for seed in (5, 5, 6):
        on, synthetic = request(seed), SyntheticAcceptance([0.6])
        texts.append([walk(synthetic, tree, on, honest=50) for _ in range(50)])
    assert texts[0] == texts[1] != texts[2]


def test_the_best_child_and_no_other() -> None:
    """Node 0 has children 30, 31 in order of score, 31 has child 40; node 30 has none."""
    tree = TokenTree(torch.tensor([3, 30, 31, 40]), torch.tensor([0, 0, 0, 2]), torch.tensor([0, 1, 1, 2]))
    always, never = SyntheticAcceptance([1.0]), SyntheticAcceptance([0.0])
    assert walk(always, tree, request(0), honest=31) == [30, 31]
    assert walk(never, tree, request(0), honest=31) == [29]  # the honest pick is drafted, and so is the one below it
    assert walk(never, tree, request(0), honest=50) == [50]
    assert walk(never, TokenTree.chain([3, 1, 0]), request(0), honest=0) == [0]  # 0 is no child of the root


def test_nothing_ends_the_text() -> None:
    always, never = SyntheticAcceptance([1.0]), SyntheticAcceptance([0.0])
    assert walk(never, TokenTree.chain([3]), request(0), honest=EOS) == [EOS - 1]
    assert walk(always, TokenTree.chain([3, EOS]), request(0), honest=STOP) == [STOP - 1]
    tree = TokenTree(torch.tensor([3, STOP, 12]), torch.tensor([0, 0, 0]), torch.tensor([0, 1, 1]))
    assert walk(always, tree, request(0), honest=50)[0] == 12
    low = Request([0], SamplingParams(), 0, [0, 1], 100)
    assert walk(never, TokenTree.chain([0, 2]), low, honest=1) == [3]


@pytest.mark.parametrize(("length", "depth"), [(3.89, 6), (3.13, 4), (1.0, 5), (6.0, 5), (1.5, 1)])
def test_the_rate_of_a_length(length: float, depth: int) -> None:
    (rate,) = SyntheticAcceptance.of_length(length, depth).rates
    assert sum(rate**power for power in range(depth + 1)) == pytest.approx(length, abs=1e-9)
    assert expected_length([rate], depth) == pytest.approx(length, abs=1e-9)
    assert expected_length([0.8, 0.5], 3) == pytest.approx(1 + 0.8 + 0.4 + 0.2)


def test_what_is_no_rate_is_refused() -> None:
    for rates in ([], [0.5, 1.2], [-0.1], [float("nan")]):
        with pytest.raises(UserError, match="from 0 to 1"):
            SyntheticAcceptance(rates)
    with pytest.raises(UserError, match="from 1 to 5"):
        SyntheticAcceptance.of_length(5.2, 4)
    with pytest.raises(UserError, match="impossible"):
        SyntheticAcceptance.of_length(float("nan"), 4)
