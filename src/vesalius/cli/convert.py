"""`vesalius convert`: a checkpoint folder in another layout."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["convert", "read_size"]

_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}


def convert(
    source: Annotated[str, typer.Argument(metavar="SRC", help="Checkpoint folder, published or clean, or hub id.")],
    destination: Annotated[Path, typer.Argument(metavar="DST", help="New folder.")],
    to: Annotated[
        str,
        typer.Option(
            help="auto (clean; from clean, published), same, clean, published, hf, original (Hulu-Med's older one)."
        ),
    ] = "auto",
    dtype: Annotated[
        str | None, typer.Option(help="Cast floats to float32, bfloat16 or float16; not lossless.")
    ] = None,
    max_shard_size: Annotated[str, typer.Option(help="Largest weight file, as 5GB or 500MB.")] = "5GB",
    from_pickle: Annotated[
        bool, typer.Option("--from-pickle", help="Take the tensors out of pickled weights (.bin, .pt) you trust.")
    ] = False,
    adapter: Annotated[Path | None, typer.Option(help="Folder of a LoRA adapter to add to the weights.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was written as JSON.")] = False,
) -> None:
    """Write a checkpoint as one clean folder (config.json, safetensors, tokenizer), or back as it was published."""
    from vesalius.cli.fetched import fetched
    from vesalius.models.convert import convert as converted

    size = read_size(max_shard_size)
    folder = Path(source) if from_pickle else Path(fetched(source))  # pickles are never fetched
    with _progress() as on_progress:
        made = converted(
            folder,
            destination,
            to=to,
            dtype=dtype,
            max_shard_bytes=size,
            from_pickle=from_pickle,
            adapter=adapter,
            on_progress=on_progress,
        )
    if as_json:
        print(json.dumps({**asdict(made), "folder": str(made.folder)}, indent=2))
        return
    exact = "every value as it was" if made.lossless else f"values cast to {dtype}: not lossless"
    if adapter is not None:
        exact = "the adapter added to its weights"
    print(f"{made.folder}: {made.family}, layout {made.layout}; {made.num_tensors} tensors, "
          f"{made.num_bytes / 1e6:.1f} MB, {exact}.")  # fmt: skip
    if made.shared:
        print(f"Stored once, not twice: {', '.join(made.shared)}.")
    if made.left:
        print(f"Not part of the checkpoint, left behind: {', '.join(made.left)}.")


def read_size(text: str) -> int:
    """ "5GB" → bytes. OptionError for anything else."""
    from vesalius.errors import OptionError

    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*", text)
    if found is None or found[2].upper() not in _UNITS or not (size := int(float(found[1]) * _UNITS[found[2].upper()])):
        raise OptionError(f"max-shard-size is {text!r}.", fix="Give a size as 5GB, 500MB or 2GiB.")
    return size


@contextmanager
def _progress() -> Iterator[Callable[[int, int], None] | None]:
    """A bar on stderr where that is a terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
