"""`vesalius ask` through the real command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import vesalius
from tests.study import dicom_files as files
from vesalius.cli.main import main
from vesalius.models.starter import starter
from vesalius.models.starter.look import look_at
from vesalius.models.starter_base import present_base
from vesalius.phantoms.pictures import draw_picture
from vesalius.phantoms.splits import HELD_OUT
from vesalius.phantoms.volumes import draw_volume
from vesalius.phantoms.write_media import write_volume

WEIGHTS = Path(vesalius.__file__).parent / "models" / "starter_weights" / "config.json"
needs_starter = pytest.mark.skipif(
    not WEIGHTS.is_file() or (present_base() is None and not os.environ.get("VESALIUS_REQUIRE_STARTER")),
    reason="no trained weights (`make train-starter`) or no base weights (`make starter`)",
)


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "Haut 皮肤.png"
    Image.fromarray(draw_picture(HELD_OUT[3], "skin", size=(224, 224)).pixels).save(path)
    return path


@needs_starter
def test_json_is_one_object_and_nothing_else(picture: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["ask", str(picture), "Is there a mole?", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["model"] == "starter"
    assert said["answer"]
    assert "not for clinical use" in said["notice"]
    assert said["usage"]["finish"] == "stop"


@needs_starter
def test_the_answer_goes_to_stdout_and_the_notice_once_to_stderr(
    picture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    assert main(["ask", str(picture), "Is there a mole?", "--out", str(tmp_path / "out")]) == 0
    out, err = capsys.readouterr()
    assert err.count("not for clinical use") == 1
    assert "clinical" not in out
    assert (tmp_path / "out" / "findings.json").is_file()
    assert f"wrote {tmp_path / 'out' / 'findings.json'}" in out


def test_only_the_named_formats_are_written(picture: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    given = ["ask", str(picture), "Is there a mole?", "--out", str(folder), "--format", "coco,csv", "--format", "fhir"]
    assert main(given) == 0
    assert sorted(p.name for p in folder.iterdir()) == ["coco.json", "fhir.json", "findings.csv"]


@pytest.mark.parametrize(
    ("more", "said"), [(["--format", "tiff", "--out", "x"], "Known: png"), (["--format", "coco"], "--out")]
)
def test_a_format_that_cannot_be_written_is_said_before_anything_is_read(
    more: list[str], said: str, picture: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["ask", str(picture), "Is there a mole?", *more]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda p: (p / "empty.png").write_bytes(b""), "empty.png"),
        (lambda p: (p / "cut.png").write_bytes(b"\x89PNG\r\n\x1a\n\0\0"), "cut.png"),
        (lambda p: np.save(p / "odd.npy", np.array([{}], dtype=object), allow_pickle=True), "odd.npy"),
    ],
)
def test_unreadable_input_is_one_line_and_exit_2(tmp_path: Path, make: object, said: str):
    make(tmp_path)  # pyright: ignore[reportCallIssue]
    file = next(tmp_path.iterdir())
    done = subprocess.run(
        [sys.executable, "-m", "vesalius", "ask", str(file), "What is it?"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.strip().splitlines()) == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_missing_file_and_a_forgotten_question_are_told_apart(picture: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["ask", "nowhere.nii.gz", "What is it?"]) == 2
    assert "nowhere.nii.gz" in capsys.readouterr().err
    assert main(["ask", str(picture)]) == 2
    assert "question" in capsys.readouterr().err


def test_a_folder_without_permission_is_said_before_anything_is_read(
    tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    allowed = os.access  # root, as whom tests may run, is allowed everything
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != tmp_path and allowed(path, mode))
    assert main(["ask", "nowhere.png", "What is it?", "--out", str(tmp_path / "mine" / "out")]) == 2
    assert "Permission denied" in capsys.readouterr().err


def test_an_output_folder_that_is_a_file_is_said_before_anything_is_read(picture: Path, capsys: Any) -> None:
    assert main(["ask", "nowhere.png", "What is it?", "--out", str(picture)]) == 2
    assert "a file stands there" in capsys.readouterr().err
    assert main(["ask", "nowhere.png", "What is it?", "--out", str(picture / "out")]) == 2
    assert "a file stands there" in capsys.readouterr().err
    folder = picture.parent / "deep" / "out"
    assert main(["ask", "nowhere.png", "What is it?", "--out", str(folder)]) == 2
    assert not folder.parent.exists()


@needs_starter
def test_slices_named_one_by_one_are_one_volume(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = files.save(files.series(4), tmp_path)
    assert main(["ask", *paths, "Is there a nodule?", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert [item["kind"] for item in said["items"]] == ["volume"]
    del paths[1]
    assert main(["ask", *paths, "Is there a nodule?", "--json"]) == 2
    assert "--allow-gaps" in capsys.readouterr().err
    assert main(["ask", *paths, "Is there a nodule?", "--json", "--allow-gaps"]) == 0
    assert len(json.loads(capsys.readouterr().out)["items"]) == 2


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    volume = draw_volume(HELD_OUT[5], modality="ct")
    path = tmp_path / "ct.nii.gz"
    write_volume(path, volume.values, volume.affine_ras)
    return path


@needs_starter
def test_a_volume_is_shown_as_it_was_said(
    scan: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    seen: list[Any] = []
    monkeypatch.setattr(starter, "look_at", lambda shown, *rest: (seen.append(shown), look_at(shown, *rest))[1])
    view = ["--modality", "CT", "--window", "-600,1500", "--axis", "coronal", "--num-slices", "5"]
    assert main(["ask", str(scan), "Is there a nodule?", "--json", *view]) == 0
    assert json.loads(capsys.readouterr().out)["answer"]
    [shown] = seen
    assert (shown.axis, shown.num_slices) == ("coronal", 5)
    assert (shown.window.low, shown.window.high) == (-1350, 150)


@pytest.mark.parametrize(
    ("view", "said"),
    [
        (["--window", "nose"], "no window is called 'nose'"),
        (["--window", "40,0"], "positive width"),
        (["--window", "40,wide"], "positive width"),
        (["--window", "nan,4"], "positive width"),
        (["--axis", "oblique"], "must be axial, coronal or sagittal"),
        (["--num-slices", "0"], "must be 1 or more"),
        (["--window", "lung"], "--window is for volumes"),
    ],
)
def test_views_that_cannot_be_are_refused_in_one_line(
    view: list[str], said: str, picture: Path, capsys: pytest.CaptureFixture[str]
):
    assert main(["ask", str(picture), "Is there a mole?", *view]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert said in err
    assert len(err.strip().splitlines()) == 1
