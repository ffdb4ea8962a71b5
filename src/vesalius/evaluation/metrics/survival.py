"""Concordance of predicted risk with observed survival."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from vesalius.errors import InputError

__all__ = ["concordance_index"]


def concordance_index(risk: ArrayLike, time: ArrayLike, event: ArrayLike) -> float | None:
    """Harrell's C: share of comparable pairs in which the one who failed earlier had the higher risk, equal risks half.

    `risk`, `time` [n] floats, `event` [n] bool (False = censored). A pair is comparable when the earlier of two times
    is an event, or when one of two equal times is. None without such a pair. Raises InputError for other shapes, NaN.
    """
    r, t, e = np.asarray(risk, np.float64), np.asarray(time, np.float64), np.asarray(event, dtype=bool)
    if not r.shape == t.shape == e.shape or r.ndim != 1 or not len(r):
        raise InputError(f"risk {r.shape}, time {t.shape} and event {e.shape} are not rows of one length > 0.")
    if not (np.isfinite(r).all() and np.isfinite(t).all()):
        raise InputError("a risk or time is not finite.")
    concordant = comparable = 0.0
    for start in range(0, len(r), 512):  # rows in blocks, so that 10,000 patients need megabytes, not gigabytes
        rows = np.flatnonzero(e[start : start + 512]) + start
        after = (t[rows, None] < t[None]) | ((t[rows, None] == t[None]) & ~e[None])
        comparable += after.sum()
        concordant += (after & (r[rows, None] > r[None])).sum() + 0.5 * (after & (r[rows, None] == r[None])).sum()
    return float(concordant / comparable) if comparable else None
