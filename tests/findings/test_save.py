"""One folder with everything: overlays, JSON, masks, reports."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread

from tests.findings.scans import StoredVoxels, clip, picture, volume, write_series
from vesalius.errors import InputError, OptionError, UnsupportedError
from vesalius.findings import Box, Count, Finding, Mask, Report, Where
from vesalius.findings.export_json import from_json
from vesalius.findings.legend import PALETTE
from vesalius.findings.pages import edge_letters, overlays
from vesalius.findings.save import save_findings
from vesalius.study import read
from vesalius.study.items import Axis, Study, Volume


def findings_on(scan: Volume) -> list[Finding]:
    solid = np.zeros(scan.shape, dtype=bool)
    solid[1:3, 1:3, 1] = True
    return [
        Mask(label="liver", mask=solid),
        Box(label="nodule", x0=0, y0=0, x1=2, y1=2, where=Where(axis="axial", slice_index=2)),
        Report(findings="A nodule.", impression="Follow up."),
    ]


def _decoded(scan: Volume) -> Volume:
    """The same geometry and origin without need of its files."""
    return replace(scan, source=StoredVoxels(np.zeros(scan.source.shape, dtype=np.int16)))


def test_a_volume_s_findings_become_a_folder(tmp_path: Path) -> None:
    scan = volume()
    written = save_findings(tmp_path / "out", findings_on(scan), Study((scan,)), answer_text="There.", notice="Demo.")
    assert [p.name for p in written] == [
        "findings.json",
        "item0_axial_001.png",
        "item0_axial_002.png",
        "item0_masks.nii.gz",
        "report.html",
        "report.md",
    ]
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [p.name for p in written], (
        "nothing temporary is left"
    )
    assert len(from_json(json.loads(written[0].read_text("utf-8")))) == 3
    assert nibabel.load(written[3]).shape == scan.source.shape  # pyright: ignore
    with Image.open(written[1]) as image:
        assert max(image.size) >= 512
    assert "item0\\_axial" not in written[-1].read_text("utf-8")
    assert "(item0_axial_001.png)" in written[-1].read_text("utf-8")


def test_dicom_input_gets_a_dicom_segmentation(tmp_path: Path) -> None:
    source = tmp_path / "series"
    source.mkdir()
    write_series(source)
    study = read(source)
    (scan,) = study.volumes
    written = save_findings(tmp_path / "out", findings_on(scan), study, formats=["seg"])
    assert [p.name for p in written] == ["item0_masks.dcm"]
    assert dcmread(written[0]).Modality == "SEG"


def test_a_segmentation_that_cannot_be_made_is_left_out_unless_asked_for(tmp_path: Path) -> None:
    source = tmp_path / "series"
    source.mkdir()
    paths = write_series(source)
    study = read(source)
    found = findings_on(study.volumes[0])
    paths[0].rename(tmp_path / "away.dcm")
    left_out: list[str] = []
    written = save_findings(tmp_path / "a", found, [_decoded(study.volumes[0])], left_out=left_out)
    assert len(left_out) == 1
    assert "item0_masks.dcm was left out: 1 of 6 source images" in left_out[0]
    assert "item0_masks.nii.gz" in [p.name for p in written]
    assert "item0_masks.dcm" not in [p.name for p in written]
    with pytest.raises((InputError, UnsupportedError)):
        save_findings(tmp_path / "b", found, study, formats=["seg", "json"])
    assert list((tmp_path / "b").iterdir()) == [], "a failure leaves no file"


def test_pictures_and_clips_are_drawn_where_the_findings_are(tmp_path: Path) -> None:
    found: list[Finding] = [
        Box(label="mass", x0=5, y0=5, x1=30, y1=20),
        Box(label="polyp", x0=5, y0=5, x1=30, y1=20, where=Where(item=1, frame=4)),
        Count(label="polyps", count=1, where=Where(item=1)),
    ]
    written = save_findings(tmp_path, found, [picture(), clip()], formats=["png"])
    assert [p.name for p in written] == ["item0.png", "item1_frame_00004.png"]


@pytest.mark.parametrize(
    ("axis", "letters"),
    [("axial", ("R", "L", "A", "P")), ("coronal", ("R", "L", "S", "I")), ("sagittal", ("A", "P", "S", "I"))],
)
def test_letters_at_the_edges_follow_the_radiological_convention(axis: Axis, letters: tuple[str, ...]) -> None:
    assert edge_letters(volume().slices([0], axis)[0].display_to_ras) == letters


def test_a_picture_with_patient_geometry_gets_its_letters() -> None:
    posterior_view = np.array([[1.0, 0, 0, 0], [0, 0, 1, 0], [0, -1, 0, 0], [0, 0, 0, 1]])
    assert edge_letters(posterior_view) == ("L", "R", "S", "I")


def test_a_label_has_the_same_colour_on_every_page() -> None:
    scan = volume((6, 6, 8), np.diag([1.0, 1, 1, 1]))
    found = [
        Box(label=label, x0=0, y0=0, x1=3, y1=3, where=Where(axis="axial", slice_index=n))
        for n, label in enumerate(["mass", "cyst"])
    ]
    for page, colour in zip(overlays(found, [scan]), PALETTE, strict=False):
        assert (np.asarray(page.image) == colour).all(axis=-1).any()


def test_many_slices_share_a_montage() -> None:
    scan = volume((4, 4, 30), np.diag([1.0, 1, 1, 1]))
    boxes = [Box(label="b", x0=0, y0=0, x1=2, y1=2, where=Where(axis="axial", slice_index=n)) for n in range(20)]
    pages = overlays(boxes, [scan])
    assert len(pages) == 12
    assert pages[-1].name == "item0_more"
    assert pages[-1].caption == "item 1, 9 more"


def test_a_long_mask_shows_twelve_slices_with_its_largest_among_them() -> None:
    scan = volume((4, 4, 40), np.diag([1.0, 1, 1, 1]))
    solid = np.zeros((4, 4, 40), dtype=bool)
    solid[1, 1, 2:39] = True
    solid[:, :, 17] = True
    names = [page.name for page in overlays([Mask(label="m", mask=solid)], [scan])]
    assert len(names) <= 12
    assert "item0_axial_017" in names
    assert names[0] == "item0_axial_002"


def test_other_files_in_the_folder_stay(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep")
    (tmp_path / "item0.png").write_text("an older overlay")
    save_findings(tmp_path, [Box(label="b", x0=1, y0=1, x1=9, y1=9)], [picture()])
    assert (tmp_path / "mine.txt").read_text() == "keep"
    assert (tmp_path / "item0.png").read_bytes()[:4] == b"\x89PNG"


def test_a_failure_leaves_the_folder_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "findings.json").write_text("old")
    with pytest.raises(InputError, match="item 3"):
        save_findings(tmp_path, [Box(label="b", x0=1, y0=1, x1=9, y1=9, where=Where(item=3))], [picture()])
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("findings.json", "old")]


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for bad in (tmp_path / "file", tmp_path / "file" / "out"):
        with pytest.raises(OptionError) as caught:
            save_findings(bad, [], [picture()])
        assert "\n" not in str(caught.value)
    with pytest.raises(OptionError, match="Known: png"):
        save_findings(tmp_path, [], [picture()], formats=["tiff"])  # type: ignore[list-item]
