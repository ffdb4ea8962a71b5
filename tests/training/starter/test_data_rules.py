"""What may be trained on: by content, never by name."""

from __future__ import annotations

import hashlib
import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from vesalius.errors import InputError
from vesalius.phantoms.splits import CALIBRATION, HELD_OUT, TRAIN
from vesalius.training.starter.real_slices import HELD_OUT_SHA256, KNOWN_ON_REAL, TRAIN_SOURCES, open_sources

ROOT = Path(__file__).parents[3]


def test_no_training_source_is_held_out():
    trained = {s.image_sha256 for s in TRAIN_SOURCES} | {s.label_sha256 for s in TRAIN_SOURCES}
    assert not trained & HELD_OUT_SHA256


def test_no_training_source_is_a_sample_kept_for_demonstration():
    listed = set(re.findall(r"\b[0-9a-f]{64}\b", (ROOT / "examples" / "fetch_studies.py").read_text()))
    allowed = {s.image_sha256 for s in TRAIN_SOURCES} | {s.label_sha256 for s in TRAIN_SOURCES}
    assert HELD_OUT_SHA256 & listed
    assert len(listed & allowed) == 4  # lung1 and brain1 with their labels, and nothing else


def test_seed_ranges_do_not_meet():
    ranges = sorted((TRAIN, CALIBRATION, HELD_OUT), key=lambda r: r.start)
    assert all(a.stop <= b.start for a, b in pairwise(ranges))


def test_a_held_out_file_under_a_training_name_is_refused(tmp_path: Path):
    (tmp_path / "lung1_image.nrrd").write_bytes(b"anything else")
    with pytest.raises(InputError, match=hashlib.sha256(b"anything else").hexdigest()[:12]):
        open_sources(tmp_path)


def test_without_files_there_are_no_sources(tmp_path: Path):
    assert open_sources(tmp_path) == []


def test_organs_nobody_outlined_are_not_called_absent():
    assert "lung" not in KNOWN_ON_REAL
    assert "tumour" in KNOWN_ON_REAL
    assert np.isin(["nodule", "mass"], list(KNOWN_ON_REAL)).all()
