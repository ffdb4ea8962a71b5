"""All caps on size, depth and time, in one place.

Every reader takes its caps from `current()`; a caller who must read something larger does so inside
`with using(replace(current(), max_voxels=...)):`. Caps are checked against headers, before anything is decoded.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

__all__ = ["Limits", "current", "usable_cores", "using"]


@dataclass(frozen=True, slots=True)
class Limits:
    """Caps; sizes in bytes, pixels or voxels, times in seconds."""

    max_file_bytes: int = 16 << 30
    max_decoded_bytes: int = 4 << 30
    """What one file may expand to (gzip, deflate, a picture's raster, all frames held at once)."""
    max_inflate_ratio: int = 200
    """Expanded / stored size above which a compressed stream over 64 MiB is taken for a bomb."""
    max_pixels: int = 64_000_000
    """Width times height of one picture or frame."""
    max_voxels: int = 1_500_000_000
    max_series_files: int = 20_000
    max_frames: int = 200_000
    max_clip_s: float = 6 * 3600.0
    max_header_bytes: int = 64 << 20
    max_sequence_depth: int = 64
    max_table_cells: int = 2_000_000
    max_text_chars: int = 2_000_000
    max_answer_chars: int = 65_536
    """How much of a model's answer (thoughts apart) is searched for places and choices."""
    max_media: int = 64
    """Pictures, volumes and clips in one conversation."""
    max_model_bytes: int | None = None
    """Memory the weights of a model may take on one device; None: whatever is free there."""


_CURRENT: ContextVar[Limits] = ContextVar("vesalius_limits", default=Limits())  # noqa: B039 (frozen)


def current() -> Limits:
    """The caps in force in this context."""
    return _CURRENT.get()


def usable_cores() -> int:
    """Cores this process may use; containers and taskset give fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def using(limits: Limits) -> Iterator[Limits]:
    """Put `limits` in force inside a `with` block (per thread and per task)."""
    token = _CURRENT.set(limits)
    try:
        yield limits
    finally:
        _CURRENT.reset(token)
