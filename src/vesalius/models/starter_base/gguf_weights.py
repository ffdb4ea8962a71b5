"""Read a GGUF file (metadata and tensors) with numpy alone, and name SmolLM2's weights as a Llama checkpoint does.

Layout: `GGUF`, version, counts, key-value metadata, tensor table, padding, tensor data. Numbers are little-endian.
Shapes in the file are reversed: `[576, 49152]` is a row-major matrix of 49152 rows.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from vesalius.errors import CheckpointError

__all__ = [
    "Gguf",
    "GgufTensor",
    "dequantise_q4_1",
    "dequantise_q8_0",
    "language_state",
    "read_gguf",
    "unpermute_rotary",
]

F32, F16, Q4_1, Q8_0 = 0, 1, 3, 8
_BLOCK = {F32: (1, 4), F16: (1, 2), Q4_1: (32, 20), Q8_0: (32, 34)}
"""Tensor type -> (values per block, bytes per block)."""

_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9
_MAX_RANK = 8

Weights = dict[str, npt.NDArray[np.float32]]


@dataclass(frozen=True)
class GgufTensor:
    """One stored tensor: `shape` row-major, `kind` the GGUF type number, `data` its raw bytes."""

    shape: tuple[int, ...]
    kind: int
    data: memoryview

    def values(self) -> npt.NDArray[np.float32]:
        """The tensor as float32 of `shape`; quantised blocks are expanded."""
        if self.kind == F32:
            flat = np.frombuffer(self.data, "<f4")
        elif self.kind == F16:
            flat = np.frombuffer(self.data, "<f2").astype(np.float32)
        elif self.kind == Q4_1:
            flat = dequantise_q4_1(self.data)
        else:
            flat = dequantise_q8_0(self.data)
        return flat.reshape(self.shape)


@dataclass(frozen=True)
class Gguf:
    """A GGUF file's metadata (key -> number, text, or list of them) and tensors (name -> tensor)."""

    metadata: dict[str, object]
    tensors: dict[str, GgufTensor]


def dequantise_q4_1(blocks: bytes | memoryview) -> npt.NDArray[np.float32]:
    """Expand Q4_1 blocks: 20 bytes hold 32 weights `d*q + m`.

    A block is float16 d, float16 m, 16 bytes; their low nibbles are values 0..15, their high nibbles 16..31.
    """
    raw = np.frombuffer(blocks, np.dtype([("d", "<f2"), ("m", "<f2"), ("q", "u1", (16,))]))
    quants = np.concatenate([raw["q"] & 0x0F, raw["q"] >> 4], axis=1).astype(np.float32)
    quants *= raw["d"].astype(np.float32)[:, None]
    quants += raw["m"].astype(np.float32)[:, None]
    return quants.reshape(-1)


def dequantise_q8_0(blocks: bytes | memoryview) -> npt.NDArray[np.float32]:
    """Expand Q8_0 blocks: 34 bytes hold 32 weights `d*q` (float16 d, then 32 int8)."""
    raw = np.frombuffer(blocks, np.dtype([("d", "<f2"), ("q", "i1", (32,))]))
    quants = raw["q"].astype(np.float32)
    quants *= raw["d"].astype(np.float32)[:, None]
    return quants.reshape(-1)


def unpermute_rotary(matrix: npt.NDArray[np.float32], num_heads: int) -> npt.NDArray[np.float32]:
    """Undo the GGUF writer's interleaving of each head's two rotary halves in a q or k matrix `[rows, cols]`."""
    rows, cols = matrix.shape
    halves = matrix.reshape(num_heads, rows // num_heads // 2, 2, cols)
    return np.ascontiguousarray(halves.swapaxes(1, 2)).reshape(rows, cols)


def read_gguf(data: bytes | memoryview, *, file: str | Path | None = None) -> Gguf:
    """Metadata and tensors of a GGUF file given as its bytes (versions 2 and 3; types F32, F16, Q4_1, Q8_0).

    Tensors are views of `data`, expanded only by `values()`. Raises CheckpointError if the bytes are no GGUF file, are
    cut short, or use another tensor type.
    """
    try:
        return _Reader(memoryview(data)).file()
    except (struct.error, IndexError, ValueError, KeyError) as exc:
        raise CheckpointError(
            f"not a readable GGUF file ({len(data)} bytes): {exc}.", file=file, fix="Fetch the file again."
        ) from exc


_PER_LAYER = {
    "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}


def language_state(gguf: Gguf, *, file: str | Path | None = None) -> Weights:
    """A Llama decoder's float32 weights under their published keys (tied embeddings: no `lm_head.weight`).

    Raises CheckpointError if a tensor or head count is missing.
    """
    try:
        layers, heads, kv_heads = (
            _count(gguf.metadata[f"llama.{key}"])
            for key in ("block_count", "attention.head_count", "attention.head_count_kv")
        )
        state = {
            "model.embed_tokens.weight": gguf.tensors["token_embd.weight"].values(),
            "model.norm.weight": gguf.tensors["output_norm.weight"].values(),
        }
        for layer in range(layers):
            for theirs, ours in _PER_LAYER.items():
                value = gguf.tensors[f"blk.{layer}.{theirs}.weight"].values()
                if theirs in ("attn_q", "attn_k"):  # left out, the text stays fluent but is wrong
                    value = unpermute_rotary(value, heads if theirs == "attn_q" else kv_heads)
                state[f"model.layers.{layer}.{ours}.weight"] = value
    except KeyError as exc:
        raise CheckpointError(f"the GGUF file holds no {exc.args[0]!r}.", file=file) from exc
    except (TypeError, ValueError) as exc:
        raise CheckpointError(f"the GGUF file is no Llama decoder: {exc}.", file=file) from exc
    return state


def _count(value: object) -> int:
    if not isinstance(value, int) or not 0 < value <= 1024:
        raise ValueError(f"a count is {value!r}, 1 to 1024 expected")
    return value


class _Reader:
    """A cursor over the bytes of a GGUF file."""

    def __init__(self, data: memoryview) -> None:
        self.data = data
        self.at = 0

    def file(self) -> Gguf:
        if bytes(self.data[:4]) != b"GGUF":
            raise ValueError("it does not begin with GGUF")
        self.at = 4
        version = self.scalar("I")
        if version not in (2, 3):
            raise ValueError(f"GGUF version {version}, 2 or 3 is read")
        num_tensors, num_pairs = self.scalar("Q"), self.scalar("Q")
        metadata: dict[str, object] = {}
        for _ in range(num_pairs):
            key = self.string()
            metadata[key] = self.value(self.scalar("I"))
        table = [self.tensor_entry() for _ in range(num_tensors)]
        alignment = _count(metadata.get("general.alignment", 32))
        start = -(-self.at // alignment) * alignment
        return Gguf(metadata, {name: self.tensor(shape, kind, start + at) for name, shape, kind, at in table})

    def scalar(self, code: str) -> int:
        (value,) = struct.unpack_from("<" + code, self.data, self.at)
        self.at += struct.calcsize("<" + code)
        return value

    def take(self, size: int) -> memoryview:
        if size > len(self.data) - self.at:
            raise ValueError(f"{size} bytes are expected where {len(self.data) - self.at} are left")
        self.at += size
        return self.data[self.at - size : self.at]

    def string(self) -> str:
        return str(self.take(self.scalar("Q")), "utf-8")

    def value(self, kind: int) -> object:
        if kind == _STRING:
            return self.string()
        if kind != _ARRAY:
            return self.scalar(_SCALARS[kind])
        item, size = self.scalar("I"), self.scalar("Q")
        if item == _STRING:
            return [self.string() for _ in range(size)]
        code = _SCALARS[item]  # arrays of arrays are allowed by the format but nobody writes them
        return np.frombuffer(self.take(size * struct.calcsize("<" + code)), "<" + code).tolist()

    def tensor_entry(self) -> tuple[str, tuple[int, ...], int, int]:
        name, rank = self.string(), self.scalar("I")
        if rank > _MAX_RANK:
            raise ValueError(f"tensor {name!r} has {rank} dimensions, {_MAX_RANK} are read")
        shape = tuple(self.scalar("Q") for _ in range(rank))[::-1]
        return name, shape, self.scalar("I"), self.scalar("Q")

    def tensor(self, shape: tuple[int, ...], kind: int, start: int) -> GgufTensor:
        if kind not in _BLOCK:
            raise ValueError(f"tensor type {kind} is not read (F32, F16, Q4_1, Q8_0 are)")
        per_block, block_bytes = _BLOCK[kind]
        count = math.prod(shape)
        if (shape[-1] if shape else 1) % per_block:
            raise ValueError(f"rows of {shape[-1]} values do not divide into blocks of {per_block}")
        self.at = start
        return GgufTensor(shape, kind, self.take(count // per_block * block_bytes))
