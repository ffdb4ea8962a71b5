"""Every model family by name, written out in one place."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from vesalius.errors import CheckpointError, OptionError
from vesalius.models.checkpoint_files import clean_config, find_json
from vesalius.models.contract import Family, Loading
from vesalius.models.family_card import FamilyCard, PublishedWeights
from vesalius.models.published_layout import Laying, PublishedLayout
from vesalius.models.quirks import Quirks, QuirkSwitches

__all__ = ["FAMILIES", "FamilyCard", "load_family", "recognise"]


def _starter(how: Loading) -> Family:
    from vesalius.models.starter.starter import WEIGHTS, Starter

    if how.device not in ("auto", "cpu"):
        raise OptionError(f"device {how.device!r} is not available for the starter.", fix="Use auto or cpu.")
    if how.quantize is not None or how.device_map not in (None, "auto", "cpu"):
        raise OptionError("the starter is small: it is neither quantized nor spread.", fix="Leave these options out.")
    if how.dtype not in ("auto", "float32"):
        raise OptionError(f"dtype {how.dtype!r} is not available for the starter.", fix="Use auto or float32.")
    return Starter.load(how.folder or WEIGHTS, bf16=False if how.dtype == "float32" else None)


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


def _layout_in(module: str) -> Laying:
    """The `layout` of a family's module, imported when it is asked for."""

    def layout(folder: Path, config: Mapping[str, Any], names: Collection[str]) -> PublishedLayout:
        return import_module(f"vesalius.models.{module}").layout(folder, config, names)

    return layout


def _quirks_in(module: str, name: str) -> Callable[[], type[QuirkSwitches]]:
    return lambda: getattr(import_module(f"vesalius.models.{module}"), name)


def _relaid_hulumed(to: str, settings: Any, names: Collection[str]) -> Any:
    from vesalius.models.hulumed.layout import relaid

    return relaid(to, settings, names)


FAMILIES: dict[str, FamilyCard] = {
    "starter": FamilyCard(
        "starter",
        "The small model of this package: sees, then says. One picture needs 952 MiB at most (measured). en, zh, ar.",
        ("2D", "3D", "video", "boxes", "points", "counts", "masks"),
        (
            PublishedWeights(
                "starter",
                "in the package; base by: vesalius starter install",
                166_574_166,
                0,
                "Apache-2.0; base MIT, Apache-2.0",
                precisions=("float32",),
            ),
        ),
        lambda config: "recipe_sha256" in config,
        _starter,
        layout=None,
    ),
    "medmo": FamilyCard(
        "medmo",
        "MedMO and any other Qwen3-VL. Volumes are read as slices, clips with their times; several at once.",
        ("text", "2D", "3D", "video", "boxes", "points", "think"),
        tuple(
            PublishedWeights(f"MedMO-{size}", f"MBZUAI/MedMO-{size}", parameters, in_layers, "Apache-2.0")
            for size, parameters, in_layers in (
                ("4B", 4_437_815_808, 3_633_315_840),
                ("4B-Next", 4_437_815_808, 3_633_315_840),
                ("8B", 8_767_123_696, 6_945_767_424),
                ("8B-Next", 8_767_123_696, 6_945_767_424),
            )
        ),
        lambda config: config.get("model_type") == "qwen3_vl",
        _qwen_vl,
        _layout_in("qwen_vl.layout"),
        quirks=_quirks_in("qwen_vl.qwen_vl", "QwenVlQuirks"),
    ),
    "qwen2_5_vl": FamilyCard(
        "qwen2_5_vl",
        "Qwen2.5-VL. Volumes are read as slices; several pictures and clips at once.",
        ("text", "2D", "3D", "video", "boxes", "points", "think"),
        tuple(
            PublishedWeights(f"Qwen2.5-VL-{size}", f"Qwen/Qwen2.5-VL-{size}-Instruct", parameters, in_layers, licence)
            for size, parameters, in_layers, licence in (
                ("3B", 3_754_622_976, 2_774_532_096, "Qwen research licence"),
                ("7B", 8_292_166_656, 6_525_288_448, "Apache-2.0"),
                ("32B", 33_452_718_336, 31_205_621_760, "Apache-2.0"),
                ("72B", 73_410_777_344, 70_212_648_960, "Qwen licence"),
            )
        ),
        lambda config: config.get("model_type") == "qwen2_5_vl",
        _qwen_vl,
        _layout_in("qwen_vl.layout"),
        quirks=_quirks_in("qwen_vl.qwen_vl", "QwenVlQuirks"),
    ),
    "citrusv": FamilyCard(
        "citrusv",
        "Qwen2.5-VL that says [SEG], and SAM2 that outlines what it meant. Volumes are read as slices.",
        ("text", "2D", "3D", "boxes", "masks", "think"),
        (
            PublishedWeights(
                "Citrus-V-8B", "jdh-algo/Citrus-V-8B-v1.0", 8_530_363_442, 6_525_288_448, "the authors' terms"
            ),
        ),
        lambda config: config.get("model_type") == "citrus_v",
        _citrusv,
        _layout_in("citrusv.layout"),
        quirks=_quirks_in("citrusv.citrusv", "CitrusQuirks"),
    ),
    "medmvl": FamilyCard(
        "medmvl",
        "One language model with a picture tower, a volume tower or a picture tower over slices. en.",
        ("text", "2D", "3D", "boxes"),
        (
            PublishedWeights(
                "MedM-VL-2D-3B-en",
                "shiym2000/MedM-VL-2D-3B-en",
                3_177_551_616,
                2_774_532_096,
                "Apache-2.0",
                ("text", "2D", "boxes"),
            ),
            PublishedWeights(
                "MedM-VL-CT-Chest-3B-en",
                "shiym2000/MedM-VL-CT-Chest-3B-en",
                3_180_110_592,
                2_774_532_096,
                "Apache-2.0",
                ("text", "2D", "3D"),
            ),
            PublishedWeights(
                "MedM-VL-CT-3B-en",
                "shiym2000/MedM-VL-CT-3B-en",
                3_311_940_096,
                2_818_572_288,
                "Apache-2.0",
                ("text", "3D"),
            ),
        ),
        _is_medmvl,
        _medmvl,
        _layout_in("medmvl.layout"),
        quirks=_quirks_in("medmvl.quirks", "MedmvlQuirks"),
    ),
    "hulumed": FamilyCard(
        "hulumed",
        "Pictures, volumes and videos of any size as one kind of thing, with token reduction. en, zh.",
        ("text", "2D", "3D", "video", "think"),
        tuple(
            PublishedWeights(f"Hulu-Med-{size}", f"ZJU-AI4H/Hulu-Med-{size}", parameters, in_layers, "Apache-2.0")
            for size, parameters, in_layers in (
                ("4B", 4_833_079_536, 3_633_315_840),
                ("7B", 8_044_744_944, 6_525_288_448),
                ("14B", 15_212_577_520, 13_212_057_600),
                ("32B", 33_208_146_672, 31_205_621_760),
            )
        ),
        _is_hulumed,
        _hulumed,
        _layout_in("hulumed.layout"),
        _relaid_hulumed,
        _quirks_in("hulumed.quirks", "HuluMedQuirks"),
    ),
}
"""In the order they are asked whether a checkpoint is theirs."""


def recognise(folder: Path) -> FamilyCard:
    """The family a checkpoint folder belongs to, by its config.json alone. CheckpointError when none knows it."""
    path = folder / "config.json"
    config = find_json(path)
    if config is None:
        raise CheckpointError("the folder holds no config.json.", file=folder)
    for card in FAMILIES.values():
        if card.recognises(config):
            return card
    raise CheckpointError(
        f"no family knows a checkpoint of model_type {config.get('model_type')!r}.",
        file=path,
        fix=f"Known: {', '.join(FAMILIES)}.",
    )


def _stored_quirks(folder: Path, quirks: Quirks) -> Quirks:
    """A clean folder's config may switch quirks for good; what the caller asks for wins."""
    config = clean_config(folder)
    if config is None or quirks == "off":
        return quirks
    return {**config.get("quirks", {}), **({} if isinstance(quirks, str) else quirks)}


def load_family(
    name: str,
    *,
    device: str = "auto",
    dtype: str = "auto",
    quirks: Quirks = "published",
    quantize: str | None = None,
    device_map: str | Mapping[str, str] | None = None,
) -> Family:
    """Load by name or by checkpoint folder. OptionError names what is known."""
    from vesalius.models.quantize import checked_quantization

    if quirks not in ("published", "off") and not isinstance(quirks, Mapping):
        raise OptionError(f"quirks is {quirks!r}.", fix='Use "published", "off" or {name: False}.')
    card, folder = FAMILIES.get(name), Path(name)
    if card is not None or folder.is_dir():
        known = card or recognise(folder)
        where = None if card is not None else folder
        switched = quirks if where is None else _stored_quirks(where, quirks)
        return known.load(Loading(where, device, dtype, switched, checked_quantization(quantize), device_map))
    near = difflib.get_close_matches(name, FAMILIES, 1)
    hint = (
        f"Did you mean {near[0]}?"
        if near
        else f"Known: {', '.join(FAMILIES)}, a checkpoint folder, or a hub id (org/name)."
    )
    raise OptionError(f"no model is called {name!r}.", fix=hint)
