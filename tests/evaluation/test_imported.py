"""Prediction files of other projects scored as runs, and figures under their published names."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from vesalius.cli.main import main
from vesalius.errors import InputError, OptionError
from vesalius.evaluation.imported import import_run
from vesalius.evaluation.score import score_run as score

SHARED = Path(__file__).parents[3] / "shared" / "data"


def score_run(path: Path, *rest: Any, **more: Any) -> Any:
    return score(path, *rest, **more)


def write(path: Path, rows: Any, *, lines: bool = False) -> Path:
    path.write_text("\n".join(json.dumps(row) for row in rows) if lines else json.dumps(rows), encoding="utf-8")
    return path


def fenced(found: Any) -> str:
    return f"```json\n{json.dumps(found)}\n```"


MEDSG = [
    [[0, 0, 10, 10], "[0, 0, 10, 10]", 1.0],
    [[0, 0, 10, 10], "(0,0),(10,5)", 0.5],
    [[0, 0, 10, 10], "there is none", 0.0],
    [[20, 20, 30, 30], "[30, 30, 20, 20]", 0.0],
]
PDC = [
    {"response": fenced([{"point_2d": [3, 3]}]), "labels": fenced([{"point_2d": [3, 4], "label": "cell"}])},
    {"response": fenced([{"bbox_2d": [0, 0, 9, 9]}]), "labels": fenced([{"bbox_2d": [0, 0, 9, 9], "label": "polyp"}])},
    {"response": fenced({"counts": 4, "label": "cell"}), "labels": fenced({"counts": 6, "label": "cell"})},
    {"response": '```json\n{"count": 2, "point_2d": [[5000,6],[7,8], "label": "cell"}\n```',
     "labels": fenced({"counts": 2, "point_2d": [[5000, 6], [7, 8]], "label": "cell"}),
     "messages": [{"role": "user", "content": "<image> Count."}], "images": [{"path": "a.png"}]},
]  # fmt: skip


@pytest.mark.parametrize("form", ["columns", "rows with totals"])
def test_medsg_answers_score_as_published_in_both_layouts(tmp_path, form) -> None:
    if form == "columns":
        given: Any = {"task": "referring", "columns": ["groundtruth_xyxy_px", "answer", "stored_iou"], "rows": MEDSG}
    else:
        given = [{"task": "referring", "question": "Where?", "answer": a, "groundtruth": g} for g, a, _ in MEDSG]
        given.append({"referring": {"TOTAL": 4}})
    run = import_run(write(tmp_path / "answers.json", given), "medsg", tmp_path / "run", "some model")
    summary = score_run(run, "published", resamples=20)
    assert (summary.n, summary.profile, summary.model) == (4, "medsg", "some model")
    assert summary.extra["MedSG-Bench"] == {
        "AVE_IOU %": 37.5, "IOU@.7 %": 25.0, "IOU@.5 %": 50.0, "IOU@.3 %": 50.0, "items": 4, "unparsed": 1,
    }  # fmt: skip
    moved = run.rename(tmp_path / "elsewhere")
    assert score_run(moved, "published", resamples=20) == summary


def test_tasks_of_one_file_have_their_own_figures(tmp_path) -> None:
    rows = [{"task": t, "answer": "[0,0,4,4]", "groundtruth": [0, 0, 4, h]} for t, h in (("patch", 4), ("concept", 8))]
    summary = score_run(import_run(write(tmp_path / "a.json", rows), "medsg", tmp_path / "run"), "medsg", resamples=20)
    found = {name: told["AVE_IOU %"] for name, told in summary.extra.items()}
    assert found == {"MedSG-Bench": 75.0, "MedSG-Bench concept": 50.0, "MedSG-Bench patch": 100.0}


def test_counted_and_pointed_answers_score_by_task_read_as_published_and_mended(tmp_path) -> None:
    run = import_run(write(tmp_path / "a.jsonl", PDC, lines=True), "pdc", tmp_path / "run")
    summary = score_run(run, "published", resamples=20)
    told = summary.extra
    assert told["pointing"]["PointMAE"] == 1
    assert (told["counting"]["MAE"], told["counting"]["MSE"], told["counting"]["exact"]) == (2, 4, 0)
    assert (told["bounding"]["IoU"], told["bounding"]["one-to-one F1"]) == (1, 1)
    # A missing bracket: a count of 0 and a zero case as published, all right once mended, nothing clipped.
    assert (told["cnt_and_point"]["MAE"], told["cnt_and_point"]["zero cases"]) == (2, 1)
    mended = told["cnt_and_point (tolerant)"]
    assert (mended["MAE"], mended["zero cases"], mended["one-to-one F1"]) == (0, 0, 1)
    strict = score_run(run, resamples=20)
    assert strict.overall.figure("point_f1 (tolerant)").value == 1


def test_chosen_classes_and_items_of_ones_own(tmp_path) -> None:
    rows = [
        {"dataset": "PACS", "domain": d, "subject": "s", "true_class": "dog", "predicted_class": p, "image": "x",
         "id": str(k)}
        for k, (d, p) in enumerate((("photo", "dog"), ("photo", "dog"), ("sketch", "cat")))
    ]  # fmt: skip
    run = import_run(write(tmp_path / "a.jsonl", rows, lines=True), "domain-shift", tmp_path / "run")
    summary = score_run(run, resamples=20)
    assert summary.overall.figure("accuracy").value == pytest.approx(2 / 3)
    assert next(t for t in summary.tables if t.group == "domain=sketch").figure("accuracy").value == 0
    own = [{"id": "1", "kind": "mcq", "gold": "B", "options": {"A": "x", "B": "y"}, "answer": "The answer is B."},
           {"id": "2", "kind": "yesno", "gold": "no", "answer": None}]  # fmt: skip
    found = score_run(import_run(write(tmp_path / "b.jsonl", own, lines=True), "items", tmp_path / "own"), resamples=20)
    assert found.overall.figure("accuracy").value == 0.5
    assert found.overall.rates["parse_failure"] == 0.5


@pytest.mark.parametrize(
    ("form", "rows", "said"),
    [
        ("medsg", [{"answer": "x", "groundtruth": [1, 2, 3]}], "row 1, column 'groundtruth'"),
        ("medsg", {"columns": ["a"]}, "no list of rows"),
        ("medsg", [], "holds no answers"),
        ("medsg", [{"answer": "x"}], "row 1, column 'groundtruth'"),
        ("pdc", [{"response": ""}], "row 1 has no column 'labels'"),
        ("pdc", [{"response": "", "labels": "nothing"}], "row 1, column 'labels'"),
        ("items", [{"id": "1", "kind": "poem", "gold": "x", "answer": ""}], "column 'kind'"),
        ("domain-shift", [{"id": "1"}], "has no column"),
    ],
)
def test_what_is_no_such_file_is_refused_by_row(tmp_path, form, rows, said) -> None:
    with pytest.raises(InputError, match=said):
        import_run(write(tmp_path / "a.json", rows), form, tmp_path / "run")
    assert not (tmp_path / "run/manifest.json").exists()


def test_a_folder_takes_one_file_only(tmp_path) -> None:
    first, second = (write(tmp_path / f"{k}.json", {"columns": ["groundtruth", "answer"], "rows": MEDSG[k:]})
                     for k in (0, 1))  # fmt: skip
    import_run(first, "medsg", tmp_path / "run")
    import_run(first, "medsg", tmp_path / "run")
    with pytest.raises(OptionError, match="another run"):
        import_run(second, "medsg", tmp_path / "run")
    with pytest.raises(OptionError, match="Known: medsg"):
        import_run(first, "csv", tmp_path / "other")


def test_the_command_scores_a_file_and_keeps_the_run_where_asked(tmp_path, capsys) -> None:
    file = write(tmp_path / "a.json", {"columns": ["groundtruth", "answer"], "rows": MEDSG})
    assert main(["score", "--import", "medsg", str(file), "--profile", "published", "--resamples", "20"]) == 0
    assert "AVE_IOU % 37.5000, IOU@.7 % 25.0000" in capsys.readouterr().out
    out = tmp_path / "kept"
    assert main(["score", str(file), "--import", "medsg", "--out", str(out), "--resamples", "20"]) == 0
    assert (out / "summary.json").is_file()
    assert main(["score", str(out), "--profile", "medsg", "--resamples", "20"]) == 0
    assert main(["score", str(out), "--out", str(out)]) == 2
    assert main(["score", str(tmp_path / "no.json"), "--import", "medsg"]) == 2
    assert "--import" in capsys.readouterr().err


@pytest.mark.skipif(not (SHARED / "medsg_task8.json").is_file(), reason="the published answers are not here")
def test_the_published_figures_of_medsg(tmp_path) -> None:
    summary = score_run(import_run(SHARED / "medsg_task8.json", "medsg", tmp_path), "published", resamples=20)
    told = summary.extra["MedSG-Bench"]
    assert {key: round(value, 4) for key, value in told.items()} == {
        "AVE_IOU %": 12.6663, "IOU@.7 %": 2.1592, "IOU@.5 %": 6.2078, "IOU@.3 %": 15.5870, "items": 1482,
        "unparsed": 0,
    }  # fmt: skip
    shown = {name: round(100 * (one.value or 0), 3) for name, one in summary.baselines.items()}
    assert (shown["whole image"], shown["centre half"]) == (14.63, 23.976)


MENDED = {
    "counting": (0.2571, 2.6190, 0.9143),
    "pointing": (1.2433, 1.6422, 0.9945, 0, 0.9990, 0.9980, 0.9985),
    "cnt_and_point": (0.0306, 0.0306, 0.9694, 13.1414, 17.0961, 0.9237, 0, 0.9667, 0.9902, 0.9783),
}


def lora_answers() -> list[Path]:
    found = SHARED.glob("**/qwen-*-result.jsonl") if SHARED.is_dir() else ()
    return [one for one in found if sha256(one.read_bytes()).hexdigest().startswith("b74179df65cb3b54")]


@pytest.mark.skipif(not lora_answers(), reason="the published answers are not here")
def test_the_figures_of_counted_answers_once_mended(tmp_path) -> None:
    summary = score_run(import_run(lora_answers()[0], "pdc", tmp_path), "published", resamples=20)
    for task, figures in MENDED.items():
        told = summary.extra[f"{task} (tolerant)"]
        assert [round(value, 4) for key, value in told.items() if key not in ("items", "mAP")] == list(figures)
