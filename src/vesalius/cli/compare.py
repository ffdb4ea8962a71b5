"""`vesalius compare`: two runs on the same items, their differences with intervals and tests."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vesalius.cli.printing import print_json, waiting

__all__ = ["compare"]


def compare(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN_A RUN_B", help="Two runs on the same items.")],
    profile: Annotated[str, typer.Option(help="The rules both are scored by; see vesalius score.")] = "strict",
    metric: Annotated[list[str] | None, typer.Option(help="Compare only these; may be given again.")] = None,
    seeds: Annotated[bool, typer.Option("--seeds", help="Runs that differ by their seed: mean and sd.")] = False,
    data: Annotated[Path | None, typer.Option(help="Where the benchmark's files lie now, if they were moved.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")] = False,
) -> None:
    """Say whether two runs differ by more than chance; with --seeds, how far several runs spread."""
    from vesalius.errors import OptionError
    from vesalius.evaluation.compare import compare_runs, paired_folders, several_seeds

    if len(runs) < 2 or (len(runs) > 2 and not seeds):
        raise OptionError(f"{len(runs)} runs were given; two are compared.", fix="Several seeds: add --seeds.")
    for folders in paired_folders(runs):
        if seeds:
            with waiting("scoring"):
                told = several_seeds(folders, profile, data)
            text = "\n".join(f"{name}: {value}" for name, value in told.items())
            print_json(told, indent=1) if json else print(text)
            continue
        with waiting("scoring"):
            found = compare_runs(folders[0], folders[1], profile, metrics=metric or (), data=data)
        print_json(found.to_json(), indent=1) if json else print(found)
