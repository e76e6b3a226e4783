"""``frspec rank report`` as a user meets it."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from tokenizers import Tokenizer as Library

from frspec import shipped
from frspec.cli.main import frspec
from frspec.cli.rank_report import stop_ids
from frspec.errors import UserError
from frspec.ranking.formats import write_ids
from frspec.ranking.ranking import Ranking
from frspec.text.tokenizer import Tokenizer

KEYS = {
    "kind", "schema", "about", "question", "quarter", "whole", "texts", "controls", "matrix", "frequencies",
}  # fmt: skip


def invoke(*arguments: str | Path) -> Result:
    return CliRunner().invoke(frspec, ["rank", "report", "--workers", "1", *map(str, arguments)])


def run(*arguments: str | Path) -> str:
    done = invoke(*arguments)
    if done.exception is not None:
        raise done.exception
    return done.stdout


def refusal(*arguments: str | Path) -> str:
    done = invoke(*arguments)
    assert isinstance(done.exception, UserError), done.output
    assert "\n" not in str(done.exception)
    return str(done.exception)


@pytest.fixture(autouse=True, scope="module")
def one_tokenizer() -> Iterator[None]:
    """Loaded once; reading 131,072 tokens is most of what such a small report takes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Tokenizer, "load", staticmethod(cache(Tokenizer.load)))
        yield


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    (tmp_path / "cats.jsonl").write_text('{"text": "The cat sat on the mat."}\n{"text": "It was happy."}\n')
    (tmp_path / "code.jsonl").write_text('{"text": "def f(x):\\n    return x"}\n')
    return tmp_path


def test_json_of_two_texts(texts: Path) -> None:
    out = run("demo", "--on", f"cats={texts}/cats.jsonl", f"code={texts}/code.jsonl", "--sizes", "50,5000", "--json")
    found = json.loads(out.splitlines()[-1])
    assert len(out.splitlines()) == 1
    assert set(found) == KEYS
    assert found["question"] == {"sizes": [50, 5000, 32768], "size": 32768, "depth": 5}
    assert [text["name"] for text in found["texts"]] == ["cats", "code"]
    assert found["about"]["sources"] == [f"cats={texts}/cats.jsonl", f"code={texts}/code.jsonl"]
    library = Library.from_file(str(shipped.target() / "tokenizer.json"))
    times = Counter(
        token for text in ("The cat sat on the mat.", "It was happy.") for token in library.encode(text).ids
    )
    first = set(Ranking.load("demo").prefix(50).tolist())
    assert found["texts"][0]["tokens"] == times.total()
    share = sum(count for id, count in times.items() if id in first) / times.total()
    assert found["texts"][0]["coverage"][0]["share"] == pytest.approx(share)


def test_tables_and_files(texts: Path, tmp_path: Path) -> None:
    page, picture = tmp_path / "out" / "report.html", tmp_path / "out" / "report.svg"
    done = invoke("demo", "--on", texts / "cats.jsonl", "--size", "20", "--depth", "3", "-o", page, "-o", picture)
    assert done.exception is None, done.exception
    assert done.stderr.splitlines() == [str(page), str(picture)]
    for words in ("20 ids cover", "32,768 (a quarter)", "99.5 %", "with drafts of 3", "' sat'", "'<|im_end|>'"):
        assert words in done.stdout
    assert "20 ids" in page.read_text()
    assert "<svg" in picture.read_text()


def test_parts_are_found_by_a_field(tmp_path: Path) -> None:
    lines = [{"lang": lang, "text": text} for lang, text in (("en", "The cat."), ("de", "Die Katze."), ("en", "Yes."))]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    found = json.loads(run("demo", "--on", tmp_path / "a.jsonl", "--by", "lang", "--json"))
    assert {text["name"]: text["documents"] for text in found["texts"]} == {"en": 2, "de": 1}
    assert found["whole"]["documents"] == 3


def test_only_what_the_assistant_says(tmp_path: Path) -> None:
    talk = [{"role": "user", "content": "x " * 99}, {"role": "assistant", "content": "Fine."}]
    (tmp_path / "talk.jsonl").write_text(json.dumps({"messages": talk}) + "\n")
    asked = ("demo", "--on", tmp_path / "talk.jsonl", "--only", "assistant", "--chat-template", "--json")
    found = json.loads(run(*asked))
    end = next(control for control in found["controls"] if control["token"] == "'<|im_end|>'")
    assert end["seen"] == 1
    assert found["about"]["only"] == ["assistant"]
    assert found["whole"]["tokens"] < 9


def test_an_id_list_takes_its_tokenizer(texts: Path, tmp_path: Path) -> None:
    write_ids(Ranking.load("demo").prefix(1000), tmp_path / "freq_1000.pt")
    asked = (tmp_path / "freq_1000.pt", "--on", texts / "cats.jsonl")
    assert "name it with --tokenizer" in refusal(*asked)
    found = json.loads(run(*asked, "--tokenizer", "demo", "--json"))
    assert (found["question"]["sizes"][-1], found["frequencies"], found["about"]["counted"]) == (1000, None, False)


def test_what_is_refused(texts: Path, tmp_path: Path, stories: Path) -> None:
    cats = texts / "cats.jsonl"
    assert "Missing option '--on'" in invoke("demo", cats).output
    assert "another tokenizer" in refusal("demo", "--on", cats, "--tokenizer", stories)
    assert "name a .html, .png or .svg file" in refusal("demo", "--on", cats, "-o", tmp_path / "a.pdf")
    assert "ask for 1 to 131,072" in refusal("demo", "--on", cats, "--sizes", "8,999999")
    assert "list of numbers" in invoke("demo", "--on", cats, "--sizes", "8,x").output
    (tmp_path / "empty.jsonl").write_text('{"text": ""}\n')
    assert "no token" in refusal("demo", "--on", tmp_path / "empty.jsonl")
    (tmp_path / "bad.jsonl").write_text('{"text": "good"}\n{"text": 3}\n')
    assert "line 2" in refusal("demo", "--on", tmp_path / "bad.jsonl")
    found = json.loads(run("demo", "--on", tmp_path / "bad.jsonl", "--skip-bad", "--json").splitlines()[-1])
    assert (found["about"]["skipped"], found["whole"]["documents"]) == (1, 1)


def test_a_lost_tokenizer_is_asked_for(texts: Path, tmp_path: Path) -> None:
    ranking = Ranking.load("demo")
    lost = Ranking(ranking.ids.copy(), ranking.counts, ranking.fingerprint, {"tokenizer": str(tmp_path / "gone")})
    lost.save(tmp_path / "lost.ranking")
    assert "name it with --tokenizer" in refusal(tmp_path / "lost.ranking", "--on", texts / "code.jsonl")
    assert run(tmp_path / "lost.ranking", "--on", texts / "code.jsonl", "--tokenizer", "demo")


def test_without_matplotlib_nothing_is_counted(texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setattr("frspec.bench.plots.find_spec", lambda _: None)
    monkeypatch.setattr("frspec.ranking.job.count_sources", lambda *_: pytest.fail("counted"))
    assert "pip install 'frspec[plot]'" in refusal("demo", "--on", texts, "-o", tmp_path / "a.png")
    monkeypatch.undo()
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    run("demo", "--on", texts / "cats.jsonl", "-o", tmp_path / "a.html")  # the page needs none


def test_ids_that_end_a_text(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"eos_token_id": 7}')
    (tmp_path / "generation_config.json").write_text('{"eos_token_id": [7, 9]}')
    assert stop_ids(str(tmp_path), None) == {7, 9}
    (tmp_path / "tokenizer.json").touch()
    assert stop_ids(str(tmp_path / "tokenizer.json"), None) == set()
