"""The weights folder says what is wrong with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from vesalius.errors import CheckpointError, WeightsMissingError
from vesalius.models.starter.config import StarterConfig, load_config, save_config


def test_a_configuration_comes_back_as_it_was_saved(tmp_path: Path):
    config = StarterConfig(("cell",), ("ct",), ("axial",), ("chest",), calibration={"": (1.0, 0.5)})
    save_config(config, tmp_path)
    assert load_config(tmp_path) == config


def test_a_folder_without_weights_says_how_to_get_them(tmp_path: Path):
    with pytest.raises(WeightsMissingError, match="make train-starter") as caught:
        load_config(tmp_path)
    assert caught.value.exit_code == 3


@pytest.mark.parametrize("text", ["{", "[]", '{"model_type": "other"}', '{"model_type": "vesalius_starter"}'])
def test_a_damaged_or_foreign_configuration_is_refused(tmp_path: Path, text: str):
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(CheckpointError, match=r"config\.json"):
        load_config(tmp_path)
