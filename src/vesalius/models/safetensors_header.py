"""What the header of a safetensors file says: each tensor's type, shape and place, checked before anything is read.

The library's reader maps the file, and every page touched stays in the process until the map is closed; loading and
conversion take the bytes from these places themselves.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from vesalius.errors import CheckpointError

__all__ = ["BITS", "HeaderEntry", "header_entries"]

_MAX_HEADER_BYTES = 100_000_000
"""As the format has it."""

BITS = {"F4": 4, "F6_E2M3": 6, "F6_E3M2": 6, "BOOL": 8, "U8": 8, "I8": 8, "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8,
        "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8, "I16": 16, "U16": 16, "F16": 16, "BF16": 16, "I32": 32, "U32": 32,
        "F32": 32, "C64": 64, "F64": 64, "I64": 64, "U64": 64}  # fmt: skip
"""Size of a value, by its type as the format names it."""


@dataclass(frozen=True)
class HeaderEntry:
    """`dtype` as the format names it; the values lie at `start`, `num_bytes` of them, in row-major order of `shape`."""

    dtype: str
    shape: tuple[int, ...]
    start: int
    num_bytes: int


def header_entries(path: Path) -> dict[str, HeaderEntry]:
    """The tensors of a file in the order they lie in it. CheckpointError for a file that is cut off or damaged, or
    holds a type of number the format does not have."""
    damaged = CheckpointError("the safetensors file is cut off or damaged.", file=path)
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            if length > min(size, _MAX_HEADER_BYTES):
                raise damaged
            entries: dict[str, Any] = json.loads(file.read(length))
        entries.pop("__metadata__", None)
        found: dict[str, HeaderEntry] = {}
        at = 0
        for name, entry in sorted(entries.items(), key=lambda item: item[1]["data_offsets"]):
            code, shape = str(entry["dtype"]), tuple(int(side) for side in entry["shape"])
            if code not in BITS:
                raise CheckpointError(f"tensor {name!r} is stored as {code}, which is not read.", file=path)
            first, last = entry["data_offsets"]
            # Tensors follow each other without gaps, and each has the bytes its shape asks for.
            if first != at or 8 * (last - first) != prod(shape) * BITS[code] or min(shape, default=0) < 0:
                raise damaged
            found[name] = HeaderEntry(code, shape, 8 + length + first, last - first)
            at = last
    except (OSError, struct.error, ValueError, KeyError, TypeError, AttributeError) as exc:
        raise damaged from exc
    if 8 + length + at != size:
        raise damaged
    return found
