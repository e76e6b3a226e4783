"""The decoder families: how each one's config differs from the others'. A new family is one file and one line."""

from frspec.models.families import llama, mistral, qwen2, qwen3
from frspec.models.families.variant import Reader, Variant

FAMILIES: dict[str, tuple[str, Reader]] = {
    "llama": ("LlamaForCausalLM", llama.read),
    "mistral": ("MistralForCausalLM", mistral.read),
    "qwen2": ("Qwen2ForCausalLM", qwen2.read),
    "qwen3": ("Qwen3ForCausalLM", qwen3.read),
}
"""``model_type`` → the architecture's name in configs, and the function that reads the family's own keys."""

__all__ = ["FAMILIES", "Variant"]
