"""The page is in what pip installs."""

from pathlib import Path

import pytest

from tests.packaging import ROOT, packed


def test_every_file_of_the_page_goes_into_the_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = {f"frspec/server/page/{file.name}" for file in (ROOT / "src" / "frspec" / "server" / "page").iterdir()}
    assert "frspec/server/page/index.html" in page
    assert page <= packed("server", tmp_path, monkeypatch)
