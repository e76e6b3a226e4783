"""What tests share: where the real data are, and the trained model among them."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("same", derandomize=True)  # a gate that fails must fail again; new examples are for people
if os.environ.get("CI"):
    settings.load_profile("same")

DATA = Path(os.environ.get("FRSPEC_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cache folder of the tests' own, for what is measured and kept."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FRSPEC_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of real test data, or a skip that says it is absent."""
    if not DATA.is_dir():
        pytest.skip(f"no test data in {DATA}; name its folder in FRSPEC_TEST_DATA")
    return DATA


@pytest.fixture(scope="session")
def stories(data: Path) -> Path:
    """A trained Llama checkpoint with a 2,048-token vocabulary."""
    return data / "models" / "tinystories-656k"
