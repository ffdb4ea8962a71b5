"""One safetensors file: what its header says, and a tensor read straight to its device and dtype.

The library's reader maps the file, and every page touched stays in the process until the map is closed: a second copy
of the weights beside the first. Here bytes go from the file into the tensor they are for; another dtype or device is
reached through one small buffer.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from io import FileIO
from math import prod
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vesalius.errors import CheckpointError
from vesalius.models.safetensors_header import header_entries

__all__ = ["StoredRows", "StoredTensor", "read_header", "read_tensor", "staging_buffer"]

_STAGING_BYTES = 2 << 20
"""Size of the buffer between file and device, a multiple of every item size."""

_DTYPES = {
    "F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16,
    "I64": torch.int64, "I32": torch.int32, "I16": torch.int16, "I8": torch.int8, "U8": torch.uint8,
    "BOOL": torch.bool, "F8_E4M3": torch.float8_e4m3fn, "F8_E5M2": torch.float8_e5m2,
}  # fmt: skip


@dataclass(frozen=True)
class StoredTensor:
    """Where a tensor lies: `start` and `num_bytes` in `file`, in `dtype` and row-major order of `shape`."""

    file: Path
    dtype: torch.dtype
    shape: tuple[int, ...]
    start: int
    num_bytes: int


def read_header(path: Path) -> dict[str, StoredTensor]:
    """The tensors of a file in the order they lie in it. CheckpointError for a file that is cut off or damaged, or
    holds a kind of number that is not read here."""
    stored: dict[str, StoredTensor] = {}
    for name, entry in header_entries(path).items():
        if entry.dtype not in _DTYPES:
            raise CheckpointError(f"tensor {name!r} is stored as {entry.dtype}, which is not read.", file=path)
        stored[name] = StoredTensor(path, _DTYPES[entry.dtype], entry.shape, entry.start, entry.num_bytes)
    return stored


def staging_buffer() -> Tensor:
    """The buffer between files and devices. One serves all tensors: buffers that come and go between them leave holes
    in the heap."""
    return torch.empty(_STAGING_BYTES, dtype=torch.uint8)


def read_tensor(stored: StoredTensor, dtype: torch.dtype, device: torch.device, buffer: Tensor) -> Tensor:
    """The tensor in `dtype` on `device`, with no second copy of it; `buffer` as `staging_buffer` makes it.
    CheckpointError where the file ends too early."""
    made = torch.empty(prod(stored.shape), dtype=dtype, device=device)
    straight = dtype == stored.dtype and device.type == "cpu"
    try:
        with stored.file.open("rb", buffering=0) as file:
            file.seek(stored.start)
            if straight:
                _read_into(file, made.view(torch.uint8), stored)
            else:
                _read_through(file, made, stored, buffer)
    except OSError as exc:
        raise CheckpointError("the safetensors file cannot be read.", file=stored.file) from exc
    return made.view(stored.shape)


@dataclass(frozen=True)
class StoredRows:
    """A matrix that is read as it is sliced by rows, in `dtype` on `device`, through `buffer`."""

    stored: StoredTensor
    dtype: torch.dtype
    device: torch.device
    buffer: Tensor

    @property
    def shape(self) -> torch.Size:
        return torch.Size(self.stored.shape)

    def __len__(self) -> int:
        return self.stored.shape[0]

    def __getitem__(self, rows: slice) -> Tensor:
        first, last, _ = rows.indices(len(self))
        of_row = self.stored.num_bytes // len(self)
        part = replace(
            self.stored,
            shape=(last - first, *self.stored.shape[1:]),
            start=self.stored.start + first * of_row,
            num_bytes=(last - first) * of_row,
        )
        return read_tensor(part, self.dtype, self.device, self.buffer)


def _read_through(file: FileIO, made: Tensor, stored: StoredTensor, buffer: Tensor) -> None:
    """Fill `made` portion by portion, converted on the way."""
    size = stored.dtype.itemsize
    for first in range(0, stored.num_bytes, len(buffer)):
        portion = buffer[: min(len(buffer), stored.num_bytes - first)]
        _read_into(file, portion, stored)
        items = portion.view(stored.dtype)
        made[first // size : first // size + len(items)].copy_(items)


def _read_into(file: FileIO, target: Tensor, stored: StoredTensor) -> None:
    array: Any = target.numpy()
    view = memoryview(array)
    while view:
        count = file.readinto(view)
        if not count:
            raise CheckpointError("the safetensors file is cut off or damaged.", file=stored.file)
        view = view[count:]
