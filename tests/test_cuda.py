"""The same on a GPU as on the CPU: features, texts, trained heads. Skipped where there is none."""

from pathlib import Path

import pytest
import torch

from frspec import LLM, SamplingParams
from frspec.models import Segment, WholeAttention, load_decoder, new_head, save_eagle

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")

PROMPTS = ["Once upon a time", "The little girl"]
SHAPE = {"num_speculative_tokens": 8, "tree_depth": 3, "tree_width": 2}


def test_a_decoder_computes_what_it_does_on_the_cpu(stories: Path) -> None:
    tokens, positions = torch.arange(40) * 7, torch.arange(40)
    found = []
    for device in ("cpu", "cuda"):
        decoder = load_decoder(stories, "float32", device)
        ids, places = tokens.to(decoder.device), positions.to(decoder.device)
        with torch.inference_mode():
            whole = decoder.logits(decoder.run(ids, places, WholeAttention([40])))
            cache = decoder.new_cache(1)
            for first, count in ((0, 25), (25, 1), (26, 14)):
                part = slice(first, first + count)
                features = decoder.forward(ids[part], places[part], [Segment(cache, count)])
                torch.testing.assert_close(decoder.logits(features), whole[part], rtol=1e-3, atol=1e-3)
                cache.commit(count)
        found.append(whole.cpu())
    torch.testing.assert_close(found[1], found[0], rtol=1e-3, atol=1e-3)


@pytest.fixture(scope="module")
def head(stories: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained head: its drafts are poor, so both acceptance and rejection happen."""
    target = load_decoder(stories, "float32", "cpu")
    config, tensors = new_head(target, torch.Generator().manual_seed(0))
    folder = tmp_path_factory.mktemp("cuda") / "head"
    save_eagle(folder, config, tensors, torch.float32, {})
    return folder


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("draft", ["ngram", "head", "model"])
def test_no_drafter_changes_the_text(draft: str, temperature: float, stories: Path, head: Path) -> None:
    named = {"ngram": "ngram", "head": head, "model": stories}[draft]
    params = SamplingParams(temperature=temperature, seed=5, max_tokens=64)
    texts, passes = [], []
    for drafted in ({}, {"draft": named, **SHAPE}):
        llm = LLM(stories, device="cuda", dtype="float32", exact=True, **drafted)
        outputs = llm.generate(PROMPTS, params)
        texts.append([output.outputs[0].token_ids for output in outputs])
        passes.append(sum(output.metrics.target_passes for output in outputs))
        assert sum(llm.engine.clock.seconds.values()) > 0
    assert texts[0] == texts[1]
    if draft == "model":
        assert passes[1] < passes[0]


def test_a_head_trains(stories: Path, data: Path, tmp_path: Path) -> None:
    from click.testing import CliRunner

    from frspec.cli.train import train

    corpus = data / "corpora" / "tinystories_en.jsonl.xz"
    words = [stories, "--data", corpus, "-o", tmp_path / "head", "--steps", "4", "--batch-tokens", "256"]
    done = CliRunner().invoke(train, [*map(str, words), "--device", "cuda"], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    llm = LLM(stories, device="cuda", draft=tmp_path / "head")
    assert llm.generate(PROMPTS[0], SamplingParams(temperature=0, max_tokens=16))[0].outputs[0].token_ids
