"""The page is in what pip installs: a wheel built by setuptools from this project's own settings."""

import shutil
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def test_every_file_of_the_page_goes_into_the_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build = pytest.importorskip("setuptools.build_meta")
    pytest.importorskip("setuptools", minversion="77", reason="pyproject.toml asks for it")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path)
    package = tmp_path / "src" / "frspec"
    shutil.copytree(ROOT / "src" / "frspec" / "server", package / "server")
    (package / "__init__.py").touch()
    monkeypatch.chdir(tmp_path)
    there = {f"frspec/server/page/{file.name}" for file in (package / "server" / "page").iterdir()}
    assert "frspec/server/page/index.html" in there
    assert there <= set(zipfile.ZipFile(build.build_wheel(".")).namelist())
