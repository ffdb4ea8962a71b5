"""Pictures that follow one another become a clip."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from vesalius import limits
from vesalius.errors import InputError, LimitError
from vesalius.study.items import Origin, Picture
from vesalius.study.picture_stack import clip_of_pictures


def picture(shade: int, width: int = 6, height: int = 4) -> Picture:
    return Picture(width, height, lambda: np.full((height, width), shade, np.uint8), Origin("png", (f"{shade}.png",)))


def test_frames_are_the_pictures_in_order_and_decoded_when_asked_for() -> None:
    decoded: list[int] = []

    def load(shade: int) -> np.ndarray:
        decoded.append(shade)
        return np.full((4, 6), shade, np.uint8)

    pictures = [replace(picture(shade), load=lambda shade=shade: load(shade)) for shade in (10, 20, 30)]
    clip = clip_of_pictures(pictures)
    assert (clip.num_frames, clip.width, clip.height, clip.times_s.tolist()) == (3, 6, 4, [0, 1, 2])
    assert clip.origin.files == ("10.png", "20.png", "30.png")
    assert decoded == []
    (last,) = clip.frames([2])
    assert last.shape == (4, 6, 3)
    assert last[0, 0].tolist() == [30, 30, 30]
    assert decoded == [30]


def test_what_cannot_be_one_clip_is_refused() -> None:
    with pytest.raises(InputError, match="no pictures"):
        clip_of_pictures([])
    with pytest.raises(InputError, match="6 x 4 and 7 x 4"):
        clip_of_pictures([picture(1), picture(2, width=7)])
    with limits.using(replace(limits.current(), max_frames=1)), pytest.raises(LimitError, match="2 pictures"):
        clip_of_pictures([picture(1), picture(2)])
