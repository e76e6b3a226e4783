"""The whole training on a tiny world: resumed, written, and read by Hugging Face."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
import transformers
from click.testing import CliRunner
from compact import Compact
from target import read_config, target_json
from texts import SOURCES
from train_target import main, read
from training import Settings, Training

from frspec.errors import UserError
from frspec.models import load_decoder
from frspec.text.tokenizer import Tokenizer

STEPS = 30


@pytest.fixture(scope="session")
def world(corpora: Path, tokenizer: Path) -> tuple:
    return read(SOURCES, corpora, Tokenizer.load(tokenizer))


def training(world: tuple, folder: Path, **changes: object) -> Training:
    compact, corpus, held_out, _ = world
    settings = Settings(**{"steps": STEPS, "batch_tokens": 1024, "seq_len": 1024, "learning_rate": 3e-3, "seed": 1,
                           "exams": 3, **changes})  # fmt: skip
    config = read_config(target_json(320, 2, 64, [2, 0]))
    return Training(config, compact, corpus, held_out, settings, folder / "state.safetensors")


def test_killed_run_ends_as_one_that_was_not(world: tuple, tmp_path: Path) -> None:
    whole = training(world, tmp_path / "whole")
    *_, last = whole.run()
    killed = training(world, tmp_path / "killed")
    for _ in islice(killed.run(), 17):
        pass
    killed.state.save(killed.file, killed.identity)
    again = training(world, tmp_path / "killed")
    assert again.state.step == 17
    steps = list(again.run())
    assert (len(steps), steps[-1].tokens, steps[-1].loss) == (STEPS - 17, last.tokens, last.loss)
    for name, tensor in whole.state.tensors.items():
        assert torch.equal(tensor, again.state.tensors[name]), name
    assert again.state.history == whole.state.history


def test_state_of_another_run_is_refused(world: tuple, tmp_path: Path) -> None:
    begun = training(world, tmp_path)
    begun.state.step = 1
    next(begun.run())
    begun.state.save(begun.file, begun.identity)
    with pytest.raises(UserError, match=r"learning_rate was 0\.003 and is now 0\.004"):
        training(world, tmp_path, learning_rate=4e-3)


def test_learns(world: tuple, tmp_path: Path) -> None:
    losses = [progress.loss for progress in training(world, tmp_path).run()]
    assert losses[-1] < losses[0] - 2


def test_written_model_is_the_trained_one(world: tuple, corpora: Path, tokenizer: Path, tmp_path: Path) -> None:
    """Held-out loss and never-seen mass by Hugging Face over the full vocabulary equal those of the compact table."""
    import json

    out = tmp_path / "model"
    arguments = [str(corpora), str(tokenizer), str(out), "--tokens", "30000", "--batch-tokens", "1024", "--layers", "2",
                 "--hidden", "64", "--exams", "2"]  # fmt: skip
    result = CliRunner().invoke(main, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    facts = json.loads((out / "provenance.json").read_text())
    model = transformers.AutoModelForCausalLM.from_pretrained(out, dtype=torch.float32)
    compact, _, held_out, _ = world
    loss, unseen = by_hugging_face(model, compact, held_out["dialogues_en"])
    assert loss == pytest.approx(facts["held_out"]["losses"]["dialogues_en"], abs=0.02)  # bf16 products there
    assert 0 < unseen < 0.5
    assert model.config.eos_token_id == [2, 0]
    load_decoder(out)
    assert not list(tmp_path.glob("*.training"))


def by_hugging_face(model: torch.nn.Module, compact: Compact, corpus: object) -> tuple[float, float]:
    back = torch.cat((compact.ids, (~torch.isin(torch.arange(compact.size), compact.ids)).nonzero()[0]))
    total, unseen, count = 0.0, 0.0, 0
    rare = ~torch.isin(torch.arange(compact.size), compact.ids)
    for number in range(len(corpus)):
        ids = back[torch.tensor(corpus.document(number))]
        with torch.no_grad():
            scores = model(ids[None]).logits[0, :-1].log_softmax(-1)
        total += F.nll_loss(scores, ids[1:], reduction="sum").item()
        unseen += scores.exp()[:, rare].sum().item()
        count += len(ids) - 1
    return total / count, unseen / count
