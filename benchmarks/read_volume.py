"""Reading a CT volume: 512 x 512 x 200 int16 `.nii.gz` → 32 windowed slices at 336 → the float array a model takes.

Whole processes, imports included, in alternating pairs on the same file (page cache warm):
  plain  nibabel get_fdata() in float64 → window the whole volume → Pillow RGB bicubic per slice → float patches
  fair   nibabel, int16, chosen slices only → the same steps
  ours   vesalius.read → vesalius.vision.slices.volume_ready of 32 slices
  warm   ours with the voxel cache filled beforehand
A last row leaves imports out on both sides: each process reads twice and the second reading is timed.
Gate: ours equals plain within 1 grey level.   Run: python benchmarks/read_volume.py --pairs 7
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

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


def ours(path: str, cache: bool = False):
    """The same by Vesalius."""
    import vesalius
    from vesalius.study.windows import Window
    from vesalius.vision.slices import volume_ready

    volume = vesalius.read(path, modality="CT", cache=cache).volumes[0]
    return volume_ready(volume, chosen(volume.num_slices()), SIZE, window=Window(LOW, HIGH))


def chosen(count: int) -> list[int]:
    """Indices of `SLICES` evenly spaced slices."""
    return [round((i + 0.5) * count / SLICES - 0.5) for i in range(SLICES)]


WAYS = {
    "plain": plain,
    "fair": lambda path: plain(path, whole=False),
    "ours": ours,
    "warm": lambda path: ours(path, cache=True),
}


def make_scan(path: Path) -> None:
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


def reading(way: str, path: Path, environment: dict[str, str]) -> tuple[float, float]:
    """(wall s, CPU s) of the second reading of one child process, so of reading without any import."""
    command = [sys.executable, __file__, "--child", f"twice-{way}", str(path)]
    said = subprocess.run(command, env=environment, stdout=-1, check=True, text=True).stdout
    wall, processor = said.split()
    return float(wall), float(processor)


def timed(way: str, path: Path, environment: dict[str, str]) -> tuple[float, float, float]:
    """(wall s, CPU s, peak MiB) of one child process."""
    start = time.perf_counter()
    child = subprocess.Popen([sys.executable, __file__, "--child", way, str(path)], env=environment)
    _, status, usage = os.wait4(child.pid, 0)
    wall = time.perf_counter() - start
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"{way} failed")
    return wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def gate(path: str) -> float:
    """Largest difference between ours and plain, in grey levels of 0…255."""
    import numpy as np

    return float(np.abs(plain(path) - ours(path)).max() * 127.5)


def report(base: str, way: str, path: Path, environment: dict[str, str], pairs: int, imports: bool = True) -> None:
    """Alternate `pairs` runs of two ways and print the ratios base / way: median (min…max)."""
    run = timed if imports else reading
    runs = [(run(base, path, environment), run(way, path, environment)) for _ in range(pairs)]
    line = [f"{base} / {way}{'' if imports else ', imports left out'}:"]
    for place, (what, unit) in enumerate((("wall", "s"), ("CPU", "s"), ("peak memory", "MiB"))[: len(runs[0][0])]):
        ratios = [first[place] / second[place] for first, second in runs]
        seen = [statistics.median(run[side][place] for run in runs) for side in (0, 1)]
        line.append(
            f"{what} {statistics.median(ratios):.1f}x ({min(ratios):.1f}…{max(ratios):.1f}) "
            f"[{seen[0]:.2f} → {seen[1]:.2f} {unit}]"
        )
    sys.stdout.write("  ".join(line) + "\n")
    sys.stdout.flush()


def main() -> None:
    """Make the scan, check equality, measure."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--child", nargs=2, metavar=("WAY", "PATH"))
    options = parser.parse_args()
    if options.child:
        way, place = options.child
        if way == "make":
            make_scan(Path(place))
        elif way == "gate":
            sys.stdout.write(f"{gate(place):.4f}")
        elif way.startswith("twice-"):
            again = WAYS[way.removeprefix("twice-")]
            again(place)
            wall, processor = time.perf_counter(), time.process_time()
            again(place)
            sys.stdout.write(f"{time.perf_counter() - wall} {time.process_time() - processor}")
        else:
            WAYS[way](place)
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "scan.nii.gz")
        # Compiled files are kept as an installed package has them; the parent stays small, for a child's peak memory
        # starts at its parent's.
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "XDG_CACHE_HOME": folder, "PYTHONPYCACHEPREFIX": folder}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        timed("make", path, environment)
        load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
        sys.stdout.write(f"file {path.stat().st_size / 2**20:.0f} MiB; load {load}; pairs {options.pairs}\n")
        said = subprocess.run([sys.executable, __file__, "--child", "gate", str(path)], env=environment, stdout=-1)
        difference = float(said.stdout)
        sys.stdout.write(f"largest difference from plain: {difference:.2f} grey levels (limit 1)\n")
        if difference > 1.001:
            raise SystemExit("gate failed: figures below would be void")
        timed("warm", path, environment)  # fills the cache
        report("plain", "ours", path, environment, options.pairs)
        report("fair", "ours", path, environment, options.pairs)
        report("plain", "warm", path, environment, options.pairs)
        report("plain", "warm", path, environment, options.pairs, imports=False)


if __name__ == "__main__":
    main()
