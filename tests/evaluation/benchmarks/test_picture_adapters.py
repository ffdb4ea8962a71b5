"""Picture and report benchmarks in their published layouts."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from vesalius.evaluation.benchmarks import benchmark
from vesalius.evaluation.benchmarks.mmmu_med import SUBJECTS
from vesalius.evaluation.benchmarks.twin_files import write_bytes, write_csv, write_json, write_lines, write_parquet
from vesalius.evaluation.contract import Sample

DIRECT = "Answer with the option's letter from the given choices directly."


def png(grey: int = 7) -> bytes:
    buffer = io.BytesIO()
    Image.new("L", (4, 3), grey).save(buffer, format="PNG")
    return buffer.getvalue()


def cell(grey: int = 7) -> dict[str, Any]:
    return {"bytes": png(grey), "path": None}


def read(name: str, folder: Path, split: str | None = None) -> list[Sample]:
    found = benchmark(name)
    return list(found.read(folder, split or found.splits[0]))


@pytest.mark.parametrize("name", ["vqa-rad", "pathvqa"])
def test_a_question_is_closed_when_its_answer_is_yes_or_no(name: str, tmp_path: Path) -> None:
    rows = [
        {"image": cell(), "question": "is it large?", "answer": "Yes"},
        {"image": cell(), "question": "what is it?", "answer": "no abnormality"},
    ]
    write_parquet(tmp_path / "data" / "test-00000-of-00001-abc.parquet", rows)
    closed, opened = read(name, tmp_path)
    assert (closed.kind, closed.gold) == ("yesno", "yes")
    assert closed.prompt == "is it large?\nPlease output 'yes' or 'no'(no extra output)."
    assert (opened.kind, opened.gold) == ("open", "no abnormality")
    assert opened.prompt == "what is it?\nPlease answer the question concisely."
    assert closed.media[0].source == png()
    assert closed.cluster is None


def test_an_embedded_picture_may_be_a_path(tmp_path: Path) -> None:
    write_bytes(tmp_path / "images" / "a.png", png())
    row = {"image": {"bytes": None, "path": "a.png"}, "question": "what?", "answer": "x"}
    write_parquet(tmp_path / "data" / "test-0.parquet", [row])
    assert read("vqa-rad", tmp_path)[0].media[0].source == tmp_path / "images" / "a.png"


CHOICES = {"Choice A": " A:left ", "Choice B": " B:right ", "Choice C": " C:both ", "Choice D": " D:none "}


def test_pmc_vqa_asks_options_as_they_stand(tmp_path: Path) -> None:
    write_bytes(tmp_path / "figures" / "PMC12_F1.jpg", png())
    row = {"index": 0, "Figure_path": "PMC12_F1.jpg", "Caption": "", "Question": "Which?", **CHOICES, "Answer": "B"}
    write_csv(tmp_path / "test_2.csv", [row])
    (sample,) = read("pmc-vqa", tmp_path)
    assert sample.prompt == f"\nQuestion: Which?\nOptions: \n A:left \n B:right \n C:both \n D:none \n{DIRECT}"
    assert sample.options == {"A": "left", "B": "right", "C": "both", "D": "none"}
    assert (sample.gold, sample.cluster, sample.id) == ("B", "PMC12", "test_2-1")


@pytest.mark.parametrize("split", ["test", "test_clean"])
def test_the_split_of_pmc_vqa_is_its_file(split: str, tmp_path: Path) -> None:
    write_bytes(tmp_path / "images" / "PMC12_F1.jpg", png())
    row = {"Figure_path": "PMC12_F1.jpg", "Question": "Which?", "Answer": "right", **CHOICES, "Answer_label": "B"}
    write_csv(tmp_path / f"{split}.csv", [row])
    (sample,) = read("pmc-vqa", tmp_path, split)
    assert (sample.id, sample.gold) == (f"{split}-1", "B")


def test_omnimedvqa_finds_the_letter_by_its_text(tmp_path: Path) -> None:
    write_bytes(tmp_path / "Images" / "a.png", png())
    row = {
        "dataset": "Chest",
        "question_id": "Chest_1",
        "question_type": "Anatomy Identification",
        "question": "Which?",
        "gt_answer": "lung.",
        "image_path": "Images/a.png",
        "option_A": "Heart",
        "option_B": "Lung",
        "modality_type": "X-Ray",
    }
    write_json(tmp_path / "QA_information" / "Open-access" / "Chest.json", [row])
    (sample,) = read("omnimedvqa", tmp_path)
    assert (sample.gold, sample.options) == ("B", {"A": "Heart", "B": "Lung"})
    assert sample.tags["modality_type"] == "X-Ray"
    assert sample.media[0].source == tmp_path / "Images" / "a.png"


def test_mmmu_keeps_placeholders_and_numbers_several_pictures(tmp_path: Path) -> None:
    row = {
        "id": "",
        "question": "<image 1> and <image 2>: which differs?",
        "options": "['the <image 1>', 'the second']",
        "image_1": cell(1),
        "image_2": cell(2),
        "answer": "B",
        "question_type": "multiple-choice",
        "subfield": "Radiology",
    }
    short = {"options": "[]", "image_2": None, "question": "<image 1> name it", "question_type": "open"}
    for subject in SUBJECTS:
        rows = [row | {"id": f"{subject}_1"}, row | short | {"id": f"{subject}_2", "answer": "['a', 'b']"}]
        write_parquet(tmp_path / subject / "validation-0.parquet", rows)
    samples = read("mmmu-med", tmp_path)
    assert len(samples) == 10
    assert [medium.label for medium in samples[0].media] == ["<image_1>: ", "<image_2>: "]
    assert samples[0].prompt == (
        f"\n<image 1> and <image 2>: which differs?\n\n(A) the <image 1>\n(B) the second\n\n        {DIRECT}"
    )
    parts = samples[0].conversation()[0]["content"]
    assert [part.get("text", part["type"]) for part in parts[:-1]] == ["<image_1>: ", "image", "<image_2>: ", "image"]
    assert (samples[1].kind, samples[1].gold, samples[1].options) == ("closed", ["a", "b"], None)
    assert [medium.label for medium in samples[1].media] == [""]
    assert samples[-1].tags["subject"] == "Public_Health"


def test_medframeqa_counts_its_frames(tmp_path: Path) -> None:
    row = {"question_id": "q1", "question": "Which?", "options": ["x", "y"], "correct_answer": "B", "modality": "CT"}
    images = {f"image_{k}": cell(k) if k < 4 else None for k in range(1, 6)}
    write_parquet(tmp_path / "data" / "test-0.parquet", [row | images | {"video_id": "v7"}])
    (sample,) = read("medframeqa", tmp_path)
    assert sample.prompt == f"\nQuestion: Which?\nOptions: \nA.x\nB.y\n{DIRECT}"
    assert (sample.gold, sample.cluster, sample.tags) == ("B", "v7", {"modality": "CT", "frames": "3"})


def test_medxpertqa_mm_shows_its_pictures_in_order(tmp_path: Path) -> None:
    for name in ("a.jpg", "b.jpg"):
        write_bytes(tmp_path / "images" / name, png())
    row = {
        "id": "MM-1",
        "question": "Which?",
        "options": {"A": "x", "B": "y"},
        "label": "A",
        "images": ["b.jpg", "a.jpg"],
    }
    row |= {"medical_task": "Diagnosis", "body_system": "Nervous", "question_type": "Reasoning"}
    write_lines(tmp_path / "MM" / "test.jsonl", [row])
    (sample,) = read("medxpertqa-mm", tmp_path)
    assert [Path(str(m.source)).name for m in sample.media] == ["b.jpg", "a.jpg"]


def test_gmai_mmbench_decodes_its_pictures(tmp_path: Path) -> None:
    row = {"index": 3, "image": base64.b64encode(png()).decode(), "question": "Which?"}
    row |= {"A": "x", "B": "y", "C": "z", "D": "", "E": "", "answer": "C", "modality": "CT"}
    write_csv(tmp_path / "GMAI_mm_bench_VAL.tsv", [row], "\t")
    (sample,) = read("gmai-mmbench", tmp_path)
    assert (sample.id, sample.gold, sample.options) == ("3", "C", {"A": "x", "B": "y", "C": "z"})
    assert sample.media[0].source == png()


def test_medmnist_names_its_classes(tmp_path: Path) -> None:
    images = np.zeros((2, 28, 28, 3), np.uint8)
    images[1, :, :, 0] = 255
    np.savez(tmp_path / "bloodmnist_64.npz", test_images=images, test_labels=np.array([[0], [7]]))
    first, second = read("medmnist", tmp_path)
    assert (first.gold, second.gold) == ("basophil", "platelet")
    assert first.prompt.startswith("Which of these does the picture show: basophil; eosinophil;")
    assert first.prompt.endswith("\nAnswer the question using a single word or phrase.")
    assert isinstance(second.media[0].source, bytes)
    with Image.open(io.BytesIO(second.media[0].source)) as picture:
        assert (picture.size, picture.getpixel((0, 0))) == ((28, 28), (255, 0, 0))


def test_rad_restruct_walks_reports_in_order_of_their_numbers(tmp_path: Path) -> None:
    root = tmp_path / "data" / "radrestruct"
    side = {"answer_type": "multi_choice", "options": ["left", "right", "unspecified"], "path": "lung_x_side"}
    nodes = [
        ["Is it?", ["yes"], [], {"answer_type": "single_choice", "options": ["yes", "no"], "path": "lung_x"}],
        ["Where?", ["left", "right"], [["Is it?", ["yes"]]], side],
    ]
    for number in (10, 9):
        write_json(root / "test_qa_pairs" / f"{number}.json", nodes)
        write_bytes(root / "images" / f"CXR{number}.png", png())
    write_json(root / "id_to_img_mapping_frontal_reports.json", {"9": ["CXR9"], "10": ["CXR10"]})
    samples = read("rad-restruct", tmp_path)
    assert [s.id for s in samples] == ["9-1", "9-2", "10-1", "10-2"]
    assert samples[0].prompt == "Is it?\nPlease output 'yes' or 'no'(no extra output)."
    assert samples[1].prompt == f"\nQuestion: Where?\nOptions: \nA. left\nB. right\nC. unspecified\n{DIRECT}"
    assert (samples[1].kind, samples[1].gold, samples[1].cluster) == ("tree", ["left", "right"], "9")
    assert samples[1].extra["history"] == [["Is it?", ["yes"]]]


@pytest.mark.parametrize(
    ("name", "image", "patient"),
    [
        ("mimic-cxr", "p10/p10000032/s50414267/a.jpg", "p10000032"),
        ("chexpert-plus", "train/patient00042/study1/view1_frontal.jpg", "patient00042"),
        ("iu-xray", "CXR3001_IM-1390/0.png", "CXR3001"),
        ("iu-xray", "other.png", None),
    ],
)
def test_reports_name_the_patient_where_the_path_does(
    name: str, image: str, patient: str | None, tmp_path: Path
) -> None:
    write_bytes(tmp_path / "images" / image, png())
    row = {"image": image, "findings": "Clear lungs.", "impression": ""}
    write_json(tmp_path / "test.json", [row, row | {"image": [image, image]}, row | {"findings": " "}])
    one, two = read(name, tmp_path)
    assert (one.cluster, one.kind) == (patient, "report")
    assert one.gold == "Findings: Clear lungs. Impression: None."
    assert one.extra == {"findings": "Clear lungs.", "impression": ""}
    assert one.prompt.startswith("You are a helpful assistant. Please generate a report for the given images")
    assert [medium.label for medium in two.media] == ["<image_1>: ", "<image_2>: "]
