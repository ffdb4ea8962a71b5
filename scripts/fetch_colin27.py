"""Fetch the Colin27 brain for `make train-starter`: one file out of Debian's mricron-data package, checked by SHA-256.

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

TARGET = Path(__file__).resolve().parent.parent / ".cache" / "studies" / "ch2.nii.gz"
SHA256 = "a009051127f64dc3dd554d5f5b589870ea72106d9642c21b4e7093e478cfc309"
MEMBER = "usr/share/mricron/templates/ch2.nii.gz"


def main() -> int:
    """Fetch unless it is there; 0 also where it cannot be had."""
    if TARGET.is_file() and hashlib.sha256(TARGET.read_bytes()).hexdigest() == SHA256:
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
        data = (Path(folder) / MEMBER).read_bytes()
    if hashlib.sha256(data).hexdigest() != SHA256:
        print("mricron-data holds another ch2.nii.gz than the one trained on; not used", file=sys.stderr)
        return 0
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    part = TARGET.with_suffix(".part")
    part.write_bytes(data)
    os.replace(part, TARGET)
    return 0


if __name__ == "__main__":
    sys.exit(main())
