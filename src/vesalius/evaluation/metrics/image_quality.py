"""PSNR, SSIM (equal to scikit-image's) and the Fréchet distance of features."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vesalius.errors import InputError
from vesalius.evaluation.packages import package

__all__ = ["frechet_distance", "psnr", "ssim"]

Floats = NDArray[np.float64]


def _pair(predicted: ArrayLike, true: ArrayLike, data_range: float) -> tuple[Floats, Floats]:
    a, b = np.asarray(predicted, dtype=np.float64), np.asarray(true, dtype=np.float64)
    if a.shape != b.shape or not a.size or not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise InputError(f"images of shape {a.shape} and {b.shape} differ, are empty or not finite.")
    if not data_range > 0:
        raise InputError(f"data range {data_range} is not > 0.")
    return a, b


def psnr(predicted: ArrayLike, true: ArrayLike, data_range: float) -> float:
    """Peak signal-to-noise ratio in dB; infinite for equal images. `data_range`: largest minus smallest value."""
    a, b = _pair(predicted, true, data_range)
    error = float(((a - b) ** 2).mean())
    return 10.0 * math.log10(data_range**2 / error) if error else math.inf


def ssim(predicted: ArrayLike, true: ArrayLike, data_range: float, *, window: int = 7) -> float:
    """Mean structural similarity of grey images [H, W] or volumes, uniform window of odd side, sample covariance."""
    a, b = _pair(predicted, true, data_range)
    if window % 2 == 0 or window < 3 or min(a.shape) < window:
        raise InputError(f"window {window} is not odd, below 3 or larger than the image {a.shape}.")
    mean = package("scipy.ndimage", "SSIM").uniform_filter
    norm = window**a.ndim / (window**a.ndim - 1.0)
    ua, ub = mean(a, size=window), mean(b, size=window)
    va, vb = norm * (mean(a * a, size=window) - ua * ua), norm * (mean(b * b, size=window) - ub * ub)
    vab = norm * (mean(a * b, size=window) - ua * ub)
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    found = (2 * ua * ub + c1) * (2 * vab + c2) / ((ua**2 + ub**2 + c1) * (va + vb + c2))
    inside = tuple([slice(window // 2, -(window // 2))] * a.ndim)
    return float(found[inside].mean())


def frechet_distance(first: ArrayLike, second: ArrayLike) -> float:
    """FID of two sets of features [N, D] and [M, D]: |μ1 - μ2|² + tr(C1 + C2 - 2 (C1 C2)^½), sample covariances.

    Raises InputError for fewer than two rows or other shapes.
    """
    a, b = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1] or min(len(a), len(b)) < 2:
        raise InputError(f"features of shape {a.shape} and {b.shape} are not [N, D] and [M, D] with N, M >= 2.")
    ca, cb = (np.atleast_2d(np.cov(x, rowvar=False)) for x in (a, b))
    # tr (C1 C2)^½ through the symmetric C1^½ C2 C1^½, whose eigenvalues are real and not negative.
    root = _root(ca)
    values = np.linalg.eigvalsh(root @ cb @ root)
    cross = float(np.sqrt(np.clip(values, 0.0, None)).sum())
    apart = float(((a.mean(0) - b.mean(0)) ** 2).sum())
    return max(0.0, apart + float(np.trace(ca) + np.trace(cb)) - 2.0 * cross)


def _root(matrix: Floats) -> Floats:
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * np.sqrt(np.clip(values, 0.0, None))) @ vectors.T
