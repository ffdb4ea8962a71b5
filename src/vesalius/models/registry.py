"""Every model family by name, written out in one place."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vesalius.errors import CheckpointError, OptionError
from vesalius.models.contract import Family, Loading, Quirks

__all__ = ["FAMILIES", "FamilyCard", "load_family", "recognise"]


@dataclass(frozen=True)
class FamilyCard:
    """One line of `vesalius models`. `recognises`: whether a checkpoint's config.json is of this family; `load`: how it
    is loaded. Both import what they need themselves."""

    name: str
    size: str
    reads: str
    finds: str
    memory: str
    licence: str
    weights: str
    recognises: Callable[[Mapping[str, Any]], bool]
    load: Callable[[Loading], Family]


def _starter(how: Loading) -> Family:
    from vesalius.models.starter.starter import WEIGHTS, Starter

    if how.device not in ("auto", "cpu"):
        raise OptionError(f"device {how.device!r} is not available for the starter.", fix="Use auto or cpu.")
    if how.dtype not in ("auto", "float32"):
        raise OptionError(f"dtype {how.dtype!r} is not available for the starter.", fix="Use auto or float32.")
    return Starter.load(how.folder or WEIGHTS)


def _qwen_vl(how: Loading) -> Family:
    from vesalius.models.qwen_vl.qwen_vl import QwenVl

    return QwenVl.load(how)


def _citrusv(how: Loading) -> Family:
    from vesalius.models.citrusv.citrusv import CitrusV

    return CitrusV.load(how)


def _medmvl(how: Loading) -> Family:
    from vesalius.models.medmvl.medmvl import Medmvl

    return Medmvl.load(how)


def _is_medmvl(config: Mapping[str, Any]) -> bool:
    legacy = "llm_type" in config and ("encoder_image_type" in config or "encoder_image3d_type" in config)
    return "lvlm_llm_type" in config or legacy


def _is_hulumed(config: Mapping[str, Any]) -> bool:
    from vesalius.models.hulumed.config import is_hulumed

    return is_hulumed(config)


def _hulumed(how: Loading) -> Family:
    from vesalius.models.hulumed import HuluMed

    return HuluMed.load(how)


FAMILIES: dict[str, FamilyCard] = {
    "starter": FamilyCard(
        "starter",
        "22 M + 135 M + 8 M",
        "pictures, volumes, clips, pairs; en, zh, ar",
        "boxes, points, counts, masks, sizes in mm",
        "952 MiB at most for one picture (measured)",
        "Apache-2.0 (adapter); MIT and Apache-2.0 (base)",
        "in the package; base by `vesalius starter install`",
        lambda config: "recipe_sha256" in config,
        _starter,
    ),
    "medmo": FamilyCard(
        "medmo",
        "4 B, 8 B (MedMO); any Qwen3-VL",
        "pictures, volumes as slices, clips with times; several at once",
        "boxes, points",
        "about 2 bytes a parameter in bfloat16",
        "Apache-2.0",
        "the authors' checkpoint folder",
        lambda config: config.get("model_type") == "qwen3_vl",
        _qwen_vl,
    ),
    "qwen2_5_vl": FamilyCard(
        "qwen2_5_vl",
        "3 B, 7 B, 32 B, 72 B",
        "pictures, volumes as slices, clips; several at once",
        "boxes, points",
        "about 2 bytes a parameter in bfloat16",
        "Apache-2.0 (3 B: research licence)",
        "the authors' checkpoint folder",
        lambda config: config.get("model_type") == "qwen2_5_vl",
        _qwen_vl,
    ),
    "citrusv": FamilyCard(
        "citrusv",
        "8.5 B",
        "pictures, volumes as slices; several at once",
        "masks, boxes; thinks aloud",
        "17 GB in bfloat16",
        "the authors' terms",
        "the authors' checkpoint folder",
        lambda config: config.get("model_type") == "citrus_v",
        _citrusv,
    ),
    "medmvl": FamilyCard(
        "medmvl",
        "2D 3 B, CT-Chest 3 B, CT 3 B",
        "pictures, volumes (slices or 3D tower); en",
        "boxes in pictures",
        "about 7 GB in bfloat16",
        "Apache-2.0 (code and weights)",
        "a checkpoint folder",
        _is_medmvl,
        _medmvl,
    ),
    "hulumed": FamilyCard(
        "hulumed",
        "4B, 7B, 14B, 32B",
        "text, pictures, volumes, videos; en, zh",
        "text, thinking",
        "bf16: 9.7, 16.1, 30.4, 66.4 GB",
        "Apache-2.0",
        "Hub: ZJU-AI4H/Hulu-Med-*",
        _is_hulumed,
        _hulumed,
    ),
}
"""In the order they are asked whether a checkpoint is theirs."""


def recognise(folder: Path) -> FamilyCard:
    """The family a checkpoint folder belongs to, by its config.json alone. CheckpointError when none knows it."""
    from vesalius.models.weights import read_json

    path = folder / "config.json"
    if not path.is_file():
        raise CheckpointError("the folder holds no config.json.", file=folder)
    config = read_json(path)
    for card in FAMILIES.values():
        if card.recognises(config):
            return card
    raise CheckpointError(
        f"no family knows a checkpoint of model_type {config.get('model_type')!r}.",
        file=path,
        fix=f"Known: {', '.join(FAMILIES)}.",
    )


def load_family(name: str, *, device: str = "auto", dtype: str = "auto", quirks: Quirks = "published") -> Family:
    """Load by name or by checkpoint folder. OptionError names what is known."""
    if quirks not in ("published", "off"):
        raise OptionError(f"quirks is {quirks!r}.", fix='Use "published" or "off".')
    card = FAMILIES.get(name)
    if card is not None:
        return card.load(Loading(None, device, dtype, quirks))
    folder = Path(name)
    if folder.is_dir():
        return recognise(folder).load(Loading(folder, device, dtype, quirks))
    near = difflib.get_close_matches(name, FAMILIES, 1)
    hint = f"Did you mean {near[0]}?" if near else f"Known: {', '.join(FAMILIES)}, or a checkpoint folder."
    raise OptionError(f"no model is called {name!r}.", fix=hint)
