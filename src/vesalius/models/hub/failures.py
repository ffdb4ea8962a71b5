"""What goes wrong between here and a hub, as one of our errors that says what to do."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from vesalius.errors import VesaliusError, WeightsMissingError
from vesalius.models.hub.access import HubAccess
from vesalius.models.hub.name import HubName

__all__ = ["HubUnreachableError", "reported", "size_text", "understood"]


class HubUnreachableError(WeightsMissingError):
    """The hub did not answer, or answered that it cannot now; what is on this machine may still do."""


def size_text(num_bytes: int) -> str:
    """Bytes for people: decimal units, as hubs and disks are labelled."""
    for unit, size in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if num_bytes >= size:
            return f"{num_bytes / size:.1f} {unit}"
    return f"{num_bytes} bytes"


@contextmanager
def reported(name: HubName, access: HubAccess) -> Iterator[None]:
    """Everything huggingface_hub and its connections raise inside becomes a WeightsMissingError."""
    import httpx2
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    try:
        yield
    except VesaliusError:
        raise
    except OfflineModeIsEnabled as exc:
        raise WeightsMissingError(f"{name} needs the hub and offline mode is on.", fix="Unset HF_HUB_OFFLINE.") from exc
    except HfHubHTTPError as exc:
        raise _refused(exc, name, access) from exc
    except httpx2.TimeoutException as exc:
        raise HubUnreachableError(
            f"{access.shown_address} did not answer in time for {name}.",
            fix="Try again (a download goes on where it stopped), or raise HF_HUB_ETAG_TIMEOUT and "
            "HF_HUB_DOWNLOAD_TIMEOUT (seconds).",
        ) from exc
    except httpx2.ConnectError as exc:
        raise HubUnreachableError(
            f"{access.shown_address} cannot be reached for {name}.",
            fix="Check the connection, proxy and HF_ENDPOINT; or give a checkpoint folder.",
        ) from exc
    except (httpx2.HTTPError, httpx2.InvalidURL) as exc:
        raise HubUnreachableError(
            f"the connection to {access.shown_address} broke while fetching {name} ({type(exc).__name__}).",
            fix="Run it again: a download goes on where it stopped.",
        ) from exc
    except OSError as exc:
        raise _not_written(exc, name, access) from exc


@contextmanager
def understood(name: HubName, access: HubAccess) -> Iterator[None]:
    """An answer that is no hub's (a login page of a proxy, other JSON) becomes a WeightsMissingError."""
    try:
        yield
    except (ValueError, KeyError, TypeError, AttributeError) as exc:
        raise WeightsMissingError(
            f"{access.shown_address} answered something no model hub says about {name}.",
            fix="Check HF_ENDPOINT and proxy settings.",
        ) from exc


def _refused(exc: Exception, name: HubName, access: HubAccess) -> WeightsMissingError:
    from huggingface_hub.errors import (
        DisabledRepoError,
        GatedRepoError,
        RemoteEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    response = getattr(exc, "response", None)
    status = int(getattr(response, "status_code", 0))
    where = access.shown_address
    has_token = "authorization" in access.headers()
    if isinstance(exc, GatedRepoError):
        then = "with the account this token belongs to" if has_token else "and set HF_TOKEN or pass token="
        return WeightsMissingError(
            f"{name.repo} is gated: its authors grant access one by one.",
            fix=f"Ask for access at {where}/{name.repo} {then}.",
        )
    if isinstance(exc, RevisionNotFoundError):
        return WeightsMissingError(
            f"{name.repo} has no revision {name.revision!r}.", fix="Give one of its branches, tags or full commits."
        )
    if isinstance(exc, DisabledRepoError):
        return WeightsMissingError(f"{name.repo} was disabled on {where}.", fix="Use another model.")
    if isinstance(exc, RemoteEntryNotFoundError):
        return WeightsMissingError(f"{where} lists a file of {name} that it does not have.", fix="Try again later.")
    if status == 401 and has_token:
        return WeightsMissingError(
            f"{where} does not accept the token for {name.repo}, or there is no such repository.",
            fix="Check the spelling and HF_TOKEN, or run: hf auth login",
        )
    if status == 403:
        return WeightsMissingError(
            f"{where} refuses access to {name.repo} ({'with this token' if has_token else 'no token given'}).",
            fix="Ask its owners for access, or use a token that may read it.",
        )
    if isinstance(exc, RepositoryNotFoundError) or status in (401, 404):
        return WeightsMissingError(
            f"{name.repo} is neither a folder here nor a repository on {where} that may be read "
            f"{'with this token' if has_token else 'without a token'}.",
            fix="Check the spelling; for a private repository set HF_TOKEN or pass token=.",
        )
    return HubUnreachableError(f"{where} answered {name} with HTTP status {status}.", fix="Try again later.")


def _not_written(exc: OSError, name: HubName, access: HubAccess) -> WeightsMissingError:
    if exc.errno in (errno.ENOSPC, errno.EDQUOT):
        return WeightsMissingError(
            f"the disk is full; {name} is fetched in part.", file=access.folder, fix="Make room and run it again."
        )
    if exc.errno is None:  # huggingface_hub's own complaint that fewer or more bytes came than were announced
        return HubUnreachableError(f"a file of {name} came with another size than announced.", fix="Run it again.")
    return WeightsMissingError(
        f"the hub cache cannot be written ({exc.strerror}).", file=access.folder, fix="Set HF_HOME to a folder you own."
    )
