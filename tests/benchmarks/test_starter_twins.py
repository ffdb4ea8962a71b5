"""The table of twins: written from scored runs, and taken up again where it stopped."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import starter_twins
from tests.evaluation.runs import Quick
from vesalius.inference.identity import Identity


def run(monkeypatch: pytest.MonkeyPatch, out: Path, *more: str) -> Quick:
    model = Quick()
    monkeypatch.setattr(starter_twins.vesalius, "load", lambda name: model)
    monkeypatch.setattr(starter_twins, "identify", lambda place, name: Identity(name, name))
    given = ["starter_twins.py", "--limit", "4", "--names", "slake", "slake-boxes", "--out", str(out), *more]
    monkeypatch.setattr(sys, "argv", given)
    starter_twins.main()
    return model


def test_the_page_has_a_line_per_twin_and_profile_and_a_second_run_asks_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.md"
    assert run(monkeypatch, tmp_path / "out", "--page", str(page)).asked
    text = page.read_text(encoding="utf-8")
    lines = [line.split(" | ") for line in text.splitlines() if line.startswith("| S")]
    assert [(cells[0], cells[1]) for cells in lines] == [
        ("| SLAKE", "strict"), ("| SLAKE boxes", "strict"), ("| SLAKE boxes", "tolerant"),
    ]  # fmt: skip
    assert {len(cells) for cells in lines} == {len(starter_twins.HEADER)}
    assert "--limit 4 --seed 0" in text
    assert "whole image" in lines[1][-1]
    again = run(monkeypatch, tmp_path / "out", "--page", str(page))
    assert again.asked == []
    assert page.read_text(encoding="utf-8") == text


def test_a_wrong_name_is_told_before_a_model_is_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(name: str) -> Any:
        raise AssertionError("the model was loaded")

    monkeypatch.setattr(starter_twins.vesalius, "load", never)
    monkeypatch.setattr(sys, "argv", ["starter_twins.py", "--names", "slak", "--out", str(tmp_path)])
    with pytest.raises(SystemExit, match="Did you mean slake"):
        starter_twins.main()
