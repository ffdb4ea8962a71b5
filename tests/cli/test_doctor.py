"""`vesalius doctor` and `vesalius models`: what they say about a machine that lacks something."""

from __future__ import annotations

import json
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from vesalius.cli import doctor as examination
from vesalius.cli.main import main


def checks(capsys: pytest.CaptureFixture[str]) -> dict[str, dict[str, str]]:
    main(["doctor", "--json"])
    return {check["name"]: check for check in json.loads(capsys.readouterr().out)}


def test_every_core_package_is_reported_with_its_version(capsys: pytest.CaptureFixture[str]) -> None:
    found = checks(capsys)
    assert found["torch"]["found"].startswith("2.")
    assert {"numpy", "pydicom", "nibabel", "python", "cores", "memory", "torch runs"} <= set(found)


def test_a_missing_core_package_is_broken_and_exits_3(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real = examination.version

    def version(package: str) -> str:
        if package == "nibabel":
            raise PackageNotFoundError(package)
        return real(package)

    monkeypatch.setattr(examination, "version", version)
    assert main(["doctor"]) == 3
    line = next(line for line in capsys.readouterr().out.splitlines() if " nibabel " in line)
    assert line.startswith("broken")
    assert "pip install nibabel" in line


def test_a_missing_extra_is_no_failure_and_names_its_install_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real = examination.version

    def version(package: str) -> str:
        if package == "highdicom":
            raise PackageNotFoundError(package)
        return real(package)

    monkeypatch.setattr(examination, "version", version)
    check = checks(capsys)["extra export"]
    assert check["state"] == "missing"
    assert check["fix"] == 'pip install "vesalius[export]"'


def test_a_cache_that_is_a_file_is_broken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    blocked = tmp_path / "cache"
    blocked.write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(blocked))
    assert checks(capsys)["starter cache"]["state"] == "broken"


def test_offline_flags_are_shown(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert "HF_HUB_OFFLINE" in checks(capsys)["offline"]["found"]


def test_models_says_how_to_bring_missing_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("VESALIUS_STARTER_BASE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert main(["models", "--json"]) == 0
    starter = next(line for line in json.loads(capsys.readouterr().out) if line["name"] == "starter")
    assert "vesalius starter install" in starter["state"]
