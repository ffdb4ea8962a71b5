"""Chosen frames are those of decoding everything, bit for bit, however the stream refers back and forth and however
many decoders share the work."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import av
import numpy as np
import pytest
from numpy.typing import NDArray

import vesalius
from vesalius.errors import InputError
from vesalius.study import video

Frames = list[NDArray[np.uint8]]
SIZE = (48, 64)

STREAMS: dict[str, tuple[str, str, dict[str, str], int]] = {
    "B-frames that others refer to": ("a.mp4", "libx264", {"bf": "3", "b-pyramid": "normal", "refs": "4"}, 40),
    "open groups": ("a.mkv", "libx264", {"bf": "3", "x264-params": "open-gop=1:scenecut=0"}, 25),
    "one long group": ("a.mp4", "libx264", {"bf": "2"}, 1000),
    "every frame a key": ("a.mov", "libx264", {}, 1),
    "no B-frames": ("a.mp4", "libx264", {"bf": "0"}, 30),
    "transport stream": ("a.ts", "libx264", {"bf": "3"}, 30),
    "MPEG-4 in AVI": ("a.avi", "mpeg4", {}, 12),
    "MPEG-2 program stream": ("a.mpg", "mpeg2video", {"bf": "2"}, 15),
}


def moving(count: int) -> Frames:
    """Noise that drifts over a moving edge: no two frames are alike, and each is worth predicting from others."""
    grain = np.random.default_rng(0).integers(0, 60, (SIZE[0], SIZE[1] * 2, 3))
    frames: Frames = []
    for n in range(count):
        picture = grain[:, n % 64 : n % 64 + SIZE[1]] + np.where(np.arange(SIZE[1]) < (5 * n) % 64, 150, 20)[:, None]
        frames.append(picture.astype(np.uint8))
    return frames


def written(
    path: Path, codec: str, options: dict[str, str], group: int, count: int = 150, stamps: Sequence[int] | None = None
) -> Path:
    with av.open(str(path), "w", format={".mpg": "mpeg", ".ts": "mpegts"}.get(path.suffix)) as out:
        track = cast("Any", out.add_stream(codec, rate=25, options={"g": str(group), **options}))
        track.width, track.height, track.pix_fmt = SIZE[1], SIZE[0], "yuv420p"
        track.codec_context.gop_size = group
        for n, picture in enumerate(moving(count)):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            if stamps is not None:
                frame.pts = stamps[n]
            out.mux(track.encode(frame))
        out.mux(track.encode(None))
    return path


def every_frame(path: Path) -> Frames:
    with av.open(str(path)) as container:
        return [cast("NDArray[np.uint8]", frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)]


@pytest.fixture(params=[1, 2, 3])
def cores(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(video, "usable_cores", lambda: request.param)
    monkeypatch.setattr(video, "_SHARE", 8)
    return request.param


@pytest.mark.parametrize("name", STREAMS)
def test_chosen_frames_are_those_of_decoding_everything(name: str, cores: int, tmp_path: Path):
    file, codec, options, group = STREAMS[name]
    path = written(tmp_path / file, codec, options, group)
    frames = every_frame(path)
    clip = vesalius.read(path).clips[0]
    assert clip.num_frames == len(frames)
    rng = np.random.default_rng(1)
    choices = [rng.choice(len(frames), size, replace=False).tolist() for size in (1, 4, 16, 60)]
    for chosen in [*choices, [len(frames) - 1, 0, 0], list(range(len(frames)))]:
        for index, got in zip(chosen, clip.frames(chosen), strict=True):
            np.testing.assert_array_equal(got, frames[index], err_msg=f"frame {index} of {chosen}")


def test_uneven_times_choose_the_same_frames(cores: int, tmp_path: Path):
    steps = np.random.default_rng(2).integers(1, 9, 150)
    path = written(tmp_path / "a.mkv", "libx264", {"bf": "3"}, 30, stamps=np.cumsum(steps).tolist())
    frames, clip = every_frame(path), vesalius.read(path.read_bytes()).clips[0]
    np.testing.assert_allclose(np.diff(clip.times_s), steps[1:] / 25, atol=2e-3)
    chosen = [3, 40, 41, 88, 149]
    for index, got in zip(chosen, clip.frames(chosen), strict=True):
        np.testing.assert_array_equal(got, frames[index])


def loaded(path: Path) -> Any:
    return vesalius.read(path).clips[0].load


def test_work_is_cut_only_where_a_key_frame_allows_a_jump(tmp_path: Path):
    frames = loaded(written(tmp_path / "a.mp4", "libx264", {"x264-params": "scenecut=0"}, 30))
    assert frames.track.keys == [0, 30, 60, 90, 120]
    spread = [5, 15, 45, 75, 105, 135]
    assert frames._parts(spread, 1) == [spread]
    assert frames._parts(spread, 2) == [[5, 15, 45], [75, 105, 135]]
    assert frames._parts([10, 29, 31, 59], 2) == [[10, 29, 31, 59]]  # going on is shorter than jumping
    assert frames._parts([5, 35], 4) == [[5, 35]]  # too little for a second decoder
    assert [index for part in frames._parts(spread, 8) for index in part] == spread
    whole = loaded(written(tmp_path / "b.mp4", "libx264", {"x264-params": "scenecut=0"}, 1000))
    assert whole._parts(spread, 4) == [spread]


def test_damage_in_any_stretch_is_one_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(video, "usable_cores", lambda: 2)
    path = written(tmp_path / "a.mp4", "libx264", {"x264-params": "scenecut=0"}, 30)
    clip = vesalius.read(path).clips[0]
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"a\.mp4"):
        clip.frames([10, 50, 80, 110, 140])
