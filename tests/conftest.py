"""What tests share: where the real data are, and the trained model among them."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# The same examples everywhere, however slow the machine: a gate that fails must fail again. New ones are for people:
# pytest --hypothesis-profile=new
settings.register_profile(
    "same", derandomize=True, database=None, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("new", settings.get_profile("same"), derandomize=False, print_blob=True)
settings.load_profile("same")

# What a person has set for their own work is not meant for these servers, terminals and models.
THEIRS = ("FRSPEC_", "HF_", "HUGGING", "HYPOTHESIS", "OPENAI_", "RAY_", "TRANSFORMERS_", "VLLM_", "XDG_")
THEIRS += ("CLICOLOR", "COLUMNS", "FORCE_COLOR", "LINES", "NO_COLOR", "PY_COLORS", "PYTHONIOENCODING")
OURS = ("FRSPEC_PEERS", "FRSPEC_TEST_DATA")
for name in [*os.environ]:
    if (name.startswith(THEIRS) or name.lower().endswith("_proxy")) and name not in OURS:
        del os.environ[name]
os.environ.setdefault("OMP_NUM_THREADS", "1")  # before anybody imports PyTorch, whose threads wait in a busy loop

DATA = Path(os.environ.get("FRSPEC_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cache folder of the tests' own, for what is measured and kept."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FRSPEC_CACHE", str(folder))
        yield folder


@pytest.fixture(autouse=True)
def _draws() -> None:
    """Whoever draws from PyTorch's own generator draws the same in any order of the tests."""
    import torch

    torch.manual_seed(0)


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
