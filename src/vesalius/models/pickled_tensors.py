"""Tensors of a checkpoint that was saved as a pickle, for conversion alone: nothing else opens such a file.

torch's reader is told to take tensors and plain containers and to refuse everything that could run code. It stays a
larger surface than safetensors, so the caller has to ask for it by name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vesalius.errors import CheckpointError, WeightsMissingError
from vesalius.models.checkpoint_files import read_json
from vesalius.models.tensor_files import Payload

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["PICKLES", "pickled_tensors"]

PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")
_INDEX = "pytorch_model.bin.index.json"
_NO_WEIGHTS = re.compile(r"(training_args|optimizer|scheduler|scaler|rng_state|random_states)")
"""Beginnings of the files a training run leaves beside the weights."""

_WRAPPERS = ("state_dict", "model", "module")
_PIECE = 8 << 20


def pickled_tensors(folder: Path) -> dict[str, Payload]:
    """The tensors of a folder's pickled weights by name, read when their bytes are asked for.

    Raises WeightsMissingError for a folder without such a file or with a shard missing, CheckpointError for a file
    that holds more than tensors or is damaged.
    """
    made: dict[str, Payload] = {}
    for path in _files(folder):
        for name, tensor in _tensors(path).items():
            if name in made:
                raise CheckpointError(f"tensor {name!r} is in two files.", file=path)
            made[name] = _payload(tensor, path)
    return made


def _files(folder: Path) -> list[Path]:
    if (folder / _INDEX).is_file():
        shards: Any = read_json(folder / _INDEX).get("weight_map")
        if not isinstance(shards, dict):
            raise CheckpointError("the index holds no weight_map.", file=folder / _INDEX)
        paths = [folder / name for name in sorted({str(value) for value in shards.values()})]
        for path in paths:
            if path.parent != folder:
                raise CheckpointError("the index names a file outside the folder.", file=folder / _INDEX)
            if not path.is_file():
                raise WeightsMissingError(f"shard {path.name} is missing.", file=folder)
        return paths
    found = [one for one in folder.iterdir() if one.suffix in PICKLES and not _NO_WEIGHTS.match(one.name)]
    if not found:
        raise WeightsMissingError("the folder holds neither safetensors nor pickled weights.", file=folder)
    return sorted(found)


def _tensors(path: Path) -> Mapping[str, Tensor]:
    import pickle

    import torch

    def read(mapped: bool) -> Any:
        return torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)

    try:
        try:
            loaded = read(True)
        except RuntimeError:  # files of releases before 1.6 cannot be mapped
            loaded = read(False)
    except pickle.UnpicklingError as exc:
        raise CheckpointError(
            "the pickle holds more than tensors, so it was not opened.", file=path, fix="Ask for safetensors."
        ) from exc
    except (OSError, RuntimeError, ValueError, EOFError, KeyError, TypeError, AttributeError) as exc:
        raise CheckpointError("the pickled weights are cut off or damaged.", file=path) from exc
    for wrapper in _WRAPPERS:
        if isinstance(loaded, dict) and isinstance(loaded.get(wrapper), dict):
            loaded = loaded[wrapper]
    if not isinstance(loaded, dict) or not loaded:
        raise CheckpointError("the pickle is no table of tensors.", file=path)
    for name, value in loaded.items():
        if not isinstance(name, str) or not isinstance(value, torch.Tensor) or value.is_sparse or value.is_quantized:
            raise CheckpointError(f"entry {str(name)[:80]!r} of the pickle is no plain tensor.", file=path)
    return loaded


def _payload(tensor: Tensor, path: Path) -> Payload:
    # The library's table of names; the private one of `safetensors.torch` goes the other way.
    from safetensors.torch import _TYPES  # pyright: ignore[reportPrivateUsage]

    codes = {dtype: code for code, dtype in _TYPES.items()}
    code = codes.get(tensor.dtype)
    if code is None:
        raise CheckpointError(f"tensors of {tensor.dtype} have no place in safetensors.", file=path)

    def pieces() -> Iterator[bytes]:
        import torch

        values = tensor.detach().contiguous().flatten().view(torch.uint8)
        for start in range(0, values.numel(), _PIECE):
            yield values[start : start + _PIECE].numpy().tobytes()

    return Payload(code, tuple(tensor.shape), tensor.numel() * tensor.element_size(), pieces)
