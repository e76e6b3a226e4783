"""The page's template and style are in what pip installs."""

import shutil
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


def test_template_and_style_go_into_the_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build = pytest.importorskip("setuptools.build_meta")
    pytest.importorskip("setuptools", minversion="77", reason="pyproject.toml asks for it")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path)
    package = tmp_path / "src" / "frspec"
    shutil.copytree(ROOT / "src" / "frspec" / "bench" / "report", package / "bench" / "report")
    for folder in (package, package / "bench"):
        (folder / "__init__.py").touch()
    monkeypatch.chdir(tmp_path)
    packed = set(zipfile.ZipFile(build.build_wheel(".")).namelist())
    assert {f"frspec/bench/report/page.{ending}" for ending in ("html", "css", "py")} <= packed
