"""Quirk switches: all, none, one by one, and those a clean folder's config sets for good."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import vesalius
from tests.models.parity import ROOT
from vesalius.errors import OptionError
from vesalius.models.convert import convert
from vesalius.models.hulumed import HuluMedQuirks
from vesalius.models.registry import FAMILIES

SOURCE = ROOT / "tests" / "fixtures" / "hulumed" / "qwen2_hf"


def test_all_none_or_one_by_one() -> None:
    assert all(vars(HuluMedQuirks.chosen("published")).values())
    assert not any(vars(HuluMedQuirks.chosen("off")).values())
    assert [name for name, on in vars(HuluMedQuirks.chosen({"stored_axes": False})).items() if not on] == [
        "stored_axes"
    ]


@pytest.mark.parametrize("quirks", [{"stored_axis": False}, {"stored_axes": 0}, "on"])
def test_a_quirk_that_is_not_there_is_named(quirks: Any) -> None:
    with pytest.raises(OptionError):
        vesalius.load(str(SOURCE), device="cpu", quirks=quirks)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_quirk_says_what_it_does(family: str) -> None:
    for does in FAMILIES[family].quirks().explained().values():
        assert len(does) > 30
        assert does.endswith(".")


def test_a_clean_config_switches_quirks_for_good(tmp_path: Path) -> None:
    convert(SOURCE, tmp_path / "clean")
    config = json.loads((tmp_path / "clean" / "config.json").read_text())
    config["quirks"]["pil_size_exchange"] = False
    (tmp_path / "clean" / "config.json").write_text(json.dumps(config))
    convert(tmp_path / "clean", tmp_path / "again", to="clean")
    asked: Any
    for asked, expected in (
        ("published", (False, True)),
        ({"stored_axes": False}, (False, False)),
        ({"pil_size_exchange": True}, (True, True)),
        ("off", (False, False)),
    ):
        model: Any = vesalius.load(str(tmp_path / "again"), device="cpu", quirks=asked)
        assert (model.family.quirks.pil_size_exchange, model.family.quirks.stored_axes) == expected
