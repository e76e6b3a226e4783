"""The chunked loss against torch's own losses with automatic differentiation; the schedule against its definition."""

import pytest
import torch
import torch.nn.functional as F

from frspec.train import loss as module
from frspec.train.loss import feature_and_token_loss
from frspec.train.schedule import learning_rate


@pytest.mark.parametrize("rows", [1, 3, 1000])
@pytest.mark.parametrize("vocabulary", [range(50), range(3, 40, 2)])
def test_equals_the_plain_loss(rows: int, vocabulary: range, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over a part of the vocabulary both softmaxes are those of the whole, cut to the part and normalised again."""
    monkeypatch.setattr(module, "ROWS", rows)
    torch.manual_seed(0)
    predicted, wanted, head = 2 * torch.randn(17, 8), torch.randn(17, 8), torch.randn(50, 8)
    ours, gradient = feature_and_token_loss(predicted, wanted, head[list(vocabulary)], 30)
    reference = predicted.double().requires_grad_()
    feature = F.smooth_l1_loss(reference, wanted.double(), reduction="none").mean(-1).sum() / 30
    p, q = ((x @ head.double().T).softmax(-1)[:, list(vocabulary)] for x in (wanted.double(), reference))
    token = -(p / p.sum(-1, keepdim=True) * (q / q.sum(-1, keepdim=True)).log()).sum() / 30
    (1.0 * feature + 0.1 * token).backward()
    assert ours.feature == pytest.approx(feature.item(), rel=1e-5)
    assert ours.token == pytest.approx(token.item(), rel=1e-5)
    assert ours.total == pytest.approx((feature + 0.1 * token).item(), rel=1e-5)
    torch.testing.assert_close(gradient.double(), reference.grad, rtol=1e-4, atol=1e-7)


def test_is_least_where_the_prediction_is_right() -> None:
    """There the feature loss is 0, the token loss is the target's entropy, and nothing pulls anywhere."""
    wanted, head = torch.randn(5, 8), torch.randn(50, 8)
    found, gradient = feature_and_token_loss(wanted, wanted, head, 5)
    p = (wanted @ head.T).softmax(-1)
    assert found.feature == 0
    assert found.token == pytest.approx(torch.distributions.Categorical(p).entropy().mean().item(), rel=1e-5)
    assert gradient.abs().max() < 1e-7


def test_learning_rate_rises_stays_and_falls() -> None:
    rates = [learning_rate(step, 1000, 2.0) for step in range(1000)]
    assert rates[0] == pytest.approx(2.0 / 20)
    assert rates[9] == pytest.approx(1.0)
    assert all(rate == 2.0 for rate in rates[19:901])
    assert rates[950] == pytest.approx(1.0)
    assert rates[999] == pytest.approx(2.0 / 100)
    assert all(0 < rate <= 2.0 for rate in rates)


@pytest.mark.parametrize("steps", [1, 2, 9])
def test_short_runs_learn_too(steps: int) -> None:
    assert all(0 < learning_rate(step, steps, 1.0) <= 1.0 for step in range(steps))
    assert learning_rate(0, steps, 1.0) == 1.0
