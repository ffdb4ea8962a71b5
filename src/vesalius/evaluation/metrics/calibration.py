"""How far confidence can be trusted: ECE, Brier score, log loss and the risk-coverage curve."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vesalius.errors import InputError, OptionError

__all__ = ["RiskCoverage", "brier_score", "expected_calibration_error", "log_loss", "risk_coverage"]

Floats = NDArray[np.float64]


def _confident(confidence: ArrayLike, right: ArrayLike) -> tuple[Floats, Floats]:
    c, y = np.asarray(confidence, dtype=np.float64), np.asarray(right, dtype=bool).astype(np.float64)
    if c.shape != y.shape or c.ndim != 1 or not len(c):
        raise InputError(f"confidence {c.shape} and correctness {y.shape} are not rows of one length > 0.")
    if not ((c >= 0) & (c <= 1)).all():
        raise InputError(f"confidence {int(np.flatnonzero(~((c >= 0) & (c <= 1)))[0])} is not in [0, 1].")
    return c, y


def expected_calibration_error(confidence: ArrayLike, right: ArrayLike, bins: int = 15) -> float:
    """Mean |accuracy - confidence| over `bins` equal-width bins (a, b] weighted by their items; 0 falls into the first.

    `confidence` [n] in [0, 1], `right` [n] bool. Raises InputError for other values.
    """
    c, y = _confident(confidence, right)
    if bins < 1:
        raise OptionError(f"bins is {bins}, not >= 1.")
    # The edges are compared with, not computed from the value: 0.6 * 15 = 9.000000000000002 would land too high.
    place = np.searchsorted(np.linspace(0.0, 1.0, bins + 1)[1:-1], c, side="left")
    gap = np.bincount(place, weights=c - y, minlength=bins)
    return float(np.abs(gap).sum() / len(c))


def brier_score(probability: ArrayLike, true: ArrayLike) -> float:
    """Mean squared difference of a probability [n] and what happened [n] bool, in [0, 1]. For several classes give
    probabilities [n, C] and true class indices [n]: the squared differences are summed over classes, in [0, 2]."""
    p = np.asarray(probability, dtype=np.float64)
    if p.ndim == 1:
        p, y = _confident(p, true)
        return float(((p - y) ** 2).mean())
    rows, hot = _classes(p, true)
    return float(((rows - hot) ** 2).sum(axis=1).mean())


def log_loss(probability: ArrayLike, true: ArrayLike) -> float:
    """Mean -log of the probability [n, C] given to the true class [n]; infinite when one got 0."""
    p, hot = _classes(np.asarray(probability, dtype=np.float64), true)
    with np.errstate(divide="ignore"):
        return float(-np.log(p[hot.astype(bool)]).mean() + 0.0)


def _classes(p: Floats, true: ArrayLike) -> tuple[Floats, Floats]:
    index = np.asarray(true)
    if p.ndim != 2 or index.shape != (len(p),) or not len(p) or not np.issubdtype(index.dtype, np.integer):
        raise InputError(f"probabilities {p.shape} and true classes {index.shape} do not fit [n, C] and [n] ints.")
    if not ((p >= 0) & (p <= 1)).all() or (index < 0).any() or (index >= p.shape[1]).any():
        raise InputError("a probability is outside [0, 1] or a true class outside the columns.")
    return p, np.eye(p.shape[1])[index]


@dataclass(frozen=True)
class RiskCoverage:
    """Error rate of the most confident share of items. `coverage`, `risk` [K] ascending in coverage; `area`: AURC."""

    coverage: Floats
    risk: Floats
    area: float

    def risk_at(self, coverage: float) -> float:
        """Error rate of the smallest answered share that reaches `coverage` (0 to 1)."""
        if not 0 < coverage <= 1:
            raise OptionError(f"coverage is {coverage}, not in (0, 1].")
        return float(self.risk[np.searchsorted(self.coverage, coverage - 1e-12)])


def risk_coverage(confidence: ArrayLike, right: ArrayLike) -> RiskCoverage:
    """Answer only the most confident items: the error among them against their share. Items of equal confidence are
    answered together, so that the order of items does not matter; `area` is the mean risk over items."""
    c, y = _confident(confidence, right)
    _, code, counts = np.unique(-c, return_inverse=True, return_counts=True)
    answered = np.cumsum(counts)
    risk = np.cumsum(np.bincount(code, weights=1.0 - y)) / answered
    return RiskCoverage(answered / len(c), risk, float((risk * counts).sum() / len(c)))
