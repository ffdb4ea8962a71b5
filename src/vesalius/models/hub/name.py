"""What a hub id looks like: `org/name`, or `org/name@revision` with a branch, tag or commit."""

from __future__ import annotations

import re
from dataclasses import dataclass

from vesalius.errors import OptionError

__all__ = ["COMMIT", "HubName", "checked_revision", "hub_name"]

COMMIT = re.compile(r"[0-9a-f]{40}")
"""A full commit: what a revision is pinned to."""

_ID = re.compile(r"([A-Za-z0-9_][A-Za-z0-9._-]{0,95}/[A-Za-z0-9_][A-Za-z0-9._-]{0,95})(?:@(.*))?", re.DOTALL)
_REVISION = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+/-]{0,254}")


@dataclass(frozen=True)
class HubName:
    """`repo`: "org/name". `revision`: branch, tag or 40-digit commit."""

    repo: str
    revision: str = "main"

    @property
    def pinned(self) -> bool:
        return COMMIT.fullmatch(self.revision) is not None

    def __str__(self) -> str:
        return self.repo if self.revision == "main" else f"{self.repo}@{self.revision}"


def hub_name(text: str, revision: str | None = None) -> HubName | None:
    """The hub id `text` spells, or None where it spells none. `revision`: as after the "@".

    Raises OptionError for a revision no repository can have, or two different ones.
    """
    found = _ID.fullmatch(text)
    # "--" stands for "/" in the cache's folder names, so no id holds it; "..", like a last dot, is never part of one.
    if found is None or "--" in found[1] or ".." in found[1] or found[1].endswith((".", ".git", "-")):
        return None
    repo: str = found[1]
    said: str | None = found[2]
    if said is not None and revision is not None and said != revision:
        raise OptionError(f"the revision is given twice: {said!r} and {revision!r}.", fix="Give one.")
    chosen = said if said is not None else revision
    return HubName(repo) if chosen is None else HubName(repo, checked_revision(chosen))


def checked_revision(revision: str) -> str:
    """OptionError unless a branch, tag or commit can be called so (it becomes a part of paths and addresses)."""
    wrong = ".." in revision or "//" in revision or revision.endswith(("/", ".", ".lock"))
    if wrong or _REVISION.fullmatch(revision) is None:
        raise OptionError(
            f"{revision[:80]!r} is no revision.", fix="Give a branch, a tag or a 40-digit commit, as in org/name@main."
        )
    return revision
