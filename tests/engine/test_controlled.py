"""Whatever a controller decides, and however costs make it change its mind, the text is plain decoding's."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from frspec.engine.llm import LLM
from frspec.errors import UserError
from frspec.models.decoder import Decoder
from frspec.models.layers.linear import Linear
from frspec.models.layers.prefixes import prefixes
from frspec.ranking.ranking import Ranking
from frspec.speculation.controller import Controller
from frspec.speculation.costs import Costs
from frspec.speculation.drafters.base import DraftState
from frspec.speculation.drafters.model import ModelDrafter
from frspec.speculation.drafters.ngram import NgramDrafter
from frspec.speculation.drafters.tree import TreeDrafter
from frspec.speculation.head import DraftHead
from frspec.speculation.pace import Pace
from frspec.speculation.plan import Plan, TreeShape
from frspec.speculation.vocabulary import DraftVocabulary
from frspec.text.tokenizer import Tokenizer
from frspec.types import SamplingParams
from tests.engine.conftest import PROMPTS, ids

GREEDY = SamplingParams(temperature=0, max_tokens=60)
WARM = SamplingParams(temperature=0.9, max_tokens=60, seed=7)


@pytest.fixture(scope="module")
def ranking(plain: LLM, stories: Path) -> Ranking:
    """What the model itself writes, which a quarter of the vocabulary holds nearly all of."""
    counts = torch.ones(plain.config.vocab_size)
    for output in plain.generate(PROMPTS, [replace(WARM, seed=seed) for seed in range(len(PROMPTS))]):
        counts += torch.bincount(torch.tensor(output.outputs[0].token_ids), minlength=len(counts))
    return Ranking.from_counts(counts.to(torch.int64).numpy(), Tokenizer.load(stories).fingerprint)


def costs(sizes: tuple[int, ...], row: float, layer: float, head: float) -> Costs:
    """A pass takes 1, a row more of it ``row``, a draft step ``layer`` and ``head`` for each thousand ids."""
    return Costs(
        target=((1, 1.0), (33, 1.0 + 32 * row)),
        pick=0.001,
        noisy_pick=0.001,
        layer=((1, layer), (8, layer)),
        heads={size: ((1, head * size / 1000), (8, head * size / 1000)) for size in sizes},
        noise=dict.fromkeys(sizes, 0.0),
    )


@pytest.mark.parametrize(
    ("params", "noise", "row", "layer", "head", "wanted"),
    [
        (WARM, False, 0.0001, 0.3, 0.0, "trees"),
        (WARM, True, 0.05, 0.02, 0.5, "few ids"),
        (GREEDY, True, 0.05, 0.02, 0.5, "few ids"),
        (WARM, True, 0.05, 0.02, 0.0, "all ids"),
        (GREEDY, True, 0.5, 2.0, 1.0, "none"),
    ],
)
def test_it_does_what_pays_and_changes_nothing(
    plain: LLM, stories: Path, ranking: Ranking, monkeypatch: pytest.MonkeyPatch,
    params: SamplingParams, noise: bool, row: float, layer: float, head: float, wanted: str,
) -> None:  # fmt: skip
    """The draft model is the target itself: right nearly always, but for guesses made without knowing the noise."""
    drafted = plain.with_draft(stories, ranking=ranking, use_noise=noise)
    engine = drafted.engine
    assert engine.controller is not None
    assert isinstance(engine.drafter, TreeDrafter)
    sizes = engine.drafter.sizes
    assert sizes[-1] == plain.config.vocab_size
    assert len(sizes) == 2
    engine.controller.costs = costs(sizes, row, layer, head)
    plans, asked, propose = list[Plan](), [0], engine.drafter.propose

    def noted(states: list[DraftState], clock: object, plan: Plan | None = None) -> object:
        assert plan is not None
        plans.append(plan)
        asked[0] += len(states)
        return propose(states, clock, plan)  # type: ignore[arg-type]

    engine.drafter.propose = noted  # type: ignore[method-assign, assignment]
    # Time itself must not decide a test: every round takes what the costs say.
    monkeypatch.setattr(Pace, "note", lambda *_: None)
    assert ids(drafted.generate(PROMPTS, params)) == ids(plain.generate(PROMPTS, params))
    assert [drafted.generate(prompt, params)[0].outputs[0].token_ids for prompt in PROMPTS] == [
        plain.generate(prompt, params)[0].outputs[0].token_ids for prompt in PROMPTS
    ]
    share, usual = asked[0] / engine.stats.target_passes, plans[len(plans) // 2 :]
    # Where drafts are not much better than none, and no time tells, three in seven rounds are plain ones.
    assert share < 0.3 if wanted == "none" else share > (0.4 if wanted == "trees" else 0.5)
    if wanted == "trees":
        assert sum(plan.shape.width > 1 for plan in usual) > 0.8 * len(usual), "all but trials"
    if wanted == "few ids":
        assert all(plan.rows == sizes[0] for plan in usual)
        assert sum(plan.shape.width == 1 for plan in usual) > 0.8 * len(usual), "but for trees that are tried"


@pytest.mark.parametrize("params", [GREEDY, WARM], ids=["greedy", "warm"])
@pytest.mark.parametrize("setting", [{"draft": "ngram"}, {"draft_vocab": "full"}, {"draft_quantize": "int8"}], ids=str)
def test_measured_costs(plain: LLM, stories: Path, params: SamplingParams, setting: dict[str, str]) -> None:
    drafted = plain.with_draft(**{"draft": stories, **setting})  # type: ignore[arg-type]
    assert drafted.engine.controller is not None
    assert ids(drafted.generate(PROMPTS, params)) == ids(plain.generate(PROMPTS, params))


@pytest.mark.parametrize("part", ["plan", "learn"])
def test_a_controller_that_breaks_changes_nothing(
    plain: LLM, stories: Path, part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    drafted, calls = plain.with_draft(stories), [0]
    real = getattr(drafted.engine.controller, part)

    def broken(*given: object) -> object:
        calls[0] += 1
        if calls[0] > 5:
            raise ZeroDivisionError
        return real(*given)

    monkeypatch.setattr(drafted.engine.controller, part, broken)
    assert ids(drafted.generate(PROMPTS, WARM)) == ids(plain.generate(PROMPTS, WARM))
    assert calls[0] == 6, "nobody is drafted for any longer"
    assert drafted.engine.stats.draft_failures == 1


def test_a_shape_that_was_asked_for_is_kept(stories: Path) -> None:
    llm = LLM(stories, draft=stories, num_speculative_tokens=3)
    assert llm.engine.controller is None
    llm.generate(PROMPTS, GREEDY)
    assert 0 < sum(llm.engine.stats.drafted_per_position) <= 3 * llm.engine.stats.target_passes


@pytest.mark.parametrize("on_cores", [False, True])
def test_every_part_of_a_head_scores_as_its_rows_do(on_cores: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("frspec.models.layers.split.LEAST", 1 << 10)  # so that cores share already here
    monkeypatch.setattr("frspec.models.layers.prefixes.FINEST", 100)
    weight, x = torch.randn(1000, 32), torch.randn(3, 32)
    with torch.inference_mode():
        for size, product in prefixes(weight, [50, 300, 1000], on_cores).items():
            torch.testing.assert_close(product(x), x @ weight[:size].T)


def test_a_head_that_offers_its_parts(plain: LLM, ranking: Ranking, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("frspec.speculation.head.SMALLEST", 64)
    target: Decoder = plain.engine.target
    vocabulary = DraftVocabulary.build(700, ranking, [2, 0], 2048, None)
    head = DraftHead.of(target, vocabulary, choice=True)
    assert head.sizes[:4] == (64, 128, 256, 512)
    assert 700 <= head.sizes[4] <= 702
    features, state = torch.randn(1, 1, plain.config.hidden_size), DraftState([5, 6], 3, 0.7, room=9)
    levels = head.levels(2048)
    for level, size in enumerate(head.sizes):
        ids_of = torch.arange(2048) if size == 2048 else vocabulary.ids[:size]
        alone = DraftHead({size: Linear(target.head[ids_of])}, DraftVocabulary(ids_of, 2048), target.device)
        for one, other in zip(
            head.best(features, [state], 1, 5, size), alone.best(features, [state], 1, 5), strict=True
        ):
            torch.testing.assert_close(one, other)
        token, sure = head.surest(features[0], [state], 1, size)
        assert token.tolist() == head.likeliest(features[0], [state], 1, size).tolist()
        assert sure[0] == pytest.approx(float(head.best(features, [state], 1, 1, size)[0].exp()), rel=1e-4)
        assert {token for token in range(2048) if levels[token] <= level} == set(ids_of.tolist())


def test_a_drafter_of_ones_own_takes_no_vocabulary(plain: LLM, ranking: Ranking) -> None:
    for given in ({"draft_vocab": 100}, {"ranking": ranking}, {"draft_quantize": "int8"}):
        with pytest.raises(UserError, match="brings its own vocabulary"):
            plain.with_draft(NgramDrafter(4), **given)  # type: ignore[arg-type]


def test_longer_matches_than_are_told_apart(plain: LLM) -> None:
    """They count as the longest of those; a class too many would break the drafter."""
    drafted = plain.with_draft("ngram")
    drafted.engine.drafter = NgramDrafter(8, longest=7)
    params = replace(GREEDY, max_tokens=150, ignore_eos=True)
    assert ids(drafted.generate(PROMPTS, params)) == ids(plain.generate(PROMPTS, params))
    assert drafted.engine.stats.draft_failures == 0


def test_large_plans_stay_in_the_budget(plain: LLM, monkeypatch: pytest.MonkeyPatch) -> None:
    """Room is made for what the controller may ask for, not for what the drafter was made with."""
    monkeypatch.setattr("frspec.engine.scheduler.NEW_ROWS", 1)
    target = plain.engine.target
    head = DraftHead.of(target, DraftVocabulary.whole(plain.config.vocab_size))
    drafter = ModelDrafter(target, head, TreeShape(1, 1, 1))
    params = replace(WARM, max_tokens=200, ignore_eos=True)
    expected = ids(plain.generate(PROMPTS, params))
    llm = plain.with_draft(drafter)
    scheduler = llm.engine.scheduler
    llm.engine.controller = Controller(costs(drafter.sizes, 0.0001, 0.3, 0.0), drafter, plain.config.vocab_size)
    scheduler.budget = 320 * scheduler.row_bytes
    groups = [llm.group(prompt, params) for prompt in PROMPTS]
    for group in groups:
        llm.engine.add(group.requests[0])
    while llm.engine.busy:
        llm.engine.step()
        assert scheduler.used <= scheduler.budget or len(scheduler.running) == 1
    assert [group.requests[0].output.token_ids for group in groups] == expected
