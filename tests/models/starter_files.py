"""Tiny ONNX and GGUF files, written here byte by byte, that look like the starter's sources."""

from __future__ import annotations

import hashlib
import struct
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from vesalius.models.starter_base.wheels import PINS, WheelPin

F32, Q4_1, Q8_0 = 0, 3, 8


def varint(value: int) -> bytes:
    out = b""
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def field(number: int, value: int | bytes) -> bytes:
    """One protobuf field: a varint for an int, length-delimited for bytes."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def onnx_tensor(name: str, values: np.ndarray, *, data_type: int = 1) -> bytes:
    dims = b"".join(field(1, size) for size in values.shape)
    return dims + field(2, data_type) + field(8, name.encode()) + field(9, values.astype("<f4").tobytes())


def onnx_file(tensors: Mapping[str, np.ndarray]) -> bytes:
    graph = field(2, b"graph name") + b"".join(field(5, onnx_tensor(*item)) for item in tensors.items())
    return field(1, 7) + field(2, b"producer") + field(7, graph)


def encoder_tensors(width: int = 4) -> dict[str, np.ndarray]:
    """Every initialiser the encoder needs, tiny; each matrix is filled with its own number."""
    tensors: dict[str, np.ndarray] = {
        "backbone.layernorm.weight": np.ones(width, np.float32),
        "onnx::Concat_1957": np.zeros((1, 1, width), np.float32),
        "onnx::Reshape_1962": np.ones((1, 9, width), np.float32),
        "decoder.final_conv.bias": np.full(1, 0.5, np.float32),
    }
    for layer in range(12):
        for step in (0, 3, 6, 14, 15, 16):
            rows, columns = {15: (width, 8), 16: (8, width)}.get(step, (width, width))
            number = 1966 + 17 * layer + step
            tensors[f"onnx::MatMul_{number}"] = np.full((rows, columns), number, np.float32)
    return tensors


def gguf_string(text: str) -> bytes:
    return struct.pack("<Q", len(text.encode())) + text.encode()


def gguf_value(value: object) -> bytes:
    """Type number and value of a metadata entry."""
    match value:
        case bool():
            return struct.pack("<I?", 7, value)
        case int():
            return struct.pack("<II", 4, value)
        case float():
            return struct.pack("<If", 6, value)
        case str():
            return struct.pack("<I", 8) + gguf_string(value)
        case list() if all(isinstance(item, str) for item in value):
            return struct.pack("<IIQ", 9, 8, len(value)) + b"".join(gguf_string(str(item)) for item in value)
        case list():
            return struct.pack("<IIQ", 9, 5, len(value)) + np.array(value, "<i4").tobytes()
        case _:
            raise TypeError(type(value))


def gguf_file(
    metadata: Mapping[str, object], tensors: Mapping[str, tuple[tuple[int, ...], int, bytes]], *, version: int = 3
) -> bytes:
    """`tensors`: name -> (row-major shape, type number, raw bytes)."""
    head = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(metadata))
    for key, value in metadata.items():
        head += gguf_string(key) + gguf_value(value)
    body = b""
    for name, (shape, kind, raw) in tensors.items():
        head += gguf_string(name) + struct.pack(f"<I{len(shape)}Q", len(shape), *shape[::-1])
        head += struct.pack("<IQ", kind, len(body))
        body += raw + b"\0" * (-len(raw) % 32)
    return head + b"\0" * (-len(head) % 32) + body


def tiny_language_file() -> bytes:
    """One Llama layer of width 32 with 2 heads and 1 key-value head, and a vocabulary of bytes and one merge."""
    rng = np.random.default_rng(5)

    def f32(*shape: int) -> tuple[tuple[int, ...], int, bytes]:
        return shape, F32, rng.standard_normal(shape).astype("<f4").tobytes()

    tensors = {"token_embd.weight": f32(6, 32), "output_norm.weight": f32(32)}
    shapes = {"attn_q": (32, 32), "attn_k": (16, 32), "attn_v": (16, 32), "attn_output": (32, 32)}
    shapes |= {"ffn_gate": (64, 32), "ffn_up": (64, 32), "ffn_down": (32, 64)}
    tensors |= {f"blk.0.{name}.weight": f32(*shape) for name, shape in shapes.items()}
    tensors |= {f"blk.0.{name}.weight": f32(32) for name in ("attn_norm", "ffn_norm")}
    metadata: dict[str, object] = {
        "llama.block_count": 1,
        "llama.attention.head_count": 2,
        "llama.attention.head_count_kv": 1,
        "tokenizer.ggml.pre": "smollm",
        "tokenizer.ggml.tokens": ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "a", "1", "aa"],
        "tokenizer.ggml.token_type": [3, 3, 3, 1, 1, 1],
        "tokenizer.ggml.merges": ["a a"],
    }
    return gguf_file(metadata, tensors)


def tiny_pins(onnx: bytes, gguf: bytes) -> tuple[WheelPin, WheelPin]:
    """The starter's pins with the hashes and sizes of other files."""
    first, second = (
        replace(pin, file_sha256=hashlib.sha256(data).hexdigest(), file_bytes=len(data), state_sha256=None)
        for pin, data in zip(PINS, (onnx, gguf), strict=True)
    )
    return first, second


def write_wheel(folder: Path, pin: WheelPin, data: bytes, member: str | None = None) -> Path:
    wheel = folder / f"{pin.import_name}-{pin.version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(member or pin.member, data)
    return wheel
