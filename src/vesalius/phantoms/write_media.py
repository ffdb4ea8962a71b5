"""Writing phantom pixels so that the same phantom always gives the same bytes."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["write_clip", "write_label_picture", "write_picture", "write_volume"]


def write_picture(path: Path, pixels: NDArray[np.uint8]) -> None:
    """`[H, W]` or `[H, W, 3]` uint8 as PNG, without metadata."""
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.ascontiguousarray(pixels)).save(path, format="PNG", compress_level=6)


def write_label_picture(path: Path, labels: NDArray[np.uint8]) -> None:
    """`[H, W]` uint8 label values as a grey PNG."""
    write_picture(path, labels)


def write_volume(path: Path, values: NDArray[np.generic], affine_ras: NDArray[np.float64]) -> None:
    """Canonical `[X, Y, Z]` as .nii.gz with its affine (voxel → RAS mm), without time or name in the gzip header."""
    from nibabel.nifti1 import Nifti1Image

    image: Any = Nifti1Image(np.asarray(values), affine_ras)
    image.header.set_xyzt_units("mm")
    image.set_sform(affine_ras, code=1)
    image.set_qform(affine_ras, code=1)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(image.to_bytes(), compresslevel=6, mtime=0))


def write_clip(path: Path, frames: Sequence[NDArray[np.uint8]], times_s: Sequence[float]) -> None:
    """Frames `[H, W]` or `[H, W, 3]` uint8 as VP9 in WebM, near lossless; one thread, so the bytes do not vary."""
    import av

    path.parent.mkdir(parents=True, exist_ok=True)
    height, width = frames[0].shape[:2]
    milliseconds = Fraction(1, 1000)
    with av.open(str(path), "w", format="webm", options={"fflags": "+bitexact"}) as out:
        step = times_s[1] - times_s[0] if len(times_s) > 1 else 0.1
        stream: Any = out.add_stream("libvpx-vp9", rate=Fraction(1 / max(step, 0.001)).limit_denominator(1000))
        stream.width, stream.height = width, height
        stream.pix_fmt = "yuv444p"
        stream.codec_context.thread_count = 1
        stream.codec_context.time_base = milliseconds
        stream.options = {"crf": "8", "b": "0", "flags": "+bitexact", "deadline": "good", "cpu-used": "4"}
        for pixels, time_s in zip(frames, times_s, strict=True):
            rgb = pixels if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, axis=2)
            frame: Any = av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24")
            frame.pts, frame.time_base = round(time_s * 1000), milliseconds
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
