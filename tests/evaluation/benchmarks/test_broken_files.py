"""What is wrong with a benchmark's files is told with file, row, column and what to do, when its row is reached."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from vesalius.errors import InputError
from vesalius.evaluation.benchmarks import benchmark
from vesalius.evaluation.benchmarks.twin_files import write_bytes, write_csv, write_json, write_lines, write_parquet

GOOD: dict[str, Any] = {"question": "Which?", "options": {"A": "one", "B": "two"}, "answer_idx": "A"}
MEDQA = "phrases_no_exclude_test.jsonl"


def read_all(name: str, folder: Path, split: str | None = None) -> int:
    found = benchmark(name)
    return sum(1 for _ in found.read(folder, split or found.splits[0]))


def png() -> bytes:
    buffer = io.BytesIO()
    Image.new("L", (4, 3), 7).save(buffer, format="PNG")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"question": None}, "column 'question': there is no value"),
        ({"question": "  "}, "column 'question': the text is empty"),
        ({"question": ["x"]}, "column 'question': the value is a list, not text"),
        ({"options": {}}, "column 'options': there are not two or more options"),
        ({"options": {"A": "one"}}, "column 'options': there are not two or more options"),
        ({"options": {"A": "one", "b2": "two"}}, "column 'options': an option has no letter"),
        ({"options": [str(k) for k in range(27)]}, "column 'options': 27 options do not fit"),
        ({"options": "no options at all"}, "column 'options': there are not two or more options"),
        ({"answer_idx": "C"}, "column 'answer_idx': the answer is none of the options AB"),
        ({"answer_idx": "AB"}, "column 'answer_idx': the answer is none of the options AB"),
        ({"answer_idx": 2}, "column 'answer_idx': the answer 2 is not an index from 0 to 1"),
        ({"answer_idx": None}, "column 'answer_idx': there is no value"),
    ],
)
def test_a_bad_cell_is_told_when_its_row_is_reached(change: dict[str, Any], told: str, tmp_path: Path) -> None:
    write_lines(tmp_path / MEDQA, [GOOD, GOOD | change])
    samples = benchmark("medqa-usmle").read(tmp_path, "test")
    assert next(samples).gold == "A"
    with pytest.raises(InputError, match=f"{MEDQA}: row 2, {told}"):
        next(samples)


def _without_column(folder: Path) -> None:
    write_lines(folder / MEDQA, [{"question": "Which?", "options": {}}])


def _not_json(folder: Path) -> None:
    write_bytes(folder / MEDQA, b'{"question": "Wh')


def _not_objects(folder: Path) -> None:
    write_bytes(folder / MEDQA, b"[1, 2]\n")


def _not_utf8(folder: Path) -> None:
    write_bytes(folder / MEDQA, b'{"question": "\xff\xfe"}\n')


def _deep(folder: Path) -> None:
    write_bytes(folder / MEDQA, b"[" * 100_000)


@pytest.mark.parametrize(
    ("write", "told"),
    [
        (lambda folder: None, f"holds no {MEDQA} or"),
        (lambda folder: write_bytes(folder / MEDQA, b""), "holds no rows"),
        (_without_column, "row 1 has no column 'answer_idx'"),
        (_not_json, "line 1 is not JSON in UTF-8"),
        (_not_objects, "row 1 is a list, not an object"),
        (_not_utf8, "is not JSON in UTF-8"),
        (_deep, "line 1 is not JSON in UTF-8"),
    ],
)
def test_a_file_that_is_no_table_is_told(write: Callable[[Path], None], told: str, tmp_path: Path) -> None:
    write(tmp_path)
    with pytest.raises(InputError, match=told):
        read_all("medqa-usmle", tmp_path)


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is not a folder"):
        read_all("medqa-usmle", tmp_path / "nowhere")


def test_a_missing_column_of_parquet_and_csv_is_told_before_anything(tmp_path: Path) -> None:
    write_parquet(tmp_path / "data" / "test-0.parquet", [{"image": png(), "question": "x"}])
    with pytest.raises(InputError, match=r"test-0.parquet: has no column 'answer'"):
        next(benchmark("vqa-rad").read(tmp_path, "test"))
    write_csv(tmp_path / "test_2.csv", [{"Figure_path": "a.png", "Question": "x", "Answer": "A"}])
    with pytest.raises(InputError, match=r"test_2.csv: has no column 'Choice A', 'Choice B'"):
        next(benchmark("pmc-vqa").read(tmp_path, "test_2"))


def test_damaged_parquet_is_told(tmp_path: Path) -> None:
    write_bytes(tmp_path / "data" / "test-0.parquet", b"PAR1 and nothing more")
    with pytest.raises(InputError, match="is not a readable Parquet file"):
        read_all("vqa-rad", tmp_path)


@pytest.mark.parametrize(
    ("image", "told"),
    [
        (None, "there is no value"),
        ({"bytes": None, "path": None}, "there are no bytes of a picture"),
        ({"bytes": b"", "path": None}, "there are no bytes of a picture"),
        ({"bytes": b"not a picture", "path": None}, "the picture cannot be read"),
        ({"bytes": None, "path": "gone.png"}, "there is no such file"),
        ({"bytes": None, "path": "../gone.png"}, "the path leads out of the folder"),
        ({"bytes": None, "path": "/etc/hostname"}, "the path leads out of the folder"),
    ],
)
def test_a_bad_embedded_picture_is_told(image: Any, told: str, tmp_path: Path) -> None:
    rows = [
        {"image": {"bytes": png(), "path": None}, "question": "Is it?", "answer": "yes"},
        {"image": image, "question": "Is it?", "answer": "no"},
    ]
    write_parquet(tmp_path / "data" / "test-0.parquet", rows)
    samples = benchmark("vqa-rad").read(tmp_path, "test")
    next(samples)
    with pytest.raises(InputError, match=f"test-0.parquet: row 2, column 'image': {told}"):
        next(samples)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"image_path": "Images/gone.png"}, "column 'image_path': there is no such file"),
        ({"image_path": "../a.png"}, "column 'image_path': the path leads out of the folder"),
        ({"image_path": "Images/text.png"}, "column 'image_path': the picture cannot be read"),
        ({"image_path": ""}, "column 'image_path': the text is empty"),
        ({"gt_answer": "Spleen"}, "column 'gt_answer': the answer is the text of none of the options"),
        ({"option_B": ""}, "column 'option_A': there are not two or more options"),
        ({"question_id": "q1"}, "column 'question_id': the id stands in row 1 already"),
    ],
)
def test_a_bad_row_of_omnimedvqa_is_told(change: dict[str, str], told: str, tmp_path: Path) -> None:
    write_bytes(tmp_path / "Images" / "a.png", png())
    write_bytes(tmp_path / "Images" / "text.png", b"not a picture")
    row = {"question": "Which?", "gt_answer": "Lung", "option_A": "Lung", "option_B": "Heart"}
    row |= {"question_id": "q1", "image_path": "Images/a.png"}
    write_json(tmp_path / "QA_information" / "Open-access" / "set.json", [row, row | {"question_id": "q2"} | change])
    samples = benchmark("omnimedvqa").read(tmp_path, "open-access")
    next(samples)
    with pytest.raises(InputError, match=f"set.json: row 2, {told}"):
        next(samples)


def test_an_id_that_comes_again_in_another_file_is_told(tmp_path: Path) -> None:
    write_bytes(tmp_path / "a.png", png())
    row = {"question_id": "q1", "question": "Which?", "gt_answer": "Lung", "option_A": "Lung", "option_B": "Heart"}
    for name in ("a", "b"):
        write_json(tmp_path / "QA_information" / "Open-access" / f"{name}.json", [row | {"image_path": "a.png"}])
    with pytest.raises(InputError, match=r"b.json: row 1, column 'question_id': the id stands in row 1 of a.json"):
        read_all("omnimedvqa", tmp_path)


def test_a_split_of_which_no_row_counts_is_told(tmp_path: Path) -> None:
    row = {"Question": "哪个？", "Options": "A 甲\nB 乙", "Answer": "AB"}
    write_csv(tmp_path / "data" / "test.csv", [row])
    with pytest.raises(InputError, match="no question of this split counts"):
        read_all("cmexam", tmp_path)


def test_base64_that_is_none_is_told(tmp_path: Path) -> None:
    row = {"index": 0, "image": "%%%%", "question": "Which?", "A": "x", "B": "y", "answer": "A"}
    write_csv(tmp_path / "GMAI_VAL.tsv", [row], "\t")
    with pytest.raises(InputError, match="row 1, column 'image': the picture is not base64"):
        read_all("gmai-mmbench", tmp_path)


def test_a_placeholder_without_its_picture_is_told(tmp_path: Path) -> None:
    benchmark("mmmu-med").twin(tmp_path, 5, 0)
    row = {"id": "x", "question": "<image 2>?", "options": "['a', 'b']", "image_1": png(), "answer": "A"}
    path = tmp_path / "Basic_Medical_Science" / "validation-00000-of-00001.parquet"
    write_parquet(path, [row | {"question_type": "multiple-choice"}])
    with pytest.raises(InputError, match="row 1, column 'image_2': the text speaks of a picture that is not there"):
        read_all("mmmu-med", tmp_path)


@pytest.mark.parametrize(
    ("images", "labels", "told"),
    [
        (np.zeros((1, 8, 8), np.uint8), np.array([[5]]), r"test_labels\[0\] is 5, not from 0 to 1"),
        (np.zeros((1, 8, 8), np.float32), np.array([[0]]), "test_images is float32"),
        (np.zeros((1, 8, 8, 2), np.uint8), np.array([[0]]), r"test_images is uint8 \[1, 8, 8, 2\]"),
        (np.zeros((2, 8, 8), np.uint8), np.array([[0]]), "test_labels is"),
        (np.zeros((0, 8, 8), np.uint8), np.zeros((0, 1), int), "test_images holds no pictures"),
        (np.array([{}], dtype=object), np.array([[0]]), "is not a readable .npz file"),
    ],
)
def test_bad_arrays_of_medmnist_are_told(images: Any, labels: Any, told: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "breastmnist.npz", test_images=images, test_labels=labels)
    with pytest.raises(InputError, match=told):
        read_all("medmnist", tmp_path)


YES_NO = {"answer_type": "single_choice", "options": ["yes", "no"], "path": "p"}


@pytest.mark.parametrize(
    ("nodes", "told"),
    [
        ([["Is it?", ["yes"]]], r"row 1 is not \[question, answers"),
        (
            [["Is it?", ["maybe"], [], YES_NO]],
            "answers",
        ),
        ([["Is it?", ["yes"], [], YES_NO | {"answer_type": "guess"}]], "answer_type"),
        ([["Is it?", [], [], YES_NO]], "answers"),
        ({}, "is not a list of questions"),
    ],
)
def test_a_bad_tree_is_told(nodes: Any, told: str, tmp_path: Path) -> None:
    write_json(tmp_path / "test_qa_pairs" / "1.json", nodes)
    write_json(tmp_path / "id_to_img_mapping_frontal_reports.json", {"1": ["a"]})
    write_bytes(tmp_path / "images" / "a.png", png())
    with pytest.raises(InputError, match=rf"1.json: .*{told}"):
        read_all("rad-restruct", tmp_path)


def test_no_cell_is_quoted(tmp_path: Path) -> None:
    """Cells may be patient data: a message names the place, never the content."""
    secret = "Jane Roe"
    write_lines(tmp_path / MEDQA, [GOOD | {"answer_idx": secret, "question": secret}])
    with pytest.raises(InputError) as caught:
        read_all("medqa-usmle", tmp_path)
    assert secret not in str(caught.value)
