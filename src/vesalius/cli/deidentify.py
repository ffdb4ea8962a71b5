"""`vesalius deidentify`: copies of DICOM files without identity."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from vesalius.cli.printing import waiting

__all__ = ["deidentify"]


def deidentify(
    sources: Annotated[list[str], typer.Argument(metavar="SOURCE…", help="One folder, or files.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the copies; made if it is not there.")],
    keep_dates: Annotated[
        bool, typer.Option("--keep-dates", help="Leave dates; else each patient's move by one number of days.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was done as JSON.")] = False,
) -> None:
    """Write copies without names, identifiers and private data; the originals are not touched."""
    from vesalius.errors import OptionError
    from vesalius.study.deidentify import deidentify as copy_without_identity

    if len(sources) > 1 and any(Path(source).is_dir() for source in sources):
        raise OptionError("several sources were given and one is a folder.", fix="Give one folder, or files only.")
    with waiting("copying"):
        report = copy_without_identity(sources[0] if len(sources) == 1 else sources, out, keep_dates=keep_dates)
    if as_json:
        print(json.dumps({**asdict(report), "statement": report.statement}, indent=2))
        return
    changed = {
        "removed": sum(report.removed.values()) + report.private,
        "emptied": sum(report.emptied.values()),
        "replaced": sum(report.replaced.values()),
        "UIDs remapped": sum(report.remapped.values()),
        "dates shifted": sum(report.shifted.values()),
    }
    print(f"{len(report.files)} files written to {out}; {report.skipped} others passed over.")
    print(f"Attributes: {', '.join(f'{count} {what}' for what, count in changed.items())}.")
    print(report.statement)
