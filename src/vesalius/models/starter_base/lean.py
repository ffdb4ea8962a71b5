"""The same weights behind forward passes that need torch alone: what answering uses, for its start in two seconds."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from .dinov2 import encoder_tensors, read_config
from .place import find_base
from .smollm2 import language_tensors

if TYPE_CHECKING:
    from torch import Tensor

    from vesalius.models.parts.dinov2_encode import Dinov2Encoder
    from vesalius.models.parts.llama_decode import LlamaDecoder, Lora

__all__ = ["lean_encoder", "lean_language"]


def lean_encoder(base: Path | None = None) -> Dinov2Encoder:
    """The encoder without transformers; same numbers as `load_encoder`. Raises WeightsMissingError, CheckpointError."""
    from vesalius.models.parts.dinov2_encode import Dinov2Encoder

    folder = base or find_base()
    return Dinov2Encoder(encoder_tensors(folder), read_config(folder / "encoder"))


def lean_language(
    base: Path | None = None, lora: Mapping[str, Lora] | None = None, changes: Mapping[str, Tensor] | None = None
) -> LlamaDecoder:
    """The decoder without transformers; same numbers as `load_language`. `lora`: published key -> low-rank addition;
    `changes`: published key -> tensor in the base's place.

    Raises WeightsMissingError or CheckpointError.
    """
    from vesalius.models.parts.llama_decode import LlamaDecoder

    folder = base or find_base()
    return LlamaDecoder({**language_tensors(folder), **(changes or {})}, read_config(folder / "language"), lora)
