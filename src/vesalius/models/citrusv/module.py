"""The modules of Citrus-V: language model, projector of [SEG] states, and SAM2, built from config alone.

Shape letters: B pictures, S edge of SAM2's picture in pixels, n [SEG] states, d prompt width.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from vesalius.errors import CheckpointError
from vesalius.models.citrusv.settings import SegSettings, language_config
from vesalius.models.qwen_vl.network import build_network, without_dtypes
from vesalius.models.weights import building

__all__ = ["CitrusModel", "Decoded", "PictureFeatures", "ResidualProjector", "build_citrus"]


class ResidualProjector(nn.Module):
    """Two layers beside a linear path: the projector of checkpoints with `use_res_seg_projector`."""

    def __init__(self, wide: int, narrow: int) -> None:
        super().__init__()
        self.linear1, self.linear2 = nn.Linear(wide, wide), nn.Linear(wide, narrow)
        self.residual_mapping = nn.Linear(wide, narrow)

    def forward(self, states: Tensor) -> Tensor:
        """`[n, wide]` → `[n, narrow]`."""
        return self.linear2(torch.relu(self.linear1(states))) + self.residual_mapping(states)


@dataclass(frozen=True)
class PictureFeatures:
    """SAM2's view of one picture: `s0` [1, d/8, S/4, S/4], `s1` [1, d/4, S/8, S/8], `embedding` [1, d, S/16, S/16]
    (with the embedding of having no memory)."""

    s0: Tensor
    s1: Tensor
    embedding: Tensor


@dataclass(frozen=True)
class Decoded:
    """Of n states on one picture, logits float32: `multimasks` [n, 3, S/4, S/4], `ious` [n, 3], `object_scores`
    [n, 1], `chosen` [n] (the mask of the highest predicted IoU) and `masks` [n, S/4, S/4] (the chosen ones);
    `dense_pe`, `dense_prompt` and `sparse_prompt` [n, 3, d]: what they were decoded from."""

    multimasks: Tensor
    ious: Tensor
    object_scores: Tensor
    chosen: Tensor
    masks: Tensor
    dense_pe: Tensor
    dense_prompt: Tensor
    sparse_prompt: Tensor


class CitrusModel(nn.Module):
    """`mllm`, `seg_projector` and `grounding_encoder` (transformers' Sam2Model). Everything is differentiable."""

    def __init__(self, mllm: nn.Module, seg_projector: nn.Module, sam2: nn.Module) -> None:
        super().__init__()
        self.mllm, self.seg_projector, self.grounding_encoder = mllm, seg_projector, sam2

    @property
    def picture_px(self) -> int:
        """Edge of the square picture SAM2 reads."""
        sam2: Any = self.grounding_encoder
        size = sam2.config.prompt_encoder_config.image_size
        return int(size if isinstance(size, int) else size[0])

    def features(self, picture_13SS: Tensor) -> PictureFeatures:
        """Encode one picture."""
        sam2: Any = self.grounding_encoder
        levels = list(sam2.get_image_features(picture_13SS.to(sam2.dtype), return_dict=True).fpn_hidden_states)
        levels[-1] = levels[-1] + sam2.no_memory_embedding
        s0, s1, embedding = (
            level.permute(1, 2, 0).reshape(1, -1, *size)
            for level, size in zip(levels, sam2.backbone_feature_sizes, strict=True)
        )
        return PictureFeatures(s0, s1, embedding)

    def decode(self, features: PictureFeatures, prompts_nd: Tensor) -> Decoded:
        """All states in one pass of the mask decoder, each behind two "not a point" tokens as it was trained."""
        sam2: Any = self.grounding_encoder
        count, device = len(prompts_nd), prompts_nd.device
        nothing, dense = sam2.prompt_encoder(
            input_points=torch.zeros(1, 1, 1, 2, device=device, dtype=sam2.dtype),
            input_labels=-torch.ones(1, 1, 1, dtype=torch.int32, device=device),
            input_boxes=None,
            input_masks=None,
        )
        sparse = torch.cat([nothing.expand(1, count, -1, -1), prompts_nd[None, :, None].to(nothing.dtype)], 2)
        wide = sam2.get_image_wide_positional_embeddings()
        masks, ious, _, scores = sam2.mask_decoder(
            image_embeddings=features.embedding,
            image_positional_embeddings=wide,
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=True,
            high_resolution_features=[features.s0, features.s1],
        )
        multimasks, ious = masks[0].float(), ious[0].float()
        chosen = ious.argmax(-1)
        best = multimasks[torch.arange(count, device=device), chosen]
        return Decoded(multimasks, ious, scores[0].float(), chosen, best, wide, dense[..., :1, :1], sparse[0])


def build_citrus(raw: dict[str, Any], settings: SegSettings, dtype: torch.dtype = torch.float32) -> CitrusModel:
    """Everything the config describes, its parameters on the meta device.

    CheckpointError for settings that do not fit.
    """
    from transformers import Sam2Config, Sam2Model
    from transformers.initialization import no_init_weights

    mllm: Any = build_network(language_config(raw), "qwen2_5_vl", dtype)
    wide = int(mllm.lm_head.in_features)
    try:
        with building(dtype), no_init_weights():
            config = {name: value for name, value in without_dtypes(settings.sam2).items() if name != "model_type"}
            sam2: Any = Sam2Model(Sam2Config(**config)).eval()
            narrow = int(sam2.hidden_dim)
            projector = (
                ResidualProjector(wide, narrow)
                if settings.residual
                else nn.Sequential(nn.Linear(wide, wide), nn.ReLU(), nn.Linear(wide, narrow), nn.Dropout(0.0))
            )
    except (KeyError, TypeError, ValueError, AttributeError, ZeroDivisionError, RuntimeError) as exc:
        raise CheckpointError(f"the SAM2 settings describe no network ({type(exc).__name__}).") from exc
    return CitrusModel(mllm, projector, sam2).eval()
