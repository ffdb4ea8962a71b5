"""Reading a checkpoint folder: config, safetensors by name, and filling modules without a second copy.

Only safetensors is read. A checkpoint that comes as a pickle is refused with the way to convert it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from vesalius.errors import CheckpointError, OptionError, WeightsMissingError
from vesalius.models.checkpoint_files import find_json, read_json, stored_as

__all__ = ["CheckpointTensors", "building", "chosen_device", "chosen_dtype", "fill", "find_json", "read_json"]

_PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")


class CheckpointTensors(Mapping[str, Tensor]):
    """The tensors of a folder's safetensors files by published name; each is read (memory-mapped) when it is asked for.

    Raises WeightsMissingError for a folder without weights or with a shard missing, CheckpointError for pickles and
    for files that are cut off or contradict their index.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._where: dict[str, Path] = {}
        self._stored: dict[str, str] = {}
        published = stored_as(folder)
        self.files = self._files()
        for path in self.files:
            for stored in self._header(path):
                for name in published(stored):
                    if name in self._where:
                        raise CheckpointError(f"tensor {name!r} is in two files.", file=path)
                    self._where[name], self._stored[name] = path, stored
        self._open: dict[Path, Any] = {}

    def _files(self) -> list[Path]:
        index = self.folder / "model.safetensors.index.json"
        if index.is_file():
            shards = read_json(index).get("weight_map")
            if not isinstance(shards, dict):
                raise CheckpointError("the index holds no weight_map.", file=index)
            paths = [self.folder / name for name in sorted({str(v) for v in shards.values()})]
            for path in paths:
                if path.parent != self.folder:
                    raise CheckpointError("the index names a file outside the folder.", file=index)
                if not path.is_file():
                    raise WeightsMissingError(f"shard {path.name} is missing.", file=self.folder)
            return paths
        paths = sorted(self.folder.glob("*.safetensors"))
        if paths:
            return paths
        pickled = sorted(p.name for p in self.folder.glob("*") if p.suffix in _PICKLES)
        if pickled:
            raise CheckpointError(
                f"the weights are a pickle ({pickled[0]}), which can run code when it is opened.",
                file=self.folder,
                fix="Run vesalius convert FOLDER NEW --from-pickle, then load NEW: only tensors are taken from it.",
            )
        raise WeightsMissingError("the folder holds no safetensors file.", file=self.folder)

    @staticmethod
    def _header(path: Path) -> list[str]:
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(path, framework="pt") as file:
                return list(file.keys())
        except (OSError, SafetensorError) as exc:
            raise CheckpointError("the safetensors file is cut off or damaged.", file=path) from exc

    def __getitem__(self, name: str) -> Tensor:
        from safetensors import safe_open

        path = self._where[name]
        if path not in self._open:
            self._open[path] = safe_open(path, framework="pt").__enter__()
        return self._open[path].get_tensor(self._stored[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._where)

    def __len__(self) -> int:
        return len(self._where)


@contextmanager
def building() -> Iterator[None]:
    """Build modules without initialising their weights: the pages are not touched until `fill` writes them."""
    from torch.nn import init

    # transformers keeps torch's functions in a table when it is first imported: it must not see the replaced ones.
    from transformers import initialization

    tables: list[dict[str, Any]] = [init.__dict__, initialization.TORCH_INIT_FUNCTIONS]
    names = [name for name in dir(init) if name.endswith("_") and not name.startswith("_")]
    kept = [{name: table[name] for name in names if name in table} for table in tables]
    try:
        for table, functions in zip(tables, kept, strict=True):
            table.update(dict.fromkeys(functions, _untouched))
        yield
    finally:
        for table, functions in zip(tables, kept, strict=True):
            table.update(functions)


def _untouched(tensor: Tensor, *_: Any, **__: Any) -> Tensor:
    return tensor


def fill(
    module: nn.Module,
    tensors: Mapping[str, Tensor],
    rename: Callable[[str], str | None],
    *,
    tied: Iterable[str] = (),
    file: Path | None = None,
) -> list[str]:
    """Copy every tensor into the parameter or buffer `rename` gives it, one at a time.

    `rename`: checkpoint name → the module's name, or None for a tensor that is deliberately unused; those names are
    returned. `tied`: the module's names that may stay unfilled because they share another's storage.
    Raises CheckpointError naming tensors that are unknown, missing or of another shape.
    """
    own = module.state_dict(keep_vars=True)
    unused: list[str] = []
    filled: set[str] = set()
    unknown: list[str] = []
    for name in tensors:
        target = rename(name)
        if target is None:
            unused.append(name)
            continue
        place = own.get(target)
        if place is None:
            unknown.append(name)
            continue
        value = tensors[name]
        if value.shape != place.shape:
            raise CheckpointError(
                f"tensor {name!r} has shape {tuple(value.shape)}, the config asks for {tuple(place.shape)}.", file=file
            )
        with torch.no_grad():
            place.copy_(value)
        filled.add(target)
    missing = sorted(set(own) - filled - set(tied))
    if unknown or missing:
        said = [f"{len(names)} {what} ({', '.join(sorted(names)[:5])})" for what, names in
                (("unknown tensors", unknown), ("missing tensors", missing)) if names]  # fmt: skip
        raise CheckpointError(f"the checkpoint does not fit its config: {'; '.join(said)}.", file=file)
    return unused


def chosen_device(device: str) -> torch.device:
    """`auto` is the first GPU where there is one. OptionError for a device that is not here."""
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(device)
    except RuntimeError as exc:
        raise OptionError(f"device {device!r} is unknown.", fix="Use auto, cpu or cuda:0.") from exc
    if chosen.type == "cuda" and not torch.cuda.is_available():
        raise OptionError("there is no CUDA device here.", fix='Use device="cpu".')
    return chosen


def chosen_dtype(dtype: str, stored: str | None = None) -> torch.dtype:
    """`auto` is what the checkpoint says it was stored in, float32 on doubt. OptionError for another name."""
    known = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
    if dtype == "auto":
        return known.get(stored or "", torch.float32)
    if dtype not in known:
        raise OptionError(f"dtype {dtype!r} is unknown.", fix=f"Use auto, {', '.join(known)}.")
    return known[dtype]
