"""From a hub id to a folder on this machine, holding a whole checkpoint and nothing else."""

from __future__ import annotations

import logging
import shutil
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Lock

from vesalius.errors import OptionError, VesaliusError, WeightsMissingError
from vesalius.models.hub.access import HubAccess
from vesalius.models.hub.cache import HubCache
from vesalius.models.hub.failures import HubUnreachableError, reported, size_text
from vesalius.models.hub.listing import RemoteFile, commit_of, file_address, files_of
from vesalius.models.hub.name import HubName, hub_name
from vesalius.models.hub.transfer import Digests, Transfer, partial_of
from vesalius.models.hub.wanted import INDEX, is_small, may_be_needed, refuse_without_safetensors, weight_paths

__all__ = ["fetch", "located"]

_AT_ONCE = 4
"""Files that travel at the same time."""


def located(
    name: str,
    *,
    revision: str | None = None,
    access: HubAccess | None = None,
    accept: Callable[[Path], object] | None = None,
) -> str:
    """A hub id becomes the folder it was fetched to; a folder that exists, or any other name, stays as it is.

    `accept`: as of `fetch`. Raises what `fetch` raises, OptionError for a revision of something that is no hub id.
    """
    wanted = None if Path(name).is_dir() else hub_name(name, revision)
    if wanted is None:
        if revision is not None:
            raise OptionError(f"{name!r} is no hub id, so it has no revision.", fix="Give org/name, or no revision.")
        return name
    return str(fetch(wanted, access or HubAccess(), accept))


def fetch(name: HubName, access: HubAccess, accept: Callable[[Path], object] | None = None) -> Path:
    """The folder of a complete snapshot: from the cache, or fetched into it.

    `accept`: shown the folder when all but the weights is there; what it raises stops the download.
    A commit that is complete here is used without a request; a branch or tag is asked for once, and if the hub does not
    answer, the commit it last stood for is used with a warning. Raises WeightsMissingError (offline, not found, gated,
    no room, no connection) and CheckpointError (pickle only, wrong hash).
    """
    cache = HubCache(access.folder, name)
    last = cache.known_commit()
    if last is not None and name.pinned and (found := cache.complete(last)):
        return found
    if access.is_offline:
        return _from_cache(cache, last)
    with _quiet(), reported(name, access):
        try:
            with reported(name, access):
                commit = commit_of(name, access)
        except HubUnreachableError as error:
            found = None
            with suppress(VesaliusError):
                found = _whole(cache, last)
            if last is None or found is None:
                raise
            warnings.warn(f"{error.problem} Commit {last[:12]}, which is here, is used.", UserWarning, stacklevel=2)
            return found
        found = cache.complete(commit)
        if found is None:
            found = _download(cache, commit, access, accept)
        with suppress(OSError):  # a shared cache that may only be read
            cache.note_revision(commit)
        return found


def _whole(cache: HubCache, commit: str | None) -> Path | None:
    return None if commit is None else cache.complete(commit) or cache.adopted(commit)


def _from_cache(cache: HubCache, commit: str | None) -> Path:
    mend = "Unset HF_HUB_OFFLINE (offline=False) and load it once with a connection."
    try:
        found = _whole(cache, commit)
    except VesaliusError as error:
        raise type(error)(error.problem, file=error.file, fix=error.fix or mend) from error
    if found is not None:
        return found
    raise WeightsMissingError(
        f"{cache.name} is not on this machine and offline mode is on.", file=cache.folder, fix=mend
    )


def _download(cache: HubCache, commit: str, access: HubAccess, accept: Callable[[Path], object] | None) -> Path:
    name = cache.name
    files = {file.path: file for file in files_of(name, commit, access, may_be_needed)}
    refuse_without_safetensors(files, f"{name} on {access.shown_address}")
    folder = cache.snapshot(commit)
    small = [file for file in files.values() if is_small(file.path, file.size)]
    _check_room(cache, small)
    sound = _bring(cache, commit, small, access)
    if accept is not None:
        accept(folder)
    index = folder / INDEX if INDEX in files else None
    weights = [files[path] for path in weight_paths(files, index, str(name))]
    _check_room(cache, weights)
    sound |= _bring(cache, commit, weights, access)
    cache.write_record(commit, {path: (files[path], found) for path, found in sound.items()})
    return folder


def _check_room(cache: HubCache, files: Sequence[RemoteFile]) -> None:
    """WeightsMissingError with the figures if the disk cannot take what is still to come."""
    missing = {file.blob: file for file in files if not cache.blob(file).exists()}
    here = {blob: partial_of(cache.blob(file)) for blob, file in missing.items()}
    begun = sum(min(here[blob].stat().st_size, file.size) for blob, file in missing.items() if here[blob].exists())
    needed = sum(file.size for file in missing.values()) - begun
    existing = next(place for place in (cache.folder.absolute(), *cache.folder.absolute().parents) if place.exists())
    free = shutil.disk_usage(existing).free
    if needed > free:
        raise WeightsMissingError(
            f"{cache.name} needs {size_text(needed)} more on the disk, which has {size_text(free)} free.",
            file=cache.folder,
            fix="Make room, or set HF_HOME to a folder on a larger disk.",
        )


def _bring(cache: HubCache, commit: str, files: Sequence[RemoteFile], access: HubAccess) -> dict[str, Digests]:
    """Fetch files, several at a time, and link them into the snapshot. Path → hashes."""
    known = cache.checked_blobs()
    sound = {file.path: Digests(known[file.blob], file.git_sha1) for file in files if file.blob in known}
    # Two paths may be one blob: it travels once.
    wanted = {file.blob: file for file in files if file.path not in sound}
    if wanted:
        (cache.storage / "blobs").mkdir(parents=True, exist_ok=True)
        stopped = Event()
        with _bar(str(cache.name), sum(file.size for file in wanted.values())) as moved:
            travel = Transfer(cache.locks, access.headers(), moved, stopped)
            with ThreadPoolExecutor(_AT_ONCE) as pool:
                try:
                    jobs = {
                        pool.submit(
                            travel.fetch, file_address(cache.name, commit, file.path, access), file, cache.blob(file)
                        ): blob
                        for blob, file in wanted.items()
                    }
                    done = {jobs[job]: job.result() for job in as_completed(jobs)}
                except BaseException:
                    stopped.set()
                    pool.shutdown(cancel_futures=True)
                    raise
        sound |= {file.path: done[file.blob] for file in files if file.blob in done}
    for file in files:
        cache.link(commit, file)
    return sound


@contextmanager
def _bar(title: str, total: int) -> Iterator[Callable[[int], None]]:
    """A bar on a terminal, nothing in a pipe. Yields what is told of bytes written."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    guard = Lock()
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(title, total=total)

        def moved(count: int) -> None:
            with guard:
                progress.advance(task, count)

        yield moved


@contextmanager
def _quiet() -> Iterator[None]:
    """huggingface_hub logs every retry with the file's signed address; our errors say what there is to know."""
    log = logging.getLogger("huggingface_hub")
    before = log.level
    log.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        log.setLevel(before)
