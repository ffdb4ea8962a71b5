"""Phantoms on disk: whole or not at all, the same bytes each time, targets that match the pixels, files we can read."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from vesalius.cli.main import main
from vesalius.dialogue.samples import MaskTarget, Sample, read_samples
from vesalius.errors import InputError, OptionError
from vesalius.phantoms import draw_picture, draw_volume
from vesalius.phantoms.write import Kind, write_phantoms
from vesalius.study import read
from vesalius.study.items import Clip, Picture, Volume

KINDS: tuple[Kind, ...] = ("picture", "pair", "clip", "volume")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One folder per kind, each of three small phantoms in two languages."""
    root = tmp_path_factory.mktemp("phantoms")
    for kind in KINDS:
        write_phantoms(root / kind, count=3, seed=11, kind=kind, langs=("en", "zh"), size=96)
    return {kind: root / kind for kind in KINDS}


def digest(folder: Path) -> dict[str, str]:
    return {
        str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(folder.rglob("*"))
        if p.is_file()
    }


def mask_of(folder: Path, target: MaskTarget) -> np.ndarray[Any, Any]:
    assert target.path is not None
    return np.asarray(Image.open(folder / target.path)) == target.value


def samples(folder: Path) -> list[Sample]:
    return list(read_samples(folder / "samples.jsonl"))


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_arguments_give_the_same_bytes(folders: dict[str, Path], tmp_path: Path, kind: Kind) -> None:
    write_phantoms(tmp_path / "again", count=3, seed=11, kind=kind, langs=("en", "zh"), size=96)
    assert digest(tmp_path / "again") == digest(folders[kind])


def test_a_phantom_is_the_same_whatever_is_written_with_it(folders: dict[str, Path], tmp_path: Path) -> None:
    write_phantoms(tmp_path / "one", count=1, seed=12, langs=("zh",), size=96)
    alone = samples(tmp_path / "one")
    assert alone == [s for s in samples(folders["picture"]) if s.id.startswith("picture-12-zh")]


@pytest.mark.parametrize(
    ("kind", "item"), [("picture", Picture), ("pair", Picture), ("clip", Clip), ("volume", Volume)]
)
def test_media_can_be_read_back(folders: dict[str, Path], kind: str, item: type) -> None:
    for sample in samples(folders[kind]):
        for media in sample.media:
            assert (folders[kind] / media.path).is_file()
    first = samples(folders[kind])[0]
    assert len(first.media) == (2 if kind == "pair" else 1)
    (found,) = read(str(folders[kind] / first.media[0].path)).items
    assert isinstance(found, item)


def test_a_picture_keeps_its_pixels_and_a_volume_its_voxels(folders: dict[str, Path]) -> None:
    truth = draw_picture(11, None, (96, 96))
    assert np.array_equal(np.asarray(Image.open(folders["picture"] / "images/picture-11.png")), truth.pixels)
    volume = draw_volume(11, shape=(96, 96, 48))
    (found,) = read(str(folders["volume"] / "volumes/volume-11.nii.gz")).volumes
    assert np.array_equal(found.values(), volume.values)
    assert np.allclose(found.affine_ras, volume.affine_ras, atol=1e-4)


@pytest.mark.parametrize("kind", ["picture", "pair", "clip"])
def test_boxes_are_the_tight_boxes_of_the_masks(folders: dict[str, Path], kind: str) -> None:
    compared = 0
    for sample in samples(folders[kind]):
        targets = sample.turns[1].targets
        assert targets is not None
        for box, mask in zip(targets.boxes, targets.masks, strict=False):
            ys, xs = np.nonzero(mask_of(folders[kind], mask))
            assert (box.label, box.number, box.frame) == (mask.label, mask.number, mask.frame)
            assert box.box == (xs.min(), ys.min(), xs.max() + 1, ys.max() + 1)
            compared += 1
        for point, mask in zip(targets.points, targets.masks, strict=False):
            assert mask_of(folders[kind], mask)[int(point.point[1]), int(point.point[0])]
    assert compared > 0 or kind == "pair"


def test_boxes_of_a_volume_lie_on_the_slice_they_name(folders: dict[str, Path]) -> None:
    compared = 0
    for sample in samples(folders["volume"]):
        targets = sample.turns[1].targets
        assert targets is not None
        for box, mask in zip(targets.boxes, targets.masks, strict=False):
            assert box.axis == "axial"
            assert box.slice is not None
            (labels,) = read(str(folders["volume"] / str(mask.path))).volumes
            (shown,) = labels.slices([box.slice])
            ys, xs = np.nonzero(np.asarray(shown.values) == mask.value)
            assert box.box == (xs.min(), ys.min(), xs.max() + 1, ys.max() + 1)
            compared += 1
    assert compared > 0


def test_samples_say_what_they_are_about(folders: dict[str, Path]) -> None:
    made = samples(folders["pair"])
    assert {s.lang for s in made} == {"en", "zh"}
    assert {s.tags.task for s in made} >= {"change", "compare", "present"}
    assert all(s.tags.modality != "unknown" for s in made)
    answers = {s.turns[1].targets.answer for s in made if s.turns[1].targets and s.tags.task == "present"}
    assert answers <= {"yes", "no"}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"count": 0}, "count is 0"),
        ({"seed": -1}, "seed is -1"),
        ({"kind": "hologram"}, "kind 'hologram'"),
        ({"modality": "pet"}, "modality 'pet'"),
        ({"langs": ()}, "no language"),
        ({"langs": ("fr",)}, "language 'fr'"),
        ({"size": 3}, "too small"),
        ({"kind": "volume", "modality": "skin"}, "skin"),
    ],
)
def test_arguments_out_of_range_are_refused_and_nothing_is_left(
    tmp_path: Path, arguments: dict[str, Any], says: str
) -> None:
    given: dict[str, Any] = {"count": 1, **arguments}
    with pytest.raises(OptionError, match=says):
        write_phantoms(tmp_path / "out", **given)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(OptionError, match="not an empty folder"):
        write_phantoms(tmp_path, count=1)
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]


def test_an_empty_folder_may_be_filled_and_a_file_in_the_way_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert write_phantoms(tmp_path / "empty", count=1, size=64).samples.is_file()
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        write_phantoms(tmp_path / "file" / "out", count=1, size=64)


def test_the_command_writes_and_reports_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    assert main(["phantom", str(out), "--count", "2", "--modality", "skin", "--lang", "en, ar", "--size", "64"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("2 phantoms and ")
    assert said.count("\n") == 1
    assert main(["phantom", str(out)]) == 2
    assert main(["phantom", str(tmp_path / "x"), "--kind", "hologram"]) == 2
