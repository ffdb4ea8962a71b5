"""What a run leaves: a checkpoint folder of whole weights, or an adapter folder in PEFT's layout."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import Tensor

from vesalius.models.adapters import ABOUT, CONFIG, PREFIX, WEIGHTS, stored_values
from vesalius.models.contract import Trainable
from vesalius.models.convert import appearing, convert
from vesalius.models.weights_fingerprint import weights_fingerprint
from vesalius.training.parts import Learning

__all__ = ["save_adapter", "save_checkpoint", "save_trained"]


def save_trained(family: Trainable, learning: Learning, base: Path, folder: Path, name: str) -> Path:
    """Write `folder` (replacing nothing): an adapter where a part has one, else a checkpoint. `base`: the checkpoint
    that was trained; `name`: how the user called it."""
    if learning.lora is None:
        return save_checkpoint(family, base, folder)
    return save_adapter(family, learning, base, folder, name)


def save_checkpoint(family: Trainable, base: Path, folder: Path) -> Path:
    """All weights in the layout and number types of `base`, with its settings and tokenizer; `vesalius.load` reads it.
    Errors as `convert`."""
    own: Any = getattr(family, "save", None)
    if own is not None:  # its files are not its network's tensors
        with appearing(folder) as partial:
            own(base, partial)
        return folder
    convert(base, folder, to="same", values=dict(stored_values(family, base)))
    return folder


def save_adapter(family: Trainable, learning: Learning, base: Path, folder: Path, name: str) -> Path:
    """LoRA pairs, the whole weights of parts that were trained as they are (PEFT's modules_to_save), and which base
    they belong to; PEFT and `vesalius.load(base, adapter=folder)` read it. Errors as `convert`."""
    tensors: dict[str, Tensor] = {}
    for named in learning.parameters.values():
        for parameter, value in named:
            tensors[PREFIX + parameter.replace(".default.", ".")] = value.detach().cpu().contiguous()
    config: dict[str, Any] = learning.lora.to_dict()
    config["target_modules"] = sorted(config["target_modules"])
    config |= {"base_model_name_or_path": name, "inference_mode": True}
    config["modules_to_save"] = _module_names(family, learning) or None
    about = {"format": "vesalius adapter", "family": family.name, "base_name": name}
    about["base_fingerprint"] = weights_fingerprint(base)
    with appearing(folder) as partial:
        save_file(tensors, partial / WEIGHTS, metadata={"format": "pt"})
        (partial / CONFIG).write_text(json.dumps(config, indent=2, default=str) + "\n", encoding="utf-8")
        (partial / ABOUT).write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
    return folder


def _module_names(family: Trainable, learning: Learning) -> list[str]:
    names = {id(module): name for name, module in family.model.named_modules()}
    return [names[id(module)] for part in learning.whole for module in family.parts()[part]]
