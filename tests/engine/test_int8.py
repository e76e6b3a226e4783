"""The promise on a target of 8-bit integers, and drafts by them."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from frspec.cli.generate import generate
from frspec.engine.llm import LLM
from frspec.models.eagle import EagleHead, load_eagle, new_head, save_eagle
from frspec.models.precision import Precision
from frspec.speculation.drafters.eagle import EagleDrafter
from frspec.speculation.drafters.ngram import NgramDrafter
from frspec.speculation.head import DraftHead
from frspec.speculation.plan import TreeShape
from frspec.speculation.vocabulary import DraftVocabulary
from tests.engine.conftest import GREEDY, PROMPTS, WARM, ids
from tests.engine.test_exact import printed


def head_of(llm: LLM) -> EagleDrafter:
    """An untrained head: its drafts are mostly wrong, so every pass rolls something back."""
    target = llm.engine.target
    vocabulary = DraftVocabulary(torch.arange(0, llm.config.vocab_size, 3), llm.config.vocab_size)
    head = EagleHead(*new_head(target, torch.Generator().manual_seed(3)), target)
    return EagleDrafter(head, DraftHead.of(target, vocabulary), TreeShape(15, 5, 4))


@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
@pytest.mark.parametrize("params", [GREEDY, WARM], ids=["greedy", "warm"])
def test_drafts_change_nothing(stories: Path, dtype: str, params: object) -> None:
    llm = LLM(stories, dtype=dtype, quantize="int8")
    expected = [ids(llm.generate(prompt, params)) for prompt in PROMPTS]
    for drafter in (head_of(llm), NgramDrafter(4)):
        drafted = llm.with_draft(drafter)
        assert [ids(drafted.generate(prompt, params)) for prompt in PROMPTS] == expected


def test_exactly_the_same_bits(stories: Path) -> None:
    """Products are the same in any company as they are; attention's sums of floats are in exact mode."""
    llm = LLM(stories, quantize="int8", exact=True)
    params = replace(WARM, logprobs=5)
    expected = printed(llm, params, together=False)
    assert printed(llm.with_draft(head_of(llm)), params, together=True) == expected


def test_a_head_of_integers_drafts_for_any_target(stories: Path, tmp_path: Path) -> None:
    llm = LLM(stories, dtype="float32")
    target = llm.engine.target
    config, tensors = new_head(target, torch.Generator().manual_seed(3))
    save_eagle(tmp_path / "head", config, tensors, torch.float32, {})
    usual, small = (load_eagle(tmp_path / "head", target, quantize) for quantize in (None, "int8"))
    states = [head.fc(torch.ones(1, 2 * config.hidden_size)) for head in (usual, small)]
    assert not torch.equal(*states)
    torch.testing.assert_close(*states, rtol=0, atol=0.05 * states[0].abs().max().item())
    assert target.precision == Precision(torch.float32, torch.float32)
    draft_head = DraftHead.of(target, DraftVocabulary.whole(llm.config.vocab_size))
    drafted = llm.with_draft(EagleDrafter(small, draft_head, TreeShape(15, 5, 4)))
    assert ids(drafted.generate(PROMPTS, WARM)) == ids(llm.generate(PROMPTS, WARM))


def test_the_command_line_takes_it(stories: Path) -> None:
    prompt, options = PROMPTS[0], ["--temperature", "0", "--max-tokens", "12", "--draft", "ngram", "--json"]
    found = CliRunner().invoke(generate, [prompt, "--model", str(stories), "--quantize", "int8", *options])
    assert found.exit_code == 0, found.output
    expected = LLM(stories, quantize="int8").generate(prompt, replace(GREEDY, max_tokens=12))
    written = json.loads(found.stdout.splitlines()[-1])
    assert written["outputs"][0]["token_ids"] == ids(expected)[0]
