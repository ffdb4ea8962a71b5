"""How long a newcomer waits: whole `vesalius` processes, imports and weights included, files in the page cache.

  picture   `vesalius ask picture.png "…"`: first words, whole process, peak memory
  CT        `vesalius ask scan.nii.gz "…"` of a 512 x 512 x 200 scan
  start     `vesalius --help` and `import vesalius` (which must not import torch)

Run: python benchmarks/ask.py [--runs 5]
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vesalius.phantoms.pictures import draw_picture
from vesalius.phantoms.splits import HELD_OUT
from vesalius.phantoms.volumes import draw_volume
from vesalius.phantoms.write_media import write_picture, write_volume

VESALIUS = [sys.executable, "-m", "vesalius"]


@dataclass(frozen=True)
class Run:
    """One process: seconds to its first output and to its end, peak resident MiB, exit status, what it said."""

    first_s: float
    whole_s: float
    peak_mib: float
    status: int
    said: str


def run(command: list[str]) -> Run:
    """Start, read the first byte of stdout, wait for the end."""
    # As a user has it: Python keeps what it compiled. (An environment may say otherwise.)
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    started = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=kept) as process:
        assert process.stdout is not None
        head = os.read(process.stdout.fileno(), 1)
        first = time.perf_counter() - started
        said = (head + process.stdout.read()).decode()
        _, status, used = os.wait4(process.pid, 0)
        whole = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
    return Run(first, whole, used.ru_maxrss / 1024, process.returncode, said.strip())


def report(name: str, runs: list[Run], aim: str) -> None:
    """One line: medians, the slowest in brackets, and the aim."""
    if any(one.status for one in runs):
        raise SystemExit(f"{name}: exit status {[one.status for one in runs]}; no figures.")
    # A child's peak counts the parent it was forked from, so it says nothing where the child is the smaller one.
    peak = f", peak {max(one.peak_mib for one in runs):.0f} MiB" if "MiB" in aim else ""
    first, whole = [one.first_s for one in runs], [one.whole_s for one in runs]
    print(
        f"{name:10} first words {statistics.median(first):.2f} s ({max(first):.2f}), whole "
        f"{statistics.median(whole):.2f} s ({max(whole):.2f}){peak}"
        f"   aim {aim}   {runs[-1].said.splitlines()[0][:60] if runs[-1].said else ''}",
        flush=True,
    )


def main() -> None:
    """Make the files, run, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--runs", type=int, default=5)
    runs = parser.parse_args().runs
    print(f"load {', '.join(f'{value:.1f}' for value in os.getloadavg())}; {os.cpu_count()} cores; runs {runs}")
    with tempfile.TemporaryDirectory() as folder:
        picture, scan = Path(folder, "picture.png"), Path(folder, "scan.nii.gz")
        write_picture(picture, draw_picture(HELD_OUT[0], "xray", size=(512, 512)).pixels)
        write_volume(scan, np.ascontiguousarray(_large_ct()), np.diag([0.7, 0.7, 1.5, 1.0]))
        ask = [*VESALIUS, "ask", str(picture), "Is there a nodule?"]
        run(ask)  # not counted: compiled modules and files are in the cache afterwards
        report("picture", [run(ask) for _ in range(runs)], "3 s, 6 s, 2560 MiB")
        ask = [*VESALIUS, "ask", str(scan), "Is there a nodule?"]
        report("CT", [run(ask) for _ in range(max(1, runs // 2))], "20 s")
    report("--help", [run([*VESALIUS, "--help"]) for _ in range(runs)], "0.4 s")
    told = "import vesalius, sys; print('torch imported:', 'torch' in sys.modules)"
    report("import", [run([sys.executable, "-c", told]) for _ in range(runs)], "0.15 s over bare Python")
    report("(python)", [run([sys.executable, "-c", "print('bare')"]) for _ in range(runs)], "")


def _large_ct() -> np.ndarray:
    """A drawn chest with scanner-like noise, so that gzip works as hard as on a real scan."""
    values = draw_volume(HELD_OUT[3], "ct", (256, 256, 100), region="chest").values
    large = values.repeat(2, 0).repeat(2, 1).repeat(2, 2)
    return (large + np.random.default_rng(0).normal(0, 12, large.shape)).astype(np.int16)


if __name__ == "__main__":
    main()
