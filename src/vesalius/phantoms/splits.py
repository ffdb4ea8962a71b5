"""Seed ranges of the phantoms: no picture is used for two purposes."""

from __future__ import annotations

__all__ = ["CALIBRATION", "HELD_OUT", "TRAIN"]

TRAIN = range(1_000_000, 3_000_000)
"""What models learn from."""

CALIBRATION = range(3_000_000, 4_000_000)
"""Where thresholds and confidences are fitted."""

HELD_OUT = range(9_000_000, 10_000_000)
"""What is reported."""
