"""Corruptions of pictures with the constants published for medical VQA (SURE-VQA, arXiv 2411.19688).

blur: Gaussian, kernel 5, 7 or 11 pixels.  brightness: grey values times a factor drawn evenly from a range, white stays
white.  noise: Gaussian, its mean drawn evenly from a range, variance 0.01, of grey values 0 to 1; the same in all
channels.  mixed: each of the three with probability 0.5, at least one.

Everything is a pure function of the pixels, the corruption and a seed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from vesalius.errors import OptionError
from vesalius.evaluation.packages import package

__all__ = [
    "BRIGHTNESS_FACTORS",
    "KERNELS_PX",
    "NOISE_MEANS",
    "NOISE_VARIANCE",
    "PROBABILITY",
    "Corruption",
    "Spoiling",
    "blurred",
    "corrupt_pixels",
    "corruption_named",
    "corruptions_named",
    "drawn",
    "generator",
]

Name = Literal["blur", "brightness", "noise", "mixed"]
Severity = Literal["low", "medium", "high"]
NAMES: tuple[Name, ...] = get_args(Name)
SEVERITIES: tuple[Severity, ...] = get_args(Severity)

KERNELS_PX: dict[Severity, int] = {"low": 5, "medium": 7, "high": 11}
BRIGHTNESS_FACTORS: dict[Severity, tuple[float, float]] = {"low": (1.1, 2.0), "medium": (2.5, 4.0), "high": (4.5, 6.0)}
NOISE_MEANS: dict[Severity, tuple[float, float]] = {"low": (0.0, 0.06), "medium": (0.09, 0.15), "high": (0.18, 0.25)}
NOISE_VARIANCE = 0.01
PROBABILITY = 0.5
"""Of each corruption in a mixed one."""

_NARROW: dict[int, tuple[float, ...]] = {
    5: (0.0625, 0.25, 0.375, 0.25, 0.0625),
    7: (0.03125, 0.109375, 0.21875, 0.28125, 0.21875, 0.109375, 0.03125),
}
"""The weights OpenCV has for small kernels whose width is not given; larger ones follow from the size."""


@dataclass(frozen=True)
class Corruption:
    """One corruption at one severity, written "blur:high"."""

    name: Name
    severity: Severity

    def __str__(self) -> str:
        return f"{self.name}:{self.severity}"

    @property
    def file_name(self) -> str:
        """As it stands in names of passes and files: "blur-high"."""
        return f"{self.name}-{self.severity}"


@dataclass(frozen=True)
class Spoiling:
    """What was drawn for one picture; None: not applied. They are applied in this order."""

    kernel_px: int | None = None
    factor: float | None = None
    noise_mean: float | None = None


def corruption_named(text: str) -> Corruption:
    """ "blur:high" as a Corruption. OptionError naming those there are."""
    name, _, severity = text.strip().lower().partition(":")
    if name not in NAMES or severity not in SEVERITIES:
        raise OptionError(
            f"corruption {text!r:.40} is not known.",
            fix=f"NAME:SEVERITY of {', '.join(NAMES)} and {', '.join(SEVERITIES)}, NAME alone, or all.",
        )
    return Corruption(name, severity)


def corruptions_named(texts: Sequence[str]) -> tuple[Corruption, ...]:
    """The corruptions asked for, each once, in the order of the table: "blur:high", "blur" (all severities), "all"."""
    wanted: set[Corruption] = set()
    for text in texts:
        plain = text.strip().lower()
        names = NAMES if plain == "all" else (plain,) if plain in NAMES else None
        if names is None:
            wanted.add(corruption_named(text))
        else:
            wanted |= {Corruption(name, severity) for name in names for severity in SEVERITIES}
    every = [Corruption(name, severity) for name in NAMES for severity in SEVERITIES]
    return tuple(one for one in every if one in wanted)


def generator(corruption: Corruption, sha256: str, seed: int) -> np.random.Generator:
    """The source of chance for a medium: one picture is spoilt in one way whatever is asked about it, and in whatever
    order."""
    digest = hashlib.sha256(f"{seed}/{corruption}/{sha256}".encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:16], "big"))


def drawn(corruption: Corruption, rng: np.random.Generator) -> Spoiling:
    """What is done to one medium."""
    if corruption.name == "mixed":
        chosen = [name for name in NAMES[:3] if rng.random() < PROBABILITY]
        chosen = chosen or [NAMES[int(rng.integers(3))]]
    else:
        chosen = [corruption.name]
    severity = corruption.severity
    return Spoiling(
        KERNELS_PX[severity] if "blur" in chosen else None,
        float(rng.uniform(*BRIGHTNESS_FACTORS[severity])) if "brightness" in chosen else None,
        float(rng.uniform(*NOISE_MEANS[severity])) if "noise" in chosen else None,
    )


def blurred(values: NDArray[np.floating], kernel_px: int) -> NDArray[np.floating]:
    """Gaussian blur of `[H, W, …]` over the first two axes; the picture is mirrored at its edge pixels."""
    correlate = package("scipy.ndimage", "blurred pictures").correlate1d
    kernel = np.asarray(_NARROW.get(kernel_px) or _weights(kernel_px))
    for axis in (0, 1):
        values = correlate(values, kernel, axis=axis, mode="mirror")
    return values


def _weights(kernel_px: int) -> NDArray[np.float64]:
    """Of a Gaussian kernel whose width follows from its size, as OpenCV has it."""
    sigma = 0.3 * ((kernel_px - 1) * 0.5 - 1) + 0.8
    away = np.arange(kernel_px) - (kernel_px - 1) / 2
    weights = np.exp(-(away**2) / (2 * sigma**2))
    return weights / weights.sum()


def corrupt_pixels(pixels: NDArray[np.uint8], done: Spoiling, rng: np.random.Generator) -> NDArray[np.uint8]:
    """A spoilt copy of `[H, W]` or `[H, W, 3]` grey values 0 to 255, of the same shape."""
    if done.kernel_px is not None:
        pixels = np.rint(blurred(pixels.astype(np.float32), done.kernel_px)).clip(0, 255).astype(np.uint8)
    if done.factor is not None:
        pixels = np.rint(pixels * np.float64(done.factor)).clip(0, 255).astype(np.uint8)
    if done.noise_mean is not None:
        grain = rng.normal(done.noise_mean, NOISE_VARIANCE**0.5, pixels.shape[:2]) * 255
        pixels = (pixels + (grain[..., None] if pixels.ndim == 3 else grain)).clip(0, 255).astype(np.uint8)
    return pixels
