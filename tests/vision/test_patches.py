"""Pictures and clips as patches: sizes, bit equality with transformers' own processor, frames and times."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from vesalius.errors import InputError, OptionError
from vesalius.vision.frames import nearest_frames, pair_times, sampled_frames
from vesalius.vision.patches import PatchRule, fit_clip, fit_picture, patches_of
from vesalius.vision.resize import resized

HALF = PatchRule(16, 2, 2, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
CLIP = PatchRule(14, 2, 2, (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))


@pytest.mark.parametrize("rule", [HALF, CLIP], ids=["half", "clip"])
@pytest.mark.parametrize("size", [(70, 100), (33, 500), (64, 64), (301, 203), (20, 20)])
@pytest.mark.parametrize("colour", [True, False])
def test_patches_equal_transformers_own_bit_for_bit(rule: PatchRule, size: tuple[int, int], colour: bool) -> None:
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

    shape = (*size, 3) if colour else size
    picture = np.random.default_rng(3).integers(0, 256, shape, dtype=np.uint8)
    theirs = Qwen2VLImageProcessorPil(
        size={"shortest_edge": 4096, "longest_edge": 30000},
        patch_size=rule.patch,
        image_mean=list(rule.mean),
        image_std=list(rule.std),
    )(Image.fromarray(picture), return_tensors="np")
    high, wide = fit_picture(*size, factor=rule.factor, min_pixels=4096, max_pixels=30000)
    patches, grid = patches_of([resized(picture, high, wide)], rule)
    assert np.array_equal(patches, theirs["pixel_values"])
    assert [list(grid)] == theirs["image_grid_thw"].tolist()


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 4000), st.integers(1, 4000))
def test_a_fitted_picture_keeps_the_bounds_and_the_multiples(height: int, width: int) -> None:
    if max(height, width) > 200 * min(height, width):
        with pytest.raises(InputError, match="longer than 200"):
            fit_picture(height, width, factor=28, min_pixels=3136, max_pixels=1003520)
        return
    high, wide = fit_picture(height, width, factor=28, min_pixels=3136, max_pixels=1003520)
    assert high % 28 == wide % 28 == 0
    assert high * wide >= 3136
    assert high * wide <= 1003520 or min(high, wide) == 28


def test_bounds_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(OptionError, match="leave no size"):
        fit_picture(10, 10, factor=28, min_pixels=10, max_pixels=5)


def test_a_clip_is_fitted_by_all_its_frames() -> None:
    rule = {"factor": 32, "temporal": 2, "min_pixels": 4096}
    assert fit_clip(4, 64, 96, max_pixels=1 << 24, **rule) == (64, 96)
    assert fit_clip(4, 640, 960, max_pixels=4 * 64 * 96, **rule) == (64, 96)
    assert fit_clip(2, 8, 16, max_pixels=1 << 24, **rule) == (32, 64)
    assert fit_clip(2, 32, 32, max_pixels=1 << 24, **(rule | {"min_pixels": 1 << 15})) == (128, 128)
    with pytest.raises(InputError, match="too short"):
        fit_clip(1, 64, 64, max_pixels=1 << 24, **rule)


def test_an_odd_clip_repeats_its_last_frame() -> None:
    frames = list(np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8))
    patches, grid = patches_of(frames, HALF)
    again, _ = patches_of([*frames, frames[-1]], HALF)
    assert grid == (2, 2, 2)
    assert np.array_equal(patches, again)


def test_a_clip_is_normalised_like_a_picture_to_the_last_bits() -> None:
    frames = list(np.random.default_rng(0).integers(0, 256, (2, 28, 28, 3), dtype=np.uint8))
    np.testing.assert_allclose(patches_of(frames, CLIP)[0], patches_of(frames, CLIP, fused=True)[0], atol=5e-7)


def test_frames_are_sampled_evenly_first_and_last_included() -> None:
    assert sampled_frames(100, 25.0, fps=2.0) == [0, 14, 28, 42, 57, 71, 85, 99]
    assert sampled_frames(10, 25.0, fps=2.0) == [0, 3, 6, 9]
    assert sampled_frames(3, 25.0, fps=2.0) == [0, 1, 2]
    assert len(sampled_frames(100_000, 25.0, fps=2.0)) == 768


def test_times_of_pairs_and_the_frames_at_given_times() -> None:
    assert pair_times([0.0, 1.5, 4.0, 9.5, 10.25]) == [0.75, 6.75, 10.25]
    assert nearest_frames([0.0, 0.5, 1.0], [0.6, 1.2]) == [1, 2]
    with pytest.raises(InputError, match="outside the clip"):
        nearest_frames([0.0, 0.5, 1.0], [7.0])
