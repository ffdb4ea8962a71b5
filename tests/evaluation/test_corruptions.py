"""Pictures, volumes and clips spoilt with the published constants, and what is left of the score."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.evaluation.runs import TINY, Quick, write_benchmark
from tests.evaluation.scored import benchmark_of, item, stored_run
from vesalius.errors import OptionError
from vesalius.evaluation.contract import Medium, Sample
from vesalius.evaluation.corrupted import corrupted
from vesalius.evaluation.corruptions import (
    Corruption,
    Spoiling,
    corrupt_pixels,
    corruption_named,
    corruptions_named,
    drawn,
    generator,
)
from vesalius.evaluation.passes import Pass, passes_of
from vesalius.evaluation.predict import predict
from vesalius.evaluation.prediction import Prediction
from vesalius.evaluation.run_folder import RunFolder
from vesalius.evaluation.score import score_run
from vesalius.phantoms.volumes import draw_volume
from vesalius.phantoms.write_media import write_clip, write_volume
from vesalius.study.items import Clip, Volume

RANGES = {
    ("brightness", "low"): (1.1, 2.0),
    ("brightness", "medium"): (2.5, 4.0),
    ("brightness", "high"): (4.5, 6.0),
    ("noise", "low"): (0.0, 0.06),
    ("noise", "medium"): (0.09, 0.15),
    ("noise", "high"): (0.18, 0.25),
}


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def ramp(shape: tuple[int, ...] = (40, 60)) -> np.ndarray:
    return rng(3).integers(0, 256, shape, dtype=np.uint8)


@pytest.mark.parametrize(("severity", "kernel_px"), [("low", 5), ("medium", 7), ("high", 11)])
def test_blur_spreads_a_point_over_its_kernel_and_keeps_its_light(severity: Any, kernel_px: int):
    done = drawn(Corruption("blur", severity), rng())
    assert done == Spoiling(kernel_px=kernel_px)
    point = np.zeros((31, 31), np.uint8)
    point[15, 15] = 255
    assert corrupt_pixels(point, Spoiling(5), rng())[15, 13:18].tolist() == [6, 24, 36, 24, 6]
    flat = np.full((31, 31, 3), 200, np.uint8)
    assert (corrupt_pixels(flat, done, rng()) == 200).all()
    step = np.zeros((31, 31), np.uint8)
    step[:, 16:] = 255
    row = corrupt_pixels(step, done, rng())[15]
    half = kernel_px // 2
    assert (row[: 16 - half] == 0).all()
    assert (row[16 + half :] == 255).all()
    assert (np.diff(row[15 - half : 17 + half].astype(int)) > 0).all()


def test_the_kernel_of_11_pixels_has_the_width_that_follows_from_its_size():
    """A step shows the sums of the weights: OpenCV has sigma 0.3 ((k - 1) / 2 - 1) + 0.8 = 2."""
    weights = np.exp(-(np.arange(-5, 6) ** 2) / (2 * 2.0**2))
    expected = np.rint(255 * np.cumsum(weights / weights.sum())).astype(int)
    step = np.zeros((31, 31), np.uint8)
    step[:, 16:] = 255
    assert np.abs(corrupt_pixels(step, Spoiling(11), rng())[15, 11:22].astype(int) - expected).max() <= 1


@pytest.mark.parametrize(("name", "severity"), list(RANGES))
def test_factors_and_means_are_drawn_from_the_published_ranges(name: Any, severity: Any):
    low, high = RANGES[name, severity]
    told = [drawn(Corruption(name, severity), rng(k)) for k in range(400)]
    values = [one.factor if name == "brightness" else one.noise_mean for one in told]
    assert all(value is not None and low <= value <= high for value in values)
    assert np.ptp(np.array(values, float)) > 0.9 * (high - low)
    assert all((one.factor is None) == (name == "noise") and one.kernel_px is None for one in told)


def test_brightness_multiplies_and_white_stays_white():
    pixels = np.array([[0, 10, 100, 255]], np.uint8)
    assert corrupt_pixels(pixels, Spoiling(factor=1.5), rng()).tolist() == [[0, 15, 150, 255]]


def test_noise_has_the_published_mean_and_variance_and_is_the_same_in_all_channels():
    grey = np.full((300, 300, 3), 100, np.uint8)
    spoilt = corrupt_pixels(grey, Spoiling(noise_mean=0.12), rng()).astype(float)
    away = (spoilt - 100) / 255
    assert abs(away.mean() - 0.12) < 0.003
    assert abs(away.var() - 0.01) < 0.0003
    assert (spoilt[..., 0] == spoilt[..., 2]).all()


def test_mixed_applies_each_with_probability_one_half_and_at_least_one():
    told = [drawn(Corruption("mixed", "medium"), rng(k)) for k in range(4000)]
    parts = np.array([[t.kernel_px is not None, t.factor is not None, t.noise_mean is not None] for t in told])
    assert parts.any(axis=1).all()
    # 1/2, and a third of the one in eight that would have had none.
    assert np.abs(parts.mean(axis=0) - (0.5 + 0.125 / 3)).max() < 0.03


@settings(max_examples=40, deadline=None)
@given(
    text=st.sampled_from([str(one) for one in corruptions_named(["all"])]),
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    colour=st.booleans(),
    seed=st.integers(0, 2**31),
)
def test_any_picture_keeps_its_size_and_one_seed_gives_one_result(
    text: str, height: int, width: int, colour: bool, seed: int
):
    pixels = rng(seed).integers(0, 256, (height, width, 3) if colour else (height, width), dtype=np.uint8)
    before = pixels.copy()

    def once() -> np.ndarray:
        chance = generator(corruption_named(text), "ab", seed)
        return corrupt_pixels(pixels, drawn(corruption_named(text), chance), chance)

    first = once()
    assert first.shape == pixels.shape
    assert first.dtype == np.uint8
    assert (first == once()).all()
    assert (pixels == before).all()


def test_names_are_read_and_others_refused():
    assert [str(one) for one in corruptions_named(["noise:high", "Blur", "noise:high"])] == [
        "blur:low", "blur:medium", "blur:high", "noise:high",
    ]  # fmt: skip
    assert len(corruptions_named(["all"])) == 12
    for text in ("fog", "blur:extreme", "blur:", "", "blur:low:high"):
        with pytest.raises(OptionError, match="is not known"):
            corruptions_named([text])


def test_a_picture_is_spoilt_once_however_often_it_is_asked_about(tmp_path: Path):
    path = tmp_path / "a.png"
    Image.fromarray(ramp()).save(path)
    medium, other = Medium("image", path), Medium("image", path.read_bytes())
    told = corrupted(medium, medium.sha256(), corruption_named("noise:low"), 5)
    assert told == corrupted(other, other.sha256(), corruption_named("noise:low"), 5)
    assert told[1] != corrupted(medium, medium.sha256(), corruption_named("noise:low"), 6)[1]
    with Image.open(io.BytesIO(told[0])) as shown:
        assert shown.size == (60, 40)


@pytest.mark.parametrize("name", ["blur:high", "brightness:medium", "noise:high", "mixed:low"])
def test_a_volume_keeps_its_grid_and_is_spoilt_as_a_picture_in_its_window(name: str, tmp_path: Path):
    truth = draw_volume(11, "ct", (36, 32, 6))
    write_volume(tmp_path / "v.nii.gz", truth.values, truth.affine_ras)
    medium = Medium("volume", tmp_path / "v.nii.gz")
    from vesalius.inference.media import read_raw

    real = read_raw(medium.source).items[0]
    shown, sha256 = corrupted(medium, medium.sha256(), corruption_named(name), 0)
    assert isinstance(real, Volume)
    assert isinstance(shown, Volume)
    assert (shown.affine_ras == real.affine_ras).all()
    assert shown.values().shape == real.values().shape
    assert shown.values().dtype == real.values().dtype
    assert (shown.values() != real.values()).any()
    # Slices decoded alone are those of the whole, across every axis.
    for axis in range(3):
        some = shown.source.planes(axis, [1, 0, 1])
        assert (some == np.moveaxis(shown.source.all(), axis, 0)[[1, 0, 1]]).all()
    again, same = corrupted(medium, medium.sha256(), corruption_named(name), 0)
    assert (again.values() == shown.values()).all()
    assert same == sha256


def test_noise_of_a_volume_is_a_share_of_its_window(tmp_path: Path):
    from dataclasses import replace

    from vesalius.evaluation.corrupted import _spoilt_volume
    from vesalius.inference.media import read_raw
    from vesalius.study.windows import Window

    write_volume(tmp_path / "v.nii.gz", np.full((60, 50, 8), 40, np.int16), np.diag([1.0, 1, 2, 1]))
    volume = read_raw(tmp_path / "v.nii.gz").items[0]
    assert isinstance(volume, Volume)
    spoilt = _spoilt_volume(replace(volume, window=Window(-160, 240)), Spoiling(noise_mean=0.2), 1).values()
    assert abs(spoilt.mean() - (40 + 0.2 * 400)) < 1
    assert abs(spoilt.std() - 0.1 * 400) < 1


def test_a_clip_keeps_its_times_and_a_frame_alone_is_that_of_the_whole(tmp_path: Path):
    frames = [rng(k).integers(0, 256, (32, 48, 3), dtype=np.uint8) for k in range(5)]
    write_clip(tmp_path / "c.webm", frames, [0.2 * k for k in range(5)])
    medium = Medium("video", tmp_path / "c.webm")
    shown, _ = corrupted(medium, medium.sha256(), corruption_named("noise:high"), 0)
    assert isinstance(shown, Clip)
    whole = shown.frames([0, 1, 2, 3, 4])
    assert (shown.frames([3])[0] == whole[3]).all()
    assert (whole[0] != frames[0]).any()


def rows_of(run: RunFolder, name: str = "main") -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run.path / Pass(name).file).read_bytes().splitlines()]


def test_a_run_stores_each_corruption_beside_the_main_answers(tmp_path: Path):
    data = write_benchmark(tmp_path / "data", 6)
    passes = passes_of(repeats=2, corruptions=["noise:low", "blur:high"])
    assert [p.name for p in passes] == [
        "main", "blur-high", "noise-low", "repeat2", "blur-high.repeat2", "noise-low.repeat2",
    ]  # fmt: skip
    run = predict(TINY, data, Quick(), tmp_path / "run", passes=passes)
    told = RunFolder(run.path, TINY)
    assert told.passes() == list(passes)
    assert told.manifest["passes"]["blur-high"]["corruption"] == "blur:high"
    for name in ("blur-high", "noise-low", "noise-low.repeat2"):
        assert len(told.complete_predictions(name)) == 6
        for real, spoilt in zip(rows_of(run), rows_of(run, name), strict=True):
            size, mean, _ = real["raw"].split("|")[1].split(":")
            assert spoilt["raw"].split("|")[1].split(":")[0] == size
            assert spoilt["raw"].split("|")[1].split(":")[1] != mean
            assert spoilt["images"] != real["images"]
            assert spoilt["prompt_sha256"] == real["prompt_sha256"]
    pairs = [row["images"] for row in rows_of(run, "noise-low")]
    assert pairs[0] == pairs[1]
    assert rows_of(run, "noise-low") != rows_of(run, "noise-low.repeat2")
    assert {row["seed"] for row in rows_of(run, "noise-low.repeat2")} == {1}
    more = predict(TINY, data, Quick(), tmp_path / "run", passes=passes_of(corruptions=["mixed:high"]))
    assert [p.name for p in more.passes()][-1] != "main"
    assert {p.name for p in more.passes()} == {p.name for p in passes} | {"mixed-high"}


def seen(key: str, **more: Any) -> Sample:
    return item(key, "yesno", "yes", media=(Medium("image", key.encode()),), **more)


def answers(right: int, num: int = 20) -> dict[str, str]:
    return {f"q{k}": "yes" if k < right else "no" for k in range(num)}


@pytest.mark.parametrize(
    ("clean", "spoilt", "rr"), [(16, 12, 0.75), (10, 10, 1.0), (10, 12, 1.2), (0, 5, None), (10, 0, 0.0)]
)
def test_relative_robustness_is_that_of_the_published_examples(
    clean: int, spoilt: int, rr: float | None, tmp_path: Path
):
    benchmark = benchmark_of([seen(f"q{k}", cluster=f"p{k // 2}") for k in range(20)])
    one = Pass("blur-high", 0, corruption=corruption_named("blur:high"))
    folder = stored_run(tmp_path / "run", benchmark, answers(clean), {one: answers(spoilt)})
    summary = score_run(folder, benchmark=benchmark)
    (row,) = summary.robustness
    assert row.name == "corruption: blur:high"
    assert row.rr == rr
    assert (row.familiar.value, row.shifted.value) == (clean / 20, spoilt / 20)
    assert row.shifted.clusters == 10
    if rr is None:
        assert row.low is None
    else:
        assert row.low is not None
        assert row.high is not None
        assert row.low <= rr <= row.high
    assert "corruption: blur:high" in str(summary)
    assert json.loads((folder / "summary.json").read_text())["robustness"][0]["rr"] == rr


def test_paired_items_make_the_interval_of_an_unchanged_score_a_point(tmp_path: Path):
    benchmark = benchmark_of([seen(f"q{k}") for k in range(20)])
    one = Pass("noise-low", 0, corruption=corruption_named("noise:low"))
    folder = stored_run(tmp_path / "run", benchmark, answers(12), {one: answers(12)})
    (row,) = score_run(folder, benchmark=benchmark).robustness
    assert (row.rr, row.low, row.high) == (1.0, 1.0, 1.0)


def test_over_seeds_each_repeat_is_compared_with_its_own(tmp_path: Path):
    benchmark = benchmark_of([seen(f"q{k}") for k in range(20)])
    noise = corruption_named("noise:low")
    passes = {
        Pass("noise-low", 0, corruption=noise): answers(8),
        Pass("repeat2", 1): answers(20),
        Pass("noise-low.repeat2", 1, corruption=noise): answers(20),
    }
    folder = stored_run(tmp_path / "run", benchmark, answers(16), passes)
    (row,) = score_run(folder, benchmark=benchmark).robustness
    assert row.rr == 0.5
    assert row.seeds is not None
    assert (row.seeds.mean, row.seeds.n) == (0.75, 2)
    assert row.seeds.sd == pytest.approx(0.125**0.5)


def test_an_answer_that_failed_under_a_corruption_is_wrong(tmp_path: Path):
    benchmark = benchmark_of([seen(f"q{k}") for k in range(4)])
    one = Pass("noise-low", 0, corruption=corruption_named("noise:low"))
    spoilt: dict[str, str | Prediction] = dict(answers(4, 4))
    spoilt["q3"] = Prediction("q3", finish_reason="error", error="row 4: gone")
    folder = stored_run(tmp_path / "run", benchmark, answers(4, 4), {one: spoilt})
    (row,) = score_run(folder, benchmark=benchmark).robustness
    assert row.rr == 0.75
