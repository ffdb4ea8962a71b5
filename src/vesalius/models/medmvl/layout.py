"""Tensor names of MedM-VL checkpoints in the clean layout, and sizes the published config leaves to a network."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from vesalius.models.checkpoint_files import find_json
from vesalius.models.medmvl.config import load_config
from vesalius.models.medmvl.load import UNUSED
from vesalius.models.medmvl.sizes import SIDECARS, sizes_of
from vesalius.models.published_layout import PublishedLayout, language_model

__all__ = ["layout"]

_PREFIXES = (
    ("encoder_image.encoder.vision_model.", "vision."),
    ("encoder_image3d.encoder.vision_encoder.", "vision_3d."),
    ("connector_image.", "connector."),
    ("connector_image3d.", "connector_3d."),
    *language_model("llm.model.", "llm."),
)


def layout(folder: Path, config: Mapping[str, Any], names: Collection[str]) -> PublishedLayout:
    """See `published_layout.Laying`."""
    del names
    read = load_config(folder)
    prefix = "lvlm_" if read.generation == "g2" else ""
    added: dict[str, dict[str, Any]] = {}
    for group, file in SIDECARS.items():
        nested: Any = config.get(f"{group}_config")
        inside = find_json(folder / file) is not None or (isinstance(nested, dict) and "hidden_size" in nested)
        if config.get(f"{prefix}{group}_type") and not inside:
            added[file] = sizes_of(group, folder, config, prefix)
    return PublishedLayout("legacy" if prefix == "" else "lvlm", read.generation, _PREFIXES, _is_unused, added=added)


def _is_unused(name: str) -> bool:
    return any(re.match(pattern, name) for pattern in UNUSED)
