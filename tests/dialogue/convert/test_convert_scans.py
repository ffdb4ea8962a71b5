"""Masks of volumes and DICOM segmentations become mask targets that hold exactly the voxels that were drawn."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pytest

from vesalius.dialogue.convert.contract import Options
from vesalius.dialogue.convert.convert import convert
from vesalius.dialogue.convert.table import detect
from vesalius.dialogue.samples import read_samples
from vesalius.study import read
from vesalius.study.items import Volume


def test_a_folder_of_volume_masks(tmp_path: Path) -> None:
    data = tmp_path / "set"
    values = np.zeros((5, 6, 7), np.uint8)
    values[1:3, 2:4, 3] = 2
    for name in ("images", "masks"):
        (data / name).mkdir(parents=True)
        nibabel.save(nibabel.Nifti1Image(values, np.diag([-1.0, 1, 2, 1])), data / name / "p1.nii.gz")  # type: ignore[attr-defined]  (nibabel re-exports it)
    (data / "labels.json").write_text('{"2": "cyst"}')
    assert detect(data).name == "masks"
    assert convert(data, tmp_path / "s.jsonl").bad == []
    (one,) = read_samples(tmp_path / "s.jsonl")
    targets = one.turns[1].targets
    assert targets is not None
    assert (one.media[0].kind, targets.masks[0].value, targets.masks[0].label) == ("volume", 2, "cyst")
    assert (targets.masks[0].path, targets.boxes) == ("set/masks/p1.nii.gz", ())


def test_segments_of_a_dicom_seg_become_mask_files(tmp_path: Path) -> None:
    pytest.importorskip("highdicom")
    from tests.findings.scans import OBLIQUE, write_series
    from vesalius.findings import Mask
    from vesalius.findings.export_dicom_seg import write_dicom_seg

    series = tmp_path / "series"
    series.mkdir()
    write_series(series, OBLIQUE)
    scan = read(series).items[0]
    assert isinstance(scan, Volume)
    rng = np.random.default_rng(1)
    drawn = {name: rng.random(scan.shape) < 0.2 for name in ("liver", "cyst")}
    write_dicom_seg([Mask(label=name, mask=mask) for name, mask in drawn.items()], scan, tmp_path / "seg.dcm")
    assert detect(tmp_path / "seg.dcm").name == "dicom-seg"
    out = tmp_path / "out"
    out.mkdir()
    done = convert(tmp_path / "seg.dcm", out / "s.jsonl", options=Options(series=series))
    assert (done.bad, done.samples) == ([], 2)
    for one in read_samples(out / "s.jsonl"):
        targets = one.turns[1].targets
        assert targets is not None
        mask = targets.masks[0]
        assert mask.path is not None
        written = read(out / mask.path).items[0]
        assert isinstance(written, Volume)
        assert np.array_equal(written.values() == mask.value, drawn[mask.label])
        assert (out / one.media[0].path).resolve() == series.resolve()
    wrong = tmp_path / "other"
    wrong.mkdir()
    done = convert(tmp_path / "seg.dcm", out / "t.jsonl", options=Options(series=wrong))
    assert [one.row for one in done.bad] == [1]
    assert not (out / "t.jsonl").exists()
