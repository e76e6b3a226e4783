"""``frspec train`` as a user runs it."""

import json
from math import log
from pathlib import Path

import pytest
from click.testing import CliRunner

from frspec.cli.train import train
from frspec.cli.train_display import Display
from frspec.engine.llm import LLM
from frspec.errors import UserError
from frspec.speculation.plan import TreeShape
from frspec.train.corpus import Corpus
from frspec.train.loop import held_out_prompts
from frspec.types import SamplingParams


def invoke(*arguments: object) -> str:
    result = CliRunner().invoke(train, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stderr


def test_conversations_train_on_answers_alone(tiny: Path, chats_file: Path, tmp_path: Path) -> None:
    said = invoke(tiny, "--data", chats_file, "-o", tmp_path / "head", "--steps", 4, "--batch-tokens", 256,
                  "--held-out", 0.2, "--eval-every", 2)  # fmt: skip
    assert "step 4 of 4: loss" in said
    assert "per pass" in said
    facts = json.loads((tmp_path / "head" / "frspec.json").read_text())
    assert facts["kind"] == "eagle head"
    assert facts["sources"] == [str(chats_file)]
    assert facts["settings"]["learning_rate"] == 0.384 / 32
    assert [entry["step"] for entry in facts["history"]] == [2, 4]
    assert all(len(entry["acceptance"]["per_position"]) >= 1 for entry in facts["history"])


def test_a_trained_head_drafts_what_the_target_says(stories: Path, data: Path, tmp_path: Path) -> None:
    """A few steps on real text: losses fall, held-out drafts are accepted, and the text stays plain decoding's."""
    corpus = data / "corpora" / "tinystories_en.jsonl.xz"
    invoke(stories, "--data", corpus, "-o", tmp_path / "head", "--steps", 60, "--batch-tokens", 1024,
           "--eval-every", 30)  # fmt: skip
    history = json.loads((tmp_path / "head" / "frspec.json").read_text())["history"]
    assert history[1]["token_loss"] < history[0]["token_loss"] < 7.0  # 8.0 is where an untrained head stands
    assert history[1]["feature_loss"] < history[0]["feature_loss"]
    assert history[1]["acceptance"]["length"] > history[0]["acceptance"]["length"] > 1.1
    plain = LLM(stories)
    params = SamplingParams(temperature=0, max_tokens=60)
    drafted = plain.with_draft(tmp_path / "head", shape=TreeShape())
    one, other = (llm.generate("Once upon a time", params)[0] for llm in (plain, drafted))
    assert one.outputs[0].token_ids == other.outputs[0].token_ids
    assert other.metrics.mean_acceptance_length > 1.1


def test_a_ranked_part_of_the_vocabulary(tiny: Path, corpus_file: Path, tmp_path: Path) -> None:
    """The token loss is over these ids and those that end turns; another part is another run."""
    ids = tmp_path / "ids.json"
    ids.write_text(json.dumps([*range(100, 5, -1)]))
    ranked = ["--data", corpus_file, "--held-out", 0.2, "--seq-len", 64, "--batch-tokens", 256, "--ranking", ids]
    losses = {}
    for size in (20, 90):
        out = tmp_path / f"head{size}"
        invoke(tiny, *ranked, "-o", out, "--draft-vocab", size, "--steps", 1)
        facts = json.loads((out / "frspec.json").read_text())
        assert facts["settings"]["draft_vocab"].startswith(f"{size + 2} ids, ")
        losses[size] = facts["history"][0]["token_loss"]
    assert losses[20] < losses[90] < log(320) + 1  # an untrained head is about as unsure as there are ids
    assert losses[20] == pytest.approx(log(22), abs=1)
    with pytest.raises(UserError, match="needs a ranking"):
        invoke(tiny, "--data", corpus_file, "-o", tmp_path / "none", "--draft-vocab", 20)


@pytest.mark.parametrize("workers", [1, 3])
def test_epochs_decide_the_steps(workers: int, tiny: Path, corpus_file: Path, tmp_path: Path) -> None:
    said = invoke(tiny, "--data", corpus_file, "-o", tmp_path / "head", "--epochs", 2, "--batch-tokens", 1500 * workers,
                  "--workers", workers)  # fmt: skip
    facts = json.loads((tmp_path / "head" / "frspec.json").read_text())
    whole, last = 2 * facts["corpus_tokens"], 1500 * (workers - 1)  # the last step goes on into a third pass
    assert whole <= facts["trained_tokens"] <= whole + last
    assert f"{facts['settings']['steps']} steps" in said


def test_prompts_are_beginnings_or_end_before_the_first_answer() -> None:
    corpus = Corpus.of(
        [
            ([1, 2, 3, 4, 5, 6], None),
            ([1, 2], None),
            ([7, 8, 9, 7, 8, 9], [False, False, False, False, True, True]),
            ([1, 2, 3, 9], None),
        ]
    )
    assert held_out_prompts(corpus, 3, 9, 512) == [[1, 2, 3], [7, 8, 9, 7], [1, 2, 3]]
    assert held_out_prompts(corpus, 3, 1, 512) == [[1, 2, 3]]
    assert held_out_prompts(corpus, 3, 9, 67) == []


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (["--data", "nowhere.jsonl"], "nothing is called nowhere"),
        (["--seq-len", "99", "--batch-tokens", "64"], "seq_len 99 is above batch_tokens 64"),
        (["--seq-len", "99", "--batch-tokens", "256", "--workers", "3"], "above batch_tokens 256 shared by 3 workers"),
        (["--batch-tokens", "64", "--workers", "9"], "batch_tokens 64 is too little for 9 workers"),
        (["--held-out", "0.999"], "held out"),
        (["--regenerate", "--prompt-tokens", "999"], "leaves no room"),
        (["--field", "story"], "no field 'story'"),
    ],
)
def test_refuses(arguments: list[str], match: str, tiny: Path, corpus_file: Path, tmp_path: Path) -> None:
    sources = [] if "--data" in arguments else ["--data", corpus_file]
    with pytest.raises(UserError, match=match):
        invoke(tiny, *sources, "-o", tmp_path / "head", *arguments)
    assert not (tmp_path / "head").exists()


def test_a_place_that_cannot_be_written_is_found_before_the_work(tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write"):
        invoke(tiny, "--data", "nowhere.jsonl", "-o", tmp_path / "file" / "head")


def test_names_are_not_taken_for_markup(capsys: pytest.CaptureFixture[str]) -> None:
    with Display() as display:
        display.say("[a]head: done")
    assert capsys.readouterr().err == "[a]head: done\n"


def test_steps_and_epochs_exclude_each_other(tiny: Path, corpus_file: Path, tmp_path: Path) -> None:
    arguments = [tiny, "--data", corpus_file, "-o", tmp_path / "head", "--steps", 2, "--epochs", 2]
    result = CliRunner().invoke(train, [str(argument) for argument in arguments])
    assert result.exit_code == 2
