"""Tensor names of Qwen-VL checkpoints in the clean layout, early (`visual.*`) and late ones (`model.visual.*`)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from vesalius.models.published_layout import PublishedLayout, language_model

__all__ = ["layout", "prefixes_of"]


def prefixes_of(names: Collection[str], outer: str = "") -> tuple[str, tuple[tuple[str, str], ...]]:
    """("early" or "late", prefixes); `outer`: what stands before all names of the model."""
    late = any(name.startswith((f"{outer}model.visual.", f"{outer}model.language_model.")) for name in names)
    tower = f"{outer}model.visual." if late else f"{outer}visual."
    body = f"{outer}model.language_model." if late else f"{outer}model."
    seen = (
        (tower, "vision."),
        (f"{tower}merger.", "connector.merger."),
        (f"{tower}deepstack_merger_list.", "connector.deepstack_merger_list."),
    )
    return "late" if late else "early", seen + language_model(body, outer)


def layout(folder: Path, config: Mapping[str, Any], names: Collection[str]) -> PublishedLayout:
    """See `published_layout.Laying`."""
    del folder
    name, prefixes = prefixes_of(names)
    return PublishedLayout(name, str(config.get("model_type")), prefixes)
