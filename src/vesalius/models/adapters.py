"""LoRA adapters in PEFT's layout: read, checked against their base, added to the weights of a network.

    adapter_config.json        PEFT's own
    adapter_model.safetensors  base_model.model.<module>.lora_A.weight [r, in], .lora_B.weight [out, r], and whole
                               weights of the modules named under modules_to_save
    vesalius.json              the base it was trained on (adapters of other programs lack it)

An adapter is added once, in float32, when the base is loaded: answering costs what it costs without one, and PEFT is
not needed.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from vesalius.errors import CheckpointError, OptionError, UnsupportedError
from vesalius.models.checkpoint_files import read_json
from vesalius.models.contract import Family, Trainable
from vesalius.models.shards import read_header, read_tensor, staging_buffer
from vesalius.models.weights_fingerprint import weights_fingerprint

__all__ = [
    "ABOUT",
    "CONFIG",
    "PREFIX",
    "WEIGHTS",
    "base_named",
    "is_adapter",
    "merge_adapter",
    "merged_values",
    "stored_values",
]

CONFIG, WEIGHTS, ABOUT = "adapter_config.json", "adapter_model.safetensors", "vesalius.json"
PREFIX = "base_model.model."
_PAIR = re.compile(r"(?P<module>.+)\.lora_(?P<half>[AB])\.weight")
_PLAIN: dict[str, tuple[Any, ...]] = {
    "use_dora": (None, False),
    "fan_in_fan_out": (None, False),
    "bias": (None, "none"),
    "lora_bias": (None, False),
    "use_qalora": (None, False),
    "layer_replication": (None, [], {}),
    "trainable_token_indices": (None, [], {}),
    "target_parameters": (None, []),
}
"""Settings of PEFT's LoRA and the values under which an adapter is what this file adds: A, B and a scale."""


@dataclass(frozen=True)
class _Half:
    """One LoRA pair on its way to a module: `down` `[r, in]`, `up` `[out, r]`."""

    down: Tensor
    up: Tensor


def is_adapter(folder: Path) -> bool:
    """Whether a folder holds an adapter and not a whole checkpoint."""
    return (folder / CONFIG).is_file()


def base_named(folder: Path) -> str:
    """How the base of the adapter in `folder` was called when it was trained. CheckpointError where it does not say."""
    for name, key in ((ABOUT, "base_name"), (CONFIG, "base_model_name_or_path")):
        if (folder / name).is_file() and isinstance(said := read_json(folder / name).get(key), str) and said:
            return said
    raise CheckpointError(
        "the adapter does not say what it was trained on.", file=folder, fix="Load its base with adapter=FOLDER."
    )


def merge_adapter(family: Family | Trainable, base: Path | None, folder: Path) -> list[str]:
    """Add the adapter in `folder` to a loaded family, in place; returns the names of the weights that changed.

    `base`: the checkpoint the family was loaded from. Before anything changes: CheckpointError for a folder that holds
    no adapter, is damaged, or was trained on another base; UnsupportedError for another kind of adapter; OptionError
    for a family or a placement that takes none.
    """
    network: nn.Module | None = getattr(family, "model", None)
    if network is None or base is None:
        raise OptionError(f"{family.name} takes no adapter.", fix="Give a checkpoint it was trained on.")
    config = _config(folder)
    _check_base(base, folder)
    tensors = _tensors(folder)
    pairs: dict[str, dict[str, Tensor]] = {}
    whole: dict[str, Tensor] = {}
    for name, value in tensors.items():
        found = _PAIR.fullmatch(name)
        if found is None:
            whole[name] = value
        else:
            pairs.setdefault(found["module"], {})[found["half"]] = value
    own = dict(network.named_parameters(remove_duplicate=False))
    halves = {module: _pair(module, given, own, folder) for module, given in pairs.items()}
    _check_whole(whole, own, config, folder)
    with torch.no_grad():
        for module, half in halves.items():
            weight = own[f"{module}.weight"]
            down, up = (side.to(weight.device, torch.float32) for side in (half.down, half.up))
            weight.copy_(weight.float() + _scale(config, module, len(down)) * (up @ down))
        for name, value in whole.items():
            own[name].copy_(value)
    return [f"{module}.weight" for module in halves] + list(whole)


def _config(folder: Path) -> dict[str, Any]:
    if not is_adapter(folder):
        raise CheckpointError(f"the folder holds no {CONFIG}.", file=folder, fix="Give the folder of an adapter.")
    config = read_json(folder / CONFIG)
    if config.get("peft_type") != "LORA":
        raise UnsupportedError(f"peft_type is {config.get('peft_type')!r}; LORA is read.", file=folder / CONFIG)
    for name, plain in _PLAIN.items():
        if config.get(name) not in plain:
            raise UnsupportedError(f"{name} is {config[name]!r}, which is not read.", file=folder / CONFIG)
    return config


def _check_base(base: Path, folder: Path) -> None:
    """CheckpointError where the adapter says it was trained on other weights. One that says nothing is held to the
    shapes of its tensors."""
    if not (folder / ABOUT).is_file():
        return
    about = read_json(folder / ABOUT)
    if about.get("base_fingerprint") != weights_fingerprint(base):
        raise CheckpointError(
            f"the adapter was trained on another base ({about.get('base_name')}).",
            file=folder,
            fix="Load it on that base.",
        )


def _tensors(folder: Path) -> dict[str, Tensor]:
    path = folder / WEIGHTS
    if not path.is_file():
        raise CheckpointError(f"the adapter lacks {WEIGHTS}.", file=folder)
    buffer = staging_buffer()
    return {
        name.removeprefix(PREFIX): read_tensor(stored, stored.dtype, torch.device("cpu"), buffer).clone()
        for name, stored in read_header(path).items()
    }


def _pair(module: str, given: Mapping[str, Tensor], own: Mapping[str, nn.Parameter], folder: Path) -> _Half:
    weight = own.get(f"{module}.weight")
    if weight is None:
        raise CheckpointError(
            f"the adapter changes {module!r}, which this model does not have.", file=folder, fix="Load it on its base."
        )
    if len(given) != 2:
        raise CheckpointError(f"half of the pair of {module!r} is missing.", file=folder)
    if weight.device.type == "meta" or not weight.is_floating_point():
        raise OptionError(
            "an adapter cannot be added to quantized or offloaded weights.", fix="Merge it: vesalius convert --adapter."
        )
    down, up = given["A"], given["B"]
    if down.ndim != 2 or up.ndim != 2 or len(down) != up.shape[1] or (len(up), down.shape[1]) != tuple(weight.shape):
        raise CheckpointError(
            f"the pair of {module!r} is {tuple(up.shape)} x {tuple(down.shape)}, the weight {tuple(weight.shape)}.",
            file=folder,
            fix="Load the adapter on its base.",
        )
    return _Half(down, up)


def _check_whole(
    whole: Mapping[str, Tensor], own: Mapping[str, nn.Parameter], config: Mapping[str, Any], folder: Path
) -> None:
    named: list[str] = list(config.get("modules_to_save") or ())
    for name, value in whole.items():
        if not any(name.startswith(f"{module}.") for module in named):
            raise UnsupportedError(f"the adapter holds {name!r}, which is no LoRA pair.", file=folder)
        if name not in own or own[name].shape != value.shape:
            raise CheckpointError(
                f"the adapter holds {name!r} {tuple(value.shape)}, which this model does not have.",
                file=folder,
                fix="Load it on its base.",
            )


def _scale(config: Mapping[str, Any], module: str, rank: int) -> float:
    alpha = float(_by_pattern(config.get("alpha_pattern") or {}, module, config.get("lora_alpha", 8)))
    return alpha / (math.sqrt(rank) if config.get("use_rslora") else rank)


def _by_pattern(patterns: Mapping[str, Any], module: str, default: Any) -> Any:
    """As PEFT reads its patterns: a name fits from any dot on, to its end."""
    return next((value for key, value in patterns.items() if re.fullmatch(rf"(.*\.)?({key})", module)), default)


def merged_values(base: Path, folder: Path) -> dict[str, Tensor]:
    """Published name → float32 value of every weight an adapter changes. Errors as `load_family`, `merge_adapter`."""
    from vesalius.models.registry import load_family

    family: Any = load_family(str(base), device="cpu", dtype="float32")
    changed = set(merge_adapter(family, base, folder))
    network: nn.Module = family.model
    ids = {id(value) for name, value in network.named_parameters(remove_duplicate=False) if name in changed}
    return dict(stored_values(family, base, ids))


def stored_values(family: Trainable, base: Path, only: set[int] | None = None) -> Iterator[tuple[str, Tensor]]:
    """(published name, value now) of every tensor of the checkpoint in `base` that is part of the family's network,
    and of weights the network took from a file beside it. `only`: ids of the parameters wanted."""
    from vesalius.models.weights import CheckpointTensors

    network: nn.Module = family.model
    left = {id(value): name for name, value in network.named_parameters()}
    for published in CheckpointTensors(base):
        value = family.stored(published)
        if value is None:
            continue
        holder = value if value._base is None else value._base  # a row of a table is a view of it
        left.pop(id(holder), None)
        if only is None or id(holder) in only:
            yield published, value
    own = dict(network.named_parameters())
    yield from ((name, own[name]) for key, name in left.items() if only is None or key in only)
