"""What a hub says a repository holds: the commit behind a revision, and its files with sizes and hashes."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from vesalius.models.hub.access import HubAccess
from vesalius.models.hub.failures import understood
from vesalius.models.hub.name import COMMIT, HubName

__all__ = ["RemoteFile", "commit_of", "file_address", "files_of"]

_SHA256 = re.compile(r"[0-9a-f]{64}")
_MAX_FILES = 100_000


@dataclass(frozen=True)
class RemoteFile:
    """One file of a commit. `path` with "/", relative to the repository. `size` in bytes. `sha256`: of the content, for
    files in large-file storage. `git_sha1`: of git's blob, for the others (the hub knows no other hash of those)."""

    path: str
    size: int
    sha256: str | None
    git_sha1: str | None

    @property
    def blob(self) -> str:
        """The file's name in the hub cache, which is the hash its content must have."""
        return self.sha256 or self.git_sha1 or ""

    @classmethod
    def of(cls, path: str, size: int, git_sha1: str | None, sha256: str | None) -> RemoteFile:
        """ValueError for figures no hub gives: they become file names and limits."""
        wrong = "\\" in path or path.startswith("/") or any(part in ("", ".", "..") for part in path.split("/"))
        large = sha256 is not None and _SHA256.fullmatch(sha256) is not None
        plain = sha256 is None and git_sha1 is not None and COMMIT.fullmatch(git_sha1) is not None
        if wrong or size < 0 or not (large or plain):
            raise ValueError("not a file of a repository")
        return cls(path, size, sha256, None if sha256 is not None else git_sha1)


def commit_of(name: HubName, access: HubAccess) -> str:
    """The 40-digit commit a revision stands for now. One request; raises what huggingface_hub raises."""
    return str(_told(name, name.revision, access)["sha"])


def files_of(name: HubName, commit: str, access: HubAccess, needs_hash: Callable[[str], bool]) -> list[RemoteFile]:
    """Every file of a commit, page by page. Raises what huggingface_hub raises.

    `needs_hash`: the paths whose size and hash matter. Mirrors without file lists are asked for these one by one; there
    the other files have no figures.
    """
    from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError, RevisionNotFoundError

    try:
        return _listed(name, commit, access)
    except (RepositoryNotFoundError, RevisionNotFoundError):
        raise
    except HfHubHTTPError as exc:
        if exc.response.status_code not in (404, 405, 501):
            raise
    with understood(name, access):
        paths = [str(one["rfilename"]) for one in _told(name, commit, access)["siblings"]]
    return [
        _asked(name, commit, path, access) if needs_hash(path) else RemoteFile(path, 0, None, None)
        for path in paths[:_MAX_FILES]
    ]


def _told(name: HubName, revision: str, access: HubAccess) -> dict[str, Any]:
    """What the hub says of a revision: "sha", its commit, and "siblings", its files' names."""
    from huggingface_hub import constants, get_session
    from huggingface_hub.utils import hf_raise_for_status

    address = f"{access.address}/api/models/{name.repo}/revision/{quote(revision, safe='')}"
    response = get_session().get(address, headers=access.headers(), timeout=constants.HF_HUB_ETAG_TIMEOUT)
    hf_raise_for_status(response)
    with understood(name, access):
        told: dict[str, Any] = response.json()
        commit = str(told["sha"])
        if COMMIT.fullmatch(commit) is None or (COMMIT.fullmatch(revision) and commit != revision):
            raise ValueError("not the commit that was asked for")
    return told


def _listed(name: HubName, commit: str, access: HubAccess) -> list[RemoteFile]:
    from huggingface_hub import constants
    from huggingface_hub.utils import paginate

    found: list[RemoteFile] = []
    pages = paginate(
        f"{access.address}/api/models/{name.repo}/tree/{commit}",
        params={"recursive": True},
        headers=access.headers(),
        timeout=constants.HF_HUB_ETAG_TIMEOUT,
    )
    entry: dict[str, Any]
    with understood(name, access):
        for entry in pages:
            if entry["type"] != "file":
                continue
            stored: dict[str, Any] = entry.get("lfs") or {}
            if len(found) == _MAX_FILES:
                raise ValueError("more files than a checkpoint has")
            size = int(stored.get("size", entry["size"]))
            found.append(RemoteFile.of(str(entry["path"]), size, entry.get("oid"), stored.get("oid")))
    return found


def _asked(name: HubName, commit: str, path: str, access: HubAccess) -> RemoteFile:
    """One file's size and hash, from the headers it would come with."""
    from huggingface_hub import constants, get_session
    from huggingface_hub.utils import hf_raise_for_status

    address, headers = file_address(name, commit, path, access), access.headers()
    for follow in (False, True):  # a redirect to the store tells of the file; another one leads to who does
        response = get_session().head(
            address, headers=headers, timeout=constants.HF_HUB_ETAG_TIMEOUT, follow_redirects=follow
        )
        hf_raise_for_status(response)
        linked = response.headers.get("X-Linked-ETag")
        if linked or not response.is_redirect:
            break
    with understood(name, access):
        tag = (linked or response.headers["ETag"]).removeprefix("W/").strip('"')
        size = int(response.headers["X-Linked-Size" if linked else "Content-Length"])
        large = len(tag) == 64
        return RemoteFile.of(path, size, None if large else tag, tag if large else None)


def file_address(name: HubName, commit: str, path: str, access: HubAccess) -> str:
    """Where a file of a commit is asked for; large files are redirected from there."""
    return f"{access.address}/{name.repo}/resolve/{commit}/{quote(path)}"
