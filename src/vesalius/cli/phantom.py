"""`vesalius phantom`: generated studies with exact truth, as files."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

if TYPE_CHECKING:
    from vesalius.phantoms.write import Kind

__all__ = ["phantom"]


def phantom(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The folder to make; it must be new or empty.")],
    count: Annotated[int, typer.Option("--count", help="How many phantoms.")] = 10,
    seed: Annotated[int, typer.Option("--seed", help="The first one's seed; the next ones follow.")] = 0,
    modality: Annotated[
        str | None, typer.Option("--modality", help="xray, ct, mr, ultrasound, fundus, skin, endoscopy or microscopy.")
    ] = None,
    kind: Annotated[str, typer.Option("--kind", help="picture, volume, clip or pair.")] = "picture",
    lang: Annotated[str, typer.Option("--lang", help="Languages of the questions: en, zh, ar, comma between.")] = "en",
    size: Annotated[int, typer.Option("--size", help="Pixels a side of pictures, frames and slices.")] = 256,
) -> None:
    """Make generated studies with exact truth and questions about them. They are never clinical."""
    from vesalius.phantoms.write import write_phantoms

    langs = [one.strip() for one in lang.split(",") if one.strip()]
    # The kind is checked there.
    written = write_phantoms(
        out, count=count, seed=seed, modality=modality, kind=cast("Kind", kind), langs=langs, size=size
    )
    sys.stdout.write(f"{written.num_phantoms} phantoms and {written.num_samples} samples in {written.samples.parent}\n")
