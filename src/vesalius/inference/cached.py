"""Files of models that other libraries load, where they are on this machine already."""

from __future__ import annotations

from pathlib import Path

__all__ = ["cached_folder"]


def cached_folder(name: str) -> Path | None:
    """The folder of a hub repository (`org/name`) in the hub's cache, or None. Nothing is fetched."""
    from vesalius.models.hub import whole_snapshot

    return whole_snapshot(name)
