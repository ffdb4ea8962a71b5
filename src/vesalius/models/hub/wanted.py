"""Which files of a repository make a checkpoint: JSON, tokenizer files and safetensors, never a pickle or code."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from vesalius.errors import CheckpointError, WeightsMissingError

__all__ = ["INDEX", "is_small", "may_be_needed", "refuse_without_safetensors", "weight_paths"]

INDEX = "model.safetensors.index.json"

_TOKENIZERS = (".model", ".spm", ".tiktoken", ".jinja")
_TEXTS = ("merges.txt", "vocab.txt")
_SUBFOLDER = ("config.json", "preprocessor_config.json")
"""What is read from one folder down (the vision encoder of Hulu-Med's original layout)."""
_TRAINING = ("trainer_state.json", "all_results.json", "train_results.json", "eval_results.json")
_PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")
_MAX_SMALL_BYTES = 64 << 20


def is_small(path: str, size: int) -> bool:
    """Whether this is one of the files beside the weights that a loader may read."""
    folder, _, name = path.rpartition("/")
    if size > _MAX_SMALL_BYTES or folder.count("/") or name.startswith("."):
        return False
    if folder:
        return name in _SUBFOLDER
    return (name.endswith(".json") and name not in _TRAINING) or name.endswith(_TOKENIZERS) or name in _TEXTS


def may_be_needed(path: str) -> bool:
    """Whether a file of this name can be one of a checkpoint's, whatever its size and the index say."""
    return is_small(path, 0) or (path.endswith(".safetensors") and "/" not in path)


def refuse_without_safetensors(paths: Iterable[str], where: str) -> None:
    """CheckpointError for a repository whose weights are pickles, WeightsMissingError for one without weights."""
    root = sorted(path for path in paths if "/" not in path)
    if "config.json" not in root:
        raise CheckpointError(f"{where} holds no config.json.", fix="Give a repository with a whole checkpoint.")
    if any(path.endswith(".safetensors") for path in root):
        return
    pickled = [path for path in root if path.endswith(_PICKLES)]
    if pickled:
        raise CheckpointError(
            f"the weights of {where} are a pickle ({pickled[0]}), which can run code when it is opened; nothing was "
            "fetched.",
            fix="Convert it to safetensors where you trust it, then load that; or ask for a revision that has it.",
        )
    raise WeightsMissingError(f"{where} holds no safetensors file in its root.", fix="Give a repository with weights.")


def weight_paths(paths: Iterable[str], index: Path | None, where: str) -> list[str]:
    """The safetensors files to load: those the index names, else all in the root. CheckpointError if one lacks."""
    root = {path for path in paths if path.endswith(".safetensors") and "/" not in path}
    if index is None:
        return sorted(root)
    try:
        told: Any = json.loads(index.read_text(encoding="utf-8"))
        shards: Mapping[str, str] = told["weight_map"]
        named = sorted({str(shard) for shard in shards.values()})
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as exc:
        raise CheckpointError("the index holds no weight_map.", file=index) from exc
    lacking = [shard for shard in named if shard not in root]
    if lacking or not named:
        said = ", ".join(shard[:80] for shard in lacking[:3]) or "no shard"
        raise WeightsMissingError(f"the index of {where} names {said}, which it does not hold.", file=index)
    return named
