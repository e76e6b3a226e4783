"""What pip installs: a wheel built by setuptools from this project's own settings."""

import shutil
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def packed(folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The names of the files in a wheel that holds only ``folder`` of the package."""
    build = pytest.importorskip("setuptools.build_meta")
    pytest.importorskip("setuptools", minversion="77", reason="pyproject.toml asks for it")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path)
    package = tmp_path / "src" / "frspec"
    shutil.copytree(ROOT / "src" / "frspec" / folder, package / folder)
    for above in Path(folder).parents:
        (package / above / "__init__.py").touch()
    monkeypatch.chdir(tmp_path)
    return set(zipfile.ZipFile(build.build_wheel(".")).namelist())
