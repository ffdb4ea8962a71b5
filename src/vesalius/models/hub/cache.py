"""The hub cache on this machine, in the layout huggingface_hub documents, and which of its snapshots are complete.

`models--org--name/` holds `blobs/<hash>`, `snapshots/<commit>/<path>` (links to blobs) and `refs/<branch>`. A record
`vesalius/<commit>.json`, written last, lists the files of a snapshot with sizes and hashes: only with it a snapshot
counts as complete. One that another program downloaded is read through and hashed once, and gets its record then.
"""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vesalius.errors import CheckpointError, WeightsMissingError
from vesalius.models.hub.listing import RemoteFile
from vesalius.models.hub.name import COMMIT, HubName
from vesalius.models.hub.transfer import Digests, digests
from vesalius.models.hub.wanted import INDEX, is_small, refuse_without_safetensors, weight_paths

__all__ = ["HubCache", "Snapshot", "cached_snapshots", "whole_snapshot"]

_FORMAT = 1


@dataclass(frozen=True)
class Snapshot:
    """A complete checkpoint in the cache: which commit, and its folder."""

    repo: str
    commit: str
    folder: Path


@dataclass(frozen=True)
class HubCache:
    """One repository's part of the cache. `folder`: the hub cache itself."""

    folder: Path
    name: HubName

    @property
    def storage(self) -> Path:
        return self.folder / f"models--{self.name.repo.replace('/', '--')}"

    @property
    def locks(self) -> Path:
        return self.folder / ".locks" / self.storage.name

    def blob(self, file: RemoteFile) -> Path:
        return self.storage / "blobs" / file.blob

    def snapshot(self, commit: str) -> Path:
        return self.storage / "snapshots" / commit

    def record(self, commit: str) -> Path:
        return self.storage / "vesalius" / f"{commit}.json"

    # Reading

    def known_commit(self) -> str | None:
        """The commit the revision stood for when it was last asked, as any program noted it."""
        if self.name.pinned:
            return self.name.revision
        try:
            noted = (self.storage / "refs" / self.name.revision).read_text(encoding="ascii").strip()
        except (OSError, ValueError):
            return None
        return noted if COMMIT.fullmatch(noted) else None

    def complete(self, commit: str) -> Path | None:
        """The snapshot's folder if its record is there and every file has its size. Content is not read again."""
        files = _files_of(self.record(commit))
        folder = self.snapshot(commit)
        return folder if files and all(_size(folder / path) == facts["size"] for path, facts in files.items()) else None

    def adopted(self, commit: str) -> Path | None:
        """The folder of a snapshot that has no record but all that a checkpoint needs, every byte as its hash says.

        None where there is no such snapshot. Raises WeightsMissingError or CheckpointError saying what it lacks.
        """
        folder = self.snapshot(commit)
        if not folder.is_dir():
            return None
        here = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
        listed = self._listed(commit)
        where = f"{self.name} in the cache"
        paths = list(here if listed is None else listed)
        refuse_without_safetensors(paths, where)
        index = here.get(INDEX)
        small = [path for path in paths if is_small(path, listed[path].size if listed else _size(here[path]) or 0)]
        needed = [*small, *weight_paths(paths, index, where)]
        lacking = [path for path in needed if path not in here]
        if lacking:
            raise WeightsMissingError(f"the download of {where} is not complete: {', '.join(lacking[:3])} is missing.")
        sound: dict[str, tuple[RemoteFile, Digests]] = {}
        for path in needed:
            file = listed[path] if listed is not None else _named_by_hash(path, here[path])
            found = digests(here[path], file)
            if not found.fit(file):
                raise CheckpointError(
                    f"{path} of {where} is damaged: its hash is not {file.blob[:12]}….", file=here[path]
                )
            sound[path] = (file, found)
        with suppress(OSError):  # a cache that may only be read is checked each time
            self.write_record(commit, sound)
        return folder

    def checked_blobs(self) -> dict[str, str]:
        """Blob → sha256, of files an earlier record vouches for and whose size has not changed."""
        known: dict[str, str] = {}
        for record in sorted((self.storage / "vesalius").glob("*.json")):
            for facts in _files_of(record).values():
                if _size(self.storage / "blobs" / facts["blob"]) == facts["size"]:
                    known[facts["blob"]] = facts["sha256"]
        return known

    def _listed(self, commit: str) -> dict[str, RemoteFile] | None:
        """The commit's file list as recent huggingface_hub notes it, None without."""
        from huggingface_hub import get_cached_repo_tree
        from huggingface_hub.errors import CachedRepoTreeNotFoundError

        try:
            tree: list[Any] = get_cached_repo_tree(self.name.repo, revision=commit, cache_dir=self.folder)
            files = [RemoteFile.of(f.path, f.size, f.blob_id, f.lfs.sha256 if f.lfs else None) for f in tree]
        except (CachedRepoTreeNotFoundError, OSError, ValueError):
            return None
        return {file.path: file for file in files}

    # Writing

    def link(self, commit: str, file: RemoteFile) -> None:
        """Make the snapshot show a blob under the file's path; what was there before is replaced in one step."""
        blob, pointer = self.blob(file), self.snapshot(commit) / file.path
        pointer.parent.mkdir(parents=True, exist_ok=True)
        if pointer.is_symlink() and pointer.resolve() == blob.resolve():
            return
        passing = pointer.with_name(f".{uuid.uuid4().hex}.incomplete")
        try:
            try:
                passing.symlink_to(os.path.relpath(blob, pointer.parent))
            except OSError:  # file systems and accounts without symbolic links
                try:
                    os.link(blob, passing)
                except OSError:
                    shutil.copyfile(blob, passing)
            os.replace(passing, pointer)
        finally:
            passing.unlink(missing_ok=True)

    def write_record(self, commit: str, files: Mapping[str, tuple[RemoteFile, Digests]]) -> None:
        """Say that a snapshot is complete. Call it last."""
        facts = {
            path: {"size": file.size, "sha256": found.sha256, "blob": file.blob}
            for path, (file, found) in sorted(files.items())
        }
        document = {"format": _FORMAT, "repo": self.name.repo, "commit": commit, "files": facts}
        _write(self.record(commit), json.dumps(document, indent=1))

    def note_revision(self, commit: str) -> None:
        """Remember what a branch or tag stands for, so that it is found offline."""
        if not self.name.pinned and self.known_commit() != commit:
            _write(self.storage / "refs" / self.name.revision, commit)


def whole_snapshot(name: str) -> Path | None:
    """The folder of all files of a repository (`org/name`) that another program fetched, or None. Opens no socket."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, local_files_only=True))
    except LocalEntryNotFoundError:
        return None


def cached_snapshots(folder: Path) -> Iterator[Snapshot]:
    """Every complete checkpoint in a hub cache, by repository."""
    for record in sorted(folder.glob("models--*--*/vesalius/*.json")):
        repo = "/".join(record.parent.parent.name.split("--")[1:])
        cache = HubCache(folder, HubName(repo, record.stem))
        found = cache.complete(record.stem) if COMMIT.fullmatch(record.stem) else None
        if found is not None:
            yield Snapshot(repo, record.stem, found)


def _named_by_hash(path: str, pointer: Path) -> RemoteFile:
    """What a file must be, from the blob it points to: blobs are named by their content's hash."""
    blob = pointer.resolve().name
    try:
        large = len(blob) == 64
        return RemoteFile.of(path, _size(pointer) or 0, None if large else blob, blob if large else None)
    except ValueError as exc:
        raise WeightsMissingError(
            "the cache does not say what this file's hash must be.", file=pointer, fix="Load it once with a connection."
        ) from exc


def _files_of(record: Path) -> dict[str, dict[str, Any]]:
    """What a record lists; empty for one that is missing or damaged."""
    try:
        document: Any = json.loads(record.read_text(encoding="utf-8"))
        files = document["files"] if document["format"] == _FORMAT else {}
        return {
            str(p): {"size": int(f["size"]), "sha256": str(f["sha256"]), "blob": str(f["blob"])}
            for p, f in files.items()
        }
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return {}


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    passing = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        with passing.open("w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(passing, path)
    finally:
        passing.unlink(missing_ok=True)
