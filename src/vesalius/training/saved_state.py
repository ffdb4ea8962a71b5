"""Weights, optimiser, schedule and random number generators as safetensors and JSON: nothing that runs when it is read.

Everything is named by parameter and held whole, also where several processes hold slices of it (FSDP2), so what one
number of processes wrote another can read. Floats survive JSON bit for bit (Python writes the shortest text that
reads back equal).
"""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from vesalius.errors import CheckpointError
from vesalius.training.shards import cut_like, own_shard, whole_of

__all__ = [
    "Gathered",
    "generators_of",
    "optimizer_of",
    "put_weights",
    "read_optimizer",
    "read_processes",
    "read_schedule",
    "read_weights",
    "set_generators",
    "weights_of",
    "write_optimizer",
    "write_processes",
    "write_schedule",
    "write_weights",
]

WEIGHTS = "model.safetensors"
OPTIMIZER, GROUPS = "optimizer.safetensors", "optimizer.json"
SCHEDULE = "scheduler.json"
PROCESSES = "processes.json"


@dataclass(frozen=True)
class Gathered:
    """Whole `tensors` in main memory by name (empty in processes that do not keep them), and what JSON holds beside."""

    tensors: Mapping[str, Tensor] = field(repr=False)
    notes: Any


def weights_of(module: nn.Module, *, keep: bool) -> Gathered:
    """`module.state_dict()`, whole; of tensors that share memory (tied heads) the first alone, the others as notes.

    Every process of a sharded model must call; those that `keep` get the tensors.
    """
    whole: dict[str, Tensor] = {}
    tied: dict[str, str] = {}
    places: dict[tuple[Any, ...], str] = {}
    for name, value in module.state_dict().items():
        local: Tensor = own_shard(value)
        key = (local.data_ptr(), value.shape, local.stride(), value.dtype)
        first = places.setdefault(key, name) if local.numel() else name
        if first != name:
            tied[name] = first
            continue
        gathered = whole_of(value)
        if keep:
            whole[name] = gathered.detach().cpu().contiguous()
    return Gathered(whole, tied)


def write_weights(weights: Gathered, folder: Path) -> None:
    """As one safetensors file."""
    save_file(_apart(weights.tensors), folder / WEIGHTS, metadata={"format": "pt", "tied": json.dumps(weights.notes)})


def read_weights(module: nn.Module, folder: Path) -> None:
    """Put back what `write_weights` wrote, in place. CheckpointError where names or shapes differ."""
    with safe_open(folder / WEIGHTS, framework="pt") as opened:
        tied: dict[str, str] = json.loads((opened.metadata() or {}).get("tied", "{}"))
        _put(module, list(opened.keys()), tied, opened.get_tensor, folder)


def put_weights(weights: Gathered, module: nn.Module) -> None:
    """The same from memory."""
    _put(module, list(weights.tensors), weights.notes, weights.tensors.__getitem__, None)


def _put(
    module: nn.Module, names: list[str], tied: Mapping[str, str], read: Callable[[str], Tensor], folder: Path | None
) -> None:
    held = {name: name for name in names} | dict(tied)
    places = module.state_dict()
    if wrong := sorted(set(places) ^ set(held)):
        raise CheckpointError(
            f"it holds other weights than this run trains ({len(wrong)} names differ, {wrong[0]}).", file=folder
        )
    with torch.no_grad():
        for name, place in places.items():
            value = read(held[name])
            if value.shape != place.shape:
                raise CheckpointError(f"{name} is {[*value.shape]}, not {[*place.shape]}.", file=folder)
            place.copy_(cut_like(value, place))


def optimizer_of(optimizer: Any, module: nn.Module, *, keep: bool) -> Gathered:
    """State by parameter name and kind (`<name>/exp_avg`); as notes the groups and what is no tensor.

    Every process of a sharded model must call; those that `keep` get the tensors.
    """
    tensors: dict[str, Tensor] = {}
    plain: dict[str, Any] = {}
    groups: list[dict[str, Any]] = []
    for group, named in _named_groups(optimizer, module):
        groups.append({**{key: value for key, value in group.items() if key != "params"}, "params": list(named)})
        for name, parameter in named.items():
            for kind, value in optimizer.state.get(parameter, {}).items():
                if isinstance(value, Tensor):
                    gathered = whole_of(value)
                    if keep:
                        tensors[f"{name}/{kind}"] = gathered.detach().cpu().contiguous()
                else:
                    plain[f"{name}/{kind}"] = value
    return Gathered(tensors, {"groups": groups, "plain": plain})


def write_optimizer(state: Gathered, folder: Path) -> None:
    """Tensors as safetensors, the rest as JSON."""
    save_file(_apart(state.tensors), folder / OPTIMIZER, metadata={"format": "pt"})
    _write_json(folder / GROUPS, state.notes)


def read_optimizer(optimizer: Any, module: nn.Module, folder: Path) -> None:
    """Put back what `write_optimizer` wrote. CheckpointError where its groups are of other parameters."""
    stored: Any = _read_json(folder / GROUPS)
    pairs = list(_named_groups(optimizer, module))
    if [group["params"] for group in stored["groups"]] != [list(named) for _, named in pairs]:
        raise CheckpointError("its optimiser is of other parameters than this run trains.", file=folder)
    for (group, _), noted in zip(pairs, stored["groups"], strict=True):
        for key, value in noted.items():
            if key != "params":
                group[key] = tuple(value) if isinstance(group.get(key), tuple) else value
    parameters = {name: parameter for _, named in pairs for name, parameter in named.items()}
    on_device = {name for group, named in pairs if group.get("fused") or group.get("capturable") for name in named}
    optimizer.state.clear()
    with safe_open(folder / OPTIMIZER, framework="pt") as opened:
        for key in opened.keys():  # noqa: SIM118 (not a mapping)
            name, _, kind = key.rpartition("/")
            parameter = parameters[name]
            value = opened.get_tensor(key)
            if value.shape == parameter.shape and value.dim():
                value = cut_like(value, parameter.detach())
            elif value.dim() or name in on_device:  # else a count of steps, which AdamW keeps in main memory
                value = value.to(parameter.device)
            optimizer.state.setdefault(parameter, {})[kind] = value
    for key, value in stored["plain"].items():
        name, _, kind = key.rpartition("/")
        optimizer.state.setdefault(parameters[name], {})[kind] = value


def write_schedule(schedule: Any, folder: Path) -> None:
    """The learning rate schedule's state."""
    _write_json(folder / SCHEDULE, schedule.state_dict())


def read_schedule(schedule: Any, folder: Path) -> None:
    """Put back what `write_schedule` wrote."""
    schedule.load_state_dict(_read_json(folder / SCHEDULE))


def generators_of() -> dict[str, Any]:
    """The random number generators of this process, for JSON: python's, numpy's, torch's, its CUDA devices'."""
    version, words, gauss = random.getstate()
    kind, keys, place, has_gauss, cached = np.random.get_state(legacy=True)
    return {
        "python": [version, list(words), gauss],
        "numpy": [kind, np.asarray(keys).tolist(), place, has_gauss, cached],
        "torch": _text(torch.get_rng_state()),
        "cuda": [_text(one) for one in torch.cuda.get_rng_state_all()] if torch.cuda.is_available() else [],
    }


def write_processes(states: Sequence[Mapping[str, Any]], folder: Path) -> None:
    """What each process alone knows (`generators_of` and more), in order."""
    _write_json(folder / PROCESSES, {"processes": list(states)})


def read_processes(folder: Path) -> list[dict[str, Any]]:
    """What `write_processes` wrote."""
    return _read_json(folder / PROCESSES)["processes"]


def set_generators(states: Mapping[str, Any]) -> bool:
    """Put back what `generators_of` gave. False, with nothing changed, where other CUDA devices were there."""
    devices = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if len(states["cuda"]) != devices:
        return False
    version, words, gauss = states["python"]
    random.setstate((version, tuple(words), gauss))
    kind, keys, place, has_gauss, cached = states["numpy"]
    np.random.set_state((kind, np.asarray(keys, dtype=np.uint32), place, has_gauss, cached))
    torch.set_rng_state(_bytes(states["torch"]))
    if devices:
        torch.cuda.set_rng_state_all([_bytes(one) for one in states["cuda"]])
    return True


def _named_groups(optimizer: Any, module: nn.Module) -> Iterator[tuple[dict[str, Any], dict[str, nn.Parameter]]]:
    names = {id(value): name.replace("_checkpoint_wrapped_module.", "") for name, value in module.named_parameters()}
    for group in optimizer.param_groups:
        yield group, {names[id(value)]: value for value in group["params"]}


def _apart(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors that share memory in part (views of one buffer) as copies; safetensors refuses them otherwise."""
    seen: set[int] = set()
    apart: dict[str, Tensor] = {}
    for name, value in tensors.items():
        storage = value.untyped_storage().data_ptr()
        shared = storage in seen or value.untyped_storage().nbytes() != value.numel() * value.element_size()
        apart[name] = value.clone() if shared and value.numel() else value
        seen.add(storage)
    return apart


def _text(state: Tensor) -> str:
    return base64.b64encode(state.numpy().tobytes()).decode("ascii")


def _bytes(text: str) -> Tensor:
    return torch.from_numpy(np.frombuffer(base64.b64decode(text), dtype=np.uint8).copy())


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, default=_plain) + "\n", encoding="utf-8")


def _plain(value: Any) -> Any:
    if isinstance(value, Tensor) and value.numel() == 1:
        return value.item()
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} cannot be kept in a checkpoint")


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as exc:
        raise CheckpointError(f"{path.name} is missing.", file=path.parent) from exc
