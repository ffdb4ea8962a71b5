"""What was seen becomes short text that holds every number an answer may need."""

from __future__ import annotations

import pytest

from vesalius.dialogue.scene_text import (
    LABEL_ORDER,
    SURE,
    Scene,
    SceneSet,
    SeenObject,
    compare_groups,
    group_objects,
    position_of,
    size_text,
    write_scene,
)
from vesalius.dialogue.words import LABEL_NAMES, POSITIONS, label_forms

SIZE = (224, 224)


def seen(label: str, side: str | None, size_mm: float, x: float, y: float, confidence: float = 1.0) -> SeenObject:
    return SeenObject(label, side, size_mm, (x - 5, y - 5, x + 5, y + 5), confidence)


def cells(number: int) -> list[SeenObject]:
    return [seen("cell", None, 0.01 + 0.001 * k, 12.0 * k + 10, 50) for k in range(number)]


def test_a_chest_ct_is_written_compactly() -> None:
    grouping = group_objects(
        [seen("nodule", "right", 7, 60, 180), seen("lung", "left", 210, 160, 100), seen("nodule", "left", 12, 160, 30)],
        SIZE,
        plane="axial",
    )
    assert write_scene(Scene("ct", "axial", "chest", grouping.groups)) == (
        "ct axial chest | [1] lung left | [2] nodule left 12 mm anterior | [3] nodule right 7 mm posterior"
        " | nodule x2 in all | none: mass, effusion"
    )


def test_the_largest_of_a_label_comes_first_and_keeps_its_members() -> None:
    objects = [seen("nodule", "left", 5, 10, 10), seen("nodule", "left", 9, 100, 10), seen("lung", "left", 9, 100, 10)]
    grouping = group_objects(objects, SIZE)
    assert [g.label for g in grouping.groups] == ["lung", "nodule", "nodule"]
    assert grouping.members == ((2,), (1,), (0,))
    assert grouping.members_of(2) == (1,)
    assert grouping.members_of(9) == ()


def test_small_things_are_one_group_with_their_number() -> None:
    grouping = group_objects(cells(7), SIZE)
    assert write_scene(Scene("microscopy", "none", "tissue", grouping.groups)) == (
        "microscopy tissue | [1] cell x7 up to 16 um | none: debris"
    )


@pytest.mark.parametrize(("number", "groups"), [(1, 1), (5, 5), (6, 1)])
def test_more_than_five_of_a_kind_become_one_group(number: int, groups: int) -> None:
    polyps = [seen("polyp", None, 5, 20.0 + 30 * k, 40) for k in range(number)]
    grouping = group_objects(polyps, SIZE)
    assert len(grouping.groups) == groups
    assert sum(g.count for g in grouping.groups) == number


def test_an_unsure_object_is_only_maybe_there_and_not_called_absent() -> None:
    grouping = group_objects([seen("effusion", "left", 80, 50, 150, confidence=SURE * 0.9)], SIZE)
    text = write_scene(Scene("ct", "axial", "chest", grouping.groups, grouping.maybe))
    assert text == "ct axial chest | maybe: effusion | none: nodule, mass"


def test_a_sure_object_silences_an_unsure_one_of_its_label() -> None:
    grouping = group_objects([seen("mass", "left", 40, 50, 50), seen("mass", "right", 40, 90, 50, SURE * 0.9)], SIZE)
    assert grouping.maybe == ()
    assert len(grouping.groups) == 1


def test_without_a_picture_the_text_says_so() -> None:
    assert write_scene(None) == write_scene(SceneSet(())) == "no image"


def test_an_unknown_picture_is_called_unknown() -> None:
    assert write_scene(Scene("unknown", "none", "unknown")) == "unknown"


def test_volumes_and_clips_name_their_length() -> None:
    nodule = SeenObject("nodule", "left", 9, (0, 0, 1, 1), slices=(8, 12))
    volume = Scene("ct", "axial", "chest", group_objects([nodule], SIZE, plane="axial").groups, num_slices=24)
    assert write_scene(volume).startswith("ct volume of 24 slices axial chest | [1] nodule left 9 mm slices 8-12 |")
    polyp = SeenObject("polyp", None, 9, (100, 100, 110, 110), motion="moving")
    clip = Scene("endoscopy", "none", "bowel", group_objects([polyp], SIZE).groups, num_frames=12)
    assert write_scene(clip).startswith("endoscopy clip of 12 frames bowel | [1] polyp 9 mm centre moving |")


def test_numbers_run_on_through_several_pictures_and_changes_name_both() -> None:
    before = group_objects([seen("nodule", "left", 8, 50, 50), seen("mass", "right", 40, 99, 99)], SIZE)
    after = group_objects(
        [seen("nodule", "left", 12, 52, 50), seen("effusion", "left", 60, 9, 9)], SIZE, start=1 + len(before.groups)
    )
    changes = compare_groups(before.groups, after.groups)
    scenes = (Scene("ct", "axial", "chest", before.groups), Scene("ct", "axial", "chest", after.groups))
    assert write_scene(SceneSet(scenes, changes)).splitlines()[-1] == (
        "changes: [1] [3] nodule left grown 8 mm to 12 mm; [2] mass right resolved; [4] effusion left new"
    )


def test_counted_groups_change_in_number_not_in_size() -> None:
    change = compare_groups(group_objects(cells(3), SIZE).groups, group_objects(cells(5), SIZE, start=2).groups)
    assert [(c.change, c.counts) for c in change] == [("more", (3, 5))]


@pytest.mark.parametrize(
    ("size_mm", "text"),
    [(0.0123, "12 um"), (0.0001, "1 um"), (0.9999, "1 mm"), (1.0, "1 mm"), (7.04, "7 mm"), (7.5, "7.5 mm"),
     (9.96, "10 mm"), (12.4, "12 mm"), (210.0, "210 mm")],
)  # fmt: skip
def test_lengths_are_written_with_what_can_be_measured(size_mm: float, text: str) -> None:
    assert size_text(size_mm) == text


def test_places_follow_the_plane() -> None:
    low = (100.0, 200.0, 110.0, 210.0)
    assert position_of(low, SIZE, "axial", "left") == "posterior"
    assert position_of(low, SIZE, "frontal", "left") == "lower"
    assert position_of(low, SIZE, "none", None) == "bottom"
    assert position_of((10.0, 10.0, 20.0, 20.0), SIZE, "none", None) == "top left"
    assert all(
        position_of((x, y, x + 2, y + 2), SIZE, plane, None) in {None, *POSITIONS}
        for x in (1.0, 110.0, 220.0)
        for y in (1.0, 110.0, 220.0)
        for plane in ("axial", "none")
    )


def test_no_word_stands_for_two_labels() -> None:
    for lang in ("en", "zh", "ar"):
        forms = [form.lower() for label in LABEL_NAMES for form in set(label_forms(label, lang))]
        assert len(forms) == len(set(forms))


def test_every_label_has_a_name_in_three_languages_and_findings_have_synonyms() -> None:
    assert set(LABEL_ORDER) <= set(LABEL_NAMES)
    for label in LABEL_ORDER[8:]:
        name = LABEL_NAMES[label]
        assert len(name.en) >= 4
        assert len(name.en) == len(name.en_plurals)
        assert len(name.zh) >= 1
        assert len(name.ar) >= 1


def test_what_is_out_of_place_must_be_surer() -> None:
    objects = [seen("tumour", "left", 30, 50, 50, SURE * 1.5), seen("mass", "left", 30, 150, 50, SURE * 1.5)]
    grouping = group_objects(objects, SIZE, kind=("ct", "chest"))
    assert [group.label for group in grouping.groups] == ["mass"]
    assert grouping.maybe == ("tumour",)
    assert len(group_objects(objects, SIZE).groups) == 2
    assert len(group_objects(objects, SIZE, kind=("ct", "nowhere known")).groups) == 2


def test_what_a_question_takes_for_granted_is_numbered_behind_all_others_however_unsure() -> None:
    unsure = [seen("mass", "left", 8, 60, 60, 0.11), seen("mass", "right", 9, 150, 60, 0.14)]
    objects = [*unsure, seen("stone", None, 4, 100, 150)]
    grouping = group_objects(objects, SIZE, kind=("ct", "abdomen"), sought=[("mass",)])
    assert [(g.number, g.label, g.side) for g in grouping.groups] == [(1, "stone", None), (2, "mass", "right")]
    assert grouping.members_of(2) == (1,)
    assert grouping.maybe == ()


def test_nothing_is_added_where_the_sought_is_surely_seen_or_out_of_place() -> None:
    objects = [
        seen("mass", "left", 8, 60, 60, 0.9),
        seen("nodule", "left", 8, 60, 160, 0.1),
        seen("tumour", None, 9, 9, 9, 0.3),
    ]
    asked = [("tumour", "mass", "nodule"), ("tumour",)]
    grouping = group_objects(objects, SIZE, kind=("ct", "chest"), sought=asked)
    assert [g.label for g in grouping.groups] == ["mass"]
    assert grouping.maybe == ("nodule", "tumour")
