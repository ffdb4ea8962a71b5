"""Reading a clip: 500 frames 640 x 480 H.264 → 16 frames, in one process, alternating.

  anchor  PyAV: decode every frame, convert every frame to RGB, keep 16
  ours    vesalius.read (which demultiplexes for the times) and Clip.frames(16 indices)
Gate: the same pixels.   Run: python benchmarks/read_video.py --pairs 7 [--noise 40]
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

import av
import numpy as np

import vesalius

FRAMES, WIDTH, HEIGHT, CHOSEN = 500, 640, 480, 16


def make_clip(path: Path, noise: float) -> None:
    """A bright disc wandering over a soft texture; `noise` grey levels of grain make the stream large."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    ground = 90 + 30 * np.sin(x / 37) * np.cos(y / 29)
    with av.open(str(path), "w") as out:
        track = out.add_stream("libx264", rate=25, options={"crf": "23", "preset": "veryfast"})
        track.width, track.height, track.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        track.codec_context.gop_size = 250
        for n in range(FRAMES):
            grey = ground + 120 * (np.hypot(x - 320 - 200 * np.cos(n / 30), y - 240 - 120 * np.sin(n / 21)) < 60)
            if noise:
                grey = grey + rng.normal(0, noise, grey.shape)
            rgb = np.repeat(np.clip(grey, 0, 255).astype(np.uint8)[..., None], 3, 2)
            out.mux(track.encode(av.VideoFrame.from_ndarray(rgb, format="rgb24")))
        out.mux(track.encode(None))


def convert_all(path: str, indices: list[int]) -> list[np.ndarray]:
    """Every frame decoded and converted."""
    with av.open(path) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    return [frames[index] for index in indices]


def ours(path: str, indices: list[int]) -> list[np.ndarray]:
    """Only the chosen frames converted."""
    return vesalius.read(path).clips[0].frames(indices)


def main() -> None:
    """Make the clip, check equality, measure."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--noise", type=float, default=0.0)
    options = parser.parse_args()
    indices = [round((i + 0.5) * FRAMES / CHOSEN - 0.5) for i in range(CHOSEN)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "clip.mp4")
        make_clip(path, options.noise)
        load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
        sys.stdout.write(f"clip {path.stat().st_size / 2**20:.2f} MiB; load {load}; pairs {options.pairs}\n")
        equal = all(
            np.array_equal(a, b) for a, b in zip(convert_all(str(path), indices), ours(str(path), indices), strict=True)
        )
        sys.stdout.write(f"frames equal: {equal}\n")
        if not equal:
            raise SystemExit("gate failed: figures below would be void")
        runs: list[tuple[float, float]] = []
        for _ in range(options.pairs):
            marks = [time.perf_counter()]
            for way in (convert_all, ours):
                way(str(path), indices)
                marks.append(time.perf_counter())
            runs.append((marks[1] - marks[0], marks[2] - marks[1]))
        ratios = [first / second for first, second in runs]
        seen = [statistics.median(run[side] for run in runs) * 1000 for side in (0, 1)]
        sys.stdout.write(
            f"convert all / ours: {statistics.median(ratios):.1f}x ({min(ratios):.1f}…{max(ratios):.1f}) "
            f"[{seen[0]:.0f} → {seen[1]:.0f} ms]\n"
        )


if __name__ == "__main__":
    main()
