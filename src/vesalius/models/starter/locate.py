"""From what the eyes saw on a square to objects in the original picture's pixels, with calibrated confidence."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from vesalius.models.parts.see_objects import SeenObject, find_objects, mask_at, tight_box
from vesalius.models.starter.config import StarterConfig
from vesalius.models.starter.eyes import Sight
from vesalius.vision.letterbox import Fit

__all__ = ["SIDELESS", "Located", "confidence_of", "locate", "reshaped", "source_mask"]

SIDELESS = frozenset({"skin", "endoscopy", "microscopy", "fundus", "ultrasound"})
"""Modalities whose pictures do not show which side of the patient they are of."""


@dataclass(frozen=True)
class Located:
    """One object on one original picture, `width`×`height` pixels.

    `box`, `point`: pixel frame of the original.  `logits`: `[S, S]` mask logits on the square's half grid; `fit` leads
    back to the original (`source_mask`).  `confidence`: calibrated 0..1.  `side`: "left" | "right" | "midline" | None.
    """

    label: str
    confidence: float
    box: tuple[float, float, float, float]
    point: tuple[float, float]
    side: str | None
    fit: Fit
    logits: NDArray[np.float32] = field(repr=False)


def confidence_of(score: float, label: str, config: StarterConfig) -> float:
    """The calibrated chance that an object of this score is there."""
    slope, intercept = config.calibration.get(label) or config.calibration.get("") or (1.0, 0.0)
    score = min(max(score, 1e-4), 1 - 1e-4)
    return 1.0 / (1.0 + math.exp(-min(max(slope * math.log(score / (1 - score)) + intercept, -30.0), 30.0)))


def locate(sight: Sight, fit: Fit, config: StarterConfig, *, sides: bool = True) -> list[Located]:
    """Every object above its label's threshold, in original pixels. `sides`: whether the picture shows sides at all."""
    found = find_objects(sight.maps, config.labels, config.thresholds, midline=config.midline)
    return [located for one in found if (located := _located(one, fit, config, sides)) is not None]


def _located(one: SeenObject, fit: Fit, config: StarterConfig, sides: bool) -> Located | None:
    x0, y0 = fit.to_source(one.box[0], one.box[1])
    x1, y1 = fit.to_source(one.box[2], one.box[3])
    if x1 - x0 < 0.5 or y1 - y0 < 0.5:  # it lies in the letterbox's margin
        return None
    confidence = confidence_of(one.score, one.label, config)
    point = fit.to_source(*_inner_point(one.logits))
    return Located(one.label, confidence, (x0, y0, x1, y1), point, one.side if sides else None, fit, one.logits)


def reshaped(located: Located, logits: NDArray[np.float32]) -> Located | None:
    """The same object with another mask `[S, S]`, and its box and point; None where nothing of it is in the picture."""
    if not (logits > 0).any():
        return None
    fit, box = located.fit, tight_box(logits, 0.0)
    (x0, y0), (x1, y1) = fit.to_source(box[0], box[1]), fit.to_source(box[2], box[3])
    if x1 - x0 < 0.5 or y1 - y0 < 0.5:
        return None
    return replace(located, logits=logits, box=(x0, y0, x1, y1), point=fit.to_source(*_inner_point(logits)))


def _inner_point(logits: NDArray[np.float32]) -> tuple[float, float]:
    """The cell of the mask nearest to its centroid, in the square pixel frame."""
    ys, xs = np.nonzero(logits > 0)
    cx, cy = xs.mean(), ys.mean()
    nearest = int(np.argmin((xs - cx) ** 2 + (ys - cy) ** 2))
    if abs(xs[nearest] - cx) <= 1 and abs(ys[nearest] - cy) <= 1:
        return (2 * float(cx) + 1, 2 * float(cy) + 1)
    return (2.0 * xs[nearest] + 1, 2.0 * ys[nearest] + 1)


def source_mask(logits: NDArray[np.float32], fit: Fit) -> NDArray[np.bool_]:
    """Grid logits `[S, S]` → mask `[height, width]` of the original picture, cut at chance one half.

    The logits are enlarged before they are cut, so edges are finer than a grid cell.
    """
    from PIL import Image

    x0, y0, x1, y1 = (v / 2 for v in fit.inner)
    clipped = np.clip(logits, -6, 6).astype(np.float32)
    if min(fit.width, fit.height) <= 1:
        return mask_at(clipped, fit.width, fit.height)
    enlarged = Image.fromarray(clipped).resize((fit.width, fit.height), Image.Resampling.BILINEAR, box=(x0, y0, x1, y1))
    return np.asarray(enlarged) > 0
