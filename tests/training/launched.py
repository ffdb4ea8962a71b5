"""Children that train together as `torchrun` would start them: on one machine, on CPUs, over gloo."""

from __future__ import annotations

import faulthandler
import os
import socket
from collections.abc import Callable
from typing import Any

import torch


def launched(
    context: Any, number: int, work: Callable[..., None], *given: Any, ends: int = 0, wait_s: int = 240
) -> None:
    """`work(*given)` in `number` processes, and wait; the first ends with exit code `ends`, and with 0 all do."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    children = [context.Process(target=_worked, args=(k, number, port, wait_s, work, given)) for k in range(number)]
    for child in children:
        child.start()
    children[0].join(wait_s + 30)
    for child in children[1:]:
        if ends:
            child.kill()  # what torchrun does with the others
        child.join(wait_s + 30)
    assert children[0].exitcode == ends
    if not ends:
        assert [child.exitcode for child in children] == [0] * number


def _worked(
    process: int, processes: int, port: int, wait_s: int, work: Callable[..., None], given: tuple[Any, ...]
) -> None:
    torch.set_num_threads(1)
    faulthandler.dump_traceback_later(wait_s, exit=True)  # processes that wait for each other would wait for ever
    if processes > 1:
        os.environ.update(
            RANK=str(process), LOCAL_RANK=str(process), WORLD_SIZE=str(processes), LOCAL_WORLD_SIZE=str(processes),
            MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port), ACCELERATE_USE_CPU="true",
        )  # fmt: skip
    work(*given)
    faulthandler.cancel_dump_traceback_later()
    if processes > 1:
        torch.distributed.destroy_process_group()
