"""``frspec rank --shard i/n`` on several machines and ``frspec rank merge``: the ranking of one count, or a refusal."""

import gzip
import json
import random
from functools import partial
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest
from click.testing import CliRunner

from frspec.cli.main import frspec
from frspec.errors import UserError
from frspec.ranking import job
from frspec.ranking.ranking import Ranking
from frspec.text.shards import split
from frspec.text.tokenizer import Tokenizer

WORDS = "the little bird sang über den 東京 tower 2026 and def main(): return".split()  # noqa: SIM905
SUMS = ("documents", "characters", "tokens", "skipped", "files")


@pytest.fixture
def corpus(small: Tokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Files of all kinds, those that can be begun in their middle in many pieces; with a bad record in one of them."""
    monkeypatch.setattr(job, "split", partial(split, size=4096))
    monkeypatch.chdir(tmp_path)
    small.backend.save("tokenizer.json")
    folder, pick = tmp_path / "corpus", random.Random(3)
    folder.mkdir()
    texts = [" ".join(pick.choices(WORDS, k=pick.randint(1, 60))) for _ in range(400)]
    lines = [json.dumps({"text": text, "lang": pick.choice(["de", "en"])}) + "\n" for text in texts]
    (folder / "a.jsonl").write_text("".join([*lines[:100], '{"text": 3, "lang": "de"}\n', *lines[100:200]]))
    (folder / "b.jsonl.gz").write_bytes(gzip.compress("".join(lines[200:250]).encode()))
    rows = [json.loads(line) for line in lines[250:]]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), folder / "c.parquet", row_group_size=20)
    return folder


def rank(*words: str) -> str:
    line = ["rank", "--tokenizer", "tokenizer.json", "--workers", "1", "--skip-bad", *words]
    result = CliRunner().invoke(frspec, line, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stderr


def merge(*words: str) -> Ranking:
    result = CliRunner().invoke(frspec, ["rank", "merge", *words, "-o", "merged.ranking"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return Ranking.load("merged.ranking")


@pytest.mark.parametrize(
    "sources",
    [["corpus"], ["corpus", "--by", "lang"], ["x=corpus/a.jsonl", "y=corpus/c.parquet", "x=corpus/b.jsonl.gz"]],
    ids=["plain", "by", "named"],
)
def test_shards_come_to_the_ranking_of_one_count(corpus: Path, sources: list[str]) -> None:
    rank(*sources, "-o", "whole.ranking")
    whole = Ranking.load("whole.ranking")
    names = [f"{i}.ranking" for i in (1, 2, 3)]
    for i, name in enumerate(names, 1):
        rank(*sources, "--shard", f"{i}/3", "-o", name)
    some = [Ranking.load(name).provenance for name in names]
    assert [about["shard"] for about in some] == ["1/3", "2/3", "3/3"]
    assert len({about["job"] for about in some}) == 1
    assert all(100 < about["documents"] < 170 for about in some), "about a third each"
    assert [about["skipped"] for about in some].count(1) == 1
    merged = merge(*names[::-1])
    assert merged.counts is not None
    assert whole.counts is not None
    assert (merged.ids.tobytes(), merged.counts.tobytes()) == (whole.ids.tobytes(), whole.counts.tobytes())
    assert {name: part.tobytes() for name, part in merged.parts.items()} == {
        name: part.tobytes() for name, part in whole.parts.items()
    }
    assert {name: merged.provenance[name] for name in SUMS} == {name: whole.provenance[name] for name in SUMS}
    assert merged.provenance.get("parts") == whole.provenance.get("parts")


def test_more_shards_than_pieces(corpus: Path) -> None:
    rank("corpus/b.jsonl.gz", "-o", "whole.ranking")
    for i in (1, 2):
        rank("corpus/b.jsonl.gz", "--shard", f"{i}/2", "-o", f"{i}.ranking")
    assert sorted(Ranking.load(f"{i}.ranking").provenance["documents"] for i in (1, 2)) == [0, 50]
    assert merge("1.ranking", "2.ranking").by_id.tolist() == Ranking.load("whole.ranking").by_id.tolist()


def test_shards_of_what_was_not_the_same_are_refused(corpus: Path) -> None:
    rank("corpus", "--shard", "1/2", "-o", "1.ranking")
    (corpus / "d.jsonl").write_text('{"text": "came later"}\n')
    rank("corpus", "--shard", "2/2", "-o", "later.ranking")
    with pytest.raises(UserError, match="not shards of one job"):
        merge("1.ranking", "later.ranking")
    (corpus / "d.jsonl").unlink()
    rank("corpus", "--shard", "2/2", "--field", "lang", "-o", "field.ranking")
    with pytest.raises(UserError, match="not shards of one job"):
        merge("1.ranking", "field.ranking")
    rank("corpus", "--shard", "2/3", "-o", "of-three.ranking")
    with pytest.raises(UserError, match="of 2 and of 3"):
        merge("1.ranking", "of-three.ranking")
    with pytest.raises(UserError, match="missing shards: 2 of 2"):
        merge("1.ranking")
    rank("corpus", "--shard", "2/2", "-o", "2.ranking")
    assert merge("1.ranking", "2.ranking").provenance["documents"] == 400


@pytest.mark.parametrize("share", ["0/3", "4/3", "1", "1/0", "a/b", "-1/3"])
def test_what_is_no_share_is_refused(share: str) -> None:
    words = ["rank", "--tokenizer", "demo", "x", "-o", "r.ranking", "--shard", share]
    result = CliRunner().invoke(frspec, words)
    assert result.exit_code == 2
    assert "is not I/N" in result.output
