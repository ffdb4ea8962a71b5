"""Options of the commands that read studies, in one wording."""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = ["AllowGaps", "Modality", "VolumeIndex"]

Modality = Annotated[
    str | None, typer.Option(help="DICOM code (CT, MR, US, …) for files that do not say, or to correct one.")
]
VolumeIndex = Annotated[
    str | None, typer.Option(metavar="N", help="Which volume of a 4D file: a number from 0, or all.  [default: 0]")
]
AllowGaps = Annotated[
    bool, typer.Option("--allow-gaps", help="Read a DICOM series with missing slices as its unbroken parts.")
]
