"""Tensors: decoders, their caches, and EAGLE heads. Knows nothing of drafting policy or tokenizers."""

from frspec.models.cache import KVCache
from frspec.models.checkpoint import load_decoder
from frspec.models.config import ModelConfig, load_config
from frspec.models.decoder import Decoder
from frspec.models.eagle import EagleHead, load_eagle, new_head, save_eagle
from frspec.models.segments import Segment, WholeAttention

__all__ = [
    "Decoder",
    "EagleHead",
    "KVCache",
    "ModelConfig",
    "Segment",
    "WholeAttention",
    "load_config",
    "load_decoder",
    "load_eagle",
    "new_head",
    "save_eagle",
]
