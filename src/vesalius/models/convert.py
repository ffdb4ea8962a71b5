"""A checkpoint in another layout: published → clean, clean → published, without losing a tensor, a bit or a setting.

The clean layout is one folder: config.json, safetensors whose names are the same across families, and the published
tokenizer files untouched. Values are copied in pieces of a few megabytes; the new folder appears when it is complete.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from vesalius.errors import CheckpointError, InputError, LimitError, OptionError
from vesalius.models.convert_plan import Plan, clean_plan, published_plan
from vesalius.models.convert_source import open_checkpoint
from vesalius.models.tensor_files import FLOATS, shards, write_tensors

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Converted", "Target", "appearing", "convert"]

Target = Literal["auto", "same", "clean", "published", "hf", "original"]
Progress = Callable[[int, int], None]
_ROOM = 16 << 20
"""Bytes left free beside the values: headers, tokenizer, file system."""


@dataclass(frozen=True)
class Converted:
    """`folder`: where it is.  `family`, `layout` ("clean" or the published one's name).  `num_tensors`, `num_bytes` of
    values written.  `shared`: tensors stored once that were stored twice.  `left`: files that were not taken along.
    `lossless`: whether every value is bit by bit the source's."""

    folder: Path
    family: str
    layout: str
    num_tensors: int
    num_bytes: int
    shared: tuple[str, ...]
    left: tuple[str, ...]
    lossless: bool


def convert(
    source: str | os.PathLike[str],
    destination: str | os.PathLike[str],
    *,
    to: str = "auto",
    dtype: str | None = None,
    max_shard_bytes: int = 5 * 10**9,
    from_pickle: bool = False,
    adapter: str | os.PathLike[str] | None = None,
    values: Mapping[str, Tensor] | None = None,
    on_progress: Progress | None = None,
) -> Converted:
    """Write the checkpoint folder `source` as the new folder `destination`.

    `to`: "clean"; "published" (the layout the checkpoint came from); "hf" or "original" for families published in both
    ("hf" is "published" for the others); "same": the source's own; "auto": clean, and published for a clean source.
    `adapter`: the folder of a LoRA adapter, which is added to the weights (of the starter, too).  `values`: tensors by
    published name that take the place of the source's, stored as those are (new names are added).  `dtype`: cast floats
    to "float32", "bfloat16" or "float16", which is not lossless.  `max_shard_bytes`: values in one weight file.
    `from_pickle`: take the tensors of pickled weights.  `on_progress`: called with (bytes written, bytes in all).

    Raises OptionError for folders and options that cannot be, CheckpointError or WeightsMissingError for a source that
    cannot be read, LimitError where the disk is too full, InputError where it cannot be written.
    """
    if to not in get_args(Target):
        raise OptionError(f"to is {to!r}.", fix=f"Use one of {', '.join(get_args(Target))}.")
    if dtype is not None and dtype not in FLOATS:
        raise OptionError(f"dtype {dtype!r} is unknown.", fix="Use float32, bfloat16 or float16.")
    if max_shard_bytes < 1:
        raise OptionError(f"max_shard_bytes is {max_shard_bytes}; it must be positive.")
    if str(source) == "starter" and not Path(source).exists():
        from vesalius.models.starter.starter import WEIGHTS

        source = WEIGHTS
    start, end = _places(Path(source), Path(destination))
    if adapter is not None and to in ("auto", "same") and dtype is None and (made := _resaved(start, end, adapter)):
        return made
    checkpoint = open_checkpoint(start, from_pickle=from_pickle)
    if adapter is not None:
        from vesalius.models.adapters import merged_values

        values = {**merged_values(start, Path(adapter)), **(values or {})}
    if values:
        checkpoint = checkpoint.with_values(values)
    lossless = not values and (dtype is None or checkpoint.floats() <= {dtype})
    if dtype is not None:
        checkpoint = checkpoint.cast(dtype)
    clean = to == "clean" or (to in ("auto", "same") and checkpoint.was_clean == (to == "same"))
    plan = (
        clean_plan(checkpoint) if clean else published_plan(checkpoint, to if to in ("hf", "original") else "published")
    )
    total = sum(payload.num_bytes for tensors in plan.weights.values() for payload in tensors.values())
    _check_room(end, total + sum(path.stat().st_size for path in plan.files.values()) + _ROOM)
    with appearing(end) as partial:
        _write(partial, plan, max_shard_bytes, total, on_progress)
    count = sum(len(tensors) for tensors in plan.weights.values())
    return Converted(end, checkpoint.card.name, plan.layout, count, total, plan.shared, plan.left, lossless)


def _resaved(start: Path, end: Path, adapter: str | os.PathLike[str]) -> Converted | None:
    """The adapter added to a checkpoint whose family writes its files itself; None for other families."""
    from vesalius.models.adapters import merge_adapter
    from vesalius.models.registry import load_family, recognise
    from vesalius.models.tensor_files import stored_tensors

    if recognise(start).layout is not None:
        return None
    family: Any = load_family(str(start), device="cpu")
    merge_adapter(family, start, Path(adapter))
    with appearing(end) as partial:
        family.save(start, partial)
    stored = [one for path in end.glob("*.safetensors") for one in stored_tensors(path).values()]
    return Converted(end, family.name, "own", len(stored), sum(one.num_bytes for one in stored), (), (), False)


def _places(source: Path, destination: Path) -> tuple[Path, Path]:
    """Both folders, checked. OptionError where the source is none or the destination is taken."""
    if not source.is_dir():
        raise OptionError("this is no checkpoint folder.", file=source, fix="Give the folder with its config.json.")
    start, end = source.resolve(), destination.resolve()
    if start == end:
        raise OptionError("source and destination are the same folder.", file=destination, fix="Name a new folder.")
    if start in end.parents or end in start.parents:
        raise OptionError(
            "source and destination lie in one another.", file=destination, fix="Name a folder beside the source."
        )
    if destination.exists() and (not destination.is_dir() or any(destination.iterdir())):
        raise OptionError("exists and is not an empty folder.", file=destination, fix="Name a new folder.")
    return source, destination


def _check_room(destination: Path, needed: int) -> None:
    place = destination.resolve()
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    if free < needed:
        raise LimitError(
            f"the checkpoint needs {needed / 1e9:.2f} GB on disk, {free / 1e9:.2f} GB are free.",
            file=destination,
            fix="Free space, or name a folder on another disk.",
        )


@contextmanager
def appearing(folder: Path) -> Iterator[Path]:
    """A temporary folder that takes its name when the block is done, and is gone with everything new when it fails."""
    made: list[Path] = []
    partial: Path | None = None
    try:
        parent = folder.absolute().parent
        made = [one for one in (parent, *parent.parents) if not one.exists()]
        parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=f".{folder.name}.partial-", dir=parent))
        yield partial
        partial.chmod(0o755)
        if folder.exists():
            folder.rmdir()
        os.replace(partial, folder)
        partial = None
        made = []
    except OSError as exc:
        raise InputError(f"cannot be written ({exc.strerror}).", file=folder) from exc
    finally:
        if partial is not None:
            shutil.rmtree(partial, ignore_errors=True)
        for one in made:
            if one.is_dir() and not any(one.iterdir()):
                one.rmdir()


def _write(partial: Path, plan: Plan, max_shard_bytes: int, total: int, on_progress: Progress | None) -> None:
    written = 0

    def wrote(num_bytes: int) -> None:
        nonlocal written
        written += num_bytes
        if on_progress is not None:
            on_progress(written, total)

    def place(name: str) -> Path:
        # A clean config names paths: one that leads out of the folder is somebody's trick.
        if not (partial / name).resolve().is_relative_to(partial.resolve()):
            raise CheckpointError(f"the checkpoint names a file outside its folder ({name!r}).")
        (partial / name).parent.mkdir(parents=True, exist_ok=True)
        return partial / name

    for name, content in plan.settings.items():
        place(name).write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    for name, path in plan.files.items():
        shutil.copyfile(path, place(name))
    for folder, tensors in plan.weights.items():
        place(folder).mkdir(parents=True, exist_ok=True)
        write_tensors(partial / folder, shards(tensors, max_shard_bytes), plan.metadata, wrote)
