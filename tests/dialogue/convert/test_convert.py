"""Foreign training data become samples with exact targets, go back unchanged, and every bad row is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from vesalius.dialogue.convert.contract import Options
from vesalius.dialogue.convert.convert import convert
from vesalius.dialogue.convert.spelled import unsaid
from vesalius.dialogue.convert.table import detect
from vesalius.dialogue.samples import Sample, read_samples
from vesalius.dialogue.saying import Saying, said
from vesalius.errors import InputError, OptionError
from vesalius.findings.dialects.frames import frame_of

SIZE = (640, 480)


def picture(path: Path, size: tuple[int, int] = SIZE) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", size).save(path)
    return str(path)


def rows(path: Path, values: Any) -> Path:
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(one) + "\n" for one in values), encoding="utf-8")
    else:
        path.write_text(json.dumps(values), encoding="utf-8")
    return path


def converted(source: Path, form: str, **options: Any) -> list[Sample]:
    """Convert with detection, check what was detected, and read what was written."""
    assert detect(source).name == form
    target = source.parent / "out" / "samples.jsonl"
    target.parent.mkdir(exist_ok=True)
    done = convert(source, target, options=Options(**options))
    assert (done.bad, done.written, done.source_format) == ([], True, form)
    found = list(read_samples(target))
    for one in found:
        for medium in one.media:
            assert (target.parent / medium.path).exists()
    return found


def back(source: Path, to: str, ending: str = ".json", **options: Any) -> list[dict[str, Any]]:
    """The samples that `converted` wrote, written as `to`."""
    target = source.parent / f"back{ending}"
    convert(source.parent / "out" / "samples.jsonl", target, target_format=to, options=Options(**options))
    text = target.read_text(encoding="utf-8")
    return json.loads(text) if ending == ".json" else [json.loads(line) for line in text.splitlines()]


TALK = [{"from": "human", "value": "<image>\nWhat is it?"}, {"from": "gpt", "value": "A cyst."}]


def test_llava_and_medmvl_go_there_and_back(tmp_path: Path) -> None:
    picture(tmp_path / "i/1.png")
    np.save(tmp_path / "v.npy", np.zeros((2, 3, 4), np.float32))
    source = rows(tmp_path / "train.json", [
        {"id": "a", "image": "i/1.png", "conversations": TALK, "task": "vqa"},
        {"id": 7, "image": ["i/1.png", "i/1.png"], "conversations": [
            {"from": "human", "value": "<image> and <image>: alike?"}, {"from": "gpt", "value": "Yes."}]},
        {"id": "v", "image3d": "v.npy", "conversations": [
            {"from": "human", "value": "<image3d>\nReport."}, {"from": "gpt", "value": "Clear."}]},
        {"id": "t", "conversations": [{"from": "human", "value": "What is 1 < 2 in a <table>?"},
                                      {"from": "gpt", "value": "True."}]},
    ])  # fmt: skip
    found = converted(source, "llava", modality="xray")
    assert [one.id for one in found] == ["a", "7", "v", "t"]
    assert found[0].turns[0].text == "<image>\nWhat is it?"
    assert (found[0].turns[1].text, found[0].tags.task, found[0].tags.modality) == ("A cyst.", "vqa", "xray")
    assert (found[2].media[0].kind, found[2].turns[0].text) == ("volume", "<volume>\nReport.")
    assert found[3].turns[0].text == "What is 1 < 2 in a < table>?"
    again = back(source, "llava")
    assert [one["conversations"] for one in again[:3]] == [
        one["conversations"] for one in json.loads(source.read_text())[:3]
    ]  # fmt: skip
    assert (again[0]["image"], again[1]["image"], again[2]["image3d"]) == ("i/1.png", ["i/1.png"] * 2, "v.npy")


def test_medmvl_braces_become_boxes_when_the_dialect_is_named(tmp_path: Path) -> None:
    picture(tmp_path / "1.png")
    turns = [TALK[0], {"from": "gpt", "value": "It is at {<10><20><50><100>}."}]
    source = rows(tmp_path / "train.jsonl", [{"id": "a", "image": "1.png", "conversations": turns}])
    assert converted(source, "llava")[0].turns[1].text.endswith("{<10><20><50><100>}.")
    (found,) = converted(source, "llava", dialect="medmvl")
    assert found.turns[1].text == "It is at <bbox>."
    assert found.turns[1].targets is not None
    assert found.turns[1].targets.boxes[0].box == (64.0, 96.0, 320.0, 480.0)
    assert back(source, "llava", dialect="medmvl")[0]["conversations"] == turns
    assert back(source, "llava", dialect="box1000")[0]["conversations"][1]["value"] == (
        "It is at <box>[[100, 200, 500, 1000]]</box>."
    )
    with pytest.raises(OptionError, match="--dialect"):
        back(source, "llava")


def test_hulumed_and_sharegpt(tmp_path: Path) -> None:
    picture(tmp_path / "1.png")
    hulu = rows(tmp_path / "hulu.jsonl", [
        {"image": ["1.png"], "conversations": [{"from": "gpt", "value": "Hello"}, *TALK]}, {"conversations": TALK[1:]},
    ])  # fmt: skip
    done = convert(hulu, tmp_path / "x.jsonl", source_format="hulumed", skip_bad=True)
    assert [(one.row, one.fix) for one in done.bad] == [(2, done.bad[0].fix)]
    assert any("before the first question" in note for note in done.notes)
    assert [turn.role for turn in next(iter(read_samples(tmp_path / "x.jsonl"))).turns] == ["user", "assistant"]
    share = rows(tmp_path / "share.json", [
        {"system": "Be brief.", "images": ["1.png"], "conversations": TALK}, {"images": [], "conversations": [
            {"from": "user", "value": "Hi"}, {"from": "assistant", "value": "Hello"}]},
    ])  # fmt: skip
    found = converted(share, "sharegpt")
    assert [turn.role for turn in found[0].turns] == ["system", "user", "assistant"]
    again = back(share, "sharegpt")
    assert (again[0]["system"], again[0]["conversations"], again[0]["images"]) == ("Be brief.", TALK, ["1.png"])


def test_medrega_regions_go_there_and_back_in_999ths(tmp_path: Path) -> None:
    picture(tmp_path / "1.png")
    turns = [
        {"from": "human", "value": "<image>\nWhat is <ref>this</ref><box>[[421, 351, 505, 470]]</box>?"},
        {"from": "gpt", "value": "<ref>cyst</ref><box>[[0, 0, 10, 20], [998, 3, 999, 999]]</box>: two cysts."},
    ]
    row = {"id": 1, "image": "1.png", "width": 640, "height": 480, "conversations": turns}
    source = rows(tmp_path / "train.json", [row])
    (found,) = converted(source, "medrega")
    assert found.turns[0].text == "<image>\nWhat is <ref-object><bbox>?"
    assert found.turns[1].text == "<ref-object><bbox><bbox>: two cysts."
    asked, told = found.turns[0].targets, found.turns[1].targets
    assert asked is not None
    assert told is not None
    assert asked.boxes[0].box == pytest.approx((421 / 999 * 640, 351 / 999 * 480, 505 / 999 * 640, 470 / 999 * 480))
    assert told.boxes[1].box[2:] == SIZE
    assert back(source, "medrega") == [{**row, "id": "1"}]
    picture(tmp_path / "1.png", (639, 480))
    done = convert(source, tmp_path / "y.jsonl")
    assert (done.written, done.bad[0].row) == (False, 1)
    assert "639 x 480" in done.bad[0].reason
    assert not (tmp_path / "y.jsonl").exists()


def test_ms_swift_objects_and_masks_go_there_and_back(tmp_path: Path) -> None:
    picture(tmp_path / "1.png")
    picture(tmp_path / "2.png", (100, 50))
    picture(tmp_path / "m.png", (100, 50))
    source = rows(tmp_path / "train.jsonl", [
        {"id": "a", "messages": [{"role": "user", "content": "<image><image>Where is the <ref-object>?"},
                                 {"role": "assistant", "content": "At <bbox>, beside <ref-object><bbox>."}],
         "images": ["1.png", "2.png"],
         "objects": {"ref": ["cyst", "rib"], "bbox": [[1, 2, 3.5, 4], [5, 6]], "image_id": [1, 0]}},
        {"id": "n", "messages": [{"role": "user", "content": "<image>?"}, {"role": "assistant", "content": "<bbox>"}],
         "images": ["1.png"], "objects": {"bbox": [[0.25, 0.5, 0.75, 1.0]], "bbox_type": "norm1"}},
        {"id": "m", "messages": [{"role": "user", "content": "<image>Outline it."},
                                 {"role": "assistant", "content": "Sure, it is [SEG]."}],
         "images": ["2.png"], "masks": ["m.png"]},
    ])  # fmt: skip
    first, second, third = converted(source, "ms-swift")
    assert first.turns[0].text == "<image><image>Where is the cyst?"
    assert first.turns[1].text == "At <bbox>, beside <ref-object><point>."
    assert first.turns[1].targets is not None
    assert (first.turns[1].targets.boxes[0].box, first.turns[1].targets.boxes[0].media) == ((1, 2, 3.5, 4), 1)
    assert first.turns[1].targets.boxes[0].label == "cyst"
    assert (first.turns[1].targets.points[0].point, first.turns[1].targets.points[0].label) == ((5, 6), "rib")
    assert second.turns[1].targets is not None
    assert second.turns[1].targets.boxes[0].box == (160, 240, 480, 480)
    assert third.turns[1].targets is not None
    assert third.turns[1].text == "Sure, it is <mask>."
    assert third.turns[1].targets.masks[0].path == "../m.png"
    again = back(source, "ms-swift", ".jsonl")
    assert again[0]["objects"]["bbox"] == [[1, 2, 3.5, 4], [5, 6]]
    assert again[0]["objects"]["image_id"] == [1, 0]
    assert again[0]["messages"][1]["content"] == "At <bbox>, beside <ref-object><bbox>."
    assert (again[1]["objects"]["bbox"], again[2]["masks"]) == ([[160, 240, 480, 480]], ["m.png"])
    assert again[2]["messages"][1]["content"] == "Sure, it is [SEG]."


def test_point_detect_count_answers_are_said_again_as_published(tmp_path: Path) -> None:
    picture(tmp_path / "1.png")
    answers = {
        "pointing": '[{"point_2d": [10.5, 20.0], "label": "polyp"}, {"point_2d": [30.0, 40.0], "label": "polyp"}]',
        "counting": '{"counts": 2, "label": "polyp"}',
        "count_and_box": '{"counts": 1, "bbox_2d": [[1.0, 2.0, 30.5, 40.0]], "label": "polyp"}',
        "bounding": "[]",
    }
    ask = 'Do it. Must output in this json format:```json\n[{"point_2d": [1, 2]}]\n```'
    source = rows(tmp_path / "train.jsonl", [
        {"messages": [{"role": "user", "content": f"<image>{ask}", "task": task},
                      {"role": "assistant", "content": f"```json\n{said_}\n```"}], "images": ["1.png"]}
        for task, said_ in answers.items()
    ])  # fmt: skip
    found = converted(source, "pointdetectcount")
    assert [one.tags.task for one in found] == list(answers)
    assert all(one.turns[0].text == f"<image>{ask}" for one in found)
    for one, answer in zip(found, answers.values(), strict=True):
        written = said(one.turns[1], Saying("qwen-json", "abs_original"), lambda _: SIZE)
        told, wanted = json.loads(written[7:-3]), json.loads(answer)
        flat = [value for value in _numbers(told)], [value for value in _numbers(wanted)]
        assert len(flat[0]) == len(flat[1])
        assert np.allclose(*flat, atol=0.5), "whole pixels, half a pixel away at most"
    assert found[0].turns[1].targets is not None
    assert found[0].turns[1].targets.points[0].point == (10.5, 20.0)


def _numbers(value: Any) -> list[float]:
    if isinstance(value, dict):
        return [number for key in sorted(value) for number in _numbers(value[key])]
    if isinstance(value, list):
        return [number for one in value for number in _numbers(one)]
    return [value] if isinstance(value, int | float) else []


def test_medmultipoints_tables_become_five_samples(tmp_path: Path) -> None:
    picture(tmp_path / "1.png")
    source = rows(tmp_path / "t.jsonl", [
        {"image": "1.png", "img_size": [640, 480], "points": [[5, 6]], "bbox": [[1, 2, 9, 10]], "count": 1,
         "label": "polyps", "organ": "colon"},
    ])  # fmt: skip
    found = converted(source, "pointdetectcount")
    assert [one.tags.task for one in found] == ["pointing", "bounding", "counting", "cnt_and_point", "count_and_box"]
    assert all("polyp" in one.turns[0].text and one.tags.area == "colon" for one in found)


def test_medsg_boxes_lie_in_the_picture_that_is_named(tmp_path: Path) -> None:
    for k in (1, 2, 3):
        picture(tmp_path / f"{k}.png", (336, 336))
    images = ["1.png", "2.png", "3.png"]
    answer = "It's in the third image. <|box_start|>(92,150),(164,224)<|box_end|>"
    ask = "<image><image><image>Where is (10,20),(30,40) of the first image?"
    source = rows(tmp_path / "train.json", [
        {"id": "p", "messages": [{"role": "user", "content": ask}, {"role": "assistant", "content": answer}],
         "images": images},
        {"id": "q", "task": "referring", "question": "Find it. Output only the coordinates. Format: x", "images": images,
         "answer": [1, 2, 3, 4], "additional_info": "the second image"},
    ])  # fmt: skip
    first, second = converted(source, "medsg")
    assert first.turns[1].text == "It's in the third image. <bbox>"
    assert first.turns[1].targets is not None
    assert first.turns[0].targets is not None
    assert (first.turns[1].targets.boxes[0].media, first.turns[1].targets.boxes[0].box) == (2, (92, 150, 164, 224))
    assert (first.turns[0].targets.boxes[0].media, first.turns[0].targets.boxes[0].box) == (0, (10, 20, 30, 40))
    assert second.turns[0].text == "Find it."
    assert second.turns[1].text == "It's in the second image. <bbox>"
    told = said(first.turns[1], Saying("parens", "abs_original"), lambda _: (336, 336))
    assert told == answer


def test_coco_boxes_and_masks_go_there_and_back(tmp_path: Path) -> None:
    pytest.importorskip("pycocotools")
    picture(tmp_path / "1.png", (20, 10))
    picture(tmp_path / "2.png", (20, 10))
    rle = {"size": [10, 20], "counts": [5, 3, 192]}
    annotations = [
        {"id": 1, "image_id": 5, "category_id": 3, "bbox": [1.5, 2, 3, 4.25]},
        {"id": 2, "image_id": 5, "category_id": 3, "bbox": [0, 0, 20, 10]},
        {"id": 3, "image_id": 5, "category_id": 4, "segmentation": rle},
        {"id": 4, "image_id": 5, "category_id": 4, "segmentation": [[2, 2, 6, 2, 6, 5, 2, 5]]},
    ]
    images = [
        {"id": 5, "file_name": "1.png", "width": 20, "height": 10},
        {"id": 6, "file_name": "2.png", "width": 20, "height": 10},
    ]
    names = [{"id": 3, "name": "cyst"}, {"id": 4, "name": "rib"}]
    source = rows(tmp_path / "instances.json", {"images": images, "annotations": annotations, "categories": names})
    cyst, rib = converted(source, "coco")
    assert cyst.turns[1].targets is not None
    assert rib.turns[1].targets is not None
    assert (cyst.turns[0].text, cyst.turns[1].text) == ("Where is cyst?", "")
    assert [one.box for one in cyst.turns[1].targets.boxes] == [(1.5, 2, 4.5, 6.25), (0, 0, 20, 10)]
    assert (rib.turns[1].text, rib.turns[0].text) == ("<ref-object><mask><mask>", "Outline rib.")
    masks = rib.turns[1].targets.masks
    assert masks[0].rle is not None
    assert masks[1].rle is not None
    assert masks[0].rle.counts == [5, 3, 192]
    assert sum(masks[1].rle.counts[1::2]) == 12
    target = tmp_path / "again.json"
    convert(tmp_path / "out/samples.jsonl", target, target_format="coco")
    again = json.loads(target.read_text())
    assert [one["bbox"] for one in again["annotations"] if "bbox" in one] == [[1.5, 2, 3, 4.25], [0, 0, 20, 10]]
    assert again["annotations"][2]["segmentation"] == rle
    assert [one["name"] for one in again["categories"]] == ["cyst", "rib"]


def test_yolo_boxes_go_there_and_back(tmp_path: Path) -> None:
    data = tmp_path / "yolo"
    picture(data / "images/train/1.png", (200, 100))
    (data / "labels/train").mkdir(parents=True)
    (data / "labels/train/1.txt").write_text("0 0.5 0.5 1.0 1.0\n1 0.25 0.5 0.1 0.2\n")
    (data / "data.yaml").write_text("names: [cyst, rib]\n")
    cyst, rib = converted(data, "yolo")
    assert cyst.turns[1].targets is not None
    assert rib.turns[1].targets is not None
    assert cyst.turns[1].targets.boxes[0].box == (0, 0, 200, 100)
    assert rib.turns[1].targets.boxes[0].box == pytest.approx((40, 40, 60, 60))
    convert(tmp_path / "out/samples.jsonl", tmp_path / "again", target_format="yolo")
    assert (tmp_path / "again/classes.txt").read_text().split() == ["cyst", "rib"]
    written = [list(map(float, line.split())) for line in (tmp_path / "again/labels/1.txt").read_text().splitlines()]
    assert np.allclose(written, [[0, 0.5, 0.5, 1, 1], [1, 0.25, 0.5, 0.1, 0.2]])
    (data / "labels/train/1.txt").write_text("7 0.5 0.5 1.0 1.0\n")
    assert "class 7 has no name" in convert(data, tmp_path / "z.jsonl").bad[0].reason


def test_mask_folders_with_values_or_a_folder_per_label(tmp_path: Path) -> None:
    data = tmp_path / "set"
    for name in ("1", "2"):
        picture(data / f"images/{name}.png", (8, 6))
    mask = np.zeros((6, 8), np.uint8)
    mask[1:3, 2:5], mask[4, 7] = 1, 9
    (data / "masks").mkdir()
    Image.fromarray(mask).save(data / "masks/1.png")
    (data / "masks/rib").mkdir()
    Image.fromarray((mask > 0).astype(np.uint8) * 255).save(data / "masks/rib/2.png")
    assert "value 1 of a mask has no name" in convert(data, tmp_path / "z.jsonl").bad[0].reason
    cyst, bone, rib = converted(data, "masks", labels={1: "cyst", 9: "bone"})
    for one, value, box in ((cyst, 1, (2, 1, 5, 3)), (bone, 9, (7, 4, 8, 5)), (rib, None, (2, 1, 8, 5))):
        targets = one.turns[1].targets
        assert targets is not None
        assert (targets.masks[0].value, targets.boxes[0].box) == (value, box)
    Image.fromarray(mask[:3]).save(data / "masks/1.png")
    assert "(3, 8)" in convert(data, tmp_path / "z.jsonl", options=Options(labels={1: "a", 9: "b"})).bad[0].reason


def test_csv_and_class_folders(tmp_path: Path) -> None:
    for name in ("cyst/1", "cyst/2", "rib/1"):
        picture(tmp_path / f"set/{name}.png", (4, 4))
    found = converted(tmp_path / "set", "folders")
    assert [(one.id, one.turns[1].text) for one in found] == [("cyst/1", "cyst"), ("cyst/2", "cyst"), ("rib/1", "rib")]
    assert found[0].turns[0].text == "Which category does this image belong to: cyst, rib?"
    table = tmp_path / "table.csv"
    table.write_text("file,diagnosis,patient_id\nset/cyst/1.png,0,p1\nset/rib/1.png,1,p2\nset/none.png,1,p2\n,1,p3\n")
    done = convert(table, tmp_path / "c.jsonl", options=Options(labels={0: "cyst", 1: "rib"}), skip_bad=True)
    assert [(one.row, one.kind) for one in done.bad] == [(3, "media"), (4, "media")]
    first, second = read_samples(tmp_path / "c.jsonl")
    assert (first.patient, second.patient, second.turns[1].text) == ("p1", "p2", "rib")
    table.write_text("where,what\nset/cyst/1.png,a\n")
    with pytest.raises(OptionError, match="--column path=NAME"):
        convert(table, tmp_path / "d.jsonl")
    convert(table, tmp_path / "d.jsonl", options=Options(columns={"path": "where", "label": "what"}))


BAD: list[tuple[dict[str, Any], str]] = [
    ({"messages": []}, "no turns"),
    ({"messages": [{"role": "owl", "content": "x"}]}, "unknown role"),
    ({"messages": [{"role": "user", "content": 3}]}, "no text"),
    ({"messages": [{"role": "user", "content": "x"}]}, "no assistant turn"),
    ({"images": ["none.png"]}, "not there"),
    ({"messages": [{"role": "user", "content": "<image><image>x"}, {"role": "assistant", "content": "y"}]},
     "2 <image> but 1 image"),
    ({"objects": {"bbox": [[1, 2, 3, 4]]}}, "without <bbox>"),
    ({"objects": {"ref": ["a"], "bbox": []}, "messages": [{"role": "user", "content": "x"},
                                                           {"role": "assistant", "content": "<bbox>"}]}, "more <bbox>"),
    ({"objects": {"bbox": [[1, 2, 999, 4]]}, "messages": [{"role": "user", "content": "x"},
                                                           {"role": "assistant", "content": "<bbox>"}]}, "outside"),
    ({"objects": {"bbox": [[9, 2, 3, 4]]}, "messages": [{"role": "user", "content": "x"},
                                                         {"role": "assistant", "content": "<bbox>"}]}, "reversed"),
    ({"audios": ["a.wav"]}, "audios"),
]  # fmt: skip


def test_every_bad_row_is_told_by_its_number_and_nothing_is_written(tmp_path: Path) -> None:
    picture(tmp_path / "1.png")
    good = {"images": ["1.png"], "messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}]}
    source = tmp_path / "train.jsonl"
    lines = [json.dumps(good), *[json.dumps({**good, **change}) for change, _ in BAD], "{broken", json.dumps(good)]
    source.write_text("\n".join(lines) + "\n")
    done = convert(source, tmp_path / "out.jsonl")
    assert [one.row for one in done.bad] == list(range(2, 3 + len(BAD)))
    for one, (_, says) in zip(done.bad, BAD, strict=False):
        assert says in one.reason
        assert one.fix
    assert not done.written
    assert not (tmp_path / "out.jsonl").exists()
    kept = convert(source, tmp_path / "out.jsonl", skip_bad=True)
    assert (kept.samples, kept.rows) == (2, len(lines))
    assert len(list(read_samples(tmp_path / "out.jsonl"))) == 2


def test_empty_and_foreign_sources_are_one_error(tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").write_text("")
    (tmp_path / "other.json").write_text('{"a": 1}')
    for name, says in (("empty.jsonl", "no rows"), ("other.json", "in no format"), ("none.json", "does not exist")):
        with pytest.raises(InputError, match=says):
            convert(tmp_path / name, tmp_path / "out.jsonl")
    with pytest.raises(OptionError, match="ms-swift"):
        convert(tmp_path / "other.json", tmp_path / "out.jsonl", source_format="ms_swift")
    with pytest.raises(OptionError, match="is read, not written"):
        convert(tmp_path / "other.json", tmp_path / "out.jsonl", source_format="llava", target_format="medsg")


SPELT = {"parens": "norm1000", "box999": "norm999", "box1000": "norm1000", "medmo": "norm1000", "medmvl": "norm100",
         "qwen-json": "abs_original", "unit": "norm1"}  # fmt: skip


@given(dialect=st.sampled_from(sorted(SPELT)), width=st.integers(120, 3000), height=st.integers(120, 3000),
       data=st.data())  # fmt: skip
@settings(max_examples=80, deadline=None)
def test_what_is_said_is_unsaid_to_half_a_step(dialect: str, width: int, height: int, data: st.DataObject) -> None:
    from vesalius.dialogue.samples import BoxTarget, Targets, Turn

    boxes: list[BoxTarget] = []
    for _ in range(data.draw(st.integers(1, 3))):
        x0, y0 = data.draw(st.floats(0, width * 0.6)), data.draw(st.floats(0, height * 0.6))
        x1 = x0 + data.draw(st.floats(width * 0.1, width * 0.4))
        y1 = y0 + data.draw(st.floats(height * 0.1, height * 0.4))
        boxes.append(BoxTarget(label="cyst", box=(x0, y0, min(x1, float(width)), min(y1, float(height)))))
    text = " and ".join(["<ref-object><bbox>"] * len(boxes)) + "."
    turn = Turn(role="assistant", text=text, targets=Targets(boxes=tuple(boxes)))
    coord = SPELT[dialect]
    spoken = said(turn, Saying(dialect, coord), lambda _: (width, height))
    frame = frame_of(coord, (width, height))
    found = unsaid(spoken, dialect, lambda _: (0, frame))
    assert len(found.boxes) == len(boxes)
    for one, wanted in zip(found.boxes, boxes, strict=True):
        for k in range(4):
            step = frame.step * frame.scales[k % 2]
            assert abs(one.box[k] - wanted.box[k]) <= step / 2 + 1e-6
    again = Turn(role="assistant", text=found.text, targets=Targets(boxes=tuple(found.boxes)))
    assert said(again, Saying(dialect, coord), lambda _: (width, height)) == spoken
