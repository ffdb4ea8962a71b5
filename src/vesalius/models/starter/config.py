"""What the starter's weights folder says about itself."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from vesalius.errors import CheckpointError, WeightsMissingError

__all__ = ["CONFIG_FILE", "NOTICE", "StarterConfig", "load_config", "save_config"]

CONFIG_FILE = "config.json"
NOTICE = "The starter is a demonstration model, not validated and not for clinical use."

IMAGE_TOKEN = "<file_sep>"
"""A special token of the base tokenizer that its chat text never uses: one per visual token."""


@dataclass(frozen=True)
class StarterConfig:
    """Names in output order, sizes, and what calibration fitted.

    `thresholds`: label → lowest centre height that counts.  `calibration`: (slope, intercept) that turn the logit of
    an object's score into the logit of its confidence, per label, "" for labels with too few examples.  `midline`:
    what is added to the logit of the midline when sides are told.
    """

    labels: tuple[str, ...]
    modalities: tuple[str, ...]
    planes: tuple[str, ...]
    regions: tuple[str, ...]
    size: int = 224
    width: int = 32
    encoder_layers: tuple[int, ...] = (3, 6, 9, 12)
    visual_tokens: int = 16
    lora_rank: int = 16
    lora_alpha: int = 32
    thresholds: dict[str, float] = field(default_factory=dict[str, float])
    calibration: dict[str, tuple[float, float]] = field(default_factory=dict[str, tuple[float, float]])
    midline: float = 0.0
    recipe_sha256: str = ""
    data_seed: int = 0
    version: int = 1

    @property
    def features(self) -> int:
        """Channels of the concatenated encoder layers."""
        return 384 * len(self.encoder_layers)


def save_config(config: StarterConfig, folder: Path) -> None:
    """Write `config.json` into the weights folder."""
    written = {"model_type": "vesalius_starter", **asdict(config)}
    (folder / CONFIG_FILE).write_text(json.dumps(written, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def load_config(folder: Path) -> StarterConfig:
    """Read `config.json`. WeightsMissingError when there is none, CheckpointError when it is another's or damaged."""
    if not (folder / CONFIG_FILE).is_file():
        raise WeightsMissingError(
            "no trained starter weights here.",
            file=folder,
            fix="Train them: make train-starter.",
        )
    try:
        values: dict[str, Any] = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))
        if values.pop("model_type") != "vesalius_starter":
            raise ValueError("another model type")
        for name in ("labels", "modalities", "planes", "regions", "encoder_layers"):
            values[name] = tuple(values[name])
        values["calibration"] = {k: (float(a), float(b)) for k, (a, b) in values["calibration"].items()}
        return StarterConfig(**values)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as exc:
        raise CheckpointError(
            "no usable starter config.json here.", file=folder, fix="Reinstall vesalius or run `make train-starter`."
        ) from exc
