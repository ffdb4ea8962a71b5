"""Media without content: as large as the real ones, and everywhere as grey as those are on average."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vesalius.errors import InputError
from vesalius.evaluation.contract import Medium
from vesalius.study.items import Clip, Picture, Slide, Volume

__all__ = ["blank"]

_SAMPLED = 16
"""Slices or frames the mean of a volume or clip is taken over."""


def blank(medium: Medium, sha256: str) -> tuple[Any, str]:
    """(what is shown instead, its hash). A picture becomes a PNG; a volume keeps its grid and affine, a clip its times.

    `sha256`: of the real medium. Raises InputError for media that cannot be read.
    """
    from vesalius.inference.media import read_raw
    from vesalius.study.read import read

    study = read_raw(medium.source) if medium.kind == "volume" else read(medium.source)
    wanted = {"image": (Picture, Slide), "volume": (Volume,), "video": (Clip,)}[medium.kind]
    item = next((one for one in study.items if isinstance(one, wanted)), None)
    derived = hashlib.sha256(f"blank {sha256}".encode()).hexdigest()
    match item:
        case Picture():
            return _hashed(_grey_png(item.view()))
        case Slide():
            return _hashed(_grey_png(item.thumbnail(1024)))
        case Volume():
            return _blank_volume(item), derived
        case Clip():
            return _blank_clip(item), derived
        case _:
            raise InputError(f"the {medium.kind} part holds no {medium.kind}.")


def _hashed(content: bytes) -> tuple[bytes, str]:
    return content, hashlib.sha256(content).hexdigest()


def _grey_png(pixels: NDArray[np.uint8]) -> bytes:
    """A PNG of the same size and channels, all of the mean grey."""
    from PIL import Image

    grey = np.full_like(pixels, round(float(pixels.mean())))
    file = io.BytesIO()
    Image.fromarray(grey).save(file, format="PNG")
    return file.getvalue()


@dataclass(frozen=True)
class _Constant:
    """Stored voxels that all have one value (see `study.items.VoxelSource`)."""

    shape: tuple[int, int, int]
    dtype: np.dtype[np.generic]
    value: float

    def planes(self, axis: int, indices: Sequence[int]) -> NDArray[np.generic]:
        rest = [length for d, length in enumerate(self.shape) if d != axis]
        return np.full((len(indices), *rest), self.value, self.dtype)

    def all(self) -> NDArray[np.generic]:
        return np.full(self.shape, self.value, self.dtype)


def _blank_volume(volume: Volume) -> Volume:
    from vesalius.vision.views import spread

    values = volume.source.planes(2, spread(volume.source.shape[2], _SAMPLED))
    mean = float(np.nan_to_num(np.nanmean(values.astype(np.float64))))
    dtype = volume.source.dtype
    value = mean if dtype.kind == "f" else round(mean)
    return replace(volume, source=_Constant(volume.source.shape, dtype, value))


def _blank_clip(clip: Clip) -> Clip:
    from vesalius.vision.views import spread

    frames = clip.frames(spread(clip.num_frames, _SAMPLED))
    grey = round(float(np.mean([frame.mean() for frame in frames])))

    def load(indices: Sequence[int]) -> list[NDArray[np.uint8]]:
        return [np.full((clip.height, clip.width, 3), grey, np.uint8) for _ in indices]

    return replace(clip, load=load)
