"""The shipped model is in what pip installs: archives built by setuptools from this project's own settings."""

import shutil
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def test_every_file_goes_into_the_wheel_and_the_source_archive(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build = pytest.importorskip("setuptools.build_meta")
    pytest.importorskip("setuptools", minversion="77", reason="pyproject.toml asks for it")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path)
    package = tmp_path / "src" / "frspec"
    shutil.copytree(made, package / "demo")
    (package / "demo" / "README.md").write_text("the card")
    (package / "__init__.py").touch()
    monkeypatch.chdir(tmp_path)
    wheel, archive = build.build_wheel("."), build.build_sdist(".")
    there = {file.relative_to(tmp_path).as_posix() for file in (package / "demo").rglob("*") if file.is_file()}
    assert len(there) > 9
    assert there <= {f"src/{name}" for name in zipfile.ZipFile(wheel).namelist()}
    with tarfile.open(archive) as packed:
        assert there <= {name.partition("/")[2] for name in packed.getnames()}
