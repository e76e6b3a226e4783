"""The EAGLE head against a module put together from Hugging Face's own layer, and its files."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import LlamaConfig
from transformers.models.llama.modeling_llama import LlamaDecoderLayer, LlamaRotaryEmbedding

from frspec.errors import UserError
from frspec.models import Decoder, EagleHead, Segment, WholeAttention, load_decoder, load_eagle, new_head, save_eagle
from frspec.models.eagle import is_eagle
from frspec.types import TokenTree

from .tiny import make, random_ids, save


class Reference(nn.Module):
    """EAGLE's published head: fc over [embedding, feature], then a Llama layer with its input norm taken out."""

    def __init__(self, config: LlamaConfig, bias: bool) -> None:
        super().__init__()
        config._attn_implementation = "eager"
        self.fc = nn.Linear(2 * config.hidden_size, config.hidden_size, bias=bias)
        self.layers = nn.ModuleList([LlamaDecoderLayer(config, 0)])
        self.layers[0].input_layernorm = nn.Identity()
        self.rotary = LlamaRotaryEmbedding(config)

    def forward(self, embedded: Tensor, features: Tensor) -> Tensor:
        x = self.fc(torch.cat((embedded, features), -1))[None]
        mask = torch.full((x.shape[1], x.shape[1]), float("-inf")).triu(1)[None, None]
        angles = self.rotary(x, torch.arange(x.shape[1])[None])
        out = self.layers[0](x, attention_mask=mask, position_embeddings=angles)
        return (out if isinstance(out, Tensor) else out[0])[0]


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Decoder:
    return load_decoder(save(make("qwen3"), tmp_path_factory.mktemp("target")), device="cpu")


def write_published(folder: Path, fc_bias: bool, **config: Any) -> Reference:
    """A head as the EAGLE authors publish it: torch archive, embedding copy included."""
    settings = {
        "vocab_size": 96, "hidden_size": 64, "intermediate_size": 112, "num_hidden_layers": 1,
        "num_attention_heads": 4, "num_key_value_heads": 2, "rms_norm_eps": 1e-5, "max_position_embeddings": 128,
    }  # fmt: skip
    torch.manual_seed(3)
    reference = Reference(LlamaConfig(**settings, attention_bias=False), fc_bias)
    if config.get("qkv_bias"):
        for name, rows in (("q_proj", 64), ("k_proj", 32), ("v_proj", 32)):
            setattr(reference.layers[0].self_attn, name, nn.Linear(64, rows, bias=True))
    with torch.no_grad():
        for key, parameter in reference.named_parameters():
            parameter.normal_(1.0 if "norm" in key else 0.0, 0.1)
    folder.mkdir(exist_ok=True)
    torch.save(reference.state_dict() | {"embed_tokens.weight": torch.zeros(96, 64)}, folder / "pytorch_model.bin")
    written = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu", **settings, **config}
    (folder / "config.json").write_text(json.dumps(written))
    return reference


def inputs(target: Decoder, count: int) -> tuple[Tensor, Tensor]:
    tokens = torch.tensor(random_ids(count, seed=5))
    return tokens, torch.randn(count, target.config.hidden_size, generator=torch.Generator().manual_seed(6))


@pytest.mark.parametrize(
    ("bias", "config"),
    [(True, {}), (False, {}), (True, {"bias": True}), (False, {"bias": False}), (True, {"qkv_bias": True})],
)
def test_features_equal_the_reference(bias: bool, config: dict[str, Any], target: Decoder, tmp_path: Path) -> None:
    reference = write_published(tmp_path, bias, **config)
    head = load_eagle(tmp_path, target)
    tokens, features = inputs(target, 40)
    with torch.inference_mode():
        expected = reference(target.embedding[tokens], features)
        whole = head.run(tokens, features, torch.arange(40), WholeAttention([40]))
        cache, parts = head.new_cache(1), []
        for start, count in ((0, 5), (5, 1), (6, 30), (36, 4)):
            rows = slice(start, start + count)
            parts.append(head.forward(tokens[rows], features[rows], torch.arange(40)[rows], [Segment(cache, count)]))
            cache.commit(count)
    # float32; features are of order 1, each the end of a few sums of about 100 terms
    torch.testing.assert_close(whole, expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(torch.cat(parts), expected, rtol=1e-5, atol=1e-5)


def test_drafted_tree_equals_its_paths(target: Decoder, tmp_path: Path) -> None:
    """Level by level as a drafter grows it: a node's feature comes from its parent, its mask from its ancestors."""
    reference = write_published(tmp_path, fc_bias=False)
    head = load_eagle(tmp_path, target)
    tokens, features = inputs(target, 10)
    tree = TokenTree(torch.tensor([9, 8, 7, 6, 5]), torch.tensor([0, 0, 0, 1, 2]), torch.tensor([0, 1, 1, 2, 2]))
    sees = tree.ancestors()[1:, 1:]
    with torch.inference_mode():
        cache = head.new_cache(1)
        root = head.forward(tokens, features, torch.arange(10), [Segment(cache, 10)])[-1:]
        cache.commit(10)
        level1 = head.forward(tree.tokens[1:3], root.expand(2, -1), torch.tensor([10, 10]),
                              [Segment(cache, 2, sees[:2, :2])])  # fmt: skip
        level2 = head.forward(tree.tokens[3:], level1, torch.tensor([11, 11]), [Segment(cache, 2, sees[2:])])
        for leaf, (first, second) in enumerate(((8, 6), (7, 5))):
            path = torch.cat((tokens, torch.tensor([first, second])))
            inner = torch.cat((features, root, level1[leaf : leaf + 1]))
            expected = reference(target.embedding[path], inner)
            torch.testing.assert_close(level2[leaf], expected[-1], rtol=1e-5, atol=1e-5)


def test_gradients_equal_the_reference(target: Decoder, tmp_path: Path) -> None:
    reference = write_published(tmp_path, fc_bias=True)
    tensors = {name: p.detach().clone().requires_grad_() for name, p in reference.named_parameters()}
    head = EagleHead(load_eagle(tmp_path, target).config, tensors, target)
    tokens, features = inputs(target, 12)
    wanted = torch.randn(12, 64)
    with torch.no_grad():
        embedded = target.embedding[tokens]
    (reference(embedded, features) - wanted).square().sum().backward()
    out = head.run(tokens, features, torch.arange(12), WholeAttention([12]))
    (out - wanted).square().sum().backward()
    for name, parameter in reference.named_parameters():
        torch.testing.assert_close(
            tensors[name].grad, parameter.grad, rtol=1e-4, atol=1e-2 * parameter.grad.std().item()
        )


def test_a_new_head_survives_saving(target: Decoder, tmp_path: Path) -> None:
    config, tensors = new_head(target, torch.Generator().manual_seed(1))
    save_eagle(tmp_path / "head", config, tensors, torch.float32, {"steps": 3})
    assert is_eagle(tmp_path / "head")
    assert json.loads((tmp_path / "head" / "frspec.json").read_text()) == {"steps": 3}
    head = load_eagle(tmp_path / "head", target)
    assert head.config.head_dim == target.config.head_dim
    tokens, features = inputs(target, 9)
    with torch.inference_mode():
        outputs = [
            h.run(tokens, features, torch.arange(9), WholeAttention([9]))
            for h in (head, EagleHead(config, tensors, target))
        ]
    assert torch.equal(*outputs)
    again, same = new_head(target, torch.Generator().manual_seed(1))
    assert again == config
    assert all(torch.equal(tensors[name], same[name]) for name in tensors)


def test_a_saved_head_is_a_llama_layer_to_hugging_face(target: Decoder, tmp_path: Path) -> None:
    config, tensors = new_head(target, torch.Generator().manual_seed(1))
    save_eagle(tmp_path / "head", config, tensors, torch.float32, {})
    reference = Reference(LlamaConfig.from_pretrained(tmp_path / "head"), bias=False)
    missing, unexpected = reference.load_state_dict(load_file(tmp_path / "head" / "model.safetensors"), strict=False)
    assert (missing, unexpected) == ([], [])
    tokens, features = inputs(target, 9)
    with torch.inference_mode():
        ours = load_eagle(tmp_path / "head", target).run(tokens, features, torch.arange(9), WholeAttention([9]))
        theirs = reference(target.embedding[tokens], features)
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


def edit(folder: Path, change: Callable[[dict[str, Tensor]], Any]) -> None:
    tensors = torch.load(folder / "pytorch_model.bin")
    (folder / "pytorch_model.bin").unlink()
    change(tensors)
    save_file(tensors, folder / "model.safetensors")


def configure(folder: Path, **values: Any) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | values))


REFUSED: dict[str, tuple[Callable[[Path], Any], str]] = {
    "another width": (lambda f: configure(f, hidden_size=32), "hidden_size is 32, the target's 64"),
    "another vocabulary": (lambda f: configure(f, vocab_size=95), "vocab_size is 95, the target's 96"),
    "input norm": (
        lambda f: edit(f, lambda t: t.update({"layers.0.input_layernorm.weight": torch.ones(64)})),
        "input_layernorm",
    ),
    "own LM head": (lambda f: edit(f, lambda t: t.update({"lm_head.weight": torch.ones(96, 64)})), "lm_head"),
    "fc missing": (lambda f: edit(f, lambda t: t.pop("fc.weight")), r"fc\.weight"),
    "bias denied": (lambda f: configure(f, bias=False), r"fc\.bias"),
    "bias promised": (
        lambda f: (configure(f, bias=True), edit(f, lambda t: t.pop("fc.bias"))),
        r"lacks the tensor fc\.bias",
    ),
    "two layers": (lambda f: configure(f, num_hidden_layers=2), "num_hidden_layers"),
    "EAGLE-3 by width": (lambda f: edit(f, lambda t: t.update({"fc.weight": torch.ones(64, 192)})), "EAGLE-3"),
    "EAGLE-3 by maps": (lambda f: edit(f, lambda t: t.update(d2t=torch.ones(9, dtype=torch.int64))), "EAGLE-3"),
    "EAGLE-3 by layer": (
        lambda f: edit(f, lambda t: t.update({"midlayer.mlp.up_proj.weight": torch.ones(2, 2)})),
        "EAGLE-3",
    ),
    "unknown key": (lambda f: configure(f, draft_vocab_size=9), "draft_vocab_size"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refuses_by_name(name: str, target: Decoder, tmp_path: Path) -> None:
    write_published(tmp_path, fc_bias=True)
    change, match = REFUSED[name]
    change(tmp_path)
    with pytest.raises(UserError, match=match):
        load_eagle(tmp_path, target)


def test_a_model_is_not_a_head(tmp_path: Path, target: Decoder) -> None:
    folder = save(make("llama"), tmp_path)
    assert not is_eagle(folder)
    with pytest.raises(UserError):
        load_eagle(folder, target)
