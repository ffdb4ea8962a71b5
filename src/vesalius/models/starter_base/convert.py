"""Turn the two source files into one ordinary checkpoint folder, once.

    <folder>/encoder/   config.json  model.safetensors         DINOv2 ViT-S/14, published keys
    <folder>/language/  config.json  model.safetensors  tokenizer.json  tokenizer_config.json  chat_template.jinja
    <folder>/saliency.safetensors                              decoder of the same ONNX file
    <folder>/provenance.json                                   sources, converter version, size and sha256 of each file

Tensors are stored as float32: the 4-bit blocks expand to `d*q + m`, which float16 cannot hold exactly, and a float32
file is mapped into memory without any conversion at start.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vesalius.errors import CheckpointError, WeightsMissingError

from . import tokenizer as tokenizers_
from .gguf_weights import Weights, language_state, read_gguf
from .onnx_weights import encoder_state, read_initialisers, saliency_state
from .wheels import INSTALL_COMMAND, WheelPin

__all__ = ["CONVERTER_VERSION", "convert_base", "damage", "state_sha256"]

CONVERTER_VERSION = 1
PROVENANCE = "provenance.json"
_STALE_S = 3600.0
"""A half-written folder older than this was left by a process that was killed."""

ENCODER_CONFIG: dict[str, Any] = {
    "architectures": ["Dinov2Model"],
    "model_type": "dinov2",
    "hidden_size": 384,
    "num_hidden_layers": 12,
    "num_attention_heads": 6,
    "mlp_ratio": 4,
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-6,
    "image_size": 518,
    "patch_size": 14,
    "num_channels": 3,
    "qkv_bias": True,
    "layerscale_value": 1.0,
    "drop_path_rate": 0.0,
    "use_swiglu_ffn": False,
    "apply_layernorm": True,
    "reshape_hidden_states": True,
    "dtype": "float32",
}
LANGUAGE_CONFIG: dict[str, Any] = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "vocab_size": 49152,
    "hidden_size": 576,
    "intermediate_size": 1536,
    "num_hidden_layers": 30,
    "num_attention_heads": 9,
    "num_key_value_heads": 3,
    "head_dim": 64,
    "hidden_act": "silu",
    "max_position_embeddings": 8192,
    "rope_parameters": {"rope_type": "default", "rope_theta": 100000.0},
    "rms_norm_eps": 1e-5,
    "attention_bias": False,
    "mlp_bias": False,
    "tie_word_embeddings": True,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 2,
    "dtype": "float32",
}
TOKENIZER_CONFIG: dict[str, Any] = {
    "tokenizer_class": "PreTrainedTokenizerFast",
    "bos_token": tokenizers_.BOS,
    "eos_token": tokenizers_.EOS,
    "unk_token": tokenizers_.UNK,
    "pad_token": tokenizers_.PAD,
    "model_max_length": 8192,
    "clean_up_tokenization_spaces": False,
    "padding_side": "left",
}


def state_sha256(state: Weights) -> str:
    """sha256 over the sorted keys (utf-8), each followed by its little-endian float32 bytes."""
    digest = hashlib.sha256()
    for key in sorted(state):
        digest.update(key.encode())
        digest.update(np.ascontiguousarray(state[key], "<f4").data)
    return digest.hexdigest()


def convert_base(onnx_file: bytes, gguf_file: bytes, folder: Path, *, pins: Sequence[WheelPin]) -> Path:
    """Write the checkpoint folder (about 640 MB, 4 s) and return it.

    Written under a temporary name beside `folder` and renamed when complete, so that a failure leaves nothing behind
    and two processes may convert at once. Raises CheckpointError if the sources are damaged or do not convert to the
    known weights, WeightsMissingError if the folder cannot be written.
    """
    encoder_pin, language_pin = pins
    initialisers = read_initialisers(onnx_file, file=encoder_pin.member)
    encoder = encoder_state(initialisers, file=encoder_pin.member)
    gguf = read_gguf(gguf_file, file=language_pin.member)
    language = language_state(gguf, file=language_pin.member)
    for state, pin in ((encoder, encoder_pin), (language, language_pin)):
        if pin.state_sha256 not in (None, state_sha256(state)):
            raise CheckpointError("the converted weights are not the known ones.", file=pin.member)
    tokenizer = tokenizers_.build_tokenizer(gguf, file=language_pin.member)

    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        _remove_stale(folder)
        partial = Path(tempfile.mkdtemp(prefix=f".{folder.name}.partial-", dir=folder.parent))
        try:
            for part in ("encoder", "language"):
                (partial / part).mkdir()
            _save(partial / "encoder/model.safetensors", encoder)
            _save(partial / "language/model.safetensors", language)
            _save(partial / "saliency.safetensors", saliency_state(initialisers))
            _dump(partial / "encoder/config.json", ENCODER_CONFIG)
            _dump(partial / "language/config.json", LANGUAGE_CONFIG)
            _dump(partial / "language/tokenizer_config.json", TOKENIZER_CONFIG)
            (partial / "language/tokenizer.json").write_text(tokenizer.to_str(), "utf-8")
            (partial / "language/chat_template.jinja").write_text(tokenizers_.CHAT_TEMPLATE, "utf-8")
            _dump(partial / PROVENANCE, _provenance(partial, pins))
            partial.chmod(0o755)
            _move_into_place(partial, folder)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    except OSError as exc:
        raise WeightsMissingError(
            f"the converted base weights cannot be written ({exc.strerror}).",
            file=folder,
            fix="Free 700 MB there, or set VESALIUS_STARTER_BASE to a folder that can be written.",
        ) from exc
    return folder


def damage(folder: Path, *, thorough: bool = False) -> str | None:
    """What is wrong with a converted folder, in one line; None if it can be used.

    Checks the converter's version and every file's size (a millisecond); `thorough` also every sha256 (seconds).
    """
    try:
        record = json.loads((folder / PROVENANCE).read_text("utf-8"))
        if record["converter_version"] != CONVERTER_VERSION:
            return f"it was made by converter version {record['converter_version']}, {CONVERTER_VERSION} is current."
        for name, facts in record["files"].items():
            path = folder / name
            if path.stat().st_size != facts["bytes"]:
                return f"{name} has {path.stat().st_size} bytes, {facts['bytes']} expected."
            if thorough and _file_sha256(path) != facts["sha256"]:
                return f"{name} has another sha256 than when it was written."
    except FileNotFoundError as exc:
        return f"{Path(str(exc.filename)).name} is missing."
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as exc:
        return f"{PROVENANCE} or a file it names cannot be read ({type(exc).__name__})."
    return None


def _provenance(folder: Path, pins: Sequence[WheelPin]) -> dict[str, Any]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        "converter_version": CONVERTER_VERSION,
        "sources": [
            {
                "role": pin.role,
                "package": pin.package,
                "version": pin.version,
                "file": pin.member,
                "sha256": pin.file_sha256,
                "licence": pin.licence,
            }
            for pin in pins
        ],
        "files": {
            path.relative_to(folder).as_posix(): {"bytes": path.stat().st_size, "sha256": _file_sha256(path)}
            for path in files
        },
    }


def _save(path: Path, state: Weights) -> None:
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    try:
        save_file({key: np.ascontiguousarray(value) for key, value in state.items()}, path, metadata={"format": "pt"})
        path.chmod(0o644)  # written as private; other users of a shared base must be able to read it
    except SafetensorError as exc:  # how the Rust side reports a full disk
        raise OSError(0, str(exc)) from exc


def _dump(path: Path, record: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(record, indent=2) + "\n", "utf-8")


def _file_sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _move_into_place(partial: Path, folder: Path) -> None:
    """Rename `partial` to `folder`; a sound folder that another process put there meanwhile is kept."""
    if folder.exists() and damage(folder) is None:
        return
    if folder.exists():
        if not folder.is_dir() or (any(folder.iterdir()) and not (folder / PROVENANCE).exists()):
            raise WeightsMissingError(
                "holds other files; they are not touched.",
                file=folder,
                fix=f"Name an empty folder for {INSTALL_COMMAND}.",
            )
        old = Path(tempfile.mkdtemp(prefix=f".{folder.name}.partial-", dir=folder.parent))
        os.replace(folder, old)
        shutil.rmtree(old, ignore_errors=True)
    try:
        os.rename(partial, folder)
    except OSError:
        if damage(folder) is not None:
            raise


def _remove_stale(folder: Path) -> None:
    for left in folder.parent.glob(f".{folder.name}.partial-*"):
        with contextlib.suppress(OSError):
            if time.time() - left.stat().st_mtime > _STALE_S:
                shutil.rmtree(left, ignore_errors=True)
