"""Marks of the model tests."""

from __future__ import annotations

import pytest


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "needs_starter: needs the starter's base weights (`make starter`); skipped where they are not"
    )
