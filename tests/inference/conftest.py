"""The starter, loaded once per worker."""

from __future__ import annotations

import os

import pytest

from vesalius.errors import WeightsMissingError
from vesalius.inference.model import Model, load
from vesalius.models.starter.starter import WEIGHTS


@pytest.fixture(scope="session")
def starter() -> Model:
    if not (WEIGHTS / "config.json").is_file():
        pytest.skip("this checkout holds no trained weights (`make train-starter`)")
    try:
        return load("starter")
    except WeightsMissingError:
        if os.environ.get("VESALIUS_REQUIRE_STARTER"):
            raise
        pytest.skip("the starter's base weights are not here (`make starter`)")
