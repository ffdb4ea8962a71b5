"""How the hub is reached: address, token, cache folder and offline mode, from arguments or the usual environment."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from vesalius.errors import OptionError

__all__ = ["HubAccess"]


@dataclass(frozen=True)
class HubAccess:
    """What the caller asks for; what is None or False is read from the environment when it is needed.

    `token`: None takes HF_TOKEN or the stored login, False sends none. `offline`: no request at all (HF_HUB_OFFLINE).
    `endpoint`: another hub or a mirror (HF_ENDPOINT). `cache`: the hub cache folder (HF_HUB_CACHE, HF_HOME).
    """

    token: str | bool | None = field(default=None, repr=False)
    offline: bool = False
    endpoint: str | None = None
    cache: Path | None = None

    @property
    def is_offline(self) -> bool:
        """The argument, the environment now, or the environment huggingface_hub was imported under."""
        if self.offline or any(_true(os.environ.get(name)) for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")):
            return True
        from huggingface_hub import constants

        return constants.is_offline_mode()

    @property
    def folder(self) -> Path:
        """The hub cache, shared with every program that uses huggingface_hub."""
        if self.cache is not None:
            return self.cache.expanduser()
        named, home = os.environ.get("HF_HUB_CACHE"), os.environ.get("HF_HOME")
        if named or home:
            place = named or os.path.join(home or "", "hub")
            return Path(os.path.expandvars(place)).expanduser()
        from huggingface_hub import constants

        return Path(constants.HF_HUB_CACHE)

    @property
    def address(self) -> str:
        """The hub's address without a slash at its end. OptionError if it is none."""
        from huggingface_hub import constants

        given = (self.endpoint or os.environ.get("HF_ENDPOINT") or constants.ENDPOINT).rstrip("/")
        try:
            parts = urlsplit(given)
            sound = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
        except ValueError:
            sound = False
        if not sound:
            raise OptionError(
                "the hub's address is not one of http or https.", fix="Check endpoint= and HF_ENDPOINT (https://…)."
            )
        return given

    @property
    def shown_address(self) -> str:
        """The address as messages may show it: without a user name or password in it."""
        parts = urlsplit(self.address)
        return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))

    def headers(self) -> dict[str, str]:
        """Request headers: who asks, no compression (ranges count stored bytes), and the token if there is one."""
        from huggingface_hub import constants, get_token

        from vesalius import __version__

        made = {"user-agent": f"vesalius/{__version__}", "accept-encoding": "identity"}
        token = self.token
        if token is None and constants.HF_HUB_DISABLE_IMPLICIT_TOKEN:
            token = False
        secret = token if isinstance(token, str) else None if token is False else get_token()
        if secret is None and token is True:
            raise OptionError("a token is asked for and none is stored.", fix="Set HF_TOKEN or run: hf auth login")
        if secret is not None and secret.strip():
            secret = secret.strip()
            if not (secret.isascii() and secret.isprintable()) or " " in secret:
                raise OptionError("the token holds characters no token has.", fix="Copy it anew from the hub.")
            made["authorization"] = f"Bearer {secret}"
        return made


def _true(value: str | None) -> bool:
    return (value or "").upper() in ("1", "ON", "YES", "TRUE")
