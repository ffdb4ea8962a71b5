"""A model's identity follows its weights, not what is written about them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from vesalius.inference.identity import identify
from vesalius.models.starter.starter import WEIGHTS


@pytest.mark.usefixtures("starter_base_folder")
def test_a_new_figure_makes_no_other_starter_but_another_weight_does(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    shutil.copytree(WEIGHTS, folder)
    shipped = identify("starter").adapter_sha256
    (folder / "measured.json").write_text("{}")
    (folder / "training_log.json").unlink()
    assert identify(str(folder)).adapter_sha256 == shipped
    config = folder / "config.json"
    config.write_text(config.read_text() + "\n")
    assert identify(str(folder)).adapter_sha256 != shipped
