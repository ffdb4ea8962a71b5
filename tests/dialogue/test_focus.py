"""What a question names is repeated beside it, from the scene and nothing else."""

from __future__ import annotations

import random
import re
from dataclasses import replace

import pytest

from vesalius.dialogue.focus import point_out
from vesalius.dialogue.scene_text import Scene, SceneSet, SeenChange, SeenGroup, write_scene
from vesalius.phantoms.pictures import draw_picture
from vesalius.phantoms.questions import make_questions, scene_of

POLYPS = Scene(
    "endoscopy",
    "none",
    "bowel",
    (
        SeenGroup(1, "polyp", 1, None, 11.0, "top", 0.9),
        SeenGroup(2, "polyp", 1, None, 7.1, "left edge", 0.8),
        SeenGroup(3, "instrument", 1, None, None, "bottom", 0.9),
    ),
)
KIDNEYS = Scene(
    "ct",
    "axial",
    "abdomen",
    (SeenGroup(1, "kidney", 1, "left", 78.0, None, 0.9), SeenGroup(2, "kidney", 1, "right", 70.0, None, 0.9)),
)

LUMP = Scene("ct", "axial", "chest", (SeenGroup(1, "mass", 1, "left", 42.0, None, 0.9),))
STRANGE = Scene(
    "ct", "axial", "chest", (*LUMP.groups, SeenGroup(2, "tumour", 1, "left", 43.0, None, 0.7))
)  # a brain tumour, of all things


@pytest.mark.parametrize(
    ("scene", "question", "line"),
    [
        (POLYPS, "How many polyps are there?", "(count polyp 2: [1] 11 mm top, [2] 7.1 mm left edge)"),
        (POLYPS, "有多少个息肉？", "(count 息肉 polyp 2: [1] 11 mm top 上方, [2] 7.1 mm left edge 画面左缘)"),
        (KIDNEYS, "右侧有肾吗？", "(present right 肾脏 kidney 1: [2] right 右侧 70 mm)"),
        (LUMP, "على أي جهة تقع الكتلة؟", "(side كتلة mass 1: [1] left الجهة اليسرى 42 mm)"),
        (LUMP, "اكتب تقريرا.", "(report; كتلة mass [1] left الجهة اليسرى 42 mm, عقدة nodule, انصباب effusion)"),
        (POLYPS, "Is there a cyst?", "(present cyst 0: none)"),
        (POLYPS, "What kind of picture is this?", "(modality endoscopy)"),
        (KIDNEYS, "Is there a kidney on the right?", "(present right kidney 1: [2] right 70 mm)"),
        (KIDNEYS, "Any stone on this MRI?", "(present not mr but ct stone 0: none)"),
        (KIDNEYS, "How old is the patient?", "(unknown)"),
        (KIDNEYS, "How many teeth are there?", "(unknown)"),
        (None, "Where are the teeth?", "(unknown: no image)"),
        (KIDNEYS, "Where is the tumour?", "(box tumour 0: none)"),
        (LUMP, "Where is the tumour?", "(box mass 1: [1] left 42 mm)"),
        (STRANGE, "Where is the tumour?", "(box mass 1: [1] left 42 mm)"),
        (replace(STRANGE, region="head"), "Where is the tumour?", "(box tumour 1: [2] left 43 mm)"),
        (LUMP, "Is there a tumour?", "(present tumour 0: none)"),
        (None, "Where is the nodule?", "(box: no image)"),
    ],
)
def test_the_objects_a_question_means_stand_beside_it(scene: Scene | None, question: str, line: str):
    assert point_out(scene, question) == line


def test_two_pictures_point_at_the_change_asked_about():
    changes = (
        SeenChange("nodule", "left", "grown", 1, 3, sizes_mm=(5.0, 9.0)),
        SeenChange("effusion", "right", "resolved", 2, None),
    )
    both = SceneSet((KIDNEYS, KIDNEYS), changes)
    assert point_out(both, "Has the nodule grown?") == "(change nodule: [1] [3] nodule left grown 5 mm to 9 mm)"
    assert point_out(both, "What has changed?").endswith("; [2] effusion right resolved)")
    assert "[2] effusion right 右侧 resolved; " in point_out(both, "有什么变化？")


def test_every_number_in_the_line_stands_in_the_scene():
    for seed in range(9_970_000, 9_970_020):
        scene = scene_of(draw_picture(seed))
        known = write_scene(scene)
        for lang in ("en", "zh", "ar"):
            for question in make_questions(draw_picture(seed), random.Random(seed), lang):
                line = point_out(scene, question.prompt)
                assert all(number in known for number in re.findall(r"\[\d+\]", line)), line
