"""The starter's weights folder: `see.safetensors` (dense head), `say.safetensors` (projector, LoRA), `config.json`.

Once the language model was trained further, `say.safetensors` also holds the tensors in which it is no longer the base
with its additions, whole.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vesalius.errors import CheckpointError
from vesalius.models.parts.llama_decode import Lora
from vesalius.models.parts.projector import Projector
from vesalius.models.parts.see_head import SeeHead
from vesalius.models.starter.config import StarterConfig
from vesalius.models.starter.eyes import see_config

__all__ = [
    "export_weights",
    "load_head",
    "load_language_changes",
    "load_speech",
    "save_head",
    "save_network",
    "save_speech",
]

SEE_FILE, SAY_FILE = "see.safetensors", "say.safetensors"
LANGUAGE = "language."
"""Prefix of the language model's whole tensors."""


def save_head(head: SeeHead, folder: Path) -> None:
    """Write the head's tensors (float32, batch-norm statistics included)."""
    _save(
        {name: value.contiguous() for name, value in head.state_dict().items() if value.is_floating_point()},
        folder / SEE_FILE,
    )


def load_head(folder: Path, config: StarterConfig) -> SeeHead:
    """The head in eval mode, float32. CheckpointError when a tensor is missing, left over or of another shape."""
    head = SeeHead(see_config(config))
    _fill(head, _read(folder / SEE_FILE), folder / SEE_FILE)
    return head.eval()


def save_speech(adapted: Any, projector: Projector, folder: Path) -> None:
    """Write projector and LoRA. `adapted`: the PEFT model; keys become the base matrices' published names."""
    tensors = {f"projector.{name}": value for name, value in projector.state_dict().items()}
    for name, value in adapted.state_dict().items():
        for part, renamed in (("lora_A", "down"), ("lora_B", "up")):
            if f".{part}." in name:
                matrix = name.removeprefix("base_model.model.").split(f".{part}.")[0]
                tensors[f"lora.{matrix}.weight.{renamed}"] = value
    _save({name: value.detach().float().contiguous() for name, value in tensors.items()}, folder / SAY_FILE)


def load_speech(folder: Path, config: StarterConfig, hidden: int) -> tuple[Projector, dict[str, Lora]]:
    """(projector, LoRA by matrix name), float32."""
    tensors = _read(folder / SAY_FILE, ("projector.", "lora."))
    projector = Projector(config.features, hidden)
    _fill(projector, _under(tensors, "projector."), folder / SAY_FILE)
    pairs = _under(tensors, "lora.")
    scale = config.lora_alpha / config.lora_rank
    try:
        names = {name.rpartition(".")[0] for name in pairs}
        return projector.eval(), {n: Lora(pairs[f"{n}.down"], pairs[f"{n}.up"], scale) for n in names}
    except KeyError as exc:
        raise CheckpointError(f"half of a LoRA pair is missing: {exc.args[0]}.", file=folder / SAY_FILE) from exc


def load_language_changes(folder: Path) -> dict[str, Tensor]:
    """Published name → float32 value of the language model's tensors that the folder holds whole; none of a starter
    that was not trained further."""
    return _under(_read(folder / SAY_FILE, (LANGUAGE,)), LANGUAGE)


def save_network(speech: Any, source: Path, folder: Path) -> None:
    """Write a starter whose projector and language model were trained further as a new weights folder. `speech`: the
    `StarterSpeech` now; `source`: the folder it was loaded from. Values are float32; tensors of the language model that
    did not change are not stored."""
    from vesalius.models.parts.llama_decode import merge_lora
    from vesalius.models.starter.config import CONFIG_FILE, load_config
    from vesalius.models.starter_base.smollm2 import language_tensors

    _, lora = load_speech(source, load_config(source), hidden=speech.language.config.hidden_size)
    before = {**merge_lora(language_tensors(), lora), **load_language_changes(source)}
    now = {name: value.detach().float().cpu() for name, value in speech.language.named_parameters()}
    kept = load_language_changes(source).keys()
    changed = {name for name, value in now.items() if name in kept or not torch.equal(value, before[name])}
    pairs = {name: value for name, value in _read(source / SAY_FILE, ("lora.",)).items()
             if name.removeprefix("lora.").rpartition(".")[0] not in changed}  # fmt: skip
    seen = {f"projector.{name}": value.detach().float().cpu() for name, value in speech.projector.state_dict().items()}
    own = {f"{LANGUAGE}{name}": now[name] for name in changed}
    _save({name: value.contiguous() for name, value in {**seen, **pairs, **own}.items()}, folder / SAY_FILE)
    for name in (SEE_FILE, CONFIG_FILE):
        shutil.copyfile(source / name, folder / name)


def export_weights(source: Path, target: Path) -> int:
    """Copy both files from `source` to `target` as float16; returns the bytes written."""
    target.mkdir(parents=True, exist_ok=True)
    total = 0
    for name in (SEE_FILE, SAY_FILE):
        halved = {key: value.to(torch.float16) for key, value in _read(source / name).items()}
        _save(halved, target / name)
        total += (target / name).stat().st_size
    return total


def _under(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def _save(tensors: dict[str, Tensor], path: Path) -> None:
    from safetensors.torch import save_file

    part = path.with_suffix(".part")
    save_file(tensors, part)
    os.replace(part, path)


def _read(path: Path, prefixes: tuple[str, ...] = ("",)) -> dict[str, Tensor]:
    """The tensors whose names begin with one of `prefixes`, as float32."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:  # pyright: ignore[reportUnknownVariableType]
            names: list[str] = [name for name in file.keys() if name.startswith(prefixes)]  # noqa: SIM118 (no dict)
            return {name: file.get_tensor(name).float() for name in names}
    except (OSError, SafetensorError) as exc:
        raise CheckpointError(
            "the starter's weights cannot be read.", file=path, fix="Reinstall vesalius or run `make train-starter`."
        ) from exc


def _fill(module: torch.nn.Module, tensors: dict[str, Tensor], path: Path) -> None:
    wanted = {name for name, value in module.state_dict().items() if value.is_floating_point()}
    if wanted != tensors.keys():
        odd = sorted(wanted ^ tensors.keys())[0]
        raise CheckpointError(f"tensor {odd!r} is missing or unknown.", file=path, fix="Reinstall vesalius.")
    try:
        module.load_state_dict(tensors, strict=False)
    except RuntimeError as exc:
        raise CheckpointError(
            "a tensor has another shape than config.json says.", file=path, fix="Reinstall vesalius."
        ) from exc
