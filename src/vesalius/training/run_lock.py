"""One trainer to a run folder. The lock is the system's own (`flock`), so a killed trainer holds nothing."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from vesalius.errors import OptionError

__all__ = ["held_run"]

_LOCK, _HOLDER = ".lock", ".lock.json"


@contextmanager
def held_run(run: Path) -> Generator[None]:
    """Hold a run folder, making it. OptionError naming process and machine of another trainer that holds it, or saying
    why it cannot be written."""
    from filelock import FileLock, Timeout

    lock = FileLock(run / _LOCK, timeout=0)
    try:
        run.mkdir(parents=True, exist_ok=True)
        lock.acquire()
        own = {"pid": os.getpid(), "host": socket.gethostname(), "since": time.strftime("%Y-%m-%d %H:%M:%S %z")}
        part = run / f"{_HOLDER}.part"
        part.write_text(json.dumps(own) + "\n", encoding="utf-8")
        os.replace(part, run / _HOLDER)
    except Timeout as exc:
        raise OptionError(
            f"another trainer is at work here ({_holder(run)}).", file=run, fix="Wait for it, or name another folder."
        ) from exc
    except OSError as exc:
        lock.release()
        raise OptionError(
            f"the run folder cannot be written ({exc.strerror}).", file=run, fix="Give another: out=FOLDER."
        ) from exc
    try:
        yield
    finally:
        (run / _HOLDER).unlink(missing_ok=True)
        lock.release()


def _holder(run: Path) -> str:
    try:
        told = json.loads((run / _HOLDER).read_text(encoding="utf-8"))
        return f"process {int(told['pid'])} on {told['host']}, since {told['since']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "it has not said which"
