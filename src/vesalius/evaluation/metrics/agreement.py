"""Agreement of two raters, judges or files: share and Cohen's kappa."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from vesalius.errors import InputError, OptionError
from vesalius.evaluation.metrics.aligned import aligned

__all__ = ["Agreement", "agreement"]

Weights = Literal["none", "linear", "quadratic"]


@dataclass(frozen=True)
class Agreement:
    """`share`: equal ratings / items; `kappa`: beyond chance, in [-1, 1]."""

    n: int
    share: float
    kappa: float


def agreement(
    first: Sequence[Hashable],
    second: Sequence[Hashable],
    *,
    weights: Weights = "none",
    categories: Sequence[Hashable] | None = None,
) -> Agreement:
    """Cohen's kappa of two ratings of the same items; two raters who never differ and use one category alone give 1.

    `weights`: disagreement by distance of categories, whose order is `categories` (default: sorted ratings).
    Raises InputError when lengths differ, nothing is rated or a rating is not among `categories`.
    """
    aligned(first, second)
    try:
        rated: set[Any] = {*first, *second}
        names = list(categories) if categories is not None else sorted(rated)
    except TypeError as exc:
        raise InputError("ratings of mixed types have no order.", fix="Give categories=[...].") from exc
    index = {name: k for k, name in enumerate(names)}
    if any(rating not in index for rating in (*first, *second)):
        raise InputError(f"a rating is not among the {len(names)} categories.")
    table = np.zeros((len(names), len(names)))
    np.add.at(table, ([index[a] for a in first], [index[b] for b in second]), 1.0)
    n = len(first)
    distance = np.abs(np.subtract.outer(np.arange(len(names)), np.arange(len(names)))).astype(float)
    if weights not in ("none", "linear", "quadratic"):
        raise OptionError(f"weights is {weights!r}, not none, linear or quadratic.")
    cost = {"none": (distance > 0).astype(float), "linear": distance, "quadratic": distance**2}[weights]
    by_chance = float((cost * np.outer(table.sum(1), table.sum(0))).sum() / n)
    seen = float((cost * table).sum())
    kappa = 1.0 - seen / by_chance if by_chance else 1.0
    return Agreement(n, float(np.trace(table) / n), kappa)
