"""What models write about places, read back."""

from __future__ import annotations

import pytest

from vesalius.findings.dialects import Named, Reading, read_named
from vesalius.findings.dialects.citrus_inline import read_citrus_inline
from vesalius.findings.dialects.qwen_json import read_qwen_json
from vesalius.findings.dialects.table import detect


def test_qwen_json_fenced_bare_and_inside_prose() -> None:
    box = Named("nodule", (10, 20, 110, 220))
    said = '[{"bbox_2d":[10,20,110,220],"label":"nodule"}]'
    assert read_qwen_json(f"Here:\n```json\n{said}\n```\nDone.").named == [box]
    assert read_qwen_json(said).named == [box]
    assert read_qwen_json('I see {"bbox_2d": [10, 20, 110, 220], "label": " nodule "} there').named == [box]
    assert read_qwen_json('{"found": [{"bbox_2d":[10,20,110,220],"label":"nodule"}]}').named == [box]


def test_qwen_json_points_several_places_and_missing_labels() -> None:
    assert read_qwen_json('[{"point_2d": [5, 6], "label": "cell"}]').named == [Named("cell", (5, 6))]
    several = read_qwen_json('{"bbox_2d": [[1,2,3,4],[5,6,7,8]], "label": "a"}').named
    assert several == [Named("a", (1, 2, 3, 4)), Named("a", (5, 6, 7, 8))]
    assert read_qwen_json('[{"bbox_2d": [1.5, 2, 3, 4]}]').named == [Named("", (1.5, 2, 3, 4))]


@pytest.mark.parametrize(
    "text",
    ["", "There are none.", "```json\n[]\n```", '[{"bbox_2d": [1,2,3]}]', '[{"bbox_2d": ["a",2,3,4]}]',
     '[{"bbox_2d": null}]', "{" * 3000],
)  # fmt: skip
def test_qwen_json_that_names_no_place_gives_none(text: str) -> None:
    assert read_qwen_json(text).named == []


def test_what_was_complete_before_a_cut_stays() -> None:
    cut = '```json\n[{"bbox_2d":[1,2,30,40],"label":"a"},{"bbox_2d":[5,6'
    assert read_qwen_json(cut).named == [Named("a", (1, 2, 30, 40))]


def named(text: str, dialect: str) -> list[Named]:
    reading: Reading = read_named(text, dialect)
    return reading.named


def test_pairs_and_the_malformed_mix() -> None:
    pair = "<|object_ref_start|>heart<|object_ref_end|><|box_start|>(1,2),(3,4)<|box_end|>"
    assert named(pair, "parens") == [Named("heart", (1, 2, 3, 4))]
    assert named("<|box_start|>(1, 2), (3, 4)<|box_end|>", "parens") == [Named("", (1, 2, 3, 4))]
    assert named('{"bbox_2d": [1, 2),(3, 4)}', "qwen-json") == [Named("", (1, 2, 3, 4))]


def test_medmo_boxes_with_their_labels() -> None:
    said = "Fractures <box>[[156, 516, 231, 607], [240, 529, 296, 581]]</box>"
    assert named(said, "medmo") == [
        Named("Fractures", (156, 516, 231, 607)),
        Named("Fractures", (240, 529, 296, 581)),
    ]
    lines = "1. Mass: <box>[[1,2,3,4]]</box>, and Cyst <box>[5, 6, 7, 8]</box>\n- Nodule <box>[[9,9,10.5,11]]"
    assert named(lines, "medmo") == [
        Named("Mass", (1, 2, 3, 4)),
        Named("Cyst", (5, 6, 7, 8)),
        Named("Nodule", (9, 9, 10.5, 11)),
    ]


def test_medmo_reads_qwen_json_where_no_tag_is() -> None:
    assert named('[{"bbox_2d":[1,2,3,4],"label":"a"}]', "medmo") == [Named("a", (1, 2, 3, 4))]
    assert named("Cyst <box>none</box>", "medmo") == []
    assert named("Cyst <box>[[1,2,3]]</box>", "medmo") == []


def test_boxes_inside_a_report() -> None:
    said = """Lungs clear <bbox>{"Part":"right_lung","bbox":[1,2,3,4]}</bbox>, 'lung' with bbox [5, 6, 7, 8],
    heart bbox [9,10,11,12], <bbox>{"Part":"left_lung","bbox":"[13,14,15,16]"}</bbox>，"心脏" bbox［17，18，19，20］"""
    assert read_citrus_inline(said).named == [
        Named("right_lung", (1, 2, 3, 4)),
        Named("lung", (5, 6, 7, 8)),
        Named("heart", (9, 10, 11, 12)),
        Named("left_lung", (13, 14, 15, 16)),
        Named("心脏", (17, 18, 19, 20)),
    ]


@pytest.mark.parametrize(
    ("text", "dialect"),
    [
        ('<bbox>{"Part":"a","bbox":[1,2,3,4]}</bbox>', "citrus-inline"),
        ("<ref>a</ref><box>[[1,2,3,4]]</box>", "box999"),
        ("a <box>[[1,2,3,4]]</box>", "medmo"),
        ("<|box_start|>(1,2),(3,4)<|box_end|>", "parens"),
        ("(1,2),(3,4)", "parens"),
        ("{<1><2><3><4>}", "medmvl"),
        ('[{"bbox_2d": [1,2,3,4]}]', "qwen-json"),
        ("[0.1, 0.2, 0.3, 0.4]", "unit"),
        ("[0.1, 0.2, 0.3, 0.4, 0.5, 0.6]", "m3d"),
        ("The liver is [SEG].", "seg"),
        ("It lies at [12, 14, 50, 60].", "qwen-json"),
    ],
)
def test_the_form_of_a_text_tells_its_dialect(text: str, dialect: str) -> None:
    assert detect(text) == dialect
