"""Children that start at once: their parent has imported everything and does nothing else."""

from __future__ import annotations

import multiprocessing
from typing import Any

import pytest


@pytest.fixture(scope="session")
def processes() -> Any:
    """A multiprocessing context whose children know the tiny run already."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.training.resumable_run"])
    return context
