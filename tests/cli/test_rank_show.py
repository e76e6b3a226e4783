"""``frspec rank`` and ``frspec show`` as a user meets them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from frspec.cli.main import frspec
from frspec.errors import UserError
from frspec.ranking.formats import write_ids
from frspec.ranking.ranking import Ranking


def run(*arguments: str | Path) -> str:
    result = CliRunner().invoke(frspec, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def command(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-c", "from frspec.cli.main import main; main()", *map(str, arguments)]
    return subprocess.run(line, capture_output=True, text=True, check=False)


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    path = tmp_path / "corpus.jsonl"
    path.write_text('{"text": "Once upon a time"}\n{"body": 1}\n{"text": "The little girl"}\n')
    return path


def test_rank_and_show(stories: Path, corpus: Path, tmp_path: Path) -> None:
    out = tmp_path / "r.ranking"
    summary = run("rank", "--tokenizer", stories, corpus, "-o", out, "--skip-bad", "--workers", "1")
    assert "2 documents, 1 unreadable skipped" in summary
    assert "tokens/s" in summary
    ranking = Ranking.load(out)
    shown = json.loads(run("show", out, "--json"))
    assert shown["ids"] == len(ranking) == 2048
    assert shown["fingerprint"] == ranking.fingerprint
    assert shown["provenance"] == dict(ranking.provenance)
    assert [row["size"] for row in shown["coverage"]] == [8, 16, 32, 64, 128, 256, 512, 1024, 2048]
    for row in shown["coverage"]:
        assert row["share"] == pytest.approx(ranking.coverage(ranking.prefix(row["size"])))
    assert all(row["size"] == len(ranking.covering(row["share"])) for row in shown["covering"])
    text = run("show", out)
    assert "100.00 %" in text
    assert str(ranking.fingerprint) in text


def test_field(stories: Path, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"body": "Once"}\n')
    with pytest.raises(UserError, match="--field"):
        run("rank", "--tokenizer", stories, tmp_path, "-o", tmp_path / "r", "--workers", "1")
    assert not (tmp_path / "r").exists()
    run("rank", "--tokenizer", stories, tmp_path, "-o", tmp_path / "r", "--workers", "1", "--field", "body")
    assert Ranking.load(tmp_path / "r").provenance["documents"] == 1


def test_names_are_not_taken_for_markup(stories: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "[b]x"
    folder.mkdir()
    (folder / "[a]t:cat:.txt").write_text("Once upon a time")
    monkeypatch.chdir(tmp_path)
    run("rank", "--tokenizer", stories, "[b]x/[a]t:cat:.txt", "-o", "[b]x/r", "--workers", "1")
    shown = run("show", "[b]x/r")
    assert "[b]x/[a]t:cat:.txt" in shown
    assert shown.startswith("[b]x/r\n")


def test_show_an_id_list(tmp_path: Path) -> None:
    write_ids([5, 3], tmp_path / "freq_2.pt")
    assert "no counts" in run("show", tmp_path / "freq_2.pt")
    shown = json.loads(run("show", tmp_path / "freq_2.pt", "--json"))
    assert (shown["ids"], shown["counts"], shown["fingerprint"]) == (2, False, None)
    assert "coverage" not in shown


def test_a_mistake_is_one_line(stories: Path, corpus: Path, tmp_path: Path) -> None:
    done = command("rank", "--tokenizer", stories, corpus, "-o", tmp_path / "r")
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith(f"frspec: {corpus}, line 2: no field 'text'; it has body")
    assert not (tmp_path / "r").exists()
    assert command("show", tmp_path / "r").returncode == 1
    assert command("rank", corpus, "-o", tmp_path / "r").returncode == 2, "wrong usage"


def test_whole_command(stories: Path, corpus: Path, tmp_path: Path) -> None:
    done = command("rank", "--tokenizer", stories, corpus, "-o", tmp_path / "r", "--skip-bad", "--workers", "2")
    assert done.returncode == 0, done.stderr
    assert "skipped: " in done.stderr
    assert f"{tmp_path / 'r'}: " in done.stderr.splitlines()[-1]
    assert json.loads(command("show", tmp_path / "r", "--json").stdout)["provenance"]["skipped"] == 1


def test_a_place_that_cannot_be_written_is_found_before_the_work(corpus: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file" / "r", tmp_path):
        with pytest.raises(UserError, match="cannot write"):
            run("rank", "--tokenizer", "no/such/tokenizer/here", corpus, "-o", place)


def test_a_ranking_under_the_name_of_an_id_list_is_refused_before_the_work(corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"freq_100\.pt is the name of an id list.*frspec convert"):
        run("rank", "--tokenizer", "no/such/tokenizer/here", corpus, "-o", tmp_path / "freq_100.pt")


def test_help_imports_nothing_heavy() -> None:
    heavy = "{'torch', 'pyarrow', 'tokenizers', 'numpy', 'jinja2', 'huggingface_hub', 'rich'}"
    code = (
        "import sys\nfrom click.testing import CliRunner\nfrom frspec.cli.main import frspec\n"
        "for words in (['--help'], ['rank', '--help'], ['show', '--help'], ['convert', '--help']):\n"
        "    assert CliRunner().invoke(frspec, words).exit_code == 0\n"
        f"print(sorted({heavy} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_texts_are_counted_and_reported_without_what_others_need(stories: Path, corpus: Path, tmp_path: Path) -> None:
    out = tmp_path / "r"
    lines = [
        ["rank", "--tokenizer", stories, corpus, "-o", out, "--skip-bad"],
        ["rank", "report", out, "--tokenizer", stories, "--on", corpus, "--skip-bad"],
        ["show", out],
        ["convert", out, "-o", tmp_path / "ids.json", "--size", "10"],
    ]
    code = (
        "import sys\nfrom click.testing import CliRunner\nfrom frspec.cli.main import frspec\n"
        f"for words in {[[*map(str, words)] for words in lines]}:\n"
        "    assert CliRunner().invoke(frspec, words).exit_code == 0, words\n"
        "print(sorted({'torch', 'pyarrow', 'jinja2', 'huggingface_hub', 'matplotlib'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_full_disk_costs_no_work_and_leaves_no_ranking(stories: Path, corpus: Path, tmp_path: Path) -> None:
    """A limit on file sizes fails a write the way a full disk does."""
    code = (
        "import resource, signal\nsignal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\nfrom frspec.cli.main import main\nmain()"
    )
    out = tmp_path / "out"
    words = ["rank", "--tokenizer", stories, corpus, "-o", out / "r", "--skip-bad", "--workers", "1"]
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(f"frspec: cannot write {out / 'r'}: File too large")
    assert [path.name for path in out.iterdir()] == ["r.journal"]
    again = command(*words)
    assert again.stderr.startswith("going on behind the 2 documents that have been counted")
    assert [path.name for path in out.iterdir()] == ["r"]


def test_a_hub_id_offline(stories: Path, corpus: Path, tmp_path: Path) -> None:
    snapshot = tmp_path / "hub" / "models--some--model" / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    (snapshot / "tokenizer.json").write_bytes((stories / "tokenizer.json").read_bytes())
    (snapshot.parents[1] / "refs").mkdir()
    (snapshot.parents[1] / "refs" / "main").write_text("abc")
    words = ["rank", "--tokenizer", "some/model", str(corpus), "-o", str(tmp_path / "r"), "--skip-bad"]
    environment = os.environ | {"HF_HUB_CACHE": str(tmp_path / "hub"), "HF_HUB_OFFLINE": "1"}

    def code(*more: str) -> subprocess.CompletedProcess[str]:
        line = [sys.executable, "-c", "from frspec.cli.main import main; main()", *words, *more]
        return subprocess.run(line, capture_output=True, text=True, check=False, env=environment)

    assert code().returncode == 0
    assert Ranking.load(tmp_path / "r").provenance["tokenizer"] == "some/model"
    missing = code("--revision", "other")
    assert missing.returncode == 1
    assert "some/model is not in the local hub cache" in missing.stderr


def test_conversations_and_a_url(tmp_path: Path) -> None:
    talk = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "The dog"}]
    (tmp_path / "a.jsonl").write_text(json.dumps({"messages": talk}) + "\n")
    url = f"file://{tmp_path}/a.jsonl"
    written = "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\nThe dog<|im_end|>\n"
    words = ("rank", "--tokenizer", "demo", url, "-o", tmp_path / "r", "--workers", "1")
    facts = []
    for more in ((), ("--only", "assistant"), ("--chat-template",), ("--chat-template", "--only", "assistant")):
        run(*words, *more)
        facts.append(Ranking.load(tmp_path / "r").provenance)
    assert [fact["characters"] for fact in facts] == [9, 7, len(written), len("The dog<|im_end|>")]
    assert [fact.get("only") for fact in facts] == [None, ["assistant"], None, ["assistant"]]
    assert [fact.get("chat_template") for fact in facts] == [None, None, True, True]
    assert facts[0]["sources"] == [url]
    wrong = CliRunner().invoke(frspec, [str(word) for word in (*words, "--chat-template", "--only", "user")])
    assert wrong.exit_code == 2
    assert "--only assistant" in wrong.output


def test_what_is_written_into_a_folder_is_not_read_from_it(
    stories: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``frspec rank . -o mine.ranking`` goes on after an interruption, and can be asked for again."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "good.txt").write_text("Once upon a time")
    bad = tmp_path / "more.jsonl"
    bad.write_text('{"text": 1}\n')
    words = ["rank", "--tokenizer", stories, ".", "-o", "mine.ranking", "--workers", "1"]
    assert "field 'text' is a int" in command(*words).stderr
    assert (tmp_path / "mine.ranking.journal").exists()
    bad.write_text('{"text": "there was"}\n')
    assert "going on behind the 1 documents" in command(*words).stderr
    for _ in range(2):
        done = command(*words)
        assert done.returncode == 0, done.stderr
        assert sorted(path.name for path in tmp_path.iterdir()) == ["good.txt", "mine.ranking", "more.jsonl"]
        assert json.loads(command("show", "mine.ranking", "--json").stdout)["provenance"]["files"] == 2


def test_a_count_of_nothing_leaves_no_journal(stories: Path, tmp_path: Path) -> None:
    """Whoever then names the right field is not told of another count."""
    (tmp_path / "a.jsonl").write_text('{"body": "Once", "text": ""}\n')
    words = ["rank", "--tokenizer", stories, tmp_path / "a.jsonl", "-o", tmp_path / "r", "--workers", "1"]
    assert "the documents hold no text" in command(*words).stderr
    assert command(*words, "--field", "body").returncode == 0


def test_a_name_cannot_break_the_line_of_an_error(stories: Path, tmp_path: Path) -> None:
    done = command("rank", "--tokenizer", stories, tmp_path / "new\nline\x1b[31m.txt", "-o", tmp_path / "r")
    assert done.stderr == f"frspec: nothing is called {tmp_path}/new\\nline\\x1b[31m.txt\n"


def test_no_source_is_written_over(stories: Path, corpus: Path, tmp_path: Path) -> None:
    before = corpus.read_bytes()
    (tmp_path / "link.jsonl").symlink_to(corpus)
    for output in (corpus, tmp_path / "link.jsonl"):
        done = command("rank", "--tokenizer", stories, tmp_path, "-o", output, "--skip-bad")
        assert done.stderr == f"frspec: {output} is one of the sources; choose another name for the ranking\n"
    assert corpus.read_bytes() == before
