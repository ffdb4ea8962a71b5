"""The starter, loaded once per worker."""

from __future__ import annotations

from pathlib import Path

import pytest

from vesalius.inference.model import Model, load
from vesalius.models.starter.starter import WEIGHTS


@pytest.fixture(scope="session")
def starter(starter_base_folder: Path) -> Model:
    if not (WEIGHTS / "config.json").is_file():
        pytest.skip("this checkout holds no trained weights (`make train-starter`)")
    return load("starter")
