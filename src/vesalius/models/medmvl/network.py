"""The network: towers, connectors and language model under the names of the published state dict.

Shape letters: N pictures or volumes, S slices, T tokens, D width, B rows, L positions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from vesalius.errors import CheckpointError
from vesalius.models.medmvl.config import ConnectorPlan, Encoder3dPlan, MedmvlConfig
from vesalius.models.parts.connectors import AttentionPooling, MlpConnector, SpatialPooling
from vesalius.models.parts.vision_states import VisionStates, layer_index, vision_tower
from vesalius.models.parts.volume_vit import M3dClipVit, MedmClipVit
from vesalius.models.placement import computing_device

__all__ = ["MedmvlNetwork", "VolumeStates"]

Trace = dict[str, Tensor]


class VolumeStates(nn.Module):
    """`encoder.vision_encoder`: the 3D tower. Layers count block outputs only: 0 is after the first block."""

    def __init__(self, plan: Encoder3dPlan) -> None:
        super().__init__()
        tower = M3dClipVit(plan.shape) if plan.kind == "m3dclip" else MedmClipVit(plan.shape)
        self.encoder = nn.ModuleDict({"vision_encoder": tower})
        self.num_blocks = 1 + layer_index(plan.select_layer, plan.shape.layers, "encoder_image3d_select_layer")
        self.drop_first = plan.drop_first

    def embed(self, volumes_N1DHW: Tensor) -> Tensor:
        """Patch embeddings `[N, T, D]`."""
        tower: Any = self.encoder["vision_encoder"]
        return tower.embed(volumes_N1DHW)

    def forward(self, embedded_NTD: Tensor) -> Tensor:
        """`[N, T, D]`: the chosen state."""
        tokens = self.encoder["vision_encoder"](embedded_NTD, self.num_blocks)
        return tokens[:, 1:] if self.drop_first else tokens


class MedmvlNetwork(nn.Module):
    """`llm` and what the config names of `encoder_image`, `connector_image`, `encoder_image3d`, `connector_image3d`."""

    def __init__(self, config: MedmvlConfig, num_queries: Mapping[str, int], *, tied: bool) -> None:
        """`num_queries`: rows of `connector_image.query` and `connector_image3d.query` where there are such; `tied`:
        the head shares the embeddings."""
        super().__init__()
        self.llm = _language_model(config, tied=tied)
        width = int(config.llm["hidden_size"])
        self.encoder_image: VisionStates | None = None
        self.encoder_image3d: VolumeStates | None = None
        if config.encoder and config.connector:
            plan = config.encoder
            states = 1 + int(plan.sizes["num_hidden_layers"])
            layer = layer_index(plan.select_layer, states, "encoder_image_select_layer")
            self.encoder_image = VisionStates(vision_tower(plan.kind, plan.sizes), layer, plan.drop_first)
            grid = plan.image_px // int(plan.sizes["patch_size"])
            self.picture_tokens = grid * grid + (1 if plan.kind == "clip" else 0) - (1 if plan.drop_first else 0)
            self.connector_image = _connector(
                config.connector,
                int(plan.sizes["hidden_size"]),
                width,
                None,
                num_queries.get("connector_image"),
                plan.drop_first,
            )
        if config.encoder_3d and config.connector_3d:
            volume = config.encoder_3d
            self.encoder_image3d = VolumeStates(volume)
            self.volume_tokens = volume.shape.num_tokens + (0 if volume.drop_first else 1)
            self.connector_image3d = _connector(
                config.connector_3d,
                volume.shape.hidden,
                width,
                volume.shape.grid,
                num_queries.get("connector_image3d"),
                volume.drop_first,
            )

    @property
    def dtype(self) -> torch.dtype:
        return self.llm.get_input_embeddings().weight.dtype

    @property
    def device(self) -> torch.device:
        """Where tensors are sent to and come back from."""
        return computing_device(self.llm.model)

    def tokens_of_picture(self) -> int:
        """Visual tokens one picture becomes."""
        return self.connector_image.num_tokens(self.picture_tokens)

    def tokens_of_volume(self, num_slices: int) -> int:
        """Visual tokens one volume becomes; `num_slices` matters where slices are encoded one by one."""
        if self.encoder_image is not None:
            return self.connector_image.num_tokens(self.picture_tokens * num_slices)
        return self.connector_image3d.num_tokens(self.volume_tokens)

    def see_pictures(self, pixels_N3HW: Tensor, trace: Trace | None = None) -> Tensor:
        """`[N, T, D]` of the language model's width. `trace` receives the stages."""
        if self.encoder_image is None:
            raise CheckpointError("this checkpoint has no picture encoder.")
        seen = self.encoder_image(self._moved(pixels_N3HW))
        return self._connect("image", self.connector_image, seen, seen, trace)

    def see_slices(self, pixels_13SHW: Tensor, counts: Sequence[int]) -> list[Tensor]:
        """`[T, D]` of each of several volumes whose slices stand one after another, `counts` of each (2D tower)."""
        if self.encoder_image is None:
            raise CheckpointError("this checkpoint does not read volumes as slices.")
        each = self.encoder_image(self._moved(pixels_13SHW)[0].transpose(0, 1)).split(list(counts))
        joined = [slices.flatten(0, 1)[None] for slices in each]
        return [self._connect("image", self.connector_image, one, one, None)[0] for one in joined]

    def see_volumes(self, pixels: Tensor, trace: Trace | None = None) -> Tensor:
        """`[N, T, D]` of slices `[N, 3, S, H, W]` (2D tower) or volumes `[N, 1, D, H, W]` (3D tower)."""
        if self.encoder_image is not None:
            slices = self._moved(pixels).transpose(1, 2)
            each = self.encoder_image(slices.flatten(0, 1))
            joined = each.unflatten(0, slices.shape[:2]).flatten(1, 2)
            return self._connect("image", self.connector_image, each, joined, trace)
        if self.encoder_image3d is None:
            raise CheckpointError("this checkpoint has no volume encoder.")
        embedded = self.encoder_image3d.embed(self._moved(pixels))
        if trace is not None:
            trace["patch_embed"], trace["patch_embed_every16"] = embedded, embedded[:, ::16]
        seen = self.encoder_image3d(embedded)
        return self._connect("image3d", self.connector_image3d, seen, seen, trace)

    def _connect(
        self, group: str, connector: MlpConnector, encoded: Tensor, tokens: Tensor, trace: Trace | None
    ) -> Tensor:
        pooled = connector.pool(tokens)
        made = connector.connector(pooled)
        if trace is not None:
            trace[f"encoder_{group}"], trace[f"connector_{group}"] = encoded, made
            if isinstance(connector, AttentionPooling):
                trace["attn_pool"] = pooled
            elif isinstance(connector, SpatialPooling):
                trace["spatial_pool"] = pooled
        return made

    def _moved(self, pixels: Tensor) -> Tensor:
        return pixels.to(self.device, self.dtype)


def _connector(
    plan: ConnectorPlan,
    inner: int,
    outer: int,
    grid: tuple[int, int, int] | None,
    num_queries: int | None,
    drop_first: bool,
) -> MlpConnector:
    if plan.kind == "attn_pooling":
        if num_queries is None:
            raise CheckpointError("the checkpoint holds no query tensor for its attn_pooling connector.")
        return AttentionPooling(inner, outer, plan.depth, num_queries)
    if plan.kind == "spatial_pooling" and grid is not None:
        if not drop_first:
            raise CheckpointError(
                "spatial_pooling needs encoder_image3d_select_feature patch: a class token has no place."
            )
        return SpatialPooling(inner, outer, plan.depth, grid)
    return MlpConnector(inner, outer, plan.depth)


def _language_model(config: MedmvlConfig, *, tied: bool) -> Any:
    from transformers import AutoModelForCausalLM
    from transformers.models.auto.configuration_auto import AutoConfig

    sizes: dict[str, Any] = {"pad_token_id": None, **config.llm, "tie_word_embeddings": tied}
    kind = str(sizes.pop("model_type"))
    try:
        made = AutoConfig.for_model(kind, **sizes)
    except (TypeError, ValueError, KeyError) as exc:
        raise CheckpointError(f"the language model's config cannot be used: {exc}") from exc
    return AutoModelForCausalLM.from_config(made, attn_implementation="sdpa")
