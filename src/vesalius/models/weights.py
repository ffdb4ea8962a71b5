"""Reading a checkpoint folder: its JSON files, its tensors by name, and filling a module that has none yet.

Only safetensors is read. A checkpoint that comes as a pickle is refused with the way to convert it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import RLock, get_ident
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from vesalius.errors import CheckpointError, OptionError, WeightsMissingError
from vesalius.models.checkpoint_files import find_json, read_json, stored_as
from vesalius.models.contract import Loading
from vesalius.models.memory import require_room
from vesalius.models.placement import LanguageTower, Placement, attach, place
from vesalius.models.quantize import Quantization, is_quantized, quantize_linears, quantized_bytes, with_weight
from vesalius.models.shards import StoredRows, StoredTensor, read_header, read_tensor, staging_buffer

__all__ = ["CheckpointTensors", "StoredTensors", "building", "chosen_dtype", "fill", "find_json", "read_json"]

_INDEX = "model.safetensors.index.json"
_PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")
_NAMED_AT_MOST = 5
_ONE_AT_A_TIME = RLock()
"""Building changes how torch's modules take their parameters."""


class StoredTensors(Protocol):
    """Tensors that are known by name and shape before any is read."""

    def __iter__(self) -> Iterator[str]: ...

    def shape(self, name: str) -> tuple[int, ...]:
        """As the file's header says it."""
        ...

    def read(self, name: str, dtype: torch.dtype, device: torch.device) -> Tensor:
        """The tensor itself, straight from its file."""
        ...

    def rows(self, name: str, dtype: torch.dtype, device: torch.device) -> Tensor | StoredRows:
        """The same for a matrix, some rows at a time."""
        ...


class CheckpointTensors(Mapping[str, Tensor]):
    """The tensors of a folder's safetensors files by published name; each is read when it is asked for.

    Raises WeightsMissingError for a folder without weights, CheckpointError for pickles, for files that are cut off,
    and for an index and files that contradict each other.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._stored: dict[str, StoredTensor] = {}
        self._buffer = staging_buffer()
        index = folder / _INDEX
        promises = self._indexed(index) if index.is_file() else {}
        published = stored_as(folder)
        self.files = list(promises) or self._files()
        for path in self.files:
            promised = promises.get(path)
            found = read_header(path)
            if promised is not None and promised != set(found):
                said = _listed({"not in it": promised - set(found), "not in the index": set(found) - promised})
                raise CheckpointError(f"the index and {path.name} differ: {said}.", file=folder)
            for stored, tensor in found.items():
                for name in published(stored):
                    if name in self._stored:
                        raise CheckpointError(f"tensor {name!r} is in two files.", file=path)
                    self._stored[name] = tensor

    def _indexed(self, index: Path) -> dict[Path, set[str]]:
        """The files an index names, each with the tensors it promises."""
        shards = read_json(index).get("weight_map")
        if not isinstance(shards, dict) or not shards:
            raise CheckpointError("the index holds no weight_map.", file=index)
        promised: dict[Path, set[str]] = {}
        for name, file in sorted(shards.items(), key=lambda item: str(item[1])):
            path = self.folder / str(file)
            if path.parent != self.folder or path.name in ("", ".."):
                raise CheckpointError("the index names a file outside the folder.", file=index)
            promised.setdefault(path, set()).add(name)
        lacking = [path.name for path in promised if not path.is_file()]
        if lacking:
            raise CheckpointError(
                f"{len(lacking)} of {len(promised)} files the index names are missing ({_some(lacking)}).",
                file=self.folder,
                fix="Fetch the checkpoint again.",
            )
        return promised

    def _files(self) -> list[Path]:
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

    def shape(self, name: str) -> tuple[int, ...]:
        """As the header says it."""
        return self._stored[name].shape

    def read(self, name: str, dtype: torch.dtype, device: torch.device) -> Tensor:
        """The tensor straight from its file, in `dtype` on `device`."""
        return read_tensor(self._stored[name], dtype, device, self._buffer)

    def rows(self, name: str, dtype: torch.dtype, device: torch.device) -> StoredRows:
        """The same for a matrix, some rows at a time."""
        return StoredRows(self._stored[name], dtype, device, self._buffer)

    def __getitem__(self, name: str) -> Tensor:
        return self.read(name, self._stored[name].dtype, torch.device("cpu"))

    def __iter__(self) -> Iterator[str]:
        return iter(self._stored)

    def __len__(self) -> int:
        return len(self._stored)


class _EmptyIsMeta(TorchFunctionMode):
    """`torch.empty`, which the layers make their weights by, takes no memory."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if func is torch.empty and kwargs.get("device") is None:
            kwargs["device"] = "meta"
        return func(*args, **kwargs)


@contextmanager
def building(dtype: torch.dtype) -> Iterator[None]:
    """Parameters made inside are of `dtype` and have no storage yet (device "meta"); `fill` gives them theirs. Buffers
    are real: some are computed while building and stored nowhere."""
    with _ONE_AT_A_TIME:
        yield from _building(dtype)


def _building(dtype: torch.dtype) -> Iterator[None]:
    register, before, builder = nn.Module.register_parameter, torch.get_default_dtype(), get_ident()

    def without_storage(self: nn.Module, name: str, param: nn.Parameter | None) -> None:
        # One that is there already stays the same object: that is how weights are tied.
        if param is not None and param.device.type != "meta" and get_ident() == builder:
            param = nn.Parameter(param.detach().to("meta"), requires_grad=param.requires_grad)
        register(self, name, param)

    torch.set_default_dtype(dtype)
    nn.Module.register_parameter = without_storage
    try:
        with _EmptyIsMeta():
            yield
    finally:
        nn.Module.register_parameter = register
        torch.set_default_dtype(before)


def fill(
    module: nn.Module,
    tensors: StoredTensors,
    rename: Callable[[str], str | None],
    *,
    how: Loading,
    tower: LanguageTower,
    file: Path | None = None,
) -> list[str]:
    """Give a module made under `building` its weights: each tensor goes from its file straight to its device and dtype.

    `rename`: checkpoint name → the module's name, or None for a tensor that is deliberately unused; those names are
    returned. `how`: device, device_map and quantization. `tower`: what of the module these move and quantize.
    Before any tensor is read: CheckpointError naming tensors that are unknown, missing or of another shape, OptionError
    for devices, LimitError stating needed and available memory.
    """
    own: dict[str, Any] = module.state_dict(keep_vars=True)
    sources, unused = _matched(own, tensors, rename, file)
    if how.quantize is not None:
        dtype: Any = module.get_parameter(f"{tower.head}.weight").dtype
        quantize_linears([module.get_submodule(name) for name in tower.layers(module)], how.quantize, dtype)
        own = module.state_dict(keep_vars=True)
    homes = _homes(module)
    sizes = {name: _bytes_of(goal, homes[id(goal)][0].holder, how.quantize) for name, goal in _once(own).items()}
    placement = place(how.device, how.device_map, module, tower, sizes)
    _check_room(placement, sizes, own, how)
    offloaded = _Offloaded(own, sources, tensors, placement.main)
    firsts = _once({name: own[name] for name in own if name in sources})
    for name, source in sources.items():
        device = placement.device_of(name)
        if name not in firsts or device is None:
            continue
        goal = own[name]
        if placement.is_offloaded(placement.unit_of(name)):
            offloaded.kept[id(goal)] = tensors.read(source, goal.dtype, device)
            continue
        if _takes_quantized(homes[id(goal)][0].holder, goal):
            made = with_weight(homes[id(goal)][0].holder, tensors.rows(source, goal.dtype, device), device)
        else:
            made = tensors.read(source, goal.dtype, device)
            if isinstance(goal, nn.Parameter):
                made = nn.Parameter(made, requires_grad=goal.requires_grad)
        for home in homes[id(goal)]:
            setattr(home.holder, home.attribute, made)
    for buffer in [one for name, one in module.named_buffers() if name not in sources]:  # computed, stored nowhere
        for home in homes[id(buffer)]:
            setattr(home.holder, home.attribute, buffer.to(placement.main))
    attach(module, placement, offloaded)
    return unused


def _matched(
    own: Mapping[str, Tensor], tensors: StoredTensors, rename: Callable[[str], str | None], file: Path | None
) -> tuple[dict[str, str], list[str]]:
    """(the module's names → the checkpoint's, in the order they are stored; names left out). By headers alone."""
    sources: dict[str, str] = {}
    unused: list[str] = []
    unknown: list[str] = []
    misshaped: list[str] = []
    for name in tensors:
        target = rename(name)
        if target is None:
            unused.append(name)
            continue
        if target not in own:
            unknown.append(name)
            continue
        if target in sources:
            raise CheckpointError(f"tensors {sources[target]!r} and {name!r} are one weight of the model.", file=file)
        sources[target] = name
        stored, asked = tensors.shape(name), tuple(own[target].shape)
        if stored != asked:
            misshaped.append(f"tensor {name!r} has shape {stored}, the config asks for {asked}")
    filled = {id(own[name]) for name in sources}
    missing = [name for name, goal in own.items() if id(goal) not in filled]
    if unknown or missing:
        said = _listed({"unknown tensors": unknown, "missing tensors": missing})
        raise CheckpointError(f"the checkpoint does not fit its config: {said}.", file=file)
    if misshaped:
        more = f" (and {len(misshaped) - 1} more of other shapes)" if len(misshaped) > 1 else ""
        raise CheckpointError(f"{misshaped[0]}{more}.", file=file)
    return sources, unused


def _listed(groups: Mapping[str, Collection[str]]) -> str:
    return "; ".join(f"{len(names)} {what} ({_some(names)})" for what, names in groups.items() if names)


def _some(names: Collection[str]) -> str:
    """The first few, in alphabetical order."""
    rest = len(names) - _NAMED_AT_MOST
    return ", ".join(sorted(names)[:_NAMED_AT_MOST]) + (f" and {rest} more" if rest > 0 else "")


def _once(own: Mapping[str, Any]) -> dict[str, Any]:
    """Each weight under its first name alone: tied weights are one."""
    firsts: dict[int, str] = {}
    for name, goal in own.items():
        firsts.setdefault(id(goal), name)
    return {name: own[name] for name in firsts.values()}


@dataclass(frozen=True)
class _Home:
    """A place a weight or buffer is put: an attribute of a module."""

    holder: nn.Module
    attribute: str


def _homes(module: nn.Module) -> dict[int, list[_Home]]:
    """Every place of every parameter and buffer, by its identity; tied weights have several."""
    homes: dict[int, list[_Home]] = {}
    for holder in module.modules():
        own = [*holder.named_parameters(recurse=False, remove_duplicate=False)]
        for attribute, value in [*own, *holder.named_buffers(recurse=False, remove_duplicate=False)]:
            homes.setdefault(id(value), []).append(_Home(holder, attribute))
    return homes


def _takes_quantized(holder: nn.Module, goal: Tensor) -> bool:
    return is_quantized(holder) and goal is holder.weight


def _bytes_of(goal: Tensor, holder: nn.Module, bits: Quantization | None) -> int:
    """What a weight takes once it is loaded."""
    if bits is not None and _takes_quantized(holder, goal):
        return quantized_bytes(goal, bits)
    return goal.numel() * goal.dtype.itemsize


def _check_room(placement: Placement, sizes: Mapping[str, int], own: Mapping[str, Tensor], how: Loading) -> None:
    """LimitError before anything is read."""
    if how.quantize is not None and any(placement.is_offloaded(unit) for unit in placement.units):
        raise OptionError(
            "quantized layers cannot be brought in from disk or main memory.", fix="Leave quantize out, or use GPUs."
        )
    dtypes = {str(goal.dtype).removeprefix("torch.") for goal in own.values() if goal.is_floating_point()}
    needed = placement.needed(sizes)
    fixes = [] if "float32" not in dtypes else ['dtype="bfloat16"']
    fixes += ['quantize="8bit" or "4bit"'] if how.quantize is None else []
    fixes += ['device_map="auto"'] if how.device_map is None and how.quantize is None else []
    bits = "" if how.quantize is None else f", layers in {how.quantize.removesuffix('bit')} bits"
    fix = f"Use {', or '.join(fixes)}." if fixes else "Use a larger machine or a smaller model."
    require_room(needed, what=f" in {', '.join(sorted(dtypes))}{bits}", fix=fix)


class _Offloaded(Mapping[str, Tensor]):
    """Weights that are brought in when they are needed, by the module's names: from main memory (`kept`) or, each time
    anew, from the checkpoint's files."""

    def __init__(
        self, own: Mapping[str, Tensor], sources: Mapping[str, str], tensors: StoredTensors, main: torch.device
    ) -> None:
        self._own, self._tensors, self._main = own, tensors, main
        self._sources = {id(own[name]): source for name, source in sources.items()}
        self.kept: dict[int, Tensor] = {}

    def __getitem__(self, name: str) -> Tensor:
        goal = self._own[name]
        kept = self.kept.get(id(goal))
        return self._tensors.read(self._sources[id(goal)], goal.dtype, self._main) if kept is None else kept

    def __iter__(self) -> Iterator[str]:
        return iter(self._own)

    def __len__(self) -> int:
        return len(self._own)


def chosen_dtype(dtype: str, stored: str | None = None) -> torch.dtype:
    """`auto` is what the checkpoint says it was stored in, float32 on doubt. OptionError for another name."""
    known = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
    if dtype == "auto":
        return known.get(stored or "", torch.float32)
    if dtype not in known:
        raise OptionError(f"dtype {dtype!r} is unknown.", fix=f"Use auto, {', '.join(known)}.")
    return known[dtype]
