"""Make `.venv` with everything a developer needs, at the versions of `constraints.txt`.

Runs on the plain interpreter before anything is installed. A stamp holds the hash of all that decides what is
installed; while it matches nothing is done.
"""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

OLDEST = (3, 11)
ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
STAMP = VENV / "vesalius-installed"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def fingerprint() -> str:
    """Hash of the interpreter's version and of the files that decide what is installed."""
    digest = hashlib.sha256(repr((sys.version_info[:2], str(ROOT))).encode())
    for name in ("pyproject.toml", "constraints.txt", "scripts/environment.py"):
        digest.update((ROOT / name).read_bytes())
    return digest.hexdigest()


def pip(*arguments: str) -> None:
    """Run pip inside the environment; a failure ends the script with pip's own message above."""
    command = [str(PYTHON), "-m", "pip", "--disable-pip-version-check", *arguments]
    if subprocess.run(command, cwd=ROOT, check=False).returncode:
        sys.exit("vesalius: pip could not install the environment; its message is above.")


def main() -> None:
    """Create the environment if there is none of this Python, then install what changed."""
    wanted = fingerprint()
    if STAMP.exists() and STAMP.read_text() == wanted and PYTHON.exists():
        return
    made_for = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    stale = VENV.exists() and not (VENV / "bin" / made_for).exists() and os.name != "nt"
    if not PYTHON.exists() or stale:
        print(f"Making .venv with Python {sys.version.split()[0]}", flush=True)
        command = [sys.executable, "-m", "venv", *(["--clear"] if stale else []), str(VENV)]
        if subprocess.run(command, check=False).returncode:
            sys.exit("vesalius: python -m venv failed. On Debian and Ubuntu: apt-get install python3-venv")
    print("Installing the pinned packages (several minutes the first time)", flush=True)
    # setuptools comes first and pinned, because builds run without isolation: the same build every time.
    pip("install", "-qq", "-c", "constraints.txt", "setuptools")
    pip("install", "-qq", "--no-build-isolation", "-c", "constraints.txt", "-e", ".[dev]")
    STAMP.write_text(wanted)


if __name__ == "__main__":
    if sys.version_info < OLDEST:
        found = ".".join(map(str, sys.version_info[:3]))
        sys.exit(f"vesalius: needs Python 3.11 or newer; this is {found}. Try: make PYTHON=python3.11")
    main()
