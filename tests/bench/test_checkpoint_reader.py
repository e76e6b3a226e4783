"""The workers' own reader of checkpoints, against safetensors and PyTorch."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from frspec.bench.peers.workers.checkpoint import Checkpoint, rounded, widened
from tests.models.tiny import make, save


@pytest.mark.parametrize("stored", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("sharded", [False, True])
def test_every_tensor_in_both_types(tmp_path: Path, stored: torch.dtype, sharded: bool) -> None:
    folder = save(make("llama", stored), tmp_path, **({"max_shard_size": "50KB"} if sharded else {}))
    files = sorted(folder.glob("*.safetensors"))
    assert (len(files) > 1) == sharded
    whole = {name: tensor for file in files for name, tensor in load_file(file).items()}
    bits16, wide = Checkpoint(folder, "bfloat16"), Checkpoint(folder, "float32")
    assert not wide.tied
    for name, tensor in whole.items():
        assert np.array_equal(wide.vector(name), tensor.float().numpy())
        assert np.array_equal(bits16.vector(name), tensor.float().numpy())
        assert np.array_equal(wide.matrix(name), tensor.float().numpy())
        bits = tensor.to(torch.bfloat16).view(torch.int16).numpy().view(np.uint16)
        assert np.array_equal(bits16.matrix(name), bits)


def test_rounding_to_sixteen_bits_is_pytorchs() -> None:
    """Halves go to the even neighbour, up and down, and nothing overflows but what must."""
    edges = torch.tensor([0x3F808000, 0x3F818000, 0x3F808001, 0x3F807FFF, 0x7F7FFFFF, 0x00000001, 0x80000000])
    edges = (edges & 0xFFFFFFFF).to(torch.uint32).view(torch.float32)
    values = torch.cat((edges, torch.randn(1000, generator=torch.Generator().manual_seed(0))))
    expected = values.to(torch.bfloat16)
    assert np.array_equal(rounded(values.numpy()), expected.view(torch.int16).numpy().view(np.uint16))
    assert np.array_equal(widened(rounded(values.numpy())), expected.float().numpy())


@pytest.mark.parametrize("name", ["qwen2", "llama-llama3", "llama-biases"])
def test_what_the_converters_do_not_know_is_refused(tmp_path: Path, name: str) -> None:
    folder = save(make(name), tmp_path)
    with pytest.raises(ValueError, match=r"only .* can be converted for this peer"):
        Checkpoint(folder, "float32")
