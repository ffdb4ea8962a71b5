"""Reading a CT volume: 512 x 512 x 200 int16 `.nii.gz` → 32 windowed slices at 336 → the float array a model takes.

Whole processes, imports included, in alternating pairs on the same file (page cache warm); see `volume_ways.py`:
  plain  nibabel get_fdata() in float64 → window the whole volume → Pillow RGB bicubic per slice → float patches
  fair   nibabel, int16, chosen slices only → the same steps
  ours   vesalius.read → vesalius.vision.slices.volume_ready of 32 slices
  warm   ours with the cache filled beforehand: the same slices are asked for again
  window the voxels come from the cache, the slices are windowed and resized anew
  numpy  a process that imports NumPy and does nothing: what is left of `warm` at best
A further row leaves imports out on both sides: each process reads twice and the second reading is timed.
Gate: ours, cold and warm, equals plain within 1 grey level.   Run: python benchmarks/read_volume.py --pairs 7
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

FOLDER = Path(__file__).parent


def command(call: str, path: Path) -> list[str]:
    """A process that makes one call of `volume_ways`; `path` in it is the file's name."""
    return [sys.executable, "-c", f"import sys, volume_ways; path = sys.argv[1]; volume_ways.{call}", str(path)]


def printed(call: str, path: Path, environment: dict[str, str]) -> list[float]:
    """The numbers a child process prints."""
    said = subprocess.run(command(call, path), env=environment, stdout=-1, check=True, text=True).stdout
    return [float(number) for number in said.split()]


def timed(way: str, path: Path, environment: dict[str, str]) -> list[float]:
    """[wall s, CPU s, peak MiB] of one child process."""
    start = time.perf_counter()
    child = subprocess.Popen(command(f"once({way!r}, path)", path), env=environment)
    _, status, usage = os.wait4(child.pid, 0)
    wall = time.perf_counter() - start
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"{way} failed")
    return [wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024]


def report(base: str, way: str, path: Path, environment: dict[str, str], pairs: int, imports: bool = True) -> None:
    """Alternate `pairs` runs of two ways and print the ratios base / way: median (min…max)."""

    def run(chosen: str) -> list[float]:
        if imports:
            return timed(chosen, path, environment)
        return printed(f"twice({chosen!r}, path)", path, environment)

    runs = [(run(base), run(way)) for _ in range(pairs)]
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
    pairs = parser.parse_args().pairs
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "scan.nii.gz")
        # Compiled files are kept as an installed package has them; the parent stays small, for a child's peak memory
        # starts at its parent's.
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "XDG_CACHE_HOME": folder, "PYTHONPYCACHEPREFIX": folder}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        found = (str(FOLDER), environment.get("PYTHONPATH", ""))
        environment["PYTHONPATH"] = os.pathsep.join(part for part in found if part)
        printed("make_scan(path)", path, environment)
        load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
        sys.stdout.write(f"file {path.stat().st_size / 2**20:.0f} MiB; load {load}; pairs {pairs}\n")
        (difference,) = printed("gate(path)", path, environment)  # fills the cache too
        sys.stdout.write(f"largest difference from plain: {difference:.2f} grey levels (limit 1)\n")
        if difference > 1.001:
            raise SystemExit("gate failed: figures below would be void")
        for base, way in (
            ("plain", "ours"),
            ("fair", "ours"),
            ("plain", "warm"),
            ("plain", "window"),
            ("plain", "numpy"),
        ):
            report(base, way, path, environment, pairs)
        report("plain", "warm", path, environment, pairs, imports=False)


if __name__ == "__main__":
    main()
