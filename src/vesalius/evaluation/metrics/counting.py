"""Scores of counts and of measured numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vesalius.errors import InputError
from vesalius.evaluation.metrics.aligned import aligned

__all__ = ["NumberScores", "number_scores"]


@dataclass(frozen=True)
class NumberScores:
    """Errors over the items with a number, and shares over all items. Errors carry the unit of the numbers."""

    mae: float | None
    """Mean absolute error of the items that gave a number; None when none did."""
    mse: float | None
    exact: float
    """Share of all items whose number is within `tolerance` of the truth; a missing one is wrong."""
    missing: int
    right: NDArray[np.bool_]
    """[n], for intervals."""


def number_scores(predicted: Sequence[float | None], true: Sequence[float], *, tolerance: float = 0.0) -> NumberScores:
    """Counts, millimetres or degrees [n] against the truth [n]. NaN and None are missing: never 0, never dropped from
    `exact`. Raises InputError when a true number is not finite."""
    said, truth = aligned(predicted, true)
    t = np.asarray(truth, dtype=np.float64)
    p = np.array([np.nan if value is None else value for value in said], dtype=np.float64)
    if not np.isfinite(t).all():
        raise InputError(f"true number {int(np.flatnonzero(~np.isfinite(t))[0])} is not finite.")
    given = np.isfinite(p)
    error = np.abs(np.where(given, p, np.inf) - t)
    right = error <= tolerance
    errors = error[given]
    mae, mse = (float(errors.mean()), float((errors**2).mean())) if given.any() else (None, None)
    return NumberScores(mae, mse, float(right.mean()), int((~given).sum()), right)
