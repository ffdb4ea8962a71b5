"""Places of an answer lie on the picture, slice or frame that the answer, the question or the order names."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import vesalius
from tests.models.parity import ROOT, loaded, user
from vesalius.findings.findings import Box

FIXTURES = ROOT / "tests" / "fixtures"
WIDE = {"type": "image", "image": np.zeros((50, 200, 3), np.uint8)}
HIGH = {"type": "image", "image": np.zeros((300, 100, 3), np.uint8)}
MEDMO = FIXTURES / "medmo" / "qwen3vl_tiny"
QWEN25 = FIXTURES / "medmo" / "qwen25vl_tiny"
CITRUS = FIXTURES / "citrusv" / "citrusv_tiny"
MEDMVL = FIXTURES / "medmvl" / "siglip_mlp_qwen2"


def said_medmo(batch: Any, picture: int) -> str:
    del batch, picture
    return "nodule <box>[[100, 200, 500, 600]]</box>"


def said_json(batch: Any, picture: int) -> str:
    wide, high = batch.sights[picture].fitted
    return json.dumps([{"bbox_2d": [0.1 * wide, 0.2 * high, 0.5 * wide, 0.6 * high], "label": "nodule"}])


def said_percent(batch: Any, picture: int) -> str:
    del batch, picture
    return "nodule {<10><20><50><60>}"


DIALECTS = [(MEDMO, said_medmo), (QWEN25, said_json), (CITRUS, said_json), (MEDMVL, said_percent)]


def found(family: Any, batch: Any, text: str) -> list[tuple[int, tuple[float, ...]]]:
    boxes = family.findings(batch, text)
    assert all(isinstance(box, Box) and box.label == "nodule" for box in boxes)
    return [(box.where.item, (box.x0, box.y0, box.x1, box.y1)) for box in boxes]


ON_WIDE = (0, pytest.approx((20, 10, 100, 30)))
ON_HIGH = (1, pytest.approx((10, 60, 50, 180)))


@pytest.mark.parametrize(("checkpoint", "said"), DIALECTS)
def test_the_picture_the_answer_names_has_the_box(checkpoint: Path, said: Any) -> None:
    model = loaded(checkpoint)
    batch = model.prepare(user(WIDE, HIGH, "Where is the nodule?"))
    family = model.family
    assert found(family, batch, f"Image 2: {said(batch, 1)}") == [ON_HIGH]
    assert found(family, batch, f"Image 1: {said(batch, 0)}\nImage 2: {said(batch, 1)}") == [ON_WIDE, ON_HIGH]
    assert found(family, batch, f"It's in the second image. {said(batch, 1)}".replace("image. n", "image.\nn")) == [
        ON_HIGH
    ]
    assert not batch.warnings


@pytest.mark.parametrize(("checkpoint", "said"), DIALECTS)
def test_else_the_question_and_then_the_order_decide(checkpoint: Path, said: Any) -> None:
    model = loaded(checkpoint)
    family = model.family
    asked = model.prepare(user(WIDE, HIGH, "Where is the nodule in image 2?"))
    assert found(family, asked, said(asked, 1)) == [ON_HIGH]
    assert not asked.warnings
    plain = model.prepare(user(WIDE, HIGH, "Where is the nodule?"))
    assert found(family, plain, said(plain, 0)) == [ON_WIDE]
    assert "which picture" in plain.warnings[0]
    later = [*user(WIDE, "What is it?"), {"role": "assistant", "content": "A scan."}, *user(HIGH, "And where?")]
    batch = model.prepare(later)
    assert found(family, batch, said(batch, 1)) == [ON_HIGH]


def test_a_picture_that_was_not_shown_is_not_believed() -> None:
    model = loaded(MEDMO)
    batch = model.prepare(user(WIDE, HIGH, "Where?"))
    assert found(model.family, batch, f"Image 7: {said_medmo(batch, 0)}") == [ON_WIDE]
    assert batch.warnings


def test_masks_and_boxes_of_citrus_lie_on_the_picture_asked_for() -> None:
    model = loaded(CITRUS)
    batch = model.prepare(user(WIDE, HIGH, "Where?"), seg_image=1)
    assert found(model.family, batch, said_json(batch, 1)) == [ON_HIGH]


def volume() -> Any:
    values = np.random.default_rng(0).integers(0, 200, (40, 60, 9)).astype(np.int16)
    return vesalius.read(values, affine=np.diag([2.0, 3.0, 5.0, 1.0]))


def test_boxes_on_a_volume_name_slice_voxels_and_millimetres() -> None:
    model = loaded(MEDMO)
    shown = {"type": "volume", "volume": volume(), "num_slices": 3, "axis": "axial"}
    batch = model.prepare(user(shown, "Where?"))
    (box,) = model.family.findings(batch, f"Image 3: {said_medmo(batch, 2)}")
    assert (box.where.axis, box.where.slice_index) == ("axial", 8)
    assert (box.x0, box.y0, box.x1, box.y1) == pytest.approx((4, 12, 20, 36))
    assert box.size_mm == pytest.approx((32, 72))
    # Radiological: x runs from the patient's right (high voxels) to left, y from front to back.
    assert box.centre_ras_mm == pytest.approx((2 * (39.5 - 12), 3 * (59.5 - 24), 40))
    (middle,) = model.family.findings(batch, said_medmo(batch, 1))
    assert middle.where.slice_index == 4
    assert batch.warnings


def test_boxes_on_a_clip_name_frame_and_time() -> None:
    model = loaded(MEDMO)
    frames = [np.full((60, 90, 3), 20 * k, np.uint8) for k in range(4)]
    clip = {"type": "video", "video": frames, "timestamps": [0.0, 0.5, 2.0, 4.0]}
    batch = model.prepare(user(clip, "Where?"))
    assert "<0.2 seconds>" in batch.text
    for text, frame in (
        ("", 0),
        ("Frame 3: ", 2),
        ("<4.0 seconds> ", 3),
        ("At 0.6 s ", 1),
    ):
        (box,) = model.family.findings(batch, text + said_medmo(batch, 0))
        assert (box.where.frame, box.where.time_s) == (frame, clip["timestamps"][frame])
        assert (box.x0, box.y0, box.x1, box.y1) == pytest.approx((9, 12, 45, 36))
    said = json.dumps({"time": 2.1, "bbox_2d": [100, 200, 500, 600], "label": "nodule"})
    assert [box.where.frame for box in model.family.findings(batch, said)] == [2]


def test_places_that_were_only_thought_count_where_the_answer_has_none() -> None:
    model = loaded(QWEN25)
    batch = model.prepare(user(WIDE, "Where?"))
    thought, answer = said_json(batch, 0), said_json(batch, 0).replace("nodule", "mass")
    both = model.family.findings(batch, f"<think>{thought}</think>{answer}")
    assert [box.label for box in both] == ["mass"]
    alone = model.family.findings(batch, f"<think>{thought}</think>As said.")
    assert [box.label for box in alone] == ["nodule"]
