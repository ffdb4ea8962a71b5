"""Tensor names of a Citrus-V checkpoint → those of our module, SAM2's renamed as transformers names them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from vesalius.models.shards import StoredRows
from vesalius.models.weights import CheckpointTensors, StoredTensors

__all__ = ["Home", "OurTensors", "home_of", "is_unused", "to_published"]

SAM2 = "grounding_encoder.sam2_model."
OURS = "grounding_encoder."
_UNUSED = ("memory_", "maskmem", "mask_downsample", "no_obj_ptr", "no_mem_pos_enc", "obj_ptr_proj")
"""SAM2's memory of earlier frames: in the checkpoint, not used for pictures."""

_GAUSSIAN = "sam_prompt_encoder.pe_layer.positional_encoding_gaussian_matrix"
_POINT = re.compile(r"sam_prompt_encoder\.point_embeddings\.(\d+)\.weight")
_HEADS = r"(output_hypernetworks_mlps\.\d+|iou_prediction_head|pred_obj_score_head)"
_RULES: tuple[tuple[str, str], ...] = (
    (r"^no_mem_embed$", "no_memory_embedding"),
    (r"^image_encoder\.trunk\.patch_embed\.proj\.", "vision_encoder.backbone.patch_embed.projection."),
    (r"^(image_encoder\.trunk\.blocks\.\d+\.)norm(\d)\.", r"\1layer_norm\2."),
    (r"^(image_encoder\.trunk\.blocks\.\d+\.mlp\.)layers\.0\.", r"\1proj_in."),
    (r"^(image_encoder\.trunk\.blocks\.\d+\.mlp\.)layers\.1\.", r"\1proj_out."),
    (r"^image_encoder\.trunk\.", "vision_encoder.backbone."),
    (r"^image_encoder\.neck\.convs\.(\d+)\.conv\.", r"vision_encoder.neck.convs.\1."),
    (r"^sam_prompt_encoder\.mask_downscaling\.0\.", "prompt_encoder.mask_embed.conv1."),
    (r"^sam_prompt_encoder\.mask_downscaling\.1\.", "prompt_encoder.mask_embed.layer_norm1."),
    (r"^sam_prompt_encoder\.mask_downscaling\.3\.", "prompt_encoder.mask_embed.conv2."),
    (r"^sam_prompt_encoder\.mask_downscaling\.4\.", "prompt_encoder.mask_embed.layer_norm2."),
    (r"^sam_prompt_encoder\.mask_downscaling\.6\.", "prompt_encoder.mask_embed.conv3."),
    (r"^sam_prompt_encoder\.", "prompt_encoder."),
    (r"^sam_mask_decoder\.transformer\.norm_final_attn\.", "sam_mask_decoder.transformer.layer_norm_final_attn."),
    (r"^(sam_mask_decoder\.transformer\..*)\bnorm(\d)\.", r"\1layer_norm\2."),
    (r"^(sam_mask_decoder\.transformer\..*)\bout_proj\.", r"\1o_proj."),
    (r"^(sam_mask_decoder\.transformer\..*\bmlp\.)layers\.0\.", r"\1proj_in."),
    (r"^(sam_mask_decoder\.transformer\..*\bmlp\.)layers\.1\.", r"\1proj_out."),
    (r"^sam_mask_decoder\.output_upscaling\.0\.", "sam_mask_decoder.upscale_conv1."),
    (r"^sam_mask_decoder\.output_upscaling\.1\.", "sam_mask_decoder.upscale_layer_norm."),
    (r"^sam_mask_decoder\.output_upscaling\.3\.", "sam_mask_decoder.upscale_conv2."),
    (rf"^sam_mask_decoder\.{_HEADS}\.layers\.0\.", r"sam_mask_decoder.\1.proj_in."),
    (rf"^sam_mask_decoder\.{_HEADS}\.layers\.1\.", r"sam_mask_decoder.\1.layers.0."),
    (rf"^sam_mask_decoder\.{_HEADS}\.layers\.2\.", r"sam_mask_decoder.\1.proj_out."),
    (r"^sam_mask_decoder\.", "mask_decoder."),
)
"""Applied in this order, each once."""


@dataclass(frozen=True)
class Home:
    """Where a published tensor lives: our `names` (one matrix has two), `row` of a table that is published in rows."""

    names: tuple[str, ...]
    row: int | None = None


def is_unused(name: str) -> bool:
    """Whether a tensor is deliberately left out."""
    return name.startswith(tuple(SAM2 + prefix for prefix in _UNUSED))


def home_of(name: str) -> Home:
    """Our place of a published name; names without a rule keep theirs."""
    if not name.startswith(SAM2):
        return Home((name,))
    inner = name.removeprefix(SAM2)
    if inner == _GAUSSIAN:
        places = ("prompt_encoder.shared_embedding", "shared_image_embedding")
        return Home(tuple(f"{OURS}{place}.positional_embedding" for place in places))
    if point := _POINT.fullmatch(inner):
        return Home((f"{OURS}prompt_encoder.point_embed.weight",), int(point[1]))
    for pattern, new in _RULES:
        inner = re.sub(pattern, new, inner)
    return Home((OURS + inner,))


class OurTensors(Mapping[str, Tensor]):
    """Published tensors under our names, joined where ours are one; read when asked for. `unused`: names left out."""

    def __init__(self, published: Mapping[str, Tensor]) -> None:
        self._published = published
        self.unused = [name for name in published if is_unused(name)]
        self._sources: dict[str, dict[int, str]] = {}
        for name in self._used(published):
            home = home_of(name)
            for ours in home.names:
                self._sources.setdefault(ours, {})[home.row or 0] = name

    @staticmethod
    def _used(names: Iterable[str]) -> list[str]:
        return [name for name in names if not is_unused(name)]

    def __getitem__(self, name: str) -> Tensor:
        parts = [self._published[part] for part in self._parts(name)]
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def shape(self, name: str) -> tuple[int, ...]:
        """As the headers say it, of a table published in rows with all of them."""
        shapes = [self._stored.shape(part) for part in self._parts(name)]
        return shapes[0] if len(shapes) == 1 else (sum(shape[0] for shape in shapes), *shapes[0][1:])

    def read(self, name: str, dtype: torch.dtype, device: torch.device) -> Tensor:
        """The tensor straight from its file."""
        parts = [self._stored.read(part, dtype, device) for part in self._parts(name)]
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def rows(self, name: str, dtype: torch.dtype, device: torch.device) -> Tensor | StoredRows:
        """The same for a matrix, some rows at a time; what was published in parts comes whole."""
        parts = self._parts(name)
        return self._stored.rows(parts[0], dtype, device) if len(parts) == 1 else self.read(name, dtype, device)

    @property
    def _stored(self) -> StoredTensors:
        if not isinstance(self._published, CheckpointTensors):
            raise TypeError("these tensors have no file")
        return self._published

    def _parts(self, name: str) -> list[str]:
        """The published tensors one of ours is made of, in order."""
        sources = self._sources[name]
        return [sources[row] for row in sorted(sources)]

    def __iter__(self) -> Iterator[str]:
        return iter(self._sources)

    def __len__(self) -> int:
        return len(self._sources)


def to_published(ours: Mapping[str, Tensor], published: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Our tensors back in the layout of the checkpoint they came from; tensors left out are handed on unchanged."""
    made: dict[str, Tensor] = {}
    for name in published:
        home = home_of(name)
        if is_unused(name):
            made[name] = published[name]
        elif home.row is None:
            made[name] = ours[home.names[0]]
        else:
            made[name] = ours[home.names[0]][home.row : home.row + 1].clone()
    return made
