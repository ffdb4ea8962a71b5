"""MedVision's plans and SURE-VQA's questions: twins read back, published rules, bad files told; measurements."""

from __future__ import annotations

import gzip
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.evaluation.scored import benchmark_of, item, stored_run
from vesalius.errors import InputError
from vesalius.evaluation.benchmarks import benchmark
from vesalius.evaluation.benchmarks.twin_files import write_bytes, write_json
from vesalius.evaluation.contract import Sample
from vesalius.evaluation.prediction import Prediction
from vesalius.evaluation.score import score_run
from vesalius.evaluation.scoring.measures import measured, score_measure
from vesalius.evaluation.shift import shift_named, shifted
from vesalius.phantoms.write_media import write_volume

NAMES = ("medvision-boxes", "medvision-sizes", "medvision-angles")


def pixels(sample: Sample) -> np.ndarray:
    (medium,) = sample.media
    assert isinstance(medium.source, bytes)
    with Image.open(io.BytesIO(medium.source)) as image:
        return np.asarray(image)


@pytest.mark.parametrize("name", [*NAMES, "sure-vqa"])
def test_a_twin_reads_back_in_every_split(name: str, tmp_path: Path) -> None:
    found = benchmark(name)
    found.twin(tmp_path / "a", 6, 5)
    found.twin(tmp_path / "b", 6, 5)
    held: set[str | None] = set()
    for split in ("test", "train"):
        samples = list(found.read(tmp_path / "a", split))
        assert len(samples) >= (6 if split == "test" else 1)
        assert len({sample.id for sample in samples}) == len(samples)
        again = list(found.read(tmp_path / "b", split))
        assert [(s.id, s.prompt, s.gold) for s in again] == [(s.id, s.prompt, s.gold) for s in samples]
        clusters = {sample.cluster for sample in samples}
        assert None not in clusters
        assert not clusters & held
        held |= clusters


def test_boxes_hold_their_organ_and_the_scale_is_that_of_the_volume(tmp_path: Path) -> None:
    found = benchmark("medvision-boxes")
    found.twin(tmp_path, 6, 2)
    for sample in found.read(tmp_path, "test"):
        ((x0, y0, x1, y1),) = sample.gold
        width, height = sample.size or (0, 0)
        assert pixels(sample).shape == (height, width)
        assert 0 <= x0 < x1 <= width
        assert 0 <= y0 < y1 <= height
        assert min(x1 - x0, y1 - y0) >= 10
        assert f"Locate every {sample.tags['label']} in this image." in sample.prompt


def test_an_angle_is_that_between_its_lines_in_mm(tmp_path: Path) -> None:
    found = benchmark("medvision-angles")
    found.twin(tmp_path, 4, 2)
    samples = list(found.read(tmp_path, "test"))
    assert {sample.extra["unit"] for sample in samples} == {"mm", "degrees"}
    for sample in samples:
        (value,) = sample.gold
        assert value > 0
        assert "top of the lung" in sample.prompt
        assert "mm wide and" in sample.prompt
        if sample.extra["unit"] == "degrees":
            assert value <= 180
            assert "bottom of the heart" in sample.prompt


PLAN = "benchmark_plan_{}_v{}.json.gz"


def write_plan(folder: Path, kind: str, task: dict[str, Any], version: str = "1.0.0", dataset: str = "Set") -> Path:
    place = folder / "Datasets" / dataset
    values = np.arange(20 * 30 * 4, dtype=np.int16).reshape(20, 30, 4)
    write_volume(place / "Images" / "a.nii.gz", values, np.diag([0.5, 2.0, 3.0, 1.0]))
    path = place / PLAN.format(kind, version)
    write_bytes(path, gzip.compress(json.dumps({"tasks": [task]}).encode()))
    return path


def case(profile: Any, plane: str = "z", index: int = 1, **more: Any) -> dict[str, Any]:
    info = {"voxel_size": [0.5, 2.0, 3.0], "array_size": [20, 30, 4]}
    entry = {"slice_idx": index, "slice_profile": profile}
    if "n_total_clusters" in more:
        entry["n_total_clusters"] = more.pop("n_total_clusters")
    told = {
        "case_ID": "c1",
        "image_file": "Images/a.nii.gz",
        "image_file_info": info,
        f"slice_profiles_{plane}": [entry],
    }
    return told | more


def box(low: list[int], high: list[int], **more: Any) -> dict[str, Any]:
    return {"min_coords": low, "max_coords": high, **more}


def detection(*placed: dict[str, Any], **more: Any) -> dict[str, Any]:
    labels = {"1": "liver"}
    return {"task_ID": "01", "labels_map": labels, "test_cases": [case([{"label": 1, "bboxes": [*placed]}], **more)]}


@pytest.mark.parametrize(
    ("told", "gold"),
    [
        (box([2, 5], [14, 25], dimensions=[12, 20]), [5, 2, 25, 14]),  # the pixel behind the last is told
        (box([2, 5], [14, 25], dimensions=[13, 21]), [5, 2, 26, 15]),  # the last pixel is told
        (box([2, 5], [14, 25]), [5, 2, 25, 14]),
    ],
)
def test_rows_come_before_columns_and_the_end_of_a_box_is_told_by_its_sides(
    told: dict[str, Any], gold: list[int], tmp_path: Path
) -> None:
    write_plan(tmp_path, "detection", detection(told))
    (sample,) = benchmark("medvision-boxes").read(tmp_path, "test")
    assert sample.gold == [gold]
    assert sample.size == (30, 20)
    assert (sample.id, sample.cluster) == ("Set/01/c1/axial1/1", "Set/c1")
    assert sample.tags["plane"] == "axial"
    plane = np.arange(20 * 30 * 4).reshape(20, 30, 4)[:, :, 1].astype(float)
    expected = ((plane - plane.min()) / np.ptp(plane) * 255).astype(np.uint8)
    assert (pixels(sample) == expected).all()


def test_small_boxes_and_several_of_one_label_do_not_count(tmp_path: Path) -> None:
    good = box([2, 5], [14, 25])
    for placed in ([good, good], [box([2, 5], [11, 25])]):
        write_plan(tmp_path, "detection", detection(*placed))
        with pytest.raises(InputError, match="no slice of this split counts"):
            list(benchmark("medvision-boxes").read(tmp_path, "test"))


def axis(value: float, unit: str = "mm") -> dict[str, Any]:
    return {"metric_type": "distance", "metric_key": "L1", "metric_value": value, "metric_unit": unit}


def lesion(*groups: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    return {"labels_map": {"3": "cyst"}, "target_label": 3, "test_cases": [case([*groups], **more)]}


def test_sizes_have_the_longer_axis_first_and_say_the_size_of_a_pixel(tmp_path: Path) -> None:
    write_plan(tmp_path, "biometry", lesion([axis(7.5), axis(1.25, "cm")], plane="y", index=4))
    (sample,) = benchmark("medvision-sizes").read(tmp_path, "test")
    assert sample.gold == [12.5, 7.5]
    assert "4 x 20 pixels, each 3.000 mm wide and 0.500 mm high" in sample.prompt
    assert "Measure the cyst" in sample.prompt
    with pytest.raises(InputError, match="no slice"):
        list(benchmark("medvision-angles").read(tmp_path, "test"))


def test_slices_with_several_lesions_do_not_count(tmp_path: Path) -> None:
    pair = [axis(7.5), axis(2)]
    for task in (lesion(pair, pair), lesion(pair, n_total_clusters=2)):
        write_plan(tmp_path, "biometry", task)
        with pytest.raises(InputError, match="no slice"):
            list(benchmark("medvision-sizes").read(tmp_path, "test"))


def test_the_newest_plan_of_each_data_set_is_read(tmp_path: Path) -> None:
    for version, value in (("1.2.0", 20.0), ("1.10.0", 30.0), ("1.9.3", 40.0)):
        write_plan(tmp_path, "biometry", lesion([axis(value), axis(2)]), version)
    write_plan(tmp_path, "biometry", lesion([axis(5), axis(2)]), dataset="Other")
    samples = list(benchmark("medvision-sizes").read(tmp_path, "test"))
    assert [sample.gold[0] for sample in samples] == [5, 30]
    assert [s.gold for s in benchmark("medvision-sizes").read(tmp_path / "Datasets" / "Other", "test")] == [[5, 2]]


@pytest.mark.parametrize(
    ("task", "told"),
    [
        (detection(box([2, 5], [14])), "row 1, column 'max_coords': it is not 2 numbers"),
        (detection(box([14, 5], [2, 25])), "column 'bboxes': the box has no area"),
        (detection(box([2, 5], [14, 31])), "column 'bboxes': a box leaves its slice of 30 by 20 pixels"),
        (detection(box([2, 5], [14, 25]), image_file="Images/gone.nii.gz"), "'image_file': there is no such volume"),
        (detection(box([2, 5], [14, 25]), image_file="../a.nii.gz"), "'image_file': the path leads out"),
        (detection(box([2, 5], [14, 25]), index=9), "there is no slice 9: the volume has 4"),
        (detection(box([2, 5], [14, 25]), case_ID=None), "column 'case_ID': there is no value"),
        (detection(box([2, 5], [14, 25])) | {"labels_map": {}}, "column 'labels_map': the label 1 has no name"),
        ({"test_cases": [case("x")]}, "column 'slice_profile': it is no list of objects"),
    ],
)
def test_a_bad_plan_is_told_with_its_case(task: dict[str, Any], told: str, tmp_path: Path) -> None:
    path = write_plan(tmp_path, "detection", task)
    with pytest.raises(InputError, match=told) as caught:
        list(benchmark("medvision-boxes").read(tmp_path, "test"))
    assert path.name in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [b"no gzip", gzip.compress(b"{", mtime=0), gzip.compress(b"[]", mtime=0), gzip.compress(b'{"tasks": 3}', mtime=0)],
)
def test_a_damaged_plan_is_told(content: bytes, tmp_path: Path) -> None:
    write_bytes(tmp_path / "Datasets" / "Set" / PLAN.format("detection", "1.0.0"), content)
    with pytest.raises(InputError, match=r"benchmark_plan_detection_v1.0.0.json.gz: (is no plan|has no list)"):
        list(benchmark("medvision-boxes").read(tmp_path, "test"))
    with pytest.raises(InputError, match="holds no Datasets/"):
        list(benchmark("medvision-sizes").read(tmp_path, "test"))


# --- measurements -----------------------------------------------------------------------------------------------------


def measure(gold: list[float], unit: str = "mm") -> Sample:
    return item("m", "measure", gold, extra={"unit": unit})


@pytest.mark.parametrize(
    ("text", "strict", "tolerant"),
    [
        ("12.5, 7", ([12.5, 7], "ok"), ([12.5, 7], "ok")),
        ("<think>maybe 3 or 4</think>12.5 mm and 7 mm.", ([12.5, 7], "ok"), ([12.5, 7], "ok")),
        ("About 90. <answer>１２.５, ٧</answer>", ([12.5, 7], "ok"), ([12.5, 7], "ok")),
        ("\\boxed{1.25 cm, 0.7 cm}", ([12.5, 7], "ok"), ([12.5, 7], "ok")),
        ("The 2 diameters are 12.5 and 7", (None, "ambiguous"), ([12.5, 7], "ok")),
        ("12.5", (None, "unparsed"), (None, "unparsed")),
        ("no number", (None, "unparsed"), (None, "unparsed")),
        ("I cannot measure it.", (None, "refused"), (None, "refused")),
        ("", (None, "empty"), (None, "empty")),
        ("<think>it is 12.5, 7", (None, "truncated"), (None, "truncated")),
        ("12-7", ([12, 7], "ok"), ([12, 7], "ok")),
        ("P1 to P2", (None, "unparsed"), (None, "unparsed")),
    ],
)
def test_numbers_of_an_answer(text: str, strict: Any, tolerant: Any) -> None:
    for mode, expected in (("strict", strict), ("tolerant", tolerant)):
        assert measured(measure([12.5, 7]), Prediction("m", raw=text), mode)[:2] == expected  # pyright: ignore


def test_a_degree_is_no_centimetre_and_errors_are_means_over_the_numbers() -> None:
    assert measured(measure([30], "degrees"), Prediction("m", raw="30"))[0] == [30]
    scores, ratios = score_measure(measure([20, 10]), [22, 9])
    assert scores == {"within_10": 1.0, "measure_missing": 0.0}
    assert ratios == {"mae_mm": (1.5, 1.0), "mre": (pytest.approx(0.1), 1.0)}
    assert score_measure(measure([20, 10]), [22.1, 9])[0]["within_10"] == 0.0
    assert score_measure(measure([20, 10]), None) == ({"within_10": 0.0, "measure_missing": 1.0}, {})
    assert set(score_measure(measure([90], "degrees"), [80])[1]) == {"mae_degrees", "mre"}


def test_unread_measurements_are_wrong_and_perfect_ones_score_one(tmp_path: Path) -> None:
    samples = [item(f"m{k}", "measure", [10.0 + k], extra={"unit": "mm", "label": "x"}) for k in range(4)]
    made = benchmark_of(samples, primary="within_10")
    summary = score_run(stored_run(tmp_path / "a", made, ["10", "11", "12", "13"]), benchmark=made)
    figures = {one.metric: one.value for one in summary.overall.figures}
    assert figures == {"within_10": 1.0, "measure_missing": 0.0, "mae_mm": 0.0, "mre": 0.0}
    assert summary.baselines["median measurement"].value == 0.5  # 11.5: 11 and 12 are within a tenth, 10 and 13 are not
    summary = score_run(stored_run(tmp_path / "b", made, ["10", "21", "", "I cannot say"]), benchmark=made)
    figures = {one.metric: one.value for one in summary.overall.figures}
    assert (figures["within_10"], figures["measure_missing"], figures["mae_mm"]) == (0.25, 0.5, 5.0)
    assert summary.overall.rates["parse_failure"] == 0.25
    assert summary.overall.rates["refusal"] == 0.25


# --- SURE-VQA ---------------------------------------------------------------------------------------------------------


def picture(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (4, 4), 9).save(path)


ROW = {"qid": 1, "question": "Is it?", "answer": "Yes", "answer_type": "CLOSED"}


def prepared(**more: Any) -> dict[str, Any]:
    turns = [{"from": "human", "value": "Is it?"}, {"from": "gpt", "value": "Yes"}]
    return {"id": "1", "image": "imgs/x1/s.png", "conversations": turns, "answer_type": "CLOSED", **more}


@pytest.mark.parametrize(
    ("row", "file", "cluster"),
    [
        (ROW | {"img_name": "x1/s.png", "q_lang": "en", "modality": "CT"}, "imgs/x1/s.png", "x1"),
        (ROW | {"image_name": "7.png", "image_organ": "HAND", "modality": "CT"}, "img/7.png", None),
        (prepared(language="en", modality="CT"), "imgs/x1/s.png", "x1"),
        (prepared(modality="CT", subject_id=10), "imgs/x1/s.png", "10"),
    ],
)
def test_the_three_published_forms_of_a_row_ask_the_same(
    row: dict[str, Any], file: str, cluster: str | None, tmp_path: Path
) -> None:
    picture(tmp_path / file)
    write_json(tmp_path / "test.json", [row])
    (sample,) = benchmark("sure-vqa").read(tmp_path, "test")
    assert sample.prompt == "Is it? Please choose from the following two options: [yes, no]."
    assert (sample.kind, sample.gold, sample.id, sample.cluster) == ("yesno", "yes", "1", cluster)
    assert sample.tags["modality"] == "CT"
    assert not {"question", "answer", "subject_id", "qid", "id"} & set(sample.tags)


def test_only_yes_and_no_get_the_two_options_and_only_english_counts(tmp_path: Path) -> None:
    picture(tmp_path / "imgs" / "a.png")
    base = {"img_name": "a.png", "q_lang": "en"}
    rows = [
        ROW | base | {"qid": 1, "answer": "Left"},
        ROW | base | {"qid": 2, "answer": "yes", "answer_type": "OPEN"},
        ROW | base | {"qid": 3, "q_lang": "zh"},
    ]
    write_json(tmp_path / "split_files" / "test_iid.json", rows)
    samples = list(benchmark("sure-vqa").read(tmp_path, "test"))
    assert [(s.kind, s.prompt) for s in samples] == [("closed", "Is it?"), ("open", "Is it?")]


@pytest.mark.parametrize(
    ("row", "told"),
    [
        (ROW | {"img_name": "gone.png"}, "column 'img_name': there is no such file"),
        (ROW | {"img_name": "a.png", "answer_type": "MAYBE"}, "neither OPEN nor CLOSED"),
        (prepared(conversations=[]), "not a turn of human and one of gpt"),
        ({"qid": 1}, "has no column 'answer_type'"),
    ],
)
def test_bad_rows_are_told(row: dict[str, Any], told: str, tmp_path: Path) -> None:
    picture(tmp_path / "imgs" / "a.png")
    write_json(tmp_path / "test.json", [row])
    with pytest.raises(InputError, match=rf"test.json: .*{told}"):
        list(benchmark("sure-vqa").read(tmp_path, "test"))


def test_the_twin_can_be_shifted_without_a_leak(tmp_path: Path) -> None:
    found = benchmark("sure-vqa")
    found.twin(tmp_path, 30, 0)
    sides = [sample.tags["shift"] for sample in shifted(found, shift_named("modality=X-Ray")).read(tmp_path, "test")]
    assert {"iid", "ood"} == set(sides)
