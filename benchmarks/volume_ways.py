"""What `read_volume.py` compares. A module of its own, importing nothing by itself, so that a child process is charged
with the pipeline it runs and not with the tools that measure it."""

from __future__ import annotations

SLICES, SIZE, LOW, HIGH = 32, 336, -160.0, 240.0


def plain(path: str, whole: bool = True):
    """What a competent user writes with nibabel and Pillow."""
    import nibabel as nib
    import numpy as np
    from PIL import Image

    image = nib.as_closest_canonical(nib.load(path))
    if whole:
        volume = image.get_fdata()
        volume = (np.clip(volume, LOW, HIGH) - LOW) * (255.0 / (HIGH - LOW))
        picked = [volume[:, :, k] for k in chosen(volume.shape[2])]
    else:
        stored = np.asanyarray(image.dataobj)
        picked = [
            (np.clip(stored[:, :, k].astype(np.float64), LOW, HIGH) - LOW) * (255.0 / (HIGH - LOW))
            for k in chosen(stored.shape[2])
        ]
    patches = []
    for plane in picked:
        shown = np.rint(plane.T[::-1, ::-1]).astype(np.uint8)
        rgb = Image.fromarray(shown).convert("RGB").resize((SIZE, SIZE), Image.Resampling.BICUBIC)
        patches.append((np.asarray(rgb, dtype=np.float32) / 255 - 0.5) / 0.5)
    return np.stack(patches).transpose(0, 3, 1, 2)


def ours(path: str, cache: bool = False, shift: float = 0.0):
    """The same by Vesalius. `shift`: HU by which the window is moved."""
    import vesalius
    from vesalius.study.windows import Window
    from vesalius.vision.slices import volume_ready

    volume = vesalius.read(path, modality="CT", cache=cache).volumes[0]
    window = Window(LOW + shift, HIGH + shift)
    return volume_ready(volume, chosen(volume.num_slices()), SIZE, window=window)


def new_window(path: str):
    """The voxels lie in the cache, but nobody has asked for these slices in this window."""
    import time

    return ours(path, cache=True, shift=time.time_ns() % 10**6 / 10**9)


def chosen(count: int) -> list[int]:
    """Indices of `SLICES` evenly spaced slices."""
    return [round((i + 0.5) * count / SLICES - 0.5) for i in range(SLICES)]


def numpy_alone(_path: str) -> None:
    """What no pipeline that gives an array can go below."""
    import numpy as np

    assert np


WAYS = {
    "numpy": numpy_alone,
    "plain": plain,
    "fair": lambda path: plain(path, whole=False),
    "ours": ours,
    "warm": lambda path: ours(path, cache=True),
    "window": new_window,
}


def once(way: str, path: str) -> None:
    WAYS[way](path)


def twice(way: str, path: str) -> None:
    """Print wall and CPU seconds of the second reading, so of reading without any import."""
    import time

    WAYS[way](path)
    wall, processor = time.perf_counter(), time.process_time()
    WAYS[way](path)
    print(time.perf_counter() - wall, time.process_time() - processor)


def gate(path: str) -> None:
    """Print the largest difference from plain of ours, cold, filling the cache and warm, in grey levels of 0…255."""
    import numpy as np

    expected = plain(path)
    print(max(float(np.abs(expected - got).max() * 127.5) for got in (ours(path), *(ours(path, True) for _ in "ab"))))


def make_scan(path: str) -> None:
    """A CT-like scan with scanner-like noise inside the body, so that gzip works as hard as on a real one."""
    import nibabel as nib
    import numpy as np

    rng = np.random.default_rng(0)
    size, count = 512, 200
    y, x = np.mgrid[0:size, 0:size]
    volume = np.empty((size, size, count), np.int16, order="F")
    for k in range(count):
        hu = np.full((size, size), -1000.0)
        hu[((x - 256) / (200 + k * 0.1)) ** 2 + ((y - 256) / 150) ** 2 < 1] = 40
        for centre in (150, 360):
            hu[((x - centre) / 60) ** 2 + ((y - 256) / 90) ** 2 < 1] = -800
        hu[((x - 256) / 25) ** 2 + ((y - 340) / 25) ** 2 < 1] = 600
        noise = rng.normal(0, 18, (size, size))
        noise = (noise + np.roll(noise, 1, 0) + np.roll(noise, 1, 1)) / 1.7
        air = np.where(rng.random((size, size)) < 0.3, -1000 + noise, -1024)
        volume[:, :, k] = np.clip(np.where(hu > -1000, hu + noise, air), -1024, 3071).T
    nib.save(nib.Nifti1Image(volume, np.diag([-0.7, -0.7, 1.5, 1.0])), path)
