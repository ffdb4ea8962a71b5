"""Tensors on disk, copied piece by piece: what a safetensors file holds and where, and new files written from such
pieces. The library's own writer wants a whole file's tensors in memory; here a few megabytes pass at a time.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vesalius.errors import CheckpointError, OptionError
from vesalius.models.safetensors_header import BITS, header_entries

if TYPE_CHECKING:
    from torch import Tensor

__all__ = [
    "FLOATS",
    "Payload",
    "cast",
    "file_names",
    "same_bytes",
    "shards",
    "stored_tensors",
    "tensor_payload",
    "write_tensors",
]

_PIECE = 8 << 20
FLOATS = {"float64": "F64", "float32": "F32", "float16": "F16", "bfloat16": "BF16"}
"""torch's name of a float type → the one in a safetensors file. Only these are cast; others are copied as they are."""


@dataclass(frozen=True)
class Payload:
    """One tensor's values: `dtype` as safetensors names it, `shape`, `num_bytes`, and `pieces`, which reads the bytes
    (little-endian, row-major) in order, a few megabytes at a time."""

    dtype: str
    shape: tuple[int, ...]
    num_bytes: int
    pieces: Callable[[], Iterator[bytes]]

    @property
    def num_values(self) -> int:
        count = 1
        for side in self.shape:
            count *= side
        return count


def stored_tensors(path: Path) -> dict[str, Payload]:
    """The tensors of a safetensors file in the order of their bytes. CheckpointError for a damaged or cut-off file."""
    return {
        name: Payload(entry.dtype, entry.shape, entry.num_bytes, _reader(path, entry.start, entry.num_bytes))
        for name, entry in header_entries(path).items()
    }


def _reader(path: Path, start: int, length: int) -> Callable[[], Iterator[bytes]]:
    def pieces() -> Iterator[bytes]:
        left = length
        with path.open("rb", buffering=0) as file:
            file.seek(start)
            while left:
                piece = file.read(min(_PIECE, left))
                if not piece:
                    raise CheckpointError("the safetensors file became shorter while it was read.", file=path)
                left -= len(piece)
                yield piece

    return pieces


def cast(name: str, payload: Payload, dtype: str) -> Payload:
    """The payload in another float type ("float32", …); what is no float stays as it is. Reading it raises OptionError
    where a finite value does not fit."""
    named = {code: torch_name for torch_name, code in FLOATS.items()}
    if payload.dtype not in named or named[payload.dtype] == dtype:
        return payload

    def pieces() -> Iterator[bytes]:
        import torch

        source, target = getattr(torch, named[payload.dtype]), getattr(torch, dtype)
        for piece in _whole(payload.pieces(), BITS[payload.dtype] // 8):
            given = torch.frombuffer(bytearray(piece), dtype=source)
            made = given.to(target)
            if bool((torch.isinf(made) & ~torch.isinf(given)).any()):
                largest = float(given[~torch.isnan(given) & ~torch.isinf(given)].abs().max())
                raise OptionError(
                    f"tensor {name!r} holds {largest:.4g}, more than {dtype} can hold.", fix="Use --dtype bfloat16."
                )
            yield made.view(torch.uint8).numpy().tobytes()

    return Payload(FLOATS[dtype], payload.shape, payload.num_values * BITS[FLOATS[dtype]] // 8, pieces)


def tensor_payload(value: Tensor, dtype: str | None) -> Payload:
    """A tensor in memory as a file will hold it: `dtype` as safetensors names it, None for the tensor's own."""
    import torch

    named = {code: name for name, code in FLOATS.items()}
    own = FLOATS.get(str(value.dtype).removeprefix("torch."))
    code = dtype or own
    if code is None or code not in named:
        raise OptionError(f"a tensor of type {str(value.dtype).removeprefix('torch.')} is not written here.")
    target: torch.dtype = getattr(torch, named[code])
    shape = tuple(value.shape)

    def pieces() -> Iterator[bytes]:
        flat = value.detach().reshape(-1)
        step = _PIECE // target.itemsize
        for first in range(0, len(flat), step):
            yield flat[first : first + step].to("cpu", target).contiguous().view(torch.uint8).numpy().tobytes()

    return Payload(code, shape, value.numel() * target.itemsize, pieces)


def _whole(pieces: Iterator[bytes], size: int) -> Iterator[bytes]:
    """Pieces that end at whole values."""
    rest = b""
    for piece in pieces:
        piece = rest + piece
        cut = len(piece) - len(piece) % size
        rest = piece[cut:]
        if cut:
            yield piece[:cut]


def same_bytes(one: Payload, other: Payload) -> bool:
    """Whether two tensors are equal to the bit."""
    if (one.dtype, one.shape, one.num_bytes) != (other.dtype, other.shape, other.num_bytes):
        return False
    if next(one.pieces(), b"") != next(other.pieces(), b""):
        return False
    return _digest(one) == _digest(other)


def _digest(payload: Payload) -> bytes:
    digest = hashlib.sha256()
    for piece in payload.pieces():
        digest.update(piece)
    return digest.digest()


def shards(tensors: Mapping[str, Payload], max_bytes: int) -> list[dict[str, Payload]]:
    """Tensors in files of at most `max_bytes` of values each, in order; a larger tensor has a file of its own."""
    made: list[dict[str, Payload]] = [{}]
    filled = 0
    for name, payload in tensors.items():
        if made[-1] and filled + payload.num_bytes > max_bytes:
            made.append({})
            filled = 0
        made[-1][name] = payload
        filled += payload.num_bytes
    return made


def file_names(count: int) -> list[str]:
    """Names of `count` weight files, as transformers names them."""
    if count == 1:
        return ["model.safetensors"]
    return [f"model-{number:05d}-of-{count:05d}.safetensors" for number in range(1, count + 1)]


def write_tensors(
    folder: Path,
    files: Sequence[Mapping[str, Payload]],
    metadata: Mapping[str, str],
    wrote: Callable[[int], None] = lambda num_bytes: None,
) -> None:
    """Write the weight files and, where there are several, their index. `wrote` is told of every piece."""
    names = file_names(len(files))
    for name, tensors in zip(names, files, strict=True):
        _write(folder / name, tensors, metadata, wrote)
    if len(files) > 1:
        total = sum(payload.num_bytes for tensors in files for payload in tensors.values())
        where = {tensor: name for name, tensors in zip(names, files, strict=True) for tensor in tensors}
        index = {"metadata": {"total_size": total}, "weight_map": dict(sorted(where.items()))}
        (folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")


def _write(
    path: Path, tensors: Mapping[str, Payload], metadata: Mapping[str, str], wrote: Callable[[int], None]
) -> None:
    # Wide types first, as the library orders them: every tensor then starts at a multiple of its value's size.
    ordered = sorted(tensors.items(), key=lambda item: -BITS.get(item[1].dtype, 8))
    header: dict[str, Any] = {"__metadata__": dict(metadata)}
    end = 0
    for name, payload in ordered:
        header[name] = {
            "dtype": payload.dtype,
            "shape": list(payload.shape),
            "data_offsets": [end, end + payload.num_bytes],
        }
        end += payload.num_bytes
    told = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    told += b" " * (-len(told) % 8)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(told)) + told)
        for _, payload in ordered:
            for piece in payload.pieces():
                file.write(piece)
                wrote(len(piece))
