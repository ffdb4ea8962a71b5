"""Fetch the Colin27 head for `make train-starter`, whole and as a brain alone: two files out of Debian's mricron-data
package, checked by SHA-256.

Needs `apt-get` (no root): where there is none the starter is trained without this subject, and says so.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent / ".cache" / "studies"
SHA256 = {
    "ch2.nii.gz": "a009051127f64dc3dd554d5f5b589870ea72106d9642c21b4e7093e478cfc309",
    "ch2bet.nii.gz": "592a2d20abdf36eefcb540ca8958428040edffc1bc1a18ba1dcfbabac77c5dd1",
}
MEMBERS = "usr/share/mricron/templates"


def main() -> int:
    """Fetch what is not there; 0 also where it cannot be had."""
    absent = [name for name in SHA256 if not _is(FOLDER / name, SHA256[name])]
    if not absent:
        return 0
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        print("no apt-get here: the starter will be trained without Colin27", file=sys.stderr)
        return 0
    print("Colin27: Debian package mricron-data, BSD-3-Clause; the template authors' own terms are not stated there.")
    with tempfile.TemporaryDirectory() as folder:
        got = subprocess.run(["apt-get", "download", "mricron-data"], cwd=folder, capture_output=True, check=False)
        packages = sorted(Path(folder).glob("*.deb"))
        if got.returncode or not packages:
            print("mricron-data cannot be downloaded: the starter will be trained without Colin27", file=sys.stderr)
            return 0
        subprocess.run(["dpkg-deb", "-x", str(packages[0]), folder], check=True)
        for name in absent:
            member = Path(folder) / MEMBERS / name
            if not _is(member, SHA256[name]):
                print(f"mricron-data holds another {name} than the one trained on; not used", file=sys.stderr)
                continue
            FOLDER.mkdir(parents=True, exist_ok=True)
            part = FOLDER / f"{name}.part"
            shutil.copyfile(member, part)
            os.replace(part, FOLDER / name)
    return 0


def _is(path: Path, sha256: str) -> bool:
    return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == sha256


if __name__ == "__main__":
    sys.exit(main())
