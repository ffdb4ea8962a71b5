"""Places in a model's answer: published grammar, named repairs, statuses, frames."""

# ruff: noqa: E501  (a row of a table is one line)

from __future__ import annotations

import random
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import vesalius
from vesalius.errors import InputError, OptionError
from vesalius.findings.dialects import DIALECTS
from vesalius.findings.parse import Grounding

SIZE = (640, 480)
FENCED = '```json\n[{"bbox_2d":[10,20,110,220],"label":"nodule"}]\n```'
CELLS = '```JSON\n{"count": 2, "point_2d": [[5,6],[7,8], "label": "cell"}\n```'
CUT = '```json\n[{"bbox_2d":[1,2,30,40],"label":"a"},{"bbox_2d":[5,6'
CYSTS = "Cyst <box>[[0,0,500,500],[500,500,250,750]]</box>"


def parse(text: str, dialect: str, **options: Any) -> Grounding:
    return vesalius.parse_grounding(text, dialect, options.pop("image_size", SIZE), **options)


def box(label: str | None, *coords: float) -> dict[str, Any]:
    return {"kind": "box", "coords": list(coords), "label": label}


WORKED = [
    ("qwen-json", FENCED, {}, [box("nodule", 10, 20, 110, 220)], "ok", None, []),
    ("qwen-json", FENCED, {"processed_size": (320, 240)}, [box("nodule", 20, 40, 220, 440)], "ok", None, []),
    ("box1000", "<ref>liver</ref><box>[[100, 200, 300, 400]]</box>", {}, [box("liver", 64, 96, 192, 192)], "ok", None, []),
    ("unit", "[0.25, 0.5, 0.75, 1.0]", {}, [box(None, 160, 240, 480, 480)], "ok", None, []),
    ("qwen-json", "```json\n[]\n```", {}, [], "none", None, []),
]  # fmt: skip


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize(("dialect", "text", "options", "items", "status", "count", "repaired"), WORKED)
def test_conforming_answers_read_the_same_in_both_modes(
    dialect: str, text: str, options: Any, items: Any, status: str, count: Any, repaired: Any, strict: bool
) -> None:
    found = parse(text, dialect, strict=strict, **options)
    assert (found.items, found.status, found.count, found.repaired) == (items, status, count, repaired)
    assert found["status"] == dict(found)["status"] == status


REPAIRED = [
    ("qwen-json", CELLS, [{"kind": "point", "coords": [5, 6], "label": "cell"}, {"kind": "point", "coords": [7, 8], "label": "cell"}],
     2, "repaired", ["missing_bracket", "key_alias"]),
    ("parens", "（10，20），（30，40）", [box(None, 10, 20, 30, 40)], None, "repaired", ["chars"]),
    ("qwen-json", "The lesion lies at [12, 14, 50, 60].", [box(None, 12, 14, 50, 60)], None, "repaired", ["prose"]),
    ("qwen-json", CUT, [box("a", 1, 2, 30, 40)], None, "truncated", ["truncated"]),
    ("qwen-json", CUT + " \n", [box("a", 1, 2, 30, 40)], None, "truncated", ["truncated"]),
    ("qwen-json", '[{"bbox_2d":[1,2,30,40],"label":"a"}]', [box("a", 1, 2, 30, 40)], None, "repaired", ["fence"]),
    ("qwen-json", "```\n[{'bbox_2d':[1,2,30,40],'label':'a'},]\n```", [box("a", 1, 2, 30, 40)], None, "repaired", ["fence", "json_syntax"]),
    ("qwen-json", '```json\n[{bbox: [1,2,30,40] label: big mass}]\n```', [box("big mass", 1, 2, 30, 40)], None, "repaired", ["json_syntax", "key_alias"]),
    ("qwen-json", '```json\n[{"bbox_2d":"1,2,30,40","name":"a"}]\n```', [box("a", 1, 2, 30, 40)], None, "repaired", ["key_alias", "nesting"]),
    ("qwen-json", '```json\n[{"bbox_2d":{"x1":1,"y1":2,"x2":30,"y2":40}}]\n```', [box(None, 1, 2, 30, 40)], None, "repaired", ["nesting"]),
    ("qwen-json", '```json\n[{"bbox_2d":["1","2","30","40"]}]\n```', [box(None, 1, 2, 30, 40)], None, "repaired", ["nesting"]),
    ("qwen-json", '```json\n[{"point_2d":[1,2,30,40]}]\n```', [{"kind": "point", "coords": [1, 2], "label": None}, {"kind": "point", "coords": [30, 40], "label": None}], None, "repaired", ["nesting"]),
    ("qwen-json", '```json\n[{"bbox_2d":[1, 2), (30, 40)],"label":"a"}]\n```', [box("a", 1, 2, 30, 40)], None, "repaired", ["mixed_form"]),
    ("qwen-json", '```json\n[{"bbox_2d":[30,40,1,2],"label":"a"}]\n```', [box("a", 1, 2, 30, 40)], None, "repaired", ["swapped_corners"]),
    ("qwen-json", '```json\n[{"bbox_2d":[-5,2,700,40],"label":"a"}]\n```', [box("a", 0, 2, 640, 40)], None, "repaired", ["clipped"]),
    ("qwen-json", '```json\n[{"bbox_2d":[1,2,30,40],"label":"a"}\n```', [box("a", 1, 2, 30, 40)], None, "repaired", ["missing_bracket"]),
    ("qwen-json", '```json\n[{"bbox_2d":[1,2,30,40],"label":"a"]\n```', [box("a", 1, 2, 30, 40)], None, "repaired", ["missing_bracket"]),
    ("qwen-json", '```json\n[{"bbox_2d":[١,٢,٣٠,٤٠],"label":"كتلة ١"}]\n```', [box("كتلة ١", 1, 2, 30, 40)], None, "repaired", ["chars"]),
    ("qwen-json", '```json\n[｛“bbox_2d”：［1，2，30，40］，“label”：“结节，左”｝]\n```', [box("结节，左", 1, 2, 30, 40)], None, "repaired", ["chars"]),
    ("medmo", "Cyst <box>[100, 200, 300, 400]</box>", [box("Cyst", 64, 96, 192, 192)], None, "repaired", ["nesting"]),
    ("medmo", "Cyst <box>[[100, 200, 300, 400]]", [box("Cyst", 64, 96, 192, 192)], None, "repaired", ["close_tag"]),
    ("box999", "<ref>liver<box>[[0,0,999,999]]</box>", [box("liver", 0, 0, 640, 480)], None, "repaired", ["close_tag"]),
    ("medmvl", "{<10><20><30><40>", [box(None, 64, 96, 192, 192)], None, "repaired", ["missing_bracket"]),
    ("citrus-inline", '<bbox>{"Part":"right_lung","bbox":"[1,2,30,40]"}', [box("right_lung", 1, 2, 30, 40)], None, "repaired", ["nesting", "close_tag"]),
]  # fmt: skip


@pytest.mark.parametrize(("dialect", "text", "items", "count", "status", "repaired"), REPAIRED)
def test_each_repair_leaves_its_code(
    dialect: str, text: str, items: Any, count: Any, status: str, repaired: list[str]
) -> None:
    found = parse(text, dialect)
    assert (found.items, found.count, found.status, found.repaired) == (items, count, status, repaired)


@pytest.mark.parametrize(
    ("dialect", "text"),
    [(one[0], one[1]) for one in REPAIRED if one[0] != "box999" and ("nesting" not in one[5] or one[0] == "medmo")],
)
def test_strict_mode_mends_nothing(dialect: str, text: str) -> None:
    found = parse(text, dialect, strict=True)
    assert (found.items, found.repaired, found.status) == ([], [], "malformed")


def test_a_box_whose_name_is_not_closed_has_no_name_in_strict_mode() -> None:
    found = parse("<ref>liver<box>[[0,0,999,999]]</box>", "box999", strict=True)
    assert (found.items, found.status) == ([box(None, 0, 0, 640, 480)], "partial")


def test_swapped_boxes_are_dropped_strictly_and_mended_otherwise() -> None:
    strict = parse(CYSTS, "medmo", coord="norm1000", strict=True)
    assert strict.items == [box("Cyst", 0, 0, 320, 240)]
    assert (strict.status, strict.errors) == ("partial", ["corners are swapped"])
    tolerant = parse(CYSTS, "medmo", coord="norm1000")
    assert tolerant.items == [box("Cyst", 0, 0, 320, 240), box("Cyst", 160, 240, 320, 360)]
    assert tolerant.repaired == ["swapped_corners"]


@pytest.mark.parametrize(
    ("text", "options", "status", "count"),
    [
        ("", {}, "empty", None),
        (" \n", {}, "empty", None),
        ("I'm sorry, I cannot help with that.", {}, "refused", None),
        ("无法确定病灶位置。", {}, "refused", None),
        ("لا أستطيع تحديد الموقع", {}, "refused", None),
        ("There are none.", {}, "none", 0),
        ("未见结节。", {}, "none", 0),
        ("لا توجد آفات", {}, "none", 0),
        ('```json\n{"counts": 0, "point_2d": []}\n```', {}, "none", 0),
        ("A large mass in the left lobe.", {}, "malformed", None),
        ("<think>[1,2,3,4]", {}, "truncated", None),
        ("A mass at", {"finish_reason": "length"}, "truncated", None),
        (FENCED, {"finish_reason": "length"}, "ok", None),
        ('{"bbox_2d": [1,2,3,4', {}, "truncated", None),
        ('```json\n[{"bbox_2d":[1,2,3],"label":"a"},{"bbox_2d":[1,2,3,4]}]\n```', {}, "partial", None),
        ('```json\n[{"bbox_2d":[5,5,5,9]}]\n```', {}, "malformed", None),
        ('```json\n[{"bbox_2d":[NaN,1,2,3]}]\n```', {}, "malformed", None),
    ],
)
def test_statuses_are_distinct(text: str, options: Any, status: str, count: int | None) -> None:
    found = parse(text, "qwen-json", **options)
    assert (found.status, found.count) == (status, count)


@pytest.mark.parametrize(
    ("text", "options", "count"),
    [
        ('{"counts": "3"}', {}, 3),
        ('{"counts": "٣"}', {}, 3),
        ('{"counts": 3.0}', {}, 3),
        ('{"cell_count": 2, "count": 5}', {}, 5),
        ("There are 7 cells.", {"expect": "count"}, 7),
        ("There are 7 or 8 cells.", {"expect": "count"}, None),
        ("There are 7 cells.", {}, None),
        ('[{"bbox_2d": [1,2,3,4]}]', {}, None),
        ('{"counts": 2.5, "bbox_2d": [[1,2,3,4]]}', {}, None),
    ],
)
def test_a_count_is_what_the_text_states(text: str, options: Any, count: int | None) -> None:
    assert parse(text, "qwen-json", **options).count == count


def test_counts_that_differ_from_the_items_are_flagged_and_nothing_is_deduplicated() -> None:
    found = parse('```json\n{"counts": 3, "point_2d": [[1,2],[1,2]], "label": "a"}\n```', "qwen-json", strict=True)
    assert (len(found.items), found.count, found.count_mismatch, found.status) == (2, 3, True, "ok")


def test_singular_count_is_no_count_in_strict_mode() -> None:
    found = parse('```json\n{"count": 2, "point_2d": [[1,2],[3,4]]}\n```', "qwen-json", strict=True)
    assert (len(found.items), found.count, found.status) == (2, None, "ok")


def test_thoughts_are_not_searched_and_answer_tags_are_opened() -> None:
    text = f"<think>maybe [1,2,3,4]</think><answer>{FENCED}</answer>"
    assert parse(text, "qwen-json").items == [box("nodule", 10, 20, 110, 220)]


def test_the_image_an_answer_names() -> None:
    found = parse("It's in the third image. <|box_start|>(92,150),(164,224)<|box_end|>", "parens", strict=True)
    assert found.items == [{**box(None, 92, 150, 164, 224), "image": 2}]
    two = parse("Image 1: (1,2),(3,4). Image 2: (5,6),(7,8)", "parens")
    assert [one["image"] for one in two.items] == [0, 1]
    assert parse("第二张图：(1,2),(3,4)", "parens").items[0].image == 1


def test_expected_points() -> None:
    found = parse("They are at (5, 6) and [7, 8].", "qwen-json", expect="point")
    assert [(one.kind, one.coords) for one in found.items] == [("point", [5, 6]), ("point", [7, 8])]


def test_volumes_and_masks() -> None:
    found = vesalius.parse_grounding("It is at [0.1, 0.2, 0.3, 0.5, 0.6, 0.7].", "m3d", (100, 50, 10), strict=True)
    assert found.items[0].kind == "box3d"
    assert found.items[0].coords == pytest.approx([10, 10, 3, 50, 30, 7])
    runs = {"size": [2, 2], "counts": [0, 1, 3]}
    masks = parse("The heart is [SEG] and the liver is <SEG>.", "seg", image_size=(4, 4), masks=[runs])
    assert [(one.label, one.coords) for one in masks.items] == [("heart", [0, 0, 2, 2]), ("liver", [])]
    assert masks.items[0].rle["size"] == [4, 4]
    assert parse("<SEG><mask>a/b.png</mask>", "seg").items[0].path == "a/b.png"


def test_auto_tells_which_dialect_it_read() -> None:
    assert parse("Cyst <box>[[0,0,500,500]]</box>", "auto").dialect == "medmo"
    assert parse(FENCED, "auto", processed_size=(320, 240)).items == [box("nodule", 20, 40, 220, 440)]


def test_wrong_options_are_errors() -> None:
    with pytest.raises(OptionError, match="Did you mean 'qwen-json'"):
        parse("", "qwen_json")
    with pytest.raises(OptionError, match="image_size"):
        parse("", "unit", image_size=(0, 4))
    with pytest.raises(OptionError, match="coord"):
        parse("", "unit", coord="pixels")
    with pytest.raises(InputError, match="NoneType"):
        vesalius.parse_grounding(None, "unit", SIZE)  # pyright: ignore[reportArgumentType]


@settings(max_examples=150, deadline=None)
@given(
    text=st.lists(st.sampled_from([*'[](){}<>",:;.-0123456789eE \n\\`abx，“٣', "<box>", "bbox_2d", "```json", "[1,2,30,40]"]), max_size=60).map("".join),
    dialect=st.sampled_from([*DIALECTS, "auto"]),
    strict=st.booleans(),
)  # fmt: skip
def test_any_text_has_a_result(text: str, dialect: str, strict: bool) -> None:
    size = (64, 48, 9) if dialect == "m3d" else (64, 48)
    if dialect == "auto":
        try:
            found = vesalius.parse_grounding(text, dialect, size, strict=strict)
        except OptionError:
            pytest.fail("a text cannot raise")
    else:
        found = vesalius.parse_grounding(text, dialect, size, strict=strict)
    for one in found.items:
        half = len(one.coords) // 2
        assert len(one.coords) == 2 or all(a < b for a, b in zip(one.coords[:half], one.coords[half:], strict=True))
        assert all(0 <= value <= size[axis % len(size)] for axis, value in enumerate(one.coords))
    assert not (strict and found.repaired)


NASTY = [
    "[",
    '{"a":',
    '"',
    "'",
    "<box>",
    "[1,2,3,4],",
    "```",
    '{"bbox_2d":[1,2,3,4]},',
    "(1,",
    "1",
    "\\",
    "<1>",
    "a ",
    "no ",
]


@pytest.mark.parametrize("piece", NASTY)
def test_a_megabyte_of_anything_is_read_in_no_time(piece: str) -> None:
    dialect = random.Random(piece).choice(list(DIALECTS))
    for one in {"qwen-json", "medmo", dialect} - {"m3d"}:
        started = time.process_time()
        parse(piece * (1_000_000 // len(piece)), one)
        assert time.process_time() - started < 1.0  # half a second, and room for a busy machine


@pytest.mark.parametrize(("text", "repaired"), [("3", []), ("٣", ["chars"]), ("３ polyps", ["chars"])])
def test_a_number_in_other_digits_is_a_count_that_was_repaired(text: str, repaired: list[str]) -> None:
    found = vesalius.parse_grounding(text, "qwen-json", (10, 10), expect="count")
    assert (found.count, found.repaired, found.status) == (3, repaired, "repaired" if repaired else "ok")
