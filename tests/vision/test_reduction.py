"""Token reduction on pictures made by hand."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from vesalius.errors import OptionError
from vesalius.vision.novelty import grey_frames, outside_body
from vesalius.vision.reduction import RULES, reduction

Frames = NDArray[np.float32]


def blocks(frames_THW: Frames) -> tuple[NDArray[np.float32], int]:
    """Grey frames 0…255 → normalised blocks of 2 x 2 patches of 14 pixels, and their columns."""
    count, high, wide = frames_THW.shape
    rows, columns = high // 28, wide // 28
    grid = (frames_THW / np.float32(127.5) - 1).reshape(count, rows, 2, 14, columns, 2, 14)
    patches = grid.transpose(0, 1, 4, 2, 5, 3, 6).reshape(count, rows * columns, 4, 1, 14, 14)
    return np.repeat(patches, 3, 3).astype(np.float32), columns


def body(count: int = 4) -> Frames:
    """A grey body that fills the middle 4 x 4 of 6 x 6 blocks, in air."""
    frames = np.zeros((count, 168, 168), np.float32)
    frames[:, 28:140, 28:140] = 120
    return frames


def test_blocks_become_the_frames_they_were_cut_from() -> None:
    frames = np.random.default_rng(0).uniform(0, 255, (2, 56, 84)).astype(np.float32)
    assert np.abs(grey_frames(*blocks(frames)) - frames).max() < 1e-3


@pytest.mark.parametrize(("rule", "first"), [("none", 36), ("hulumed", 1), ("videollama3", 36), ("vesalius", 36)])
def test_what_stays_of_a_still_clip(rule: str, first: int) -> None:
    kept = reduction(rule, **({"refresh": 99} if rule == "vesalius" else {})).keep(*blocks(body()))
    later = 36 if rule == "none" else 1
    assert kept.sum(1).tolist() == [first, later, later, later]


def test_the_reference_is_the_last_kept_block_so_slow_change_is_seen() -> None:
    frames = body(12)
    frames[:, 56:84, 56:84] += np.arange(12, dtype=np.float32)[:, None, None] * 8
    frames[1::2, 112:140, 28:56] = 250  # another block flickers, so that ours need not keep the creeping one
    creeping = 2 * 6 + 2
    assert not reduction("hulumed").keep(*blocks(frames))[1:, creeping].any()
    ours = reduction("vesalius", threshold=20.0, refresh=99).keep(*blocks(frames))[:, creeping]
    assert ours.nonzero()[0].tolist() == [0, 3, 6, 9]


def test_a_small_bright_spot_stays_however_high_the_threshold() -> None:
    frames = body()
    frames[2, 93:97, 65:69] = 250
    kept = reduction("vesalius", threshold=255.0).keep(*blocks(frames))
    assert kept[2, 3 * 6 + 2]
    assert not reduction("hulumed").keep(*blocks(frames))[2, 3 * 6 + 2]


def test_air_around_the_body_goes_and_dark_places_inside_stay() -> None:
    frames = body(2)
    frames[:, 56:84, 56:84] = 0
    outside = outside_body(frames, 6, 6)[0].reshape(6, 6)
    assert outside[0].all()
    assert outside[:, 5].all()
    assert not outside[2, 2]
    noisy = frames + np.random.default_rng(0).uniform(0, 20, frames.shape).astype(np.float32)
    kept = reduction("vesalius", threshold=1.0).keep(*blocks(noisy))
    assert not kept[1].reshape(6, 6)[outside].any()


def test_a_block_inside_the_body_is_shown_again_after_some_frames() -> None:
    kept = reduction("vesalius", threshold=255.0, refresh=3).keep(*blocks(body(8)))
    assert kept[:, 2 * 6 + 2].nonzero()[0].tolist() == [0, 3, 6]


def test_one_frame_stays_whole_and_no_frame_is_empty() -> None:
    for rule in RULES:
        if rule != "hulumed":  # as published its first frame keeps one block; a family never reduces single frames
            assert reduction(rule).keep(*blocks(body(1))).all()
        assert reduction(rule).keep(*blocks(np.zeros((5, 56, 56), np.float32))).any(1).all()


def test_unknown_rules_and_settings_are_named() -> None:
    with pytest.raises(OptionError, match="no token reduction is called 'other'"):
        reduction("other")
    with pytest.raises(OptionError, match="has no setting speed"):
        reduction("none", speed=1)
