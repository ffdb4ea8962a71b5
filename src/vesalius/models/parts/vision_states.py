"""Hidden states of transformers' CLIP and SigLIP vision towers at any layer.

Why not `output_hidden_states`: releases differ in what their last entry is (before or after the final norm). Here
layer 0 is the embedding output and layer n the output of the n-th block, always before the final norm.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from vesalius.errors import CheckpointError

__all__ = ["VisionStates", "layer_index", "vision_tower"]


def vision_tower(kind: str, sizes: Mapping[str, Any]) -> nn.Module:
    """A `clip` or `siglip` tower without its final norm and pooling head, which hidden states never pass."""
    if kind == "clip":
        from transformers import CLIPVisionConfig, CLIPVisionModel

        tower: Any = CLIPVisionModel(CLIPVisionConfig(**sizes))
    else:
        from transformers import SiglipVisionConfig, SiglipVisionModel

        without_head: dict[str, Any] = {**sizes, "vision_use_head": False}
        tower = SiglipVisionModel(SiglipVisionConfig(**without_head))
    tower.post_layernorm = nn.Identity()
    return tower


def layer_index(select: int, num_states: int, what: str) -> int:
    """`select` as Python indexes a list of `num_states` states, from 0. CheckpointError when it is outside."""
    index = select if select >= 0 else num_states + select
    if not 0 <= index < num_states:
        raise CheckpointError(f"{what} is {select}, the encoder has {num_states} states.")
    return index


class VisionStates(nn.Module):
    """`encoder.vision_model`: the tower. `layer`: which state is returned. `drop_first`: without the class token."""

    def __init__(self, tower: nn.Module, layer: int, drop_first: bool) -> None:
        super().__init__()
        self.encoder = nn.ModuleDict({"vision_model": tower})
        self.layer, self.drop_first = layer, drop_first

    def forward(self, pixels_N3HW: Tensor) -> Tensor:
        """Normalised pixels `[N, 3, H, W]` → `[N, T, D]`."""
        tower: Any = self.encoder["vision_model"]
        tokens = tower.embeddings(pixels_N3HW)
        if hasattr(tower, "pre_layrnorm"):
            tokens = tower.pre_layrnorm(tokens)
        for block in tower.encoder.layers[: self.layer]:
            tokens = block(tokens, attention_mask=None)
        return tokens[:, 1:] if self.drop_first else tokens
