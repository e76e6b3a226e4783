"""The softmax over a compact, sampled table against the plain one; attention; the forms of texts."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
import torch.nn.functional as F
from attention import MatrixAttention
from candidates import DRAWN, Candidates
from compact import Compact
from cross_entropy import cross_entropy, losses
from texts import dialogues, problems, stories, topics_of

from frspec.errors import UserError
from frspec.models import WholeAttention


def draws(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_compact_loss_and_slopes_are_those_of_the_whole_vocabulary() -> None:
    size, width, count = 200, 16, 700  # more rows than one chunk
    seen = torch.randint(0, 60, (count,), generator=draws()) * 3
    compact = Compact.of(seen, [1, 199], size)
    assert 1 in compact.ids
    assert compact.shared == size - len(compact.ids)
    table = torch.randn((compact.rows, width), generator=draws(1), requires_grad=True)
    features = torch.randn((count, width), generator=draws(2), requires_grad=True)
    weights = (torch.rand(count, generator=draws(3)) < 0.7).float()
    whole = compact.expand(table)
    scores = features @ whole.t()
    expected = F.cross_entropy(scores, seen, reduction="none")
    (expected @ weights / weights.sum()).backward()
    found = cross_entropy(features.detach(), table.detach(), compact.shrink(seen), weights, compact.log_counts())
    assert found.loss == pytest.approx((expected @ weights / weights.sum()).item(), rel=1e-5)
    torch.testing.assert_close(found.features, features.grad, rtol=1e-4, atol=1e-7)
    torch.testing.assert_close(found.table, table.grad, rtol=1e-4, atol=1e-6)
    each, unseen = losses(features.detach(), table.detach(), compact.shrink(seen), compact.log_counts())
    torch.testing.assert_close(each, expected.detach(), rtol=1e-4, atol=1e-5)
    never = ~torch.isin(torch.arange(size), compact.ids)
    torch.testing.assert_close(unseen, scores.softmax(1)[:, never].sum(1).detach(), rtol=1e-4, atol=1e-6)


def test_expand_inverts_shrink() -> None:
    compact = Compact.of(torch.tensor([5, 2, 5]), [0], 9)
    assert compact.shrink(torch.arange(9)).tolist() == [0, 3, 1, 3, 3, 2, 3, 3, 3]
    assert compact.expand(torch.arange(4)[:, None]).squeeze(1).tolist() == [0, 3, 1, 3, 3, 2, 3, 3, 3]


def test_candidates_hold_what_is_certain_and_estimate_the_rest_without_bias() -> None:
    rows = 3 * 4096
    occurrences = torch.arange(rows, 0, -1)
    counts = torch.zeros(rows)
    counts[-1] = 5.0
    candidates, present = Candidates(occurrences, counts), torch.tensor([9000, 9001])
    scores = torch.randn(rows, generator=draws(4))
    wanted = (scores + counts).exp().sum().item()
    sums = []
    for seed in range(300):
        choice = candidates.choose(present, draws(seed))
        assert len(choice.rows) % DRAWN == 0
        assert len(choice.rows.unique()) == len(choice.rows)
        assert choice.rows[choice.place[present]].tolist() == present.tolist()
        sums.append((scores[choice.rows] + choice.log_counts).exp().sum().item())
    mean, spread = torch.tensor(sums).mean().item(), torch.tensor(sums).std().item()
    assert abs(mean - wanted) < 4 * spread / len(sums) ** 0.5
    assert spread > 0
    assert set(range(4095)) <= set(choice.rows.tolist())
    assert candidates.everything().rows.tolist() == list(range(rows))


def test_attention_is_causal_attention_with_filling() -> None:
    lengths, filling = [32, 64, 5], 7
    q, k, v = (torch.randn((sum(lengths) + filling, heads, 8), generator=draws(heads)) for heads in (6, 2, 2))
    found = MatrixAttention(lengths)(0, q, k, v)
    used = sum(lengths)
    torch.testing.assert_close(found[:used], WholeAttention(lengths)(0, q[:used], k[:used], v[:used]))
    assert not found[used:].any()


def test_forms() -> None:
    [[turns]] = dialogues(["User: Hi.\nAssistant: Yes?\nTwo lines.\nUser: Bye."])
    assert turns == [
        {"role": "user", "content": "Hi."},
        {"role": "assistant", "content": "Yes?\nTwo lines."},
        {"role": "user", "content": "Bye."},
    ]
    with pytest.raises(UserError, match="not with a speaker"):
        dialogues(["Once upon a time"])
    [[turns]] = problems(["Question: 1 + 2?\nAnswer: It is 1+2=<<1+2=3>>3.\n#### 3"])
    assert [turn["content"] for turn in turns] == ["1 + 2?", "It is 1+2=3.\nThe answer is 3."]
    with pytest.raises(UserError, match="no answer"):
        problems(["Question: 1?"])


def test_stories_are_asked_for_by_their_own_rare_words() -> None:
    texts = ["A dragon met a dragon and a frog, the frog ran, the the", "the cat saw the dragon frog", "the dog the"]
    counts = Counter({"the": 3, "dragon": 2, "frog": 2, "cat": 1})
    assert topics_of(texts[0], counts) == ["dragon", "frog", "the"]
    first = stories(texts)[0]
    assert first[0] == texts[0]
    assert len(first) == 9
    assert len({turns[0]["content"] for turns in first[1:]}) == 8
    assert all(turns[1]["content"] == texts[0] for turns in first[1:])
