"""The one figure of the model card that no run of a benchmark gives: how well a strength on the map ranks slices."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

__all__ = ["auroc", "auroc_interval"]


def auroc_interval(
    scores: Sequence[float], positive: Sequence[bool], *, rounds: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """(low, high): 95 % bootstrap over slices; draws with one class only are left out."""
    s, p = np.asarray(scores, float), np.asarray(positive, bool)
    rng = np.random.default_rng(seed)
    drawn = [rng.integers(0, len(s), len(s)) for _ in range(rounds)]
    values = [auroc(s[own].tolist(), p[own].tolist()) for own in drawn if p[own].any() and not p[own].all()]
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)


def auroc(scores: Sequence[float], positive: Sequence[bool]) -> float:
    """Area under the ROC curve by ranks, ties counted half."""
    s, p = np.asarray(scores, float), np.asarray(positive, bool)
    if p.all() or not p.any():
        return float("nan")
    wins = (s[p][:, None] > s[~p][None, :]).mean() + 0.5 * (s[p][:, None] == s[~p][None, :]).mean()
    return float(wins)
