"""Which slices and windows are shown."""

from __future__ import annotations

import numpy as np
import pytest

from vesalius.study.items import Volume
from vesalius.study.read import read
from vesalius.vision.views import ct_windows, guess_modality, native_axis, spread


def volume(values: np.ndarray, spacing: tuple[float, float, float]) -> Volume:
    return read(values, affine=np.diag([*spacing, 1.0])).volumes[0]


@pytest.mark.parametrize(("count", "most"), [(1, 5), (5, 5), (6, 5), (800, 32)])
def test_spread_takes_the_ends_and_no_index_twice(count: int, most: int):
    chosen = spread(count, most)
    assert len(chosen) == min(count, most) == len(set(chosen))
    assert chosen[0] == 0
    assert chosen[-1] == count - 1


@pytest.mark.parametrize(
    ("spacing", "axis"),
    [
        ((0.7, 0.7, 5.0), "axial"),
        ((4.0, 1.0, 1.0), "sagittal"),
        ((1.0, 3.0, 1.0), "coronal"),
        ((1.0, 1.0, 1.0), "axial"),
    ],
)
def test_the_native_axis_is_the_one_with_thick_slices(spacing: tuple[float, float, float], axis: str):
    assert native_axis(volume(np.zeros((8, 9, 10), np.int16), spacing)) == axis


def test_hounsfield_like_values_are_taken_for_ct_and_others_are_not():
    values = np.full((20, 20, 4), -1000, np.int16)
    values[5:15, 5:15] = 40
    values[8, 8] = 900
    assert guess_modality(volume(values, (1, 1, 1))) == "ct"
    assert guess_modality(volume(np.abs(values), (1, 1, 1))) is None


def test_a_slice_full_of_lung_gets_the_lung_window():
    values = np.full((100, 100), 40, np.int16)
    assert ct_windows(values)[0].name == "soft-tissue"
    values[30:70, 30:70] = -800
    assert ct_windows(values)[0].name == "lung"
