"""Which picture, frame or time the words around a place name."""

from __future__ import annotations

import pytest

from vesalius.findings.dialects import read_named
from vesalius.findings.mentions import mentions_of, named_where, without_mention


@pytest.mark.parametrize(
    ("text", "kind", "number"),
    [
        ("Image 2: a cyst", "picture", 1),
        ("in image 2.", "picture", 1),
        ("Image-1", "picture", 0),
        ("<image 3> and", "picture", 2),
        ("<image_3>", "picture", 2),
        ("Picture #4", "picture", 3),
        ("It's in the third image.", "picture", 2),
        ("the last picture", "picture", -1),
        ("the 2nd slice", "picture", 1),
        ("frame 5", "frame", 4),
        ('{"image": 2}', "picture", 1),
        ('{"image_index": 2}', "picture", 2),
        ('{"image_id": "2"}', "picture", 2),
        ('{"frame_idx": 0}', "frame", 0),
        ('{"time": 2.5}', "time", 2.5),
        ("<2.5 seconds>", "time", 2.5),
        ("at 3 s", "time", 3),
        ("第二张图", "picture", 1),
        ("图 3", "picture", 2),
        ("第10帧", "frame", 9),
        ("الصورة الثانية", "picture", 1),
        ("الصورة رقم ٣", "picture", 2),
    ],
)
def test_a_mention_is_understood(text: str, kind: str, number: float) -> None:
    assert [one.what for one in mentions_of(text)] == [(kind, number)]


@pytest.mark.parametrize(
    "text", ["an image", "images 2 and 3", "image 512x512", "slice thickness 5", "grade 2", "1.5 mm"]
)
def test_other_numbers_name_no_picture(text: str) -> None:
    assert mentions_of(text) == []


@pytest.mark.parametrize(
    ("text", "pictures"),
    [
        ("Image 1: cyst <box>[[1,2,3,4]]</box>\nImage-2: mass <box>[[5,6,7,8],[1,1,2,2]]</box>", [0, 1, 1]),
        ("cyst <box>[[1,2,3,4]]</box> in image 2, mass <box>[[5,6,7,8]]</box> in image 1.", [1, 0]),
        ("In image 2 a cyst <box>[[1,2,3,4]]</box>, in image 1 a mass <box>[[5,6,7,8]]</box>", [1, 0]),
        ('[{"bbox_2d":[1,2,3,4],"image":0},{"bbox_2d":[5,6,7,8],"image":1}]', [0, 1]),
        ('[{"bbox_2d":[1,2,3,4],"image":1},{"bbox_2d":[5,6,7,8],"image":2}]', [0, 1]),
        ('```json\n[{"bbox_2d":[1,2,3,4],"label":"cyst in the third image"}]\n```', [2]),
        ('Image 2:\n```json\n[{"bbox_2d":[1,2,3,4]},\n{"bbox_2d":[5,6,7,8]}]\n```', [1, 1]),
        ("It's in the third image. <|box_start|>(1,2),(3,4)<|box_end|>", [2]),
        ("cyst <box>[[1,2,3,4]]</box>\n\nBoth are in image 2.", [1]),
        ("cyst <box>[[1,2,3,4]]</box>", [None]),
    ],
)
def test_every_place_finds_its_mention(text: str, pictures: list[int | None]) -> None:
    found = named_where(text, lambda said: read_named(said, "medmo").named)
    assert [None if mention is None else mention.number for _, mention in found] == pictures


def test_a_label_loses_the_mention_it_begins_with() -> None:
    assert without_mention("Image 2: cyst") == "cyst"
    assert without_mention("in the first image, mass") == "mass"
    assert without_mention("nodule in image 2") == "nodule in image 2"
    assert without_mention("cyst") == "cyst"
