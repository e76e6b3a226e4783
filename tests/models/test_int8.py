"""8-bit products: against integers and float64, row by row, and whole models against Hugging Face's."""

from pathlib import Path

import pytest
import torch
import transformers
from torch import Tensor

from frspec.errors import UserError
from frspec.models import Segment, load_decoder, precision
from frspec.models.layers import int8
from frspec.models.layers.int8 import Int8Product, Int8Rows
from frspec.models.layers.linear import Linear
from frspec.models.layers.prefixes import prefixes
from frspec.models.precision import Precision

from .tiny import feed, make, random_ids, save

CPU = torch.device("cpu")


def draw(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)))


@pytest.fixture(params=[True, False], ids=["oneDNN", "plain"])
def either(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways to multiply, where there are both."""
    if request.param and not int8.has_kernel():
        pytest.skip("this PyTorch or this processor has no right kernel")
    monkeypatch.setattr(int8, "has_kernel", lambda: request.param)


def widened(matrix: Int8Rows) -> Tensor:
    """What the integers stand for, in float64."""
    return matrix.values.double() * matrix.scales.double()[:, None]


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_weights_are_off_by_half_a_step_at_most(kind: torch.dtype) -> None:
    weight = draw(70, 33).to(kind) * torch.logspace(-9, 9, 70)[:, None].to(kind)
    weight[5] = 0
    before = weight.clone()
    matrix = Int8Rows.of(weight)
    assert torch.equal(weight, before)
    step = weight.double().abs().amax(1, keepdim=True) / 127
    assert ((widened(matrix) - weight.double()).abs() <= step / 2 * (1 + 1e-5)).all()
    assert matrix.values.abs().amax(1).tolist() == [0 if row == 5 else 127 for row in range(70)]


def test_large_matrices_are_made_integers_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    weight = draw(50, 20)
    whole = Int8Rows.of(weight)
    monkeypatch.setattr(int8, "BLOCK", 7 * 20)
    blocks = Int8Rows.of(weight)
    assert torch.equal(blocks.values, whole.values)
    assert torch.equal(blocks.scales, whole.scales)


@pytest.mark.usefixtures("either")
@pytest.mark.parametrize(("outputs", "inputs"), [(130, 96), (48, 2500), (1, 1), (17, 4097)])
@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_products_stay_within_their_bound(outputs: int, inputs: int, kind: torch.dtype) -> None:
    matrix, x = Int8Rows.of(draw(outputs, inputs)), (draw(9, inputs) * torch.logspace(-6, 6, 9)[:, None]).to(kind)
    weight, rows = widened(matrix), x.double()
    bound = rows.abs().amax(1, keepdim=True) / 127 / 2 * weight.abs().sum(1)
    found, expected = Int8Product(matrix)(x).double(), rows @ weight.t()
    assert ((found - expected).abs() <= bound * (1 + 1e-5)).all()


@pytest.mark.usefixtures("either")
def test_numbers_on_the_grid_are_multiplied_exactly() -> None:
    """Whole numbers up to 127 are their own integers, so the product is theirs; 2,500 is more than float32 can add."""
    draws = torch.Generator().manual_seed(0)
    x, weight = (torch.randint(-127, 128, (n, 2500), generator=draws) for n in (6, 40))
    x[:, 0], weight[:, 0] = 127, -127
    x[2], weight[3], weight[4] = 127, 127, -127
    found = Int8Product(Int8Rows.of(weight.float()))(x.float())
    expected = x @ weight.t()
    assert expected.abs().max() > 1 << 24
    assert ((found - expected).abs() <= expected.abs() * 2.0**-22).all()


@pytest.mark.usefixtures("either")
@pytest.mark.parametrize("inputs", [96, 2500])
def test_a_row_does_not_depend_on_those_beside_it(inputs: int) -> None:
    product, x = Int8Product(Int8Rows.of(draw(130, inputs))), draw(40, inputs)
    whole = product(x)
    for count in range(1, 40):
        assert torch.equal(product(x[:count]), whole[:count])
        assert torch.equal(product(x[count:]), whole[count:])


@pytest.mark.skipif(not int8.has_kernel(), reason="there is no kernel to compare with")
@pytest.mark.parametrize("inputs", [64, 2500, 14336])
def test_both_ways_give_the_same_bits(inputs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    matrix, x = Int8Rows.of(draw(75, inputs)), draw(11, inputs)
    quick = Int8Product(matrix)(x)
    monkeypatch.setattr(int8, "has_kernel", lambda: False)
    assert torch.equal(Int8Product(matrix)(x), quick)


@pytest.mark.usefixtures("either")
def test_rows_of_zeros_and_of_nothing_valid() -> None:
    product, x = Int8Product(Int8Rows.of(draw(20, 64))), draw(4, 64)
    x[1], x[2, 7] = 0, torch.nan
    found = product(x)
    assert torch.equal(found[1], torch.zeros(20))
    assert found[2].isnan().all()
    assert torch.equal(found[[0, 3]], product(x[[0, 3]]))


def test_a_kernel_that_is_missing_or_wrong_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: object) -> Tensor:
        raise RuntimeError("expected at most 3 arguments")

    def saturated(integers: Tensor, packed: Tensor, scales: Tensor, zeros: Tensor) -> Tensor:
        return torch.full((len(integers), len(scales)), 32767.0 * 32)

    for wrong in (broken, saturated):
        int8.has_kernel.cache_clear()
        monkeypatch.setattr(int8, "_onednn", wrong)
        assert not int8.has_kernel()
    monkeypatch.undo()
    int8.has_kernel.cache_clear()


def test_parts_of_a_matrix_give_what_they_give_in_the_whole() -> None:
    weight, x = draw(300, 64).bfloat16(), draw(5, 64)
    held = Precision(torch.int8, torch.float32).hold
    whole = Linear(held(weight))(x)
    ids = torch.randperm(300)[:130]
    assert torch.equal(Linear(held(weight[ids]))(x), whole[:, ids])
    for size, product in prefixes(held(weight), [64, 128, 300], on_cores=False).items():
        assert torch.equal(product(x), whole[:, :size])
    assert torch.equal(Linear.fused([held(weight[:100]), held(weight[100:])])(x), whole)


def rounded(steps: Tensor) -> Tensor:
    """Every row at the nearest multiples of its largest number over 127."""
    scale = steps.abs().amax(-1, keepdim=True).clamp_min(1e-30) / 127
    return (steps / scale).round() * scale


def quantised(model: transformers.PreTrainedModel) -> transformers.PreTrainedModel:
    """Hugging Face's model with the weights and the input of every matrix on the grid of 8-bit integers."""

    def hook(module: torch.nn.Linear, inputs: tuple[Tensor]) -> tuple[Tensor]:
        return (rounded(inputs[0]),)

    for module in model.modules():
        if isinstance(module, torch.nn.Linear):
            module.weight = torch.nn.Parameter(rounded(module.weight.detach()))
            module.register_forward_pre_hook(hook)  # type: ignore[arg-type]
    return model


FAMILIES = ["llama", "llama-biases", "mistral", "qwen2", "qwen3-biases"]


@pytest.mark.parametrize("name", FAMILIES)
def test_logits_are_those_of_hugging_face_on_rounded_numbers(name: str, tmp_path: Path) -> None:
    """The same roundings give the same logits, but where a sum in another order pushes a number over to the next step:
    one step in 127 of one number then, far less than the 4 to 7 % that all the roundings make."""
    save(make(name), tmp_path)
    decoder, ids = load_decoder(tmp_path, quantize="int8"), random_ids(40)
    model = transformers.AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32).eval()
    with torch.inference_mode():
        found = feed(decoder, decoder.new_cache(40), ids, [25, 1, 14])
        exact = model(torch.tensor([ids])).logits[0]
        expected = quantised(model)(torch.tensor([ids])).logits[0]
    assert (found - expected).norm() < 5e-3 * expected.norm()
    assert 1e-2 * exact.norm() < (found - exact).norm() < 0.1 * exact.norm()


def test_the_embedding_keeps_its_16_bits(tmp_path: Path) -> None:
    save(make("llama-mha-tied", torch.bfloat16), tmp_path)
    for dtype, activations in (("auto", torch.float32), ("float32", torch.float32), ("bfloat16", torch.bfloat16)):
        decoder = load_decoder(tmp_path, dtype, quantize="int8")
        assert decoder.precision == Precision(torch.int8, activations)
        assert decoder.embedding.dtype == torch.bfloat16
        features = decoder.forward(torch.tensor([3]), torch.tensor([0]), [Segment(decoder.new_cache(1), 1)])
        assert features.dtype == activations


def test_what_cannot_be_is_refused(tmp_path: Path) -> None:
    save(make("llama"), tmp_path)
    with pytest.raises(UserError, match="quantize 'int4' is not supported"):
        load_decoder(tmp_path, quantize="int4")
    with pytest.raises(UserError, match="int8 matrices are for CPUs"):
        Precision(torch.bfloat16, torch.bfloat16).quantised("int8", torch.device("cuda"))


def test_without_bfloat16_instructions_auto_is_float32(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    save(make("llama", torch.bfloat16), tmp_path)
    monkeypatch.setattr(precision, "LIGHT", 0)
    monkeypatch.setattr(precision, "knows_bfloat16", lambda device: True)
    assert load_decoder(tmp_path).precision == Precision(torch.bfloat16, torch.bfloat16)
    monkeypatch.setattr(precision, "knows_bfloat16", lambda device: False)
    decoder = load_decoder(tmp_path)
    assert decoder.precision == Precision(torch.float32, torch.float32)
    assert decoder.dtype == torch.float32
    assert "runs in float32 at twice the memory" in caplog.text
    asked = load_decoder(tmp_path, "bfloat16")
    assert asked.precision == Precision(torch.bfloat16, torch.bfloat16)
