"""A count that is killed goes on; one that can't go on says why."""

import json
import os
import random
import signal
from pathlib import Path

import numpy as np
import pytest

from frspec.errors import UserError
from frspec.ranking import ledger
from frspec.ranking.counts import Counts, Tallied
from frspec.ranking.job import Plan, count_sources
from frspec.text.reading import Reading, Sources, find_sources
from frspec.text.tokenizer import Tokenizer

WORDS = "a little girl went to the big red house and saw that her friend was sad so they played".split()  # noqa: SIM905


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Two files of several blocks each."""
    folder, pick = tmp_path / "corpus", random.Random(1)
    folder.mkdir()
    for name in ("one.jsonl", "two.jsonl"):
        lines = (json.dumps({"text": " ".join(pick.choices(WORDS, k=200))}) for _ in range(5000))
        (folder / name).write_text("\n".join(lines))
    (folder / "three.txt").write_text("The end. " * 1000)
    return folder


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "SAVED", 0)


def killed(tokenizer: Tokenizer, sources: Sources, plan: Plan, after: int, signal_: int = signal.SIGKILL) -> bool:
    """Whether a process that counts, killed at its ``after``-th report, was killed before it had ended."""
    child = os.fork()
    if child == 0:
        left = after

        def report(*_: object) -> None:
            nonlocal left
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal_)

        try:
            count_sources(tokenizer, sources, plan, report)
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal_


@pytest.mark.parametrize("workers", [1, 2])
def test_killed_at_random_it_counts_the_same(stories: Path, corpus: Path, tmp_path: Path, workers: int) -> None:
    tokenizer, sources = Tokenizer.load(stories), find_sources([corpus])
    expected = count_sources(tokenizer, sources, Plan(workers))
    pick, plan = random.Random(workers), Plan(workers, journal=tmp_path / "r.journal")
    kills = 0
    while killed(tokenizer, sources, plan, pick.randint(1, 4)):
        kills += 1
    assert kills >= 3
    again: list[int] = []
    counts = count_sources(tokenizer, sources, plan, lambda counts, *_: again.append(counts.tokens))
    assert again == [], "everything was done"
    assert (counts.by_id == expected.by_id).all()
    assert (counts.documents, counts.characters) == (expected.documents, expected.characters)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["corpus", "r.journal"]


def test_at_most_what_was_on_its_way_is_lost(stories: Path, corpus: Path, tmp_path: Path) -> None:
    tokenizer, sources = Tokenizer.load(stories), find_sources([corpus])
    plan = Plan(1, journal=tmp_path / "r.journal")
    assert killed(tokenizer, sources, plan, 3)
    seen: list[int] = []
    counts = count_sources(tokenizer, sources, plan, lambda counts, *_: seen.append(counts.documents))
    assert 0 < seen[0] < counts.documents
    assert len(seen) < 12


def interrupted(tokenizer: Tokenizer, sources: Sources, path: Path) -> Path:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        count_sources(tokenizer, sources, Plan(1, journal=path), stop)
    assert path.exists()
    return path


def test_ctrl_c_keeps_what_was_counted(
    stories: Path, corpus: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tokenizer, sources = Tokenizer.load(stories), find_sources([corpus])
    path = interrupted(tokenizer, sources, tmp_path / "r.journal")
    whole = count_sources(tokenizer, sources, Plan(2, journal=path))
    assert "going on behind" in caplog.text
    assert (whole.by_id == count_sources(tokenizer, sources, Plan(1)).by_id).all()


def test_what_has_changed_is_named(stories: Path, data: Path, corpus: Path, tmp_path: Path) -> None:
    tokenizer, sources = Tokenizer.load(stories), find_sources([corpus])
    path = interrupted(tokenizer, sources, tmp_path / "r.journal")

    def refused(match: str, tokenizer: Tokenizer = tokenizer, sources: Sources = sources, **plan: object) -> None:
        before = path.read_bytes()
        with pytest.raises(UserError, match=match) as error:
            count_sources(tokenizer, sources, Plan(1, journal=path, **plan))  # type: ignore[arg-type]
        assert "--restart" in str(error.value)
        assert "\n" not in str(error.value)
        assert path.read_bytes() == before, "a refusal loses nothing"

    refused("the tokenizer is another one", tokenizer=Tokenizer.load("demo"))
    refused("--field was text and is body", sources=find_sources([corpus], Reading(field="body")))
    refused("--by was not given and is lang", sources=find_sources([corpus], Reading(by="lang")))
    refused("--shard", share=(1, 2))
    begun = "one.jsonl" if "one.jsonl" in path.read_bytes().decode("latin-1") else "two.jsonl"
    refused(f"{begun}, which is not among", sources=find_sources([corpus / "three.txt"]))
    rules = Tokenizer.load(stories)
    from tokenizers import pre_tokenizers

    rules.backend.pre_tokenizer = pre_tokenizers.Digits()
    refused("the tokenizer is another one now, or has changed", tokenizer=rules)
    with (corpus / begun).open("a") as file:
        file.write("\n")
    refused(f"{begun}, which has changed", sources=find_sources([corpus]))


def test_files_may_be_added_and_bad_ones_left_out_later(stories: Path, corpus: Path, tmp_path: Path) -> None:
    tokenizer = Tokenizer.load(stories)
    (corpus / "zzz.jsonl").write_text("nonsense\n")
    path = tmp_path / "r.journal"
    with pytest.raises(UserError, match="not JSON"):
        count_sources(tokenizer, find_sources([corpus]), Plan(1, journal=path))
    (corpus / "new.txt").write_text("Once upon a time")
    sources = find_sources([corpus], Reading(skip_bad=True))
    counts = count_sources(tokenizer, sources, Plan(1, journal=path))
    assert counts.skipped == 1
    assert (counts.by_id == count_sources(tokenizer, sources, Plan(1)).by_id).all()


def test_what_was_counted_for_another_part_is_not_taken_over(small: Tokenizer, corpus: Path, tmp_path: Path) -> None:
    path, file = tmp_path / "r.journal", corpus / "three.txt"
    for then, now, said in (
        ([f"de={file}"], [f"en={file}"], "as de, unlike now"),
        ([f"de={file}"], [str(file)], "as de, unlike now"),
        ([str(file)], [f"de={file}"], "without a name, unlike now"),
        ([f"de={file}", f"en={file}"], [f"en={file}"], "as de, unlike now"),
    ):
        count_sources(small, find_sources(then), Plan(1, journal=path))
        with pytest.raises(UserError, match=rf"has counted .*three\.txt {said}; --restart"):
            count_sources(small, find_sources(now), Plan(1, journal=path))
        path.unlink()


def test_half_a_record_is_not_left_out(small: Tokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("lines.LONG", "long.BLOCK"):
        monkeypatch.setattr(f"frspec.text.{name}", 1000)
    monkeypatch.setattr("frspec.text.packed.CHUNK", 100)
    for name, size in {"PART": 400, "AROUND": 64, "NEAR": 16}.items():
        monkeypatch.setattr(f"frspec.text.cutting.{name}", size)
    path, file = tmp_path / "r.journal", tmp_path / "a.jsonl"
    good, bad = '{"text": "one"}\n', '{"text": "' + "one day " * 1000 + '"?\n'
    for lines, begun in ((good + bad, True), (good + good + "?\n", False)):
        file.write_text(lines)
        with pytest.raises(UserError, match="not JSON"):
            count_sources(small, find_sources([file]), Plan(1, journal=path))
        sources = find_sources([file], Reading(skip_bad=True))
        if begun:
            with pytest.raises(UserError, match=r"a part of a record.*--skip-bad.*--restart"):
                count_sources(small, sources, Plan(1, journal=path))
            path.unlink()
        counts = count_sources(small, sources, Plan(1, journal=path))
        assert (counts.documents, counts.skipped) == (1 if begun else 2, 1)
        path.unlink()


def test_another_version_and_damage_are_refused(
    stories: Path, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokenizer, sources = Tokenizer.load(stories), find_sources([corpus])
    path = interrupted(tokenizer, sources, tmp_path / "r.journal")
    with monkeypatch.context() as patch:
        patch.setattr("frspec.ranking.journal.version", lambda _: "0.0.9")
        with pytest.raises(UserError, match=r"was left by frspec .*, and this is frspec 0\.0\.9; --restart"):
            count_sources(tokenizer, sources, Plan(1, journal=path))
    content = path.read_bytes()
    for damaged in (content[: len(content) // 2], b"", b"\x00" * 100, content.replace(b"done", b"gone")):
        path.write_bytes(damaged)
        with pytest.raises(UserError, match=r"damaged.*--restart"):
            count_sources(tokenizer, sources, Plan(1, journal=path))


def test_what_is_read_is_what_was_written(stories: Path, corpus: Path, tmp_path: Path) -> None:
    tokenizer, sources = (
        Tokenizer.load(stories),
        find_sources([f"x={corpus / 'one.jsonl'}", f"y={corpus / 'two.jsonl'}"]),
    )
    plan = Plan(2, journal=tmp_path / "r.journal")
    first = count_sources(tokenizer, sources, plan)
    second = count_sources(tokenizer, sources, plan)
    assert first.parts.keys() == second.parts.keys() == {"x", "y"}
    for name, part in first.parts.items():
        assert np.array_equal(part.by_id, second.parts[name].by_id)
        assert (part.documents, part.characters) == (second.parts[name].documents, second.parts[name].characters)


def test_no_room_is_said_and_the_old_one_stays(
    stories: Path, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokenizer, sources = Tokenizer.load(stories), find_sources([corpus])
    path = interrupted(tokenizer, sources, tmp_path / "r.journal")
    before = path.read_bytes()

    def full(self: Path, content: bytes) -> int:
        with self.open("wb") as file:
            file.write(content[:100])
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        with pytest.raises(UserError, match="No space left on device; make room and run it again"):
            count_sources(tokenizer, sources, Plan(1, journal=path))
    assert path.read_bytes() == before
    assert not path.with_name("r.journal.new").exists()
    whole = count_sources(tokenizer, sources, Plan(1, journal=path))
    assert (whole.by_id == count_sources(tokenizer, sources, Plan(1)).by_id).all()


def test_ctrl_c_in_the_middle_of_a_sum_counts_nothing_twice(
    stories: Path, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokenizer, sources = Tokenizer.load(stories), find_sources([corpus])
    plan, add, left = Plan(1, journal=tmp_path / "r.journal"), Counts.add, [3]

    def interrupted_add(self: Counts, tallied: Tallied) -> None:
        add(self, tallied)
        left[0] -= 1
        if left[0] == 0:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Counts, "add", interrupted_add)
        with pytest.raises(KeyboardInterrupt):
            count_sources(tokenizer, sources, plan)
    whole = count_sources(tokenizer, sources, plan)
    assert (whole.by_id == count_sources(tokenizer, sources, Plan(1)).by_id).all()
