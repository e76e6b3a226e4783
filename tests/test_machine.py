"""What the machine says of itself, where it can be made up."""

from pathlib import Path

import pytest

from frspec import machine


def test_what_a_container_has_read_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of cgroup v2. The pages of files that were read count as used, until somebody needs the memory."""
    monkeypatch.setattr(machine, "GROUP", tmp_path)
    if machine.free_memory() is None:
        pytest.skip("this system does not say")
    (tmp_path / "memory.max").write_text("5000\n")
    (tmp_path / "memory.current").write_text("4900\n")
    (tmp_path / "memory.stat").write_text("anon 800\nfile 4000\nshmem 500\ninactive_file 3000\nactive_file 500\n")
    assert machine.free_memory() == 3600
    (tmp_path / "memory.current").write_text("9000\n")
    assert machine.free_memory() == 0
    (tmp_path / "memory.max").write_text("max\n")
    assert (machine.free_memory() or 0) > 5000
