"""U-Score of segmentation networks (U-Bench): accuracy and efficiency in one number from 5 to 100."""

from __future__ import annotations

import math
from collections.abc import Mapping

from vesalius.errors import InputError, OptionError

__all__ = ["QUANTILES", "u_score"]

QUANTILES: Mapping[str, tuple[float, float]] = {
    "BUSI": (0.5837592, 0.7062627),
    "Kvasir": (0.75085247, 0.8428773),
    "ISIC2018": (0.81180614, 0.84177554),
    "DRIVE": (0.15081815, 0.6244703),
    "ACDC": (0.7268479, 0.8477579),
    "Synapse": (0.548646, 0.721962),
    "Montgomery": (0.9157433, 0.9587296),
    "GlaS": (0.6312482, 0.8308513),
}
"""10 % and 90 % quantiles of the published networks' IoU, per data set."""
FLOOR = 0.05
LOG_MILLION_PARAMETERS = (0.39, 4.32)
LOG_GFLOPS = (0.88, 4.20)
FRAMES_PER_SECOND = (24.28, 121.63)


def _place(value: float, low: float, high: float) -> float:
    return max(FLOOR, min(1.0, max(0.0, (value - low) / (high - low))))


def u_score(
    iou: float,
    million_parameters: float,
    gflops: float,
    frames_per_second: float,
    quantiles: str | tuple[float, float] = "BUSI",
) -> float:
    """Harmonic mean of accuracy (IoU between its quantiles) and efficiency (harmonic mean of size, GFLOPs and speed).

    `quantiles`: a data set of `QUANTILES` or (q10, q90) of IoU. Raises OptionError for an unknown data set, InputError
    for parameters or GFLOPs that are not positive.
    """
    if isinstance(quantiles, str):
        if quantiles not in QUANTILES:
            raise OptionError(f"no IoU quantiles for {quantiles!r}.", fix=f"Known: {', '.join(QUANTILES)}.")
        quantiles = QUANTILES[quantiles]
    if not (million_parameters > 0 and gflops > 0):
        raise InputError(f"{million_parameters} M parameters and {gflops} GFLOPs have to be > 0.")
    size = _place(-math.log(million_parameters), -LOG_MILLION_PARAMETERS[1], -LOG_MILLION_PARAMETERS[0])
    work = _place(-math.log(gflops), -LOG_GFLOPS[1], -LOG_GFLOPS[0])
    speed = _place(frames_per_second, *FRAMES_PER_SECOND)
    accuracy = _place(iou, *quantiles)
    efficiency = 3.0 / (1.0 / size + 1.0 / work + 1.0 / speed)
    return 100.0 / (0.5 / accuracy + 0.5 / efficiency)
