"""Files appear whole or not at all, and what they replace is never lost."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from frspec.artifacts import alone, atomic_path, check_place, provenance
from frspec.errors import UserError


def write_folder(path: Path, content: str) -> None:
    with atomic_path(path, folder=True) as temporary:
        (temporary / "file").write_text(content)


def test_a_folder_is_replaced_whole(tmp_path: Path) -> None:
    write_folder(tmp_path / "head", "old")
    (tmp_path / "head" / "more").write_text("")
    write_folder(tmp_path / "head", "new")
    assert [file.name for file in tmp_path.iterdir()] == ["head"]
    assert [file.read_text() for file in (tmp_path / "head").iterdir()] == ["new"]


@pytest.mark.parametrize("failure", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_failed_last_move_brings_the_old_folder_back(
    failure: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_folder(tmp_path / "head", "old")

    def fail(self: Path, target: Path) -> None:
        raise failure

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(UserError if isinstance(failure, OSError) else KeyboardInterrupt):
        write_folder(tmp_path / "head", "new")
    assert [file.name for file in tmp_path.iterdir()] == ["head"]
    assert (tmp_path / "head" / "file").read_text() == "old"


def test_an_old_folder_that_cannot_come_back_is_kept_beside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_folder(tmp_path / "head", "old")
    rename = Path.rename

    def only_away(self: Path, target: Path) -> Path:
        if target == tmp_path / "head":
            raise OSError(5, "Input/output error")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", only_away)
    monkeypatch.setattr(Path, "replace", only_away)
    with pytest.raises(UserError, match="Input/output error"):
        write_folder(tmp_path / "head", "new")
    assert [file.read_text() for file in tmp_path.glob(".head.*/head.replaced/file")] == ["old"]


def test_a_failed_block_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("old")
    with pytest.raises(ZeroDivisionError), atomic_path(tmp_path / "file") as temporary:
        1 / temporary.write_text("")
    assert [file.name for file in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_text() == "old"


def test_a_place_is_checked_without_a_trace(tmp_path: Path) -> None:
    check_place(tmp_path / "new" / "file")
    assert not list((tmp_path / "new").iterdir())
    (tmp_path / "file").write_text("")
    for place, folder in ((tmp_path, False), (tmp_path / "file", True), (tmp_path / "file" / "below", False)):
        with pytest.raises(UserError, match="cannot write"):
            check_place(place, folder=folder)


@pytest.mark.parametrize("folder", [False, True])
def test_a_device_or_a_stream_is_never_replaced(folder: bool, tmp_path: Path) -> None:
    """A rename would go over them, and where root may do that to /dev/null, a plain file is left for everybody."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "null").symlink_to(os.devnull)
    (tmp_path / "file").write_text("")
    with (tmp_path / "file").open("a") as open_file:
        (tmp_path / "stdout").symlink_to(f"/proc/self/fd/{open_file.fileno()}")
        there = sorted(tmp_path.iterdir())
        for name in ("pipe", "null", *(["stdout"] if (tmp_path / "stdout").exists() else [])):  # where there is a /proc
            before = (tmp_path / name).lstat()
            with pytest.raises(UserError, match="there is a device or pipe of that name"):
                check_place(tmp_path / name, folder=folder)
            with (
                pytest.raises(UserError, match="there is a device or pipe"),
                atomic_path(tmp_path / name, folder=folder),
            ):
                pytest.fail("nothing can be written")
            assert os.path.samestat((tmp_path / name).lstat(), before)
        assert sorted(tmp_path.iterdir()) == there


def test_no_file_is_called_like_a_stream(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="cannot write -: what is written is a file, not a stream"):
        check_place(Path("-"))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("write", ["head", "state"])
def test_a_full_disk_while_tensors_are_written_is_one_line(write: str, tmp_path: Path) -> None:
    """A limit on file sizes fails a write the way a full disk does."""
    code = """
import resource, sys, torch
from pathlib import Path
from frspec.models.eagle import save_eagle
from frspec.models.config import ModelConfig
from frspec.train.state import State
from frspec.cli import main as command
from unittest import mock

def work(**_):
    where, tensors = Path(sys.argv[2]), {"fc.weight": torch.zeros(64, 64, requires_grad=True)}
    if sys.argv[1] == "head":
        save_eagle(where, mock.Mock(), tensors, torch.float32, {})
    optimizer = torch.optim.AdamW(tensors.values())
    tensors["fc.weight"].sum().backward()
    optimizer.step()
    State(tensors, optimizer).save(where, {})

resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
command.frspec = work
command.main()
"""
    words = [sys.executable, "-c", code, write, str(tmp_path / "out")]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith(f"frspec: cannot write {tmp_path / 'out'}: ")
    assert done.stderr.count("\n") == 1
    assert "File too large" in done.stderr
    assert not list(tmp_path.iterdir())


def test_provenance_keeps_a_command_that_can_be_pasted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", [os.path.join("bin", "frspec"), "rank", "my texts/*.jsonl"])  # noqa: PTH118
    assert provenance()["command"] == "frspec rank 'my texts/*.jsonl'"


HOLD = "import sys\nfrom pathlib import Path\nfrom frspec.artifacts import alone\n"
HOLD += "with alone(Path(sys.argv[1])):\n    print('held', flush=True)\n    sys.stdin.read()\n"


BEGIN = """
import os, signal, sys
from pathlib import Path
from frspec.artifacts import atomic_path
with atomic_path(Path(sys.argv[1])) as temporary:
    if len(sys.argv) > 2:
        temporary.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_who_writes_a_file_next_takes_away_what_a_killed_process_had_begun(tmp_path: Path) -> None:
    path, other = tmp_path / "a.ranking", tmp_path / ".a.ranking.somebody"
    other.mkdir()
    (other / "own").touch()
    for words in ([], ["half"]):
        assert subprocess.run([sys.executable, "-c", BEGIN, path, *words], check=False).returncode == -signal.SIGKILL
    assert len([*tmp_path.iterdir()]) == 3
    with alone(path):
        pass
    assert [*tmp_path.rglob("*")] == [other, other / "own"]


def test_one_process_at_a_time_writes_a_file(tmp_path: Path) -> None:
    """Whether the other one ends or is killed, then the next may."""
    path = tmp_path / "a.ranking"
    for kill in (False, True):
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        with subprocess.Popen([sys.executable, "-c", HOLD, path], text=True, **pipes) as other:  # type: ignore[call-overload]
            assert other.stdout.readline() == "held\n"
            with pytest.raises(UserError, match=r"another process is writing .*a\.ranking; wait"), alone(path):
                pass
            assert [file.name for file in tmp_path.iterdir()] == [".a.ranking.lock"], "it is still the other's"
            other.kill() if kill else other.communicate()
        with alone(path):
            pass
        assert not [*tmp_path.iterdir()]
