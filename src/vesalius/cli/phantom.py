"""`vesalius phantom`: generated studies with exact truth, as files."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from vesalius.cli.printing import waiting
from vesalius.errors import OptionError

if TYPE_CHECKING:
    from vesalius.phantoms.write import Kind

__all__ = ["phantom"]


def phantom(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The folder to make; it must be new or empty.")],
    benchmark: Annotated[
        str | None, typer.Option("--as", metavar="NAME", help="A benchmark (slake, …): write its twin in its layout.")
    ] = None,
    count: Annotated[int, typer.Option("--count", help="How many phantoms, or questions with --as.")] = 10,
    seed: Annotated[int, typer.Option("--seed", help="The first one's seed; the next ones follow.")] = 0,
    modality: Annotated[
        str | None, typer.Option("--modality", help="xray, ct, mr, ultrasound, fundus, skin, endoscopy or microscopy.")
    ] = None,
    kind: Annotated[
        str | None, typer.Option("--kind", help="picture, volume, clip or pair; picture by default.")
    ] = None,
    lang: Annotated[
        str | None, typer.Option("--lang", help="Languages of the questions: en, zh, ar, comma between; en by default.")
    ] = None,
    size: Annotated[
        int | None, typer.Option("--size", help="Pixels a side of pictures, frames and slices; 256 by default.")
    ] = None,
) -> None:
    """Make generated studies with exact truth and questions about them. They are never clinical."""
    if benchmark is not None:
        chosen = {"--modality": modality, "--kind": kind, "--lang": lang, "--size": size}
        if given := [option for option, value in chosen.items() if value is not None]:
            raise OptionError(f"{given[0]} does not go with --as.", fix="The benchmark's layout decides it.")
        from vesalius.evaluation.twins import write_twin

        with waiting("drawing"):
            written = write_twin(benchmark, out, count=count, seed=seed)
        sys.stdout.write(f"{written} generated questions of {benchmark} in {out}\n")
        return
    from vesalius.phantoms.write import write_phantoms

    langs = [one.strip() for one in ("en" if lang is None else lang).split(",") if one.strip()]
    with waiting("drawing"):
        made = write_phantoms(
            out,
            count=count,
            seed=seed,
            modality=modality,
            kind=cast("Kind", kind or "picture"),  # it is checked there
            langs=langs,
            size=256 if size is None else size,
        )
    sys.stdout.write(f"{made.num_phantoms} phantoms and {made.num_samples} samples in {made.samples.parent}\n")
