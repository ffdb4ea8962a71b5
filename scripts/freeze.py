"""Write `constraints.txt`: every package of `.venv` at its version, without build tags and without Vesalius itself."""

from __future__ import annotations

from importlib.metadata import distributions
from pathlib import Path

TARGET = Path(__file__).resolve().parent.parent / "constraints.txt"
HEADER = """\
# Every package of the development environment at the version the gates run with (`make` installs with `-c` this file).
# torch is pinned without a build tag: pip takes the build the index offers for the machine. Renew: make freeze.
"""
NOT_PINNED = {"vesalius", "pip"}


def main() -> None:
    """Replace the file in one step, so an interrupted run leaves the old one."""
    versions = {d.metadata["Name"].lower(): (d.metadata["Name"], d.version.partition("+")[0]) for d in distributions()}
    lines = [f"{name}=={version}\n" for key, (name, version) in sorted(versions.items()) if key not in NOT_PINNED]
    partial = TARGET.with_suffix(".partial")
    partial.write_text(HEADER + "".join(lines), encoding="utf-8")
    partial.replace(TARGET)
    print(f"{TARGET.name}: {len(lines)} packages")


if __name__ == "__main__":
    main()
