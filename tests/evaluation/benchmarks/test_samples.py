"""People's own samples as a benchmark: what each row asks, right answers score 1, bad rows are told by number."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.evaluation.runs import Quick
from vesalius.dialogue import samples as schema
from vesalius.errors import InputError
from vesalius.evaluation.benchmarks import benchmark
from vesalius.evaluation.contract import Sample
from vesalius.evaluation.passes import passes_of
from vesalius.evaluation.predict import predict
from vesalius.evaluation.prediction import Prediction
from vesalius.evaluation.profiles import profile_named
from vesalius.evaluation.score import score_run
from vesalius.evaluation.scoring.item import ItemScore
from vesalius.evaluation.scoring.items import score_items
from vesalius.findings.masks import encode_rle

SAMPLES = benchmark("samples")
ROW: dict[str, Any] = {"id": "a", "media": [{"kind": "image", "path": "p.png"}]}
BOX = {"label": "nodule", "box": [2, 3, 12, 13]}


def write(folder: Path, *rows: Mapping[str, Any]) -> Path:
    Image.fromarray(np.zeros((20, 40), np.uint8)).save(folder / "p.png")
    path = folder / "own.jsonl"
    path.write_text("".join(json.dumps(ROW | dict(row), ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def asked(question: str, reply: str, task: str = "unknown", lang: str = "en", **targets: Any) -> dict[str, Any]:
    turn: dict[str, Any] = {"role": "assistant", "text": reply, **({"targets": targets} if targets else {})}
    return {"turns": [{"role": "user", "text": question}, turn], "tags": {"task": task}, "lang": lang}


def read(path: Path) -> list[Sample]:
    return list(SAMPLES.read(path, "all"))


def scored(sample: Sample, raw: str, *findings: Mapping[str, Any]) -> ItemScore:
    return score_items([(sample, Prediction(sample.id, raw=raw, findings=findings))], SAMPLES, profile_named("strict"))[
        0
    ]


@pytest.mark.parametrize(
    ("row", "kind", "gold"),
    [
        (asked("Is it big?", "Yes, it is.", answer="yes"), "yesno", "yes"),
        (asked("Is it big?", "No."), "yesno", "no"),
        (asked("Which?\nA. a cyst\nB. a stone", "B. a stone"), "mcq", "B"),
        (asked("Which?\nA. a cyst\nB. a stone", "It is a stone.", answer="a stone"), "mcq", "B"),
        (asked("What is it?", "This is an MRI.", "modality", answer="mr"), "closed", "mr"),
        (asked("What is it?", "This is an MRI.", "modality"), "closed", "mr"),
        (asked("怎么看？", "这是磁共振。", "modality", "zh"), "closed", "mr"),
        (asked("What is it?", "liver"), "closed", "liver"),
        (asked("What is it?", "A stone in the left kidney, which is enlarged."), "open",
         "A stone in the left kidney, which is enlarged."),
        (asked("How many?", "There are 3 nodules [1] [2]."), "closed", "There are 3 nodules."),
        (asked("How many?", "There are 3 nodules [1] [2].", "count"), "count", 3),
        (asked("How many?", "", counts=[{"label": "nodule", "count": 2}]), "count", 2),
        (asked("Where?", "Here: <bbox>.", boxes=[BOX]), "box", [[2, 3, 12, 13]]),
        (asked("Where?", "", boxes=[BOX]), "box", [[2, 3, 12, 13]]),
        (asked("Where?", "No nodule is seen.", "box"), "box", []),
        (asked("Where?", "Here: <point>.", points=[{"label": "nodule", "point": [4, 5]}]), "point", [[4, 5]]),
        (asked("How big?", "It measures 12 mm [1].", sizes=[{"label": "nodule", "size_mm": 12.0}]), "measure", [12.0]),
        (asked("Side?", "On the left [1].", "side", sides=[{"label": "nodule", "side": "left"}]), "closed", "left"),
        (asked("Side?", "No nodule is seen.", "side"), "closed", "absent"),
        (asked("How old?", "This cannot be told from the picture."), "closed", "declined"),
        (asked("Changed?", "The nodule is new [2].", "change", changes=[{"label": "nodule", "change": "new"}]),
         "change", [("nodule", "new")]),
        (asked("Changed?", "Nothing has changed.", "change"), "change", []),
        (asked("Report.", "Findings: Nodule on the left. Impression: Nodule.", "report"), "report",
         "Findings: Nodule on the left. Impression: Nodule."),
        (asked("Report.", "Findings: Nodule on the left. Impression: Nodule."), "report",
         "Findings: Nodule on the left. Impression: Nodule."),
    ],
)  # fmt: skip
def test_a_row_is_scored_by_its_task_else_by_what_its_answer_holds(
    tmp_path: Path, row: dict[str, Any], kind: str, gold: Any
) -> None:
    (sample,) = read(write(tmp_path, row))
    assert (sample.kind, sample.gold) == (kind, gold)
    if kind not in ("box", "point", "count"):
        best = max(scored(sample, row["turns"][1]["text"]).scores.values())
        assert best == 1.0


def test_the_findings_of_the_model_are_scored_where_it_returned_any(tmp_path: Path) -> None:
    rows = [
        asked("Where?", "Here: <bbox>.", boxes=[BOX]) | {"id": "b"},
        asked("Where?", "At <point>.", points=[{"label": "nodule", "point": [4, 5]}]) | {"id": "p"},
        asked("How big?", "It is 12 mm.", sizes=[{"label": "nodule", "size_mm": 12.0}]) | {"id": "s"},
        asked("How many?", "There are 2.", "count") | {"id": "c"},
    ]
    box, point, size, count = read(write(tmp_path, *rows))

    def found(kind: str, **more: Any) -> dict[str, Any]:
        return {"kind": kind, "label": "nodule", "where": {"item": 0}, **more}

    there = found("box", pixels={"box": [2.0, 3.0, 12.0, 13.0]})
    assert scored(box, "It is here: [1].", there).scores["iou"] == 1.0
    two = scored(box, "Here: [1] [2].", there, found("box", pixels={"box": [20.0, 3.0, 30.0, 13.0]}))
    assert two.ratios["iou (per true box)"] == (1.0, 1.0)
    elsewhere = {**there, "where": {"item": 1}}
    assert scored(box, "It is here: [1].", elsewhere).scores["iou"] == 0.0
    assert scored(box, '[{"bbox_2d": [2, 3, 12, 13], "label": "nodule"}]').scores["iou"] > 0
    # 5 % of 40 pixels is a radius of 2.
    near = found("point", pixels={"point": [5.5, 5.0]})
    assert scored(point, "There [1].", near).ratios["point_recall"] == (1.0, 1.0)
    far = found("point", pixels={"point": [6.5, 5.0]})
    assert scored(point, "There [1].", far).ratios["point_recall"] == (0.0, 1.0)
    assert scored(size, "They measure [1].", found("measurement", value=13.5, unit="mm")).scores["within_15"] == 1.0
    assert scored(size, "It measures 1.4 cm [3].").scores["within_15"] == 0.0
    assert scored(size, "It measures 1.3 cm [3].").scores["within_10"] == 1.0
    assert scored(size, "大小为 12.5 毫米。").scores["within_10"] == 1.0
    assert scored(count, "There are 2 [1] [3].").scores["count_exact"] == 1.0
    assert scored(count, "Here they are [1].", there, there).scores["count_exact"] == 1.0
    assert scored(count, "No nodule is seen.").ratios["count_mae"] == (2.0, 1.0)


def test_masks_and_changes_and_reports_score_by_share(tmp_path: Path) -> None:
    inside = np.zeros((20, 40), bool)
    inside[3:13, 2:12] = True
    Image.fromarray(inside.astype(np.uint8) * 7).save(tmp_path / "m.png")
    changes = [{"label": "nodule", "change": "new"}, {"label": "cyst", "change": "grown"}]
    rows = [
        asked("Outline it.", "<mask>", masks=[{"label": "nodule", "path": "m.png", "value": 7}]) | {"id": "m"},
        asked("Changed?", "The nodule is new. The cyst has grown.", "change", changes=changes) | {"id": "c"},
        asked("Report.", "Nodule on the left.", "report") | {"id": "r"},
    ]
    mask, change, report = read(write(tmp_path, *rows))
    half = inside.copy()
    half[8:] = False
    said = {"kind": "mask", "label": "nodule", "where": {"item": 0}, "pixels": {"rle": encode_rle(half)}}
    assert scored(mask, "Outlined [1].", said).scores["dice"] == pytest.approx(2 / 3)
    assert scored(change, "The nodule is new [2].").scores["change_f1"] == pytest.approx(2 / 3)
    assert scored(change, "Nothing has changed.").scores["change_f1"] == 0.0
    assert scored(report, "Nodule on the right.").scores["finding_f1"] == 0.0
    assert scored(report, "Nodule on the left. Cyst on the right.").scores["finding_f1"] == pytest.approx(2 / 3)
    assert scored(report, "").scores["finding_f1"] == 0.0


def test_each_question_of_a_conversation_is_an_item_with_the_right_answers_before_it(tmp_path: Path) -> None:
    turns = [
        {"role": "system", "text": "Be brief."},
        {"role": "user", "text": "<image>\nWhere is it?"},
        {"role": "assistant", "text": "", "targets": {"boxes": [BOX]}},
        {"role": "user", "text": "What is at <bbox>?", "targets": {"boxes": [BOX]}},
        {"role": "assistant", "text": "A nodule."},
    ]
    row = {"turns": turns, "patient": "7", "tags": {"modality": "ct", "area": "chest"}}
    first, second = read(write(tmp_path, row))
    assert (first.id, second.id) == ("a", "a#2")
    assert (first.prompt, second.prompt) == ("Where is it?", "What is at [2, 3, 12, 13]?")
    assert [turn["role"] for turn in first.earlier] == ["system"]
    assert [turn["role"] for turn in second.earlier] == ["system", "user", "assistant"]
    assert '"bbox_2d": [2, 3, 12, 13]' in second.earlier[2]["content"]
    assert first.cluster == second.cluster == "7"
    assert first.tags == {"modality": "ct", "area": "chest"}
    parts = second.conversation()[-1]["content"]
    assert [part["type"] for part in parts] == ["image", "text"]


def test_pictures_stand_where_the_marks_are_and_keep_their_spacing(tmp_path: Path) -> None:
    media = [{"kind": "image", "path": "p.png", "meta": {"spacing_mm": 0.5, "plane": "axial"}}] * 2
    row = asked("Before: <image> and after: <image>\nWhat has changed?", "Nothing has changed.", "change")
    (sample,) = read(write(tmp_path, row | {"media": media}))
    assert sample.prompt == "What has changed?"
    assert [medium.label for medium in sample.media] == ["Before: ", "and after: "]
    assert sample.media[0].options == {"spacing_mm": 0.5}


def test_every_task_of_a_mixed_file_has_its_line(tmp_path: Path) -> None:
    rows = [
        asked("Is it?", "Yes.", "present", answer="yes") | {"id": "y"},
        asked("Where?", "Here: <bbox>.", "box", boxes=[BOX]) | {"id": "b"},
        asked("How many?", "There are 2.", "count") | {"id": "c"},
    ]
    run = predict("samples", write(tmp_path, *rows), Quick(), tmp_path / "run")
    lines = str(score_run(run.path)).splitlines()
    shown = [line.split()[:2] for line in lines if line.startswith("task=")]
    assert shown == [["task=box", "iou"], ["task=count", "count_exact"], ["task=present", "accuracy"]]


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ({"turns": [{"role": "assistant", "text": "Hm."}]}, "row 2: there is no question"),
        (asked("What is at <bbox>?", "A cyst."), "row 2: turn 0: 1 <bbox> but 0 boxes"),
        (asked("Where?", "", boxes=[BOX | {"box": [5, 5, 1, 1]}]), "row 2: turns.1.targets.boxes.0"),
        (asked("What?", "A cyst.") | {"media": [{"kind": "table", "path": "t.csv"}]}, "row 2: media 0 is a table"),
        (asked("What?", "A cyst.") | {"id": "a"}, "row 2: its id stands in an earlier row"),
        (asked("Where?", "", boxes=[BOX]) | {"media": [{"kind": "image", "path": "gone.png"}]}, "row 2: .*gone.png"),
    ],
)
def test_a_bad_row_is_told_by_its_number(tmp_path: Path, row: dict[str, Any], told: str) -> None:
    path = write(tmp_path, asked("What is it?", "liver"), {"id": "b", **row})
    with pytest.raises(InputError, match=told):
        read(path)


def told_findings(row: schema.Sample, folder: Path) -> Iterator[dict[str, Any]]:
    targets = row.turns[1].targets
    for kind in ("box", "point"):
        for one in getattr(targets, {"box": "boxes", "point": "points"}[kind]) if targets else ():
            where = {"item": one.media}
            yield {"kind": kind, "label": one.label, "where": where, "pixels": {kind: list(getattr(one, kind))}}
    for one in targets.sizes if targets else ():
        yield {"kind": "measurement", "name": "longest diameter", "value": one.size_mm, "unit": "mm"}
    for one in targets.masks if targets else ():
        inside = np.asarray(Image.open(folder / str(one.path))) == one.value
        yield {"kind": "mask", "label": one.label, "where": {"item": one.media}, "pixels": {"rle": encode_rle(inside)}}


LEADING = ("accuracy", "iou", "count_exact", "dice", "within_10", "change_f1", "finding_f1", "point_image_f1")


def test_the_twins_own_answers_are_right_and_those_of_others_are_not(tmp_path: Path) -> None:
    SAMPLES.twin(tmp_path, 90, 5)
    items = read(tmp_path)
    assert len(items) == 90
    assert {item.lang for item in items} == {"en", "zh", "ar"}
    rows = {row.id: row for row in schema.read_samples(tmp_path)}
    said = [
        Prediction(one.id, raw=rows[one.id].turns[1].text, findings=tuple(told_findings(rows[one.id], tmp_path)))
        for one in items
    ]
    right = score_items(list(zip(items, said, strict=True)), SAMPLES, profile_named("strict"))
    for item, score in zip(items, right, strict=True):
        led = next(score.scores[name] for name in LEADING if name in score.scores)
        assert led == 1.0, (item.prompt, score)
    moved = [replace(one, id=item.id) for one, item in zip(said[1:] + said[:1], items, strict=True)]
    wrong = score_items(list(zip(items, moved, strict=True)), SAMPLES, profile_named("strict"))
    led = [next(one.scores[name] for name in LEADING if name in one.scores) for one in wrong]
    assert np.mean(led) < 0.5


def test_a_file_is_evaluated_with_blank_pictures_on_the_first_items_only(tmp_path: Path) -> None:
    rows = [asked(f"Is it {k}?", "Yes.", "present", answer="yes") | {"id": f"q{k}"} for k in range(6)]
    path = write(tmp_path, *rows)
    passes = passes_of(["blank", "none"], ablation_limit=4)
    run = predict("samples", path, Quick(), tmp_path / "run", passes=passes, batch=3)
    assert [len(run.complete_predictions(one.name)) for one in passes] == [6, 4, 4]
    assert [one.limit for one in run.passes()] == [None, 4, 4]
    again = Quick()
    predict("samples", path, again, tmp_path / "run", passes=passes, batch=3)
    assert again.asked == []
    summary = score_run(run.path)
    assert summary.overall.n == 6
    assert "images: blank" in str(summary)
    blank = summary.passes[0]
    assert blank.figure.n == 4
    table = blank.table("all")
    assert table is not None
    assert table.n == 4


def test_the_command_takes_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    import vesalius.inference.model as loading
    from vesalius.cli.main import main
    from vesalius.inference import identity

    monkeypatch.setattr(loading, "load", lambda *a, **k: type("Silent", (Quick,), {"notice": ""})())
    monkeypatch.setattr(identity, "identify", lambda place, name: identity.Identity(name, name))
    path = write(tmp_path, asked("Is it big?", "Yes.", answer="yes"))
    more = ["--image-ablation", "blank", "--ablation-limit", "1"]
    assert main(["evaluate", "samples", "--data", str(path), "--out", str(tmp_path / "run"), *more]) == 0
    assert "Samples of your own (all)" in capsys.readouterr().out
    missing = tmp_path / "none.jsonl"
    assert main(["evaluate", "samples", "--data", str(missing), "--out", str(tmp_path / "run")]) == 2
    assert "there is no such folder" in capsys.readouterr().err
