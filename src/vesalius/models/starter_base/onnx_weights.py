"""Read the weights out of an ONNX file with numpy alone, and name them as a DINOv2 checkpoint does.

An ONNX file is one protobuf message. Only these fields matter (number): ModelProto.graph (7),
GraphProto.initializer (5), TensorProto.dims (1), data_type (2; 1 = float32), name (8), raw_data (9).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from vesalius.errors import CheckpointError

__all__ = ["encoder_state", "read_initialisers", "saliency_state"]

_GRAPH, _INITIALIZER = 7, 5
_DIMS, _DATA_TYPE, _NAME, _RAW_DATA = 1, 2, 8, 9
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_FLOAT32 = 1
_MAX_RANK = 8

NUM_LAYERS = 12
_FIRST_MATRIX, _MATRICES_PER_LAYER = 1966, 17
_MATRICES = {
    0: "attention.attention.key.weight",  # the graph's order is key, value, query: shapes would not reveal a swap
    3: "attention.attention.value.weight",
    6: "attention.attention.query.weight",
    14: "attention.output.dense.weight",
    15: "mlp.fc1.weight",
    16: "mlp.fc2.weight",
}
"""Number of the exporter's `onnx::MatMul_N` minus (1966 + 17 * layer) -> published key within the layer."""

Weights = dict[str, npt.NDArray[np.float32]]


def read_initialisers(data: bytes | memoryview, *, file: str | Path | None = None) -> Weights:
    """All stored tensors of an ONNX model: initialiser name -> float32 array.

    `data`: the whole file; the arrays are read-only views of it. Raises CheckpointError if the bytes are no ONNX
    model, are cut short, or hold a tensor that is not float32 in `raw_data`.
    """
    try:
        graphs = [body for number, body in _fields(memoryview(data)) if number == _GRAPH]
        tensors = [body for graph in graphs for number, body in _fields(_bytes(graph)) if number == _INITIALIZER]
        found = dict(_tensor(_bytes(body)) for body in tensors)
    except (IndexError, ValueError, TypeError) as exc:
        raise CheckpointError(
            f"not a readable ONNX file ({len(data)} bytes): {exc}.", file=file, fix="Fetch the file again."
        ) from exc
    if not found:
        raise CheckpointError(f"ONNX file of {len(data)} bytes holds no weights.", file=file)
    return found


def encoder_state(initialisers: Weights, *, file: str | Path | None = None) -> Weights:
    """The DINOv2 ViT-S/14 encoder under its published checkpoint keys (223 float32 tensors).

    Matrices are transposed to torch's `[out, in]`; the absent mask token is zeros. Raises CheckpointError naming a
    tensor that is missing.
    """
    state = {
        name.removeprefix("backbone."): value for name, value in initialisers.items() if name.startswith("backbone.")
    }
    try:
        table = [initialisers["onnx::Concat_1957"], initialisers["onnx::Reshape_1962"]]
        for layer in range(NUM_LAYERS):
            first = _FIRST_MATRIX + _MATRICES_PER_LAYER * layer
            for step, key in _MATRICES.items():
                state[f"encoder.layer.{layer}.{key}"] = np.ascontiguousarray(
                    initialisers[f"onnx::MatMul_{first + step}"].T
                )
    except KeyError as exc:
        raise CheckpointError(f"the ONNX file holds no tensor {exc.args[0]!r}.", file=file) from exc
    state["embeddings.position_embeddings"] = np.concatenate(table, axis=1)
    state["embeddings.mask_token"] = np.zeros((1, table[0].shape[-1]), np.float32)
    return state


def saliency_state(initialisers: Weights) -> Weights:
    """The saliency decoder's tensors: `upconv1..3`, `bn1..3`, `final_conv` (ConvTranspose layout in, out, k, k)."""
    return {name.removeprefix("decoder."): value for name, value in initialisers.items() if name.startswith("decoder.")}


def _bytes(value: int | memoryview) -> memoryview:
    if isinstance(value, int):
        raise TypeError("a number stands where a message is expected")
    return value


def _number(value: int | memoryview) -> int:
    if not isinstance(value, int):
        raise TypeError("bytes stand where a number is expected")
    return value


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    """The base-128 number at `at`, and where the next byte is."""
    value = 0
    for shift in range(0, 70, 7):
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ValueError("a number is longer than 10 bytes")


def _fields(data: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Field number and value (an int, or the bytes of a message, string or blob) of one protobuf message."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        kind = tag & 7
        if kind == _VARINT:
            value, at = _varint(data, at)
            yield tag >> 3, value
            continue
        if kind == _BYTES:
            size, at = _varint(data, at)
        elif kind in (_FIXED32, _FIXED64):
            size = 4 if kind == _FIXED32 else 8
        else:
            raise ValueError(f"unknown wire type {kind}")
        if size > len(data) - at:
            raise ValueError(f"a field of {size} bytes is cut short after {len(data) - at}")
        yield tag >> 3, data[at : at + size]
        at += size


def _tensor(data: memoryview) -> tuple[str, npt.NDArray[np.float32]]:
    """Name and values of one TensorProto."""
    dims: list[int] = []
    name, kind, raw = "", 0, None
    for number, value in _fields(data):
        if number == _DIMS and isinstance(value, int):
            dims.append(value)
        elif number == _DIMS:  # newer writers pack the repeated numbers into one blob
            packed, at = _bytes(value), 0
            while at < len(packed):
                dim, at = _varint(packed, at)
                dims.append(dim)
        elif number == _DATA_TYPE:
            kind = _number(value)
        elif number == _NAME:
            name = str(_bytes(value), "utf-8")
        elif number == _RAW_DATA:
            raw = _bytes(value)
    if kind != _FLOAT32 or raw is None:
        raise ValueError(f"tensor {name!r} has data type {kind}, only float32 in raw_data is read")
    if len(dims) > _MAX_RANK or math.prod(dims) * 4 != len(raw):
        raise ValueError(f"tensor {name!r} of shape {dims} has {len(raw)} bytes")
    return name, np.frombuffer(raw, "<f4").reshape(dims)
