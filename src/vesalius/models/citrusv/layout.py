"""Tensor names of Citrus-V checkpoints in the clean layout, and the SAM2 settings the published config only names."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from vesalius.models.checkpoint_files import find_json
from vesalius.models.citrusv.names import SAM2, is_unused
from vesalius.models.citrusv.settings import read_settings
from vesalius.models.published_layout import PublishedLayout
from vesalius.models.qwen_vl.layout import prefixes_of

__all__ = ["layout"]


def layout(folder: Path, config: Mapping[str, Any], names: Collection[str]) -> PublishedLayout:
    """See `published_layout.Laying`."""
    name, prefixes = prefixes_of(names, "mllm.")
    settings = read_settings(folder, config)
    known = find_json(folder / "sam2_config.json") is not None
    return PublishedLayout(
        name,
        "citrus_v",
        (*prefixes, ("seg_projector.", "mask_connector."), (SAM2, "mask_head.")),
        is_unused,
        added={} if known else {"sam2_config.json": dict(settings.sam2)},
    )
