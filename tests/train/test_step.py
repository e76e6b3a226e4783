"""Training sees what inference sees: the same head, fed pair by pair through its cache, has the same loss."""

from math import isfinite
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from frspec.engine.llm import LLM
from frspec.errors import UserError
from frspec.models import EagleHead, Segment, WholeAttention, new_head
from frspec.train.corpus import Corpus
from frspec.train.loss import FEATURE_WEIGHT, TOKEN_WEIGHT, feature_and_token_loss
from frspec.train.step import Batch, gradients

LENGTHS = [5, 9, 3]


def batch(counted: list[bool] | None = None, total: int = 48) -> Batch:
    """Three windows, and filling."""
    tokens = torch.randint(0, 320, (17,), generator=torch.Generator().manual_seed(0))
    marks = torch.ones(17, dtype=torch.bool) if counted is None else torch.tensor(counted)
    corpus = Corpus(tokens.int(), marks, torch.tensor([0, 17]))
    return Batch.of(corpus, [slice(0, 5), slice(5, 14), slice(14, 17)], total)


@torch.no_grad()
def teacher_forced(llm: LLM, config, tensors, window: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Predictions for features 1 .. L - 1 of a window and those features, one token at a time with caches."""
    target = llm.engine.target
    head = EagleHead(config, {name: tensor.detach() for name, tensor in tensors.items()}, target)
    cache, own, features, predicted = target.new_cache(1), head.new_cache(1), [], []
    for place in range(len(window)):
        features.append(target.forward(window[place : place + 1], torch.tensor([place]), [Segment(cache, 1)]))
        cache.commit(1)
    for place in range(len(window) - 1):
        following, position = window[place + 1 : place + 2], torch.tensor([place])
        predicted.append(head.forward(following, features[place], position, [Segment(own, 1)]))
        own.commit(1)
    return torch.cat(predicted), torch.cat(features[1:])


def fresh(llm: LLM):
    config, tensors = new_head(llm.engine.target, torch.Generator().manual_seed(1))
    for tensor in tensors.values():
        tensor.requires_grad_()
    return config, tensors


@pytest.mark.parametrize("total", [48, 64, 128])
def test_forward_equals_inference(total: int, llm: LLM) -> None:
    """Whatever the filling; the gradient is automatic differentiation's of the loss at the end of it."""
    target = llm.engine.target
    config, tensors = fresh(llm)
    given, rows = batch(total=total), target.head[:200]
    found, slopes = gradients(target, config, tensors, rows, given, 14, None)
    windows = [given.tokens[16 * n : 16 * n + length] for n, length in enumerate(LENGTHS)]
    parts = [teacher_forced(llm, config, tensors, window) for window in windows]
    predicted, wanted = (torch.cat(side) for side in zip(*parts, strict=True))
    expected, _ = feature_and_token_loss(predicted, wanted, rows, 14)
    assert found.feature == pytest.approx(expected.feature, rel=1e-4)
    assert found.token == pytest.approx(expected.token, rel=1e-4)
    assert (len(given.tokens), given.used) == (total, 17)
    alone = [plain_gradients(llm, config, tensors, rows, window) for window in windows]
    for name, slope, *plain in zip(tensors, slopes, *alone, strict=True):
        torch.testing.assert_close(slope, torch.stack(plain).sum(0) / 14, rtol=1e-3, atol=1e-6, msg=name)


def plain_gradients(llm: LLM, config, tensors, rows: torch.Tensor, window: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Of one window's summed loss, by torch's own losses; pairs only, no filling."""
    target, length = llm.engine.target, len(window)
    positions = torch.arange(length)
    with torch.no_grad():
        features = target.run(window, positions, WholeAttention([length]))
    attend = WholeAttention([length - 1])
    predicted = EagleHead(config, tensors, target).run(window[1:], features[:-1], positions[:-1], attend)
    token = F.cross_entropy(predicted @ rows.T, (features[1:] @ rows.T).softmax(-1), reduction="sum")
    feature = F.smooth_l1_loss(predicted, features[1:], reduction="none").mean(-1).sum()
    return torch.autograd.grad(FEATURE_WEIGHT * feature + TOKEN_WEIGHT * token, list(tensors.values()))


def test_parts_add_up(llm: LLM) -> None:
    """Two parts of a step, each divided by all pairs, make the step."""
    target = llm.engine.target
    config, tensors = fresh(llm)
    tokens = torch.randint(0, 320, (17,), generator=torch.Generator().manual_seed(0))
    corpus = Corpus(tokens.int(), torch.ones(17, dtype=torch.bool), torch.tensor([0, 17]))
    halves = [Batch.of(corpus, windows, 32) for windows in ([slice(0, 5), slice(14, 17)], [slice(5, 14)])]
    whole, slopes = gradients(target, config, tensors, target.head, batch(), 14, None)
    (one, first), (other, second) = (gradients(target, config, tensors, target.head, h, 14, None) for h in halves)
    assert (one + other).total == pytest.approx(whole.total, rel=1e-5)
    for name, slope, a, b in zip(tensors, slopes, first, second, strict=True):
        torch.testing.assert_close(slope, a + b, rtol=1e-3, atol=1e-6, msg=name)


def test_a_pair_counts_if_the_drafted_token_does() -> None:
    """Marks on tokens 3 and 4 of a window of five: pair t stands for token t + 2, so pairs 1, 2 and the last."""
    marks = [False] * 17
    marks[3] = marks[4] = True
    assert batch(marks).counted.tolist() == [False, True, True, True] + [False] * 44


def test_every_window_that_is_cut_can_be_trained_on(llm: LLM) -> None:
    """One mark, anywhere: either the window is left out, or its loss is a number."""
    config, tensors = fresh(llm)
    for length in (3, 5):
        taught = []
        for mark in range(length):
            marks = torch.arange(length) == mark
            corpus = Corpus(torch.arange(length).int() + 10, marks, torch.tensor([0, length]))
            try:
                windows = corpus.windows(length)
            except UserError:
                continue
            given = Batch.of(corpus, windows, 16)
            pairs = int(given.counted.sum())
            loss, _ = gradients(llm.engine.target, config, tensors, llm.engine.target.head, given, pairs, None)
            assert pairs > 0
            assert isfinite(loss.total)
            taught.append(mark)
        assert taught == list(range(2, length))


def test_every_tensor_learns_and_noise_matters(llm: LLM) -> None:
    config, tensors = fresh(llm)
    target, losses = llm.engine.target, []
    for noise in (torch.zeros(48, 32), torch.rand(48, 32) - 0.5, None):
        loss, slopes = gradients(target, config, tensors, target.head, batch(), 14, noise)
        losses.append(loss.total)
        assert all(slope.abs().sum() > 0 for slope in slopes)
    assert losses[0] == losses[2] != losses[1]


def test_bfloat16_follows_float32(tiny: Path) -> None:
    """Weights stay float32, products are the target's type; the loss is the same to its precision."""
    found = []
    for dtype in ("float32", "bfloat16"):
        llm = LLM(tiny, device="cpu", dtype=dtype)
        config, tensors = fresh(llm)
        target = llm.engine.target
        loss, slopes = gradients(target, config, tensors, target.head, batch(), 14, None)
        found.append((loss, slopes))
        assert all(slope.dtype == torch.float32 for slope in slopes)
    assert found[1][0].total == pytest.approx(found[0][0].total, rel=0.02)
    for one, other in zip(*(slopes for _, slopes in found), strict=True):
        assert torch.cosine_similarity(one.flatten(), other.flatten(), 0) > 0.98
