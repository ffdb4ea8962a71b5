"""Checkpoint folders that are whole or not there.

A checkpoint is written under a temporary name, every file and the folder are flushed to the disk, `manifest.json` with
the size and SHA-256 of every file comes last, and only then the folder takes its name. A power cut, a full disk or
`kill -9` at any moment leaves the earlier ones as they were.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vesalius.errors import CheckpointError, OptionError

__all__ = [
    "MANIFEST",
    "checkpoint_folder",
    "checkpoints",
    "defect",
    "file_sha256",
    "keep_newest",
    "newest_valid",
    "seal",
    "sweep",
    "writing_checkpoint",
]

MANIFEST = "manifest.json"
_NAME = re.compile(r"checkpoint-(\d+)")
_PARTIAL = re.compile(r"\.checkpoint-\d+\.partial-.+")
_FORMAT = "vesalius training checkpoint"
_VERSION = 1
_CHUNK = 1 << 22


def checkpoint_folder(run: Path, step: int) -> Path:
    """Where the checkpoint of a step stands."""
    return run / f"checkpoint-{step}"


def checkpoints(run: Path) -> list[Path]:
    """The checkpoint folders of a run, newest (most steps) first."""
    found = [(int(match[1]), path) for path in run.glob("checkpoint-*") if (match := _NAME.fullmatch(path.name))]
    return [path for _, path in sorted(found, reverse=True)]


@contextmanager
def writing_checkpoint(run: Path, step: int) -> Generator[Path]:
    """A temporary folder to write into; at the end of the block it is sealed (`seal`) and takes the step's name.

    OptionError when the disk is full or the folder cannot be written; nothing of the attempt stays.
    """
    target = checkpoint_folder(run, step)
    partial: Path | None = None
    try:
        run.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=f".{target.name}.partial-", dir=run))
        partial.chmod(0o755)
        yield partial
        seal(partial, step)
        if target.exists():  # a damaged one of the same step that a resumed run went past
            shutil.rmtree(target)
        os.replace(partial, target)
        partial = None
        _flush(run)
    except Exception as exc:
        if (number := _os_error(exc)) is None:
            raise
        raise _not_written(number, run, step) from exc
    finally:
        if partial is not None:
            shutil.rmtree(partial, ignore_errors=True)


def seal(folder: Path, step: int) -> None:
    """Flush every file of `folder` to the disk, then write its manifest. OSError as the file system gives it."""
    files: dict[str, dict[str, Any]] = {}
    folders = {folder}
    for path in sorted(folder.rglob("*")):
        if path.is_dir():
            folders.add(path)
            continue
        name = path.relative_to(folder).as_posix()
        _flush(path)
        files[name] = {"bytes": path.stat().st_size, "sha256": file_sha256(path)}
    listed = {"format": _FORMAT, "version": _VERSION, "step": step, "files": files}
    with (folder / MANIFEST).open("w", encoding="utf-8") as stream:
        stream.write(json.dumps(listed, indent=1) + "\n")
        stream.flush()
        os.fsync(stream.fileno())
    for each in folders:
        _flush(each)


def defect(folder: Path) -> str | None:
    """What is wrong with a checkpoint, in a few words; None when every file is as it was written."""
    try:
        if not (folder / MANIFEST).is_file():
            return f"{MANIFEST} is missing"
        listed: Any = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        if listed["format"] != _FORMAT or listed["version"] > _VERSION:
            return f"{MANIFEST} is of another kind or a later version"
        for name, noted in listed["files"].items():
            path = folder / name
            if not path.is_file():
                return f"{name} is missing"
            if path.stat().st_size != noted["bytes"]:
                return f"{name} has {path.stat().st_size} bytes, {noted['bytes']} were written"
            if file_sha256(path) != noted["sha256"]:
                return f"{name} is not what was written (SHA-256 differs)"
    except OSError as exc:
        return f"cannot be read ({exc.strerror})"
    except (ValueError, KeyError, TypeError, AttributeError):
        return f"{MANIFEST} is damaged"
    return None


def newest_valid(run: Path, report: Callable[[str], None] = lambda line: None) -> Path | None:
    """The newest checkpoint whose files are all as they were written; None when the run has no checkpoint.

    `report` hears of every damaged one that is passed over. CheckpointError when all are damaged: to start again from
    nothing is for the user to decide.
    """
    passed: list[str] = []
    for folder in checkpoints(run):
        wrong = defect(folder)
        if wrong is None:
            for line in passed:
                report(f"{line}; going back to {folder.name}")
            return folder
        passed.append(f"{folder.name} is damaged: {wrong}")
    if passed:
        raise CheckpointError(
            f"no checkpoint is whole: {passed[0]}.", file=run, fix="Remove the checkpoint folders to start anew."
        )
    return None


def keep_newest(run: Path, keep: int) -> None:
    """Remove all but the `keep` newest checkpoints (0: remove none). One is renamed before its files go, so that a
    removal cut short leaves no checkpoint that looks damaged."""
    for folder in checkpoints(run)[keep:] if keep else ():
        going = folder.with_name(f".{folder.name}.partial-removed")
        try:
            os.replace(folder, going)
        except OSError:
            going = folder
        shutil.rmtree(going, ignore_errors=True)


def sweep(run: Path) -> None:
    """Remove what a killed run left half-written. Only for who holds the run's lock."""
    for path in run.glob(".checkpoint-*"):
        if _PARTIAL.fullmatch(path.name):
            shutil.rmtree(path, ignore_errors=True)


def _flush(path: Path) -> None:
    """To the disk: a file's contents, or a folder's list of names (where the system can)."""
    if path.is_dir() and os.name == "nt":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, read in pieces."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(_CHUNK):
            digest.update(block)
    return digest.hexdigest()


def _os_error(exc: Exception) -> int | None:
    """The errno behind an exception. safetensors and others tell it in words alone."""
    if isinstance(exc, OSError):
        return exc.errno or errno.EIO
    told = re.search(r"\(os error (\d+)\)", str(exc))
    return int(told[1]) if told else None


def _not_written(number: int, run: Path, step: int) -> OptionError:
    left = next((path.name for path in checkpoints(run)), None)
    kept = f"{left} is kept" if left else "there is no earlier one"
    room = number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    return OptionError(
        f"the checkpoint of step {step} cannot be written ({os.strerror(number)}); {kept}.",
        file=run,
        fix="Make room and start again." if room else "Give a folder that can be written: out=FOLDER.",
    )
