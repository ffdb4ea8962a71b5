"""What every test runs under: one thread per worker, no debug switch, and no way out of this machine."""

from __future__ import annotations

import os
import signal
import socket
from pathlib import Path
from typing import Any

import pytest

# Read once when the numeric libraries load, so it is set before any test imports them.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.pop("VESALIUS_DEBUG", None)

# Shells start background jobs with Ctrl-C ignored, and what a test starts would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

_LOOPBACK = {"127.0.0.1", "::1", "localhost"}


@pytest.fixture(autouse=True)
def _stay_on_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:  # pyright: ignore[reportUnusedFunction]
    """A connection to any address but this machine's own fails the test that tries it."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6) and address[0] not in _LOOPBACK:
            raise AssertionError(f"a test tried to reach {address[0]}")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)


@pytest.fixture(scope="session")
def starter_base_folder() -> Path:
    """The folder of the starter's base weights. Without them a test is skipped, or fails where they are required."""
    from vesalius.errors import WeightsMissingError
    from vesalius.models.starter_base import find_base

    try:
        return find_base()
    except WeightsMissingError:
        if os.environ.get("VESALIUS_REQUIRE_STARTER"):
            raise
        pytest.skip("the starter's base weights are not here (`make starter`)")
