"""Training sees what inference sees: the same head, fed pair by pair through its cache, has the same loss."""

from math import isfinite

import pytest
import torch

from frspec.engine.llm import LLM
from frspec.errors import UserError
from frspec.models import EagleHead, Segment, new_head
from frspec.train.corpus import Corpus
from frspec.train.loss import feature_and_token_loss
from frspec.train.step import Batch, backward

LENGTHS = [5, 9, 3]


def batch(counted: list[bool] | None = None) -> Batch:
    tokens = torch.randint(0, 320, (17,), generator=torch.Generator().manual_seed(0))
    marks = torch.ones(17, dtype=torch.bool) if counted is None else torch.tensor(counted)
    return Batch(tokens, marks, LENGTHS)


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


def test_forward_equals_inference(llm: LLM) -> None:
    config, tensors = fresh(llm)
    given = batch()
    found = backward(llm.engine.target, config, tensors, given, 0.0, torch.Generator())
    parts = [teacher_forced(llm, config, tensors, window) for window in given.tokens.split(LENGTHS)]
    predicted, wanted = (torch.cat(side) for side in zip(*parts, strict=True))
    expected = feature_and_token_loss(predicted, wanted, torch.ones(14), llm.engine.target.head)
    assert found.feature == pytest.approx(expected.feature, rel=1e-4)
    assert found.token == pytest.approx(expected.token, rel=1e-4)
    torch.testing.assert_close(found.gradient, expected.gradient, rtol=1e-3, atol=1e-6)


def test_a_pair_counts_if_the_drafted_token_does(llm: LLM) -> None:
    """Marks on tokens 3 and 4 of a window of five: pair t stands for token t + 2, so pairs 1, 2 and the last."""
    config, tensors = fresh(llm)
    marks = [False] * 17
    marks[3] = marks[4] = True
    found = backward(llm.engine.target, config, tensors, batch(marks), 0.0, torch.Generator())
    assert found.gradient.abs().sum(1).bool().tolist() == [False, True, True, True] + [False] * 10


def test_every_window_that_is_cut_can_be_trained_on(llm: LLM) -> None:
    """One mark, anywhere: either the window is left out, or its loss is a number."""
    config, tensors = fresh(llm)
    for length in (3, 5):
        taught = []
        for mark in range(length):
            counted = torch.arange(length) == mark
            tokens = torch.arange(length) + 10
            try:
                Corpus(tokens.int(), counted, torch.tensor([0, length])).windows(length)
            except UserError:
                continue
            given = Batch(tokens, counted, [length])
            loss = backward(llm.engine.target, config, tensors, given, 0.0, torch.Generator())
            assert isfinite(loss.total)
            taught.append(mark)
        assert taught == list(range(2, length))


def test_every_tensor_learns_and_noise_is_repeatable(llm: LLM) -> None:
    config, tensors = fresh(llm)
    losses = []
    for noise, seed in ((0.1, 3), (0.1, 3), (0.1, 4), (0.0, 3)):
        for tensor in tensors.values():
            tensor.grad = None
        losses.append(backward(llm.engine.target, config, tensors, batch(), noise, torch.Generator().manual_seed(seed)))
        assert all(tensor.grad is not None and tensor.grad.abs().sum() > 0 for tensor in tensors.values())
    assert losses[0].total == losses[1].total
    assert len({loss.total for loss in losses}) == 3
