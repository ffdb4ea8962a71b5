"""Slices that were prepared once come back from the cache as they were made, and never for another file or option."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from numpy.typing import NDArray

from vesalius.study import late_warnings, voxel_cache
from vesalius.study.items import Volume
from vesalius.study.raw_voxels import RawVoxels
from vesalius.study.read import read
from vesalius.study.windows import Window
from vesalius.vision import slices
from vesalius.vision.slices import volume_ready

WINDOW = Window(-160, 240)
Prepare = Callable[[Volume], NDArray[np.float32]]


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("VESALIUS_CACHE", raising=False)
    return tmp_path / "cache" / "vesalius" / "voxels"


def scan(path: Path, seed: int = 0, dtype: Any = np.int16) -> Path:
    values = np.random.default_rng(seed).integers(-500, 500, (40, 30, 20)).astype(dtype)
    nibabel.Nifti1Image(values, np.diag([0.8, 0.9, 2.0, 1.0])).to_filename(path)
    return path


def asked(path: Path, **options: Any) -> NDArray[np.float32]:
    return volume_ready(read(path, cache=True, modality="CT").volumes[0], [17, 3, 3, 9], 28, **options)


@pytest.fixture
def no_decoding(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    def refused(*_: object) -> Any:
        raise AssertionError("decoded again")

    return lambda: monkeypatch.setattr(RawVoxels, "planes", refused)


@pytest.mark.parametrize("name", ["scan.nii.gz", "scan.nii"])
def test_the_second_time_nothing_is_decoded_and_every_bit_is_the_same(
    name: str, kept: Path, tmp_path: Path, no_decoding: Callable[[], None]
):
    path = scan(tmp_path / name)
    cold = volume_ready(read(path).volumes[0], [17, 3, 3, 9], 28, window=WINDOW)
    assert not kept.exists()
    filling = asked(path, window=WINDOW)
    (entry,) = kept.glob("*.slices")
    assert entry.stat().st_mode & 0o777 == 0o600
    no_decoding()
    warm = asked(path, window=WINDOW)
    other = asked(path, window=WINDOW, mean=(0.1, 0.2, 0.3), std=(1.0, 0.9, 0.8))
    assert np.array_equal(filling, cold)
    assert np.array_equal(warm, cold)
    assert warm.shape == (4, 3, 28, 28)
    assert np.allclose(other[:, 2] * 0.8 + 0.3, warm[:, 0] * 0.5 + 0.5, atol=1e-6)


@pytest.mark.parametrize(
    "prepare",
    [
        lambda volume: volume_ready(volume, [17, 3, 3, 9], 28, window=Window(-160, 241)),
        lambda volume: volume_ready(volume, [17, 3, 9, 3], 28, window=WINDOW),
        lambda volume: volume_ready(volume, [17, 3, 3, 9], (56, 14), window=WINDOW),
        lambda volume: volume_ready(volume, [17, 3, 3, 9], (14, 56), window=WINDOW),
        lambda volume: volume_ready(volume, [17, 3, 3, 9], 28, window=WINDOW, axis="coronal"),
        lambda volume: volume_ready(volume, [17, 3, 3, 9], 28),
    ],
)
def test_another_window_choice_size_or_axis_is_prepared_anew(prepare: Prepare, kept: Path, tmp_path: Path):
    path = scan(tmp_path / "scan.nii.gz")
    asked(path, window=WINDOW)
    cold = prepare(read(path, modality="MR").volumes[0])
    for _ in range(2):
        assert np.array_equal(prepare(read(path, modality="MR", cache=True).volumes[0]), cold)
    assert len(list(kept.glob("*.slices"))) == 2


def test_modality_and_affine_are_part_of_what_is_kept(kept: Path, tmp_path: Path):
    path = scan(tmp_path / "scan.nii.gz")
    ways: list[dict[str, Any]] = [{"modality": "CT"}, {"modality": "MR"}, {"affine": np.diag([-1.0, 1, -1, 1])}, {}]
    for options in ways:
        cold = volume_ready(read(path, **options).volumes[0], [5], 28)
        for _ in range(2):
            assert np.array_equal(volume_ready(read(path, cache=True, **options).volumes[0], [5], 28), cold)


def test_a_changed_file_is_noticed_though_size_and_time_are_the_same(kept: Path, tmp_path: Path):
    path = scan(tmp_path / "scan.nii")
    before = asked(path, window=WINDOW)
    times = path.stat()
    scan(path, seed=1)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert path.stat().st_mtime_ns == times.st_mtime_ns
    after = asked(path, window=WINDOW)
    assert not np.array_equal(after, before)
    assert np.array_equal(after, volume_ready(read(path).volumes[0], [17, 3, 3, 9], 28, window=WINDOW))


def test_slices_of_a_file_that_changed_meanwhile_are_not_kept(
    kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    path = scan(tmp_path / "scan.nii")
    real = Volume.each_slice

    def changing(self: Volume, *options: Any) -> Any:
        yield from real(self, *options)
        scan(path, seed=2)

    monkeypatch.setattr(Volume, "each_slice", changing)
    asked(path, window=WINDOW)
    assert not list(kept.iterdir())


@pytest.mark.parametrize("spoil", [lambda data: data[:-9], lambda data: b"\1" + data[1:], lambda data: b""])
def test_a_damaged_entry_is_made_anew(spoil: Callable[[bytes], bytes], kept: Path, tmp_path: Path):
    path = scan(tmp_path / "scan.nii.gz")
    cold = asked(path, window=WINDOW)
    (entry,) = kept.glob("*.slices")
    whole = entry.read_bytes()
    assert spoil(whole) != whole
    entry.write_bytes(spoil(whole))
    assert np.array_equal(asked(path, window=WINDOW), cold)
    assert entry.read_bytes() == whole


def test_slices_that_came_with_a_warning_are_not_kept(kept: Path, tmp_path: Path):
    values = np.random.default_rng(0).normal(0, 100, (40, 30, 20)).astype(np.float32)
    values[3, 4, 9] = np.nan
    nibabel.Nifti1Image(values, np.eye(4)).to_filename(tmp_path / "scan.nii.gz")
    for _ in range(2):
        volume = read(tmp_path / "scan.nii.gz", cache=True).volumes[0]
        volume_ready(volume, [9], 28, window=WINDOW)
        assert "not finite" in late_warnings(volume)[0]
    assert not list(kept.glob("*.slices"))


def test_only_what_is_small_is_kept_and_the_oldest_goes_first(
    kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    path = scan(tmp_path / "scan.nii")
    monkeypatch.setenv("VESALIUS_CACHE_BYTES", str(3 * (4 * 28 * 28 + 4)))
    for low in range(5):
        asked(path, window=Window(low, 200))
        for entry in kept.iterdir():
            os.utime(entry, ns=(entry.stat().st_atime_ns, entry.stat().st_mtime_ns - 10**9))
    with monkeypatch.context() as patch:
        patch.setattr(RawVoxels, "planes", None)
        for low in (2, 3, 4):
            asked(path, window=Window(low, 200))
        with pytest.raises(TypeError):
            asked(path, window=Window(1, 200))
    assert voxel_cache.clear() == 3
    assert not list(kept.iterdir())
    monkeypatch.setattr(voxel_cache, "_MAX_SLICES_BYTES", 4 * 28 * 28 - 1)
    asked(path, window=WINDOW)
    assert not list(kept.iterdir())


def test_a_cache_that_cannot_be_written_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    path = scan(tmp_path / "scan.nii.gz")
    assert np.array_equal(
        asked(path, window=WINDOW), volume_ready(read(path).volumes[0], [17, 3, 3, 9], 28, window=WINDOW)
    )


def test_a_change_in_how_slices_are_made_retires_those_kept(
    kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    path = scan(tmp_path / "scan.nii")
    asked(path, window=WINDOW)
    monkeypatch.setattr(slices, "_MAKING", slices._MAKING + 1)
    asked(path, window=WINDOW)
    assert len(list(kept.glob("*.slices"))) == 2
