"""Text benchmarks in their published layouts: what is asked, what is right, what does not count."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from vesalius.errors import InputError
from vesalius.evaluation.benchmarks import benchmark
from vesalius.evaluation.benchmarks.mmlu_med import SUBJECTS
from vesalius.evaluation.benchmarks.twin_files import write_csv, write_json, write_lines, write_parquet
from vesalius.evaluation.contract import Sample

DIRECT = "Answer with the option's letter from the given choices directly."
ABCD = {"A": "one", "B": "two", "C": "three", "D": "four"}


def read(name: str, folder: Path, split: str | None = None) -> list[Sample]:
    found = benchmark(name)
    return list(found.read(folder, split or found.splits[0]))


def test_medqa_usmle(tmp_path: Path) -> None:
    row = {"question": "How many?", "options": ABCD, "answer_idx": "C", "answer": "three", "meta_info": "step1"}
    write_lines(tmp_path / "phrases_no_exclude_test.jsonl", [row, row | {"answer_idx": "A"}])
    first, second = read("medqa-usmle", tmp_path)
    assert first.prompt == f"\nQuestion: How many?\nOptions: \nA. one\nB. two\nC. three\nD. four\n{DIRECT}"
    assert (first.id, first.gold, first.options, first.kind) == ("test-1", "C", ABCD, "mcq")
    assert first.tags == {"meta_info": "step1"}
    assert (second.id, second.gold) == ("test-2", "A")


def test_medmcqa_counts_its_answers_from_zero(tmp_path: Path) -> None:
    options = {"opa": "one", "opb": "two", "opc": "three", "opd": "four"}
    row = {"id": "x1", "question": "How many?", **options, "cop": 0, "choice_type": "single"}
    write_parquet(tmp_path / "data" / "validation-00000-of-00001.parquet", [row, row | {"id": "x2", "cop": 3}])
    samples = read("medmcqa", tmp_path)
    assert [(s.id, s.gold) for s in samples] == [("x1", "A"), ("x2", "D")]
    assert samples[0].prompt == f"\nQuestion: How many?\nOptions: \nA. one\nB. two\nC. three\nD. four\n{DIRECT}"
    assert samples[0].tags == {"choice_type": "single"}


def test_shards_are_read_in_order(tmp_path: Path) -> None:
    row = {"question": "How many?", "opa": "one", "opb": "two", "opc": "three", "opd": "four", "cop": 1}
    for k in (1, 0):
        write_parquet(tmp_path / "data" / f"validation-0000{k}-of-00002.parquet", [{"id": f"x{k}", **row}])
    assert [s.id for s in read("medmcqa", tmp_path)] == ["x0", "x1"]


def test_pubmedqa_asks_with_its_context(tmp_path: Path) -> None:
    data = {
        "Question": "Does it help?",
        "Options": {"A": "yes", "B": "no", "C": "maybe"},
        "Context": ["Part one.", "Part two."],
        "Correct Option": "C",
    }
    write_parquet(tmp_path / "data" / "test-00000-of-00001.parquet", [{"id": "7", "data": data}])
    (sample,) = read("pubmedqa", tmp_path)
    assert sample.prompt == (
        f"Context: Part one.\nPart two.\n\nQuestion: Does it help?\nOptions: \nA.yes\nB.no\nC.maybe\n{DIRECT}"
    )
    assert (sample.id, sample.gold) == ("7", "C")


def test_mmlu_names_its_list_of_subjects(tmp_path: Path) -> None:
    for subject in SUBJECTS:
        row = {"question": f"About {subject}?", "choices": ["one", "two", "three", "four"], "answer": 2}
        write_parquet(tmp_path / subject / "test-00000-of-00001.parquet", [row])
    nine, six = read("mmlu-med-9", tmp_path), read("mmlu-med-6", tmp_path)
    assert [s.tags["subject"] for s in nine] == list(SUBJECTS)
    assert [s.tags["subject"] for s in six] == [
        "anatomy",
        "clinical_knowledge",
        "college_biology",
        "college_medicine",
        "medical_genetics",
        "professional_medicine",
    ]
    assert nine[0].gold == "C"
    assert nine[0].id == "anatomy-test-1"


def test_mmlu_pro_keeps_health_and_takes_up_to_ten_options(tmp_path: Path) -> None:
    texts = [f"t{k}" for k in range(10)]
    row = {"question_id": 70, "question": "Which?", "options": texts, "answer": "J", "category": "health"}
    other = row | {"question_id": 71, "category": "law"}
    few = row | {"question_id": 72, "options": texts[:3], "answer": "B"}
    write_parquet(tmp_path / "data" / "test-00000-of-00001.parquet", [row, other, few])
    first, last = read("mmlu-pro-med", tmp_path)
    assert (first.id, first.gold, list(first.options or {})) == ("70", "J", list("ABCDEFGHIJ"))
    assert (last.id, last.gold, last.options) == ("72", "B", {"A": "t0", "B": "t1", "C": "t2"})


@pytest.mark.parametrize("letters", ["ABCD", "ABCDE"])
def test_medbullets(letters: str, tmp_path: Path) -> None:
    options = {letter: f"t{letter}" for letter in letters}
    row = {"question": "Which?", "options": options, "answer_idx": letters[-1]}
    write_parquet(tmp_path / "data" / "train-00000-of-00001.parquet", [row])
    (sample,) = read(f"medbullets-op{len(letters)}", tmp_path)
    lines = "".join(f"{letter}.t{letter}\n" for letter in letters)
    assert sample.prompt == f"\nQuestion: Which?\nOptions: \n{lines}{DIRECT}"
    assert sample.gold == letters[-1]


def test_supergpqa_keeps_medicine(tmp_path: Path) -> None:
    row = {"question": "Which?", "options": ["x", "y", "z"], "answer_letter": "B", "difficulty": "hard"}
    medicine = row | {"uuid": "u1", "discipline": "Medicine", "field": "Clinical Medicine"}
    other = row | {"uuid": "u2", "discipline": "Law", "field": "Law"}
    write_lines(tmp_path / "SuperGPQA-all.jsonl", [other, medicine])
    (sample,) = read("supergpqa-med", tmp_path)
    assert (sample.id, sample.gold) == ("u1", "B")
    assert sample.tags == {"field": "Clinical Medicine", "difficulty": "hard"}
    assert "A.x\nB.y\nC.z\n" in sample.prompt


def test_medxpertqa_text(tmp_path: Path) -> None:
    row = {"id": "Text-0", "question": "Which?", "options": ABCD, "label": "D"}
    row |= {"medical_task": "Diagnosis", "body_system": "Nervous", "question_type": "Reasoning"}
    write_lines(tmp_path / "Text" / "test.jsonl", [row])
    (sample,) = read("medxpertqa-text", tmp_path)
    assert (sample.id, sample.gold) == ("Text-0", "D")
    assert sample.tags == {"question_type": "Reasoning", "medical_task": "Diagnosis", "body_system": "Nervous"}


ZH = "\n问题： 哪个？\n选项： \nA.甲\nB.乙\n请直接使用给定选项中的选项字母来回答该问题。"


def test_cmb_counts_single_choice_with_answers_beside_it(tmp_path: Path) -> None:
    row = {"id": 1, "question": "哪个？", "option": {"A": "甲", "B": "乙"}, "question_type": "单项选择题"}
    place = tmp_path / "CMB-Exam" / "CMB-test"
    questions = [row, row | {"id": 2, "question_type": "多项选择题"}, row | {"id": 3, "answer": "A"}]
    write_json(place / "CMB-test-choice-question-merge.json", questions)
    write_json(place / "CMB-test-choice-answer.json", [{"id": 1, "answer": "B"}, {"id": 2, "answer": "AB"}])
    samples = read("cmb", tmp_path)
    assert [(s.id, s.gold) for s in samples] == [("test-1", "B"), ("test-3", "A")]
    assert samples[0].prompt == ZH
    assert samples[0].lang == "zh"


@pytest.mark.parametrize(
    "options", ["A 甲\nB 乙", "A.甲\nB.乙", "[{'key': 'A', 'value': '甲'}, {'key': 'B', 'value': '乙'}]"]
)
def test_cmexam_reads_options_written_as_text(options: str, tmp_path: Path) -> None:
    row = {"Question": "哪个？", "Options": options, "Answer": "B"}
    write_csv(tmp_path / "data" / "test.csv", [row, row | {"Answer": "AB"}])
    (sample,) = read("cmexam", tmp_path)
    assert sample.prompt == ZH
    assert sample.gold == "B"


def test_cmmlu_reads_its_medical_subjects(tmp_path: Path) -> None:
    benchmark("cmmlu-med").twin(tmp_path, 14, 0)
    samples = read("cmmlu-med", tmp_path)
    assert len(samples) == 14
    assert len({s.tags["subject"] for s in samples}) == 7


def test_medqa_mcmle(tmp_path: Path) -> None:
    row = {"question": "哪个？", "options": {"A": "甲", "B": "乙"}, "answer_idx": "A", "answer": "甲"}
    write_lines(tmp_path / "questions" / "Mainland" / "4_options" / "test.jsonl", [row])
    (sample,) = read("medqa-mcmle", tmp_path)
    assert sample.prompt == ZH.replace("A.甲", "A. 甲").replace("B.乙", "B. 乙")


def test_healthbench_keeps_the_conversation_and_its_rubric(tmp_path: Path) -> None:
    turns = [
        {"role": "user", "content": "Hello."},
        {"role": "assistant", "content": "How can I help?"},
        {"role": "user", "content": "My knee hurts."},
    ]
    rubrics = [{"criterion": "Asks since when.", "points": 4, "tags": ["axis:x"]}, {"criterion": "Bad.", "points": -2}]
    row = {"prompt_id": "p1", "prompt": turns, "rubrics": rubrics, "example_tags": ["theme:hedging"]}
    write_lines(tmp_path / "hard_2025-05-08-21-00-10.jsonl", [row])
    (sample,) = read("healthbench", tmp_path, "hard")
    assert [turn["role"] for turn in sample.conversation()] == ["user", "assistant", "user"]
    assert sample.conversation()[-1]["content"] == [{"type": "text", "text": "My knee hurts."}]
    assert [item["points"] for item in sample.gold] == [4, -2]
    assert (sample.kind, sample.prompt, sample.tags) == ("chat", "My knee hurts.", {"theme": "hedging"})


@pytest.mark.parametrize(
    ("change", "column"),
    [
        ({"prompt": []}, "prompt"),
        ({"prompt": [{"role": "assistant", "content": "Hello."}]}, "prompt"),
        ({"prompt": [{"role": "robot", "content": "Hello."}]}, "prompt"),
        ({"rubrics": [{"criterion": "x", "points": "5"}]}, "rubrics"),
        ({"rubrics": [{"criterion": "x", "points": -5}]}, "rubrics"),
        ({"prompt_id": None}, "prompt_id"),
    ],
)
def test_healthbench_names_what_is_wrong(change: dict[str, Any], column: str, tmp_path: Path) -> None:
    row = {
        "prompt_id": "p1",
        "prompt": [{"role": "user", "content": "Hi."}],
        "rubrics": [{"criterion": "x", "points": 5}],
    }
    write_lines(tmp_path / "hard_x.jsonl", [row | change])
    with pytest.raises(InputError, match=f"hard_x.jsonl: row 1, column '{column}'"):
        read("healthbench", tmp_path, "hard")


def test_options_with_their_letters_as_text_are_read(tmp_path: Path) -> None:
    row = {"question": "Which?", "options": json.dumps(ABCD), "answer_idx": "B"}
    write_lines(tmp_path / "phrases_no_exclude_test.jsonl", [row])
    assert read("medqa-usmle", tmp_path)[0].options == ABCD
