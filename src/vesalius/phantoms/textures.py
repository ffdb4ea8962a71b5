"""Banks of noise built once from a constant seed and cut at random: lattice noise, grain, speckle.

Every bank is periodic float32 `[S, S]` with mean about 0 and standard deviation about 1 (speckle: mean 1). They are
made with + − × ÷ and square roots alone, so the same bytes appear on every machine.
"""

from __future__ import annotations

import math
from functools import cache, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vesalius.phantoms.dice import Dice

__all__ = ["BANK_SIZE", "CELLS", "cut", "fractal", "grain", "lattice", "ridges", "speckle", "vessels", "white"]

Field = NDArray[np.floating[Any]]

BANK_SIZE = 640
CELLS = (2, 4, 8, 10, 16, 20, 32, 40, 64, 80, 128)
"""Lattice spacings of the smooth noise, pixels."""

_SEED = 20_240_229
_LATTICE_STD = 0.577 * 0.79
"""Standard deviation of uniform lattice values after cubic interpolation on both axes."""


def _uniform(stream: int, shape: tuple[int, ...]) -> NDArray[np.float64]:
    return np.random.Generator(np.random.Philox(key=[_SEED, stream])).random(shape) * 2.0 - 1.0


def _interpolate_rows(values: NDArray[np.float64], cell: int) -> NDArray[np.float64]:
    """Periodic Catmull-Rom interpolation of rows, `cell` samples between two of them."""
    t = ((np.arange(cell) + 0.5) / cell)[None, :, None]
    before, here = np.roll(values, 1, 0)[:, None], values[:, None]
    after, beyond = np.roll(values, -1, 0)[:, None], np.roll(values, -2, 0)[:, None]
    slope = after - before
    bend = before * 2.0 - here * 5.0 + after * 4.0 - beyond
    cube = here * 3.0 - before - after * 3.0 + beyond
    smooth = here + (slope + (bend + cube * t) * t) * t * 0.5
    return smooth.reshape(-1, values.shape[1])


@lru_cache(maxsize=4096)
def _nearest_cell(cell: float) -> int:
    return min(CELLS, key=lambda known: abs(known - cell) / (known + cell))


@cache
def _lattice(cell: int) -> Field:
    knots = _uniform(cell, (BANK_SIZE // cell, BANK_SIZE // cell))
    knots = knots - math.fsum(knots.ravel().tolist()) / knots.size
    rows = _interpolate_rows(knots, cell)
    both = np.ascontiguousarray(_interpolate_rows(np.ascontiguousarray(rows.T), cell).T)
    return (both / _LATTICE_STD).astype(np.float32)


def lattice(cell: float) -> Field:
    """Smooth noise whose hills are about `cell` pixels wide (the nearest of `CELLS`)."""
    return _lattice(_nearest_cell(cell))


@cache
def fractal() -> Field:
    """Cloudy noise: octaves from 64 down to 4 pixels, each about two thirds as strong as the last."""
    total = np.zeros((BANK_SIZE, BANK_SIZE), np.float32)
    weight, power = 1.0, 0.0
    for cell in (64, 32, 16, 8, 4):
        total += np.float32(weight) * np.roll(_lattice(cell), 97 * cell, 1)
        power += weight * weight
        weight *= 0.66
    return total / np.float32(power**0.5)


@cache
def white() -> Field:
    """Uncorrelated, nearly normal noise (the sum of twelve uniforms)."""
    return (_uniform(1000, (12, BANK_SIZE, BANK_SIZE)).sum(0) * 0.5).astype(np.float32)


@cache
def grain() -> Field:
    """Noise with a correlation of about two pixels, as reconstructed CT and MR show it."""
    noise = np.roll(white(), 211, 0)
    blurred = noise * np.float32(0.5) + (np.roll(noise, 1, 0) + np.roll(noise, -1, 0)) * np.float32(0.25)
    blurred = blurred * np.float32(0.5) + (np.roll(blurred, 1, 1) + np.roll(blurred, -1, 1)) * np.float32(0.25)
    return blurred * np.float32(1.0 / 0.375)


def _smear(noise: Field, axis: int, times: int) -> Field:
    for _ in range(times):
        noise = noise * np.float32(0.5) + (np.roll(noise, 1, axis) + np.roll(noise, -1, axis)) * np.float32(0.25)
    return noise


@cache
def speckle(width: int) -> Field:
    """Fully developed speckle, mean 1 (Rayleigh amplitudes); `width` 1…4 sets how far it is smeared sideways."""
    real = _smear(_smear(white(), 1, width), 0, 1)
    imaginary = _smear(_smear(np.roll(white(), (177, 301), (0, 1)), 1, width), 0, 1)
    amplitude = np.sqrt(real * real + imaginary * imaginary)
    # Reference mean from integers, so that no summation order can change it.
    mean = int((amplitude * 4096.0).astype(np.int64).sum()) / (4096.0 * amplitude.size)
    return amplitude / np.float32(mean)


@cache
def ridges(cell: int) -> Field:
    """Winding crests in 0…1 (1 on the crest) of two octaves: sulci, folds, wrinkles."""
    first = 1.0 - np.abs(_lattice(cell)) * np.float32(0.9)
    second = 1.0 - np.abs(np.roll(_lattice(max(2, cell // 2)), 123, 1)) * np.float32(0.9)
    return np.clip(np.maximum(first, second * np.float32(0.85)), 0.0, 1.0).astype(np.float32)


@cache
def vessels(cell: int) -> Field:
    """Thin broken branches and dots in 0…1: where the crests of one noise meet the hills of another."""
    crest = np.clip(1.0 - np.abs(_lattice(cell)) * np.float32(5.0), 0.0, 1.0)
    hill = np.clip(np.roll(_lattice(max(2, cell // 2)), 57, 0) * np.float32(1.2), 0.0, 1.0)
    return (crest * hill).astype(np.float32)


@cache
def _wrapped(name: str, key: int, extra: int) -> Field:
    """A bank continued periodically by `extra` pixels both ways, so that any window of that size can be cut."""
    makers = {"white": white, "grain": grain, "fractal": fractal}
    bank = makers[name]() if name in makers else _KEYED[name](key)
    return np.pad(bank, ((0, extra), (0, extra)), mode="wrap")


_KEYED = {"lattice": _lattice, "speckle": speckle, "ridges": ridges, "vessels": vessels}


def cut(
    name: str, dice: Dice, height: int, width: int, key: float = 0, shift: tuple[int, int] = (0, 0), flip: bool = True
) -> Field:
    """A random window `[height, width]` of a bank: "white", "grain", "fractal", or with a `key` "lattice", "ridges",
    "vessels" (cell size in pixels) and "speckle" (width).  `shift` (rows, columns) moves the window by whole pixels,
    so a texture can travel with what it belongs to. The result is a view: do not write into it."""
    exact = _nearest_cell(key) if name in ("lattice", "ridges", "vessels") else int(key)
    bank = _wrapped(name, exact, -(-max(height, width) // 256) * 256)
    top = (int(dice.place() * BANK_SIZE) - shift[0]) % BANK_SIZE
    left = (int(dice.place() * BANK_SIZE) - shift[1]) % BANK_SIZE
    window = bank[top : top + height, left : left + width]
    if flip and dice.chance(0.5):
        return window[::-1]
    return window
