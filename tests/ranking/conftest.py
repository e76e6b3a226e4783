"""The published tokenizers and sample texts of the text tests."""

from tests.text.conftest import o200k as o200k
from tests.text.conftest import qwen2 as qwen2
from tests.text.conftest import samples as samples
