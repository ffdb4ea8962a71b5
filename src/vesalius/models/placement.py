"""Which part of a model lives where: one device, several, main memory beside a GPU, or the checkpoint on disk.

A `device_map` moves the language model: its embeddings, each of its layers, its head. Everything else (what sees
pictures, projectors, norms) stays on the main device. A layer that is not on a device of its own ("cpu" beside a GPU,
"disk") is brought to the main device while it computes and dropped afterwards.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor, nn

from vesalius.errors import LimitError, OptionError, UnsupportedError
from vesalius.models.memory import free_bytes, gigabytes

__all__ = ["DISK", "DeviceMap", "LanguageTower", "Placement", "attach", "chosen_device", "computing_device", "place"]

DISK = "disk"
DeviceMap = str | Mapping[str, str]

_ROOM_TO_ANSWER = 0.9
"""Share of a GPU that `auto` fills; the rest is for what is computed."""


def chosen_device(device: str) -> torch.device:
    """`auto` is the first GPU where there is one. OptionError for a device that is not here."""
    if device == "auto":
        return torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(device)
    except (RuntimeError, TypeError) as exc:
        raise OptionError(f"device {device!r} is unknown.", fix="Use auto, cpu or cuda:0.") from exc
    if chosen.type not in ("cpu", "cuda"):
        raise OptionError(f"device {device!r} is not supported.", fix="Use auto, cpu or cuda:0.")
    if chosen.type == "cpu":
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise OptionError(f"device {device!r}: there is no CUDA device here.", fix='Use device="cpu".')
    number = chosen.index or 0
    if number >= torch.cuda.device_count():
        raise OptionError(f"device {device!r} is not here; there are {torch.cuda.device_count()} CUDA devices.")
    return torch.device("cuda", number)


@dataclass(frozen=True)
class LanguageTower:
    """Names inside a family's module: `text` holds `embed_tokens` and `layers`; `head` turns states into words."""

    text: str
    head: str

    def layers(self, module: nn.Module) -> list[str]:
        """Names of the layers, in order."""
        layers: Any = module.get_submodule(f"{self.text}.layers")
        return [f"{self.text}.layers.{number}" for number in range(len(layers))]

    def units(self, module: nn.Module) -> list[str]:
        """Names of what can be moved on its own, in the order it computes."""
        return [f"{self.text}.embed_tokens", *self.layers(module), self.head]


@dataclass(frozen=True)
class Placement:
    """`main`: where everything else is and every unit's input and output.  `units`: unit → "disk" or a device's name,
    for those that are not on `main`."""

    main: torch.device
    units: Mapping[str, str] = field(default_factory=dict[str, str])

    def unit_of(self, name: str) -> str | None:
        """The moved unit a tensor of the module belongs to."""
        return next((unit for unit in self.units if name.startswith(f"{unit}.")), None)

    def is_offloaded(self, unit: str | None) -> bool:
        """Whether a unit is brought to the main device each time it computes."""
        return unit is not None and self.units[unit] in (DISK, "cpu")

    def device_of(self, name: str) -> torch.device | None:
        """Where a tensor is kept, None on disk."""
        unit = self.unit_of(name)
        if unit is None:
            return self.main
        return None if self.units[unit] == DISK else torch.device(self.units[unit])

    def needed(self, sizes: Mapping[str, int]) -> dict[torch.device, int]:
        """Bytes on each device for tensors of these `sizes`; the largest unit that is brought in counts on `main`."""
        needed = {self.main: 0}
        brought: dict[str, int] = {}
        for name, size in sizes.items():
            unit, device = self.unit_of(name), self.device_of(name)
            if device is not None:
                needed[device] = needed.get(device, 0) + size
            if unit is not None and self.is_offloaded(unit):
                brought[unit] = brought.get(unit, 0) + size
        needed[self.main] += max(brought.values(), default=0)
        return needed


def place(
    device: str, device_map: DeviceMap | None, module: nn.Module, tower: LanguageTower, sizes: Mapping[str, int]
) -> Placement:
    """Where everything goes. `sizes`: bytes of each tensor of `module` as it will be kept.

    Raises OptionError for devices and modules that are unknown or cannot be moved, UnsupportedError where moving needs
    accelerate and it is not installed, LimitError where `auto` finds no room for what must stay together.
    """
    if device_map is None:
        return Placement(chosen_device(device))
    if device != "auto":
        raise OptionError("device and device_map were both given.", fix="Give one of them.")
    if isinstance(device_map, str):
        if device_map.lstrip().startswith("{"):
            raise OptionError("device_map is a mapping written as text.", fix="Give the mapping itself, from Python.")
        if device_map != "auto":
            return Placement(chosen_device(device_map))
        made = _filled(module, tower, sizes)
    else:
        made = _mapped(device_map, module, tower)
    made = _with_tied_head(made, module, tower)
    if made.units and find_spec("accelerate") is None:
        raise UnsupportedError("device_map needs accelerate.", fix="Run: pip install 'vesalius[offload]'.")
    return made


def _with_tied_head(placement: Placement, module: nn.Module, tower: LanguageTower) -> Placement:
    """A head that shares the embeddings' weights goes where they go."""
    table = tower.units(module)[0]
    if module.get_submodule(table).weight is not module.get_submodule(tower.head).weight:
        return placement
    units = {unit: target for unit, target in placement.units.items() if unit != tower.head}
    return Placement(placement.main, {**units, tower.head: units[table]} if table in units else units)


def _mapped(given: Mapping[str, str], module: nn.Module, tower: LanguageTower) -> Placement:
    """A mapping of module names to devices; the longest name that fits a unit decides."""
    known = dict(module.named_modules())
    where: dict[str, str] = {}
    for name, target in given.items():
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            fix = f"Did you mean {near[0]}?" if near else f"It has {', '.join(n for n, _ in module.named_children())}."
            raise OptionError(f"device_map names {name!r}, which the model does not have.", fix=fix)
        where[name] = target if target == DISK else str(chosen_device(str(target)))
    units = tower.units(module)
    chosen = {unit: _longest(where, unit) for unit in units}
    left = [unit for unit, target in chosen.items() if target is None]
    if left:
        raise OptionError(f"device_map says nothing of {left[0]}.", fix='Add "" for all that is not named.')
    named = [chosen[units[0]], where.get(""), *where.values()]
    main = next((torch.device(one) for one in named if one is not None and one.startswith("cuda")), torch.device("cpu"))
    for name, target in where.items():
        moves = any(unit == name or unit.startswith(f"{name}.") for unit in units) if name else True
        if not moves and target != str(main):
            raise OptionError(
                f"device_map puts {name} on {target}; only {tower.text}.embed_tokens, {tower.text}.layers and "
                f"{tower.head} can leave {main}."
            )
    return Placement(main, {unit: target for unit, target in chosen.items() if target and target != str(main)})


def _longest(where: Mapping[str, str], unit: str) -> str | None:
    fits = [name for name in where if not name or unit == name or unit.startswith(f"{name}.")]
    return where[max(fits, key=len)] if fits else None


def _filled(module: nn.Module, tower: LanguageTower, sizes: Mapping[str, int]) -> Placement:
    """GPUs in order, then main memory, then disk; nothing is moved where one device holds all."""
    gpus = [torch.device("cuda", number) for number in range(torch.cuda.device_count())]
    main = gpus[0] if gpus else torch.device("cpu")
    room = {one: int(free_bytes(one) * (_ROOM_TO_ANSWER if one.type == "cuda" else 1)) for one in gpus}
    room[torch.device("cpu")] = free_bytes(torch.device("cpu"))
    units = {unit: _of(sizes, unit) for unit in tower.units(module)}
    stays = sum(sizes.values()) - sum(units.values())
    if sum(sizes.values()) <= room[main]:
        return Placement(main)
    for reserve in (0, max(units.values())):
        placed = _greedy(units, {**room, main: room[main] - stays - reserve})
        made = Placement(main, {unit: target for unit, target in placed.items() if target != str(main)})
        if reserve or not any(made.is_offloaded(unit) for unit in made.units):
            break
    if room[main] < stays + max(units.values()):
        raise LimitError(
            f"at least {gigabytes(stays + max(units.values()))} must be on {main} at a time, "
            f"{gigabytes(room[main])} are available.",
            fix="Use a smaller dtype or quantize.",
        )
    return made


def _greedy(units: Mapping[str, int], room: dict[torch.device, int]) -> dict[str, str]:
    """Each unit on the first device with room, never going back, so that the layers of a device follow each other."""
    placed: dict[str, str] = {}
    devices = list(room)
    for unit, size in units.items():
        while devices and room[devices[0]] < size:
            devices.pop(0)
        if devices:
            room[devices[0]] -= size
        placed[unit] = str(devices[0]) if devices else DISK
    return placed


def _of(sizes: Mapping[str, int], unit: str) -> int:
    return sum(size for name, size in sizes.items() if name.startswith(f"{unit}."))


class _Under(Mapping[str, Tensor]):
    """The tensors of one unit under their names inside it."""

    def __init__(self, tensors: Mapping[str, Tensor], unit: str) -> None:
        self._tensors, self._unit = tensors, unit

    def __getitem__(self, name: str) -> Tensor:
        return self._tensors[f"{self._unit}.{name}"]

    def __iter__(self) -> Iterator[str]:
        prefix = f"{self._unit}."
        return (name.removeprefix(prefix) for name in self._tensors if name.startswith(prefix))

    def __len__(self) -> int:
        return sum(1 for _ in self)


def attach(module: nn.Module, placement: Placement, offloaded: Mapping[str, Tensor]) -> None:
    """Make every moved unit compute where it must, with its input and output on the main device. `offloaded`: the
    weights of units that are brought in, by their name in `module`; they take no gradient."""
    if not placement.units:
        return
    from accelerate.hooks import AlignDevicesHook, add_hook_to_module

    for unit, target in placement.units.items():
        brought = placement.is_offloaded(unit)
        child = module.get_submodule(unit)
        if brought:
            child.requires_grad_(False)
        hook = AlignDevicesHook(
            execution_device=placement.main if brought else torch.device(target),
            offload=brought,
            io_same_device=True,
            weights_map=_Under(offloaded, unit) if brought else None,
            place_submodules=True,
            skip_keys=["past_key_values"],
        )
        add_hook_to_module(child, hook)


def computing_device(text: nn.Module) -> torch.device:
    """The main device of a transformers text model: where its final norm is, which never moves."""
    for name, child in text.named_children():
        weight = next(child.parameters(), None) if name not in ("embed_tokens", "layers") else None
        if weight is not None:
            return weight.device
    return next(text.parameters()).device
