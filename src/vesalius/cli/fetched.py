"""Where a model named on the command line lies: a folder, a family's name, or a hub id that is fetched first."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

__all__ = ["fetched"]


def fetched(model: str) -> str:
    """The folder a hub id was fetched to, with its own bar; any other name as it is."""
    from vesalius.models.hub import located

    def known(folder: Path) -> None:
        from vesalius.models.registry import recognise

        recognise(folder)

    with warnings.catch_warnings(record=True) as raised:
        warnings.simplefilter("always", UserWarning)
        place = located(model, accept=known)
    for one in raised:
        print(f"warning: {one.message}", file=sys.stderr)
    return place
