"""How much memory is free on a device, and refusing weights that do not fit before any of them is read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath

import torch

from vesalius import limits
from vesalius.errors import LimitError

__all__ = ["free_bytes", "gigabytes", "require_room"]

_UNLIMITED = 1 << 60
"""cgroup v1 writes "no limit" as a number near 2**63."""


def free_bytes(device: torch.device) -> int:
    """Bytes that weights may still take on `device`: what the system, the container (cgroup) and the process limits
    leave, or what the GPU has free; never more than `limits.max_model_bytes`."""
    found = _free_on_gpu(device) if device.type == "cuda" else _free_in_main_memory()
    cap = limits.current().max_model_bytes
    return found if cap is None else min(found, cap)


def require_room(needed: Mapping[torch.device, int], *, what: str, fix: str) -> None:
    """Raises LimitError naming the first device on which `needed` bytes exceed what is free. `what`: the weights in
    words; `fix`: what the caller may do."""
    for device, wanted in needed.items():
        free = free_bytes(device)
        if wanted > free:
            where = "" if device.type == "cpu" else f" on {device}"
            raise LimitError(
                f"the weights{what} need {gigabytes(wanted)} of memory{where}, {gigabytes(free)} are available.",
                fix=fix,
            )


def gigabytes(count: int) -> str:
    """Bytes in words, GB of 10**9."""
    return f"{count / 1e9:.2f} GB" if count >= 1e7 else f"{count / 1e6:.2f} MB"


def _free_on_gpu(device: torch.device) -> int:
    free, _ = torch.cuda.mem_get_info(device)
    # What torch's allocator holds without using it serves new tensors, too.
    return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)


def _free_in_main_memory() -> int:
    import psutil

    room = [psutil.virtual_memory().available, _room_of_cgroup(), _room_of_process()]
    return max(0, min(one for one in room if one is not None))


def _room_of_process() -> int | None:
    """What `ulimit -v` leaves, None without such a limit or system."""
    try:
        import resource
    except ImportError:
        return None
    import psutil

    most, _ = resource.getrlimit(resource.RLIMIT_AS)
    return None if most == resource.RLIM_INFINITY else most - psutil.Process().memory_info().vms


def _room_of_cgroup(proc: Path = Path("/proc/self/cgroup"), root: Path = Path("/sys/fs/cgroup")) -> int | None:
    """What the tightest memory limit of this process's control groups leaves, None without one. File pages that can be
    dropped do not count as used."""
    try:
        lines = proc.read_text(encoding="ascii").splitlines()
    except (OSError, UnicodeDecodeError):
        return None
    rooms: list[int] = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            folder, most, used = root, "memory.max", "memory.current"
        elif "memory" in controllers.split(","):
            folder, most, used = root / "memory", "memory.limit_in_bytes", "memory.usage_in_bytes"
        else:
            continue
        inner = PurePosixPath(path.lstrip("/"))
        for part in (inner, *inner.parents):
            limit = _number(folder / part / most)
            if limit is not None and limit < _UNLIMITED:
                rooms.append(limit - (_number(folder / part / used) or 0) + _droppable(folder / part / "memory.stat"))
    return min(rooms, default=None)


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text(encoding="ascii"))
    except (OSError, ValueError):  # no such file, or "max"
        return None


def _droppable(path: Path) -> int:
    try:
        stat = dict(line.split(maxsplit=1) for line in path.read_text(encoding="ascii").splitlines())
        return int(stat.get("total_inactive_file", stat.get("inactive_file", "0")))
    except (OSError, ValueError):
        return 0
