"""SLAKE as it is published: questions in two languages, open and closed, about pictures of patients."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from vesalius.errors import InputError
from vesalius.evaluation.benchmarks import benchmark

SLAKE = benchmark("slake")


@pytest.fixture
def twin(tmp_path: Path) -> Path:
    SLAKE.twin(tmp_path, 30, 0)
    return tmp_path


def row(**changes: Any) -> dict[str, Any]:
    return {
        "img_id": 1, "img_name": "xmlab1/source.jpg", "question": "Is it a lung?", "answer": "Yes", "q_lang": "en",
        "location": "Lung", "modality": "CT", "answer_type": "CLOSED", "base_type": "vqa", "content_type": "Organ",
        "triple": ["vhead", "_", "_"], "qid": 7, **changes,
    }  # fmt: skip


def read(folder: Path, *rows: Any) -> list[Any]:
    (folder / "test.json").write_text(json.dumps(rows, ensure_ascii=False), encoding="utf-8")
    return list(SLAKE.read(folder, "test"))


def test_prompts_follow_answer_type_and_language(tmp_path: Path):
    asked = [
        row(),
        row(answer="CT"),
        row(answer_type="OPEN", answer="Lung"),
        row(q_lang="zh", answer="没有", question="有肿块吗？"),
        row(q_lang="zh", answer="包含", question="包含肺吗？"),
        row(q_lang="zh", answer_type="OPEN", answer="肺", question="是什么？"),
    ]
    samples = read(tmp_path, *asked)
    assert [s.prompt for s in samples] == [
        "Is it a lung?\nPlease output 'yes' or 'no'(no extra output).",
        "Is it a lung?\nAnswer the question using a single word or phrase.",
        "Is it a lung?\nPlease answer the question concisely.",
        "有肿块吗？\n请输出'是'或'否'(不要有任何其它输出)。",
        "包含肺吗？\n请简要回答该问题。",
        "是什么？\n请简要回答该问题。",
    ]
    assert [(s.kind, s.gold, s.lang) for s in samples] == [
        ("yesno", "yes", "en"), ("closed", "CT", "en"), ("open", "Lung", "en"),
        ("yesno", "no", "zh"), ("closed", "包含", "zh"), ("open", "肺", "zh"),
    ]  # fmt: skip
    assert samples[0].id == "7"
    assert samples[0].media[0].source == tmp_path / "imgs" / "xmlab1" / "source.jpg"
    assert samples[0].cluster == "xmlab1"
    assert samples[0].tags == {
        "lang": "en", "answer_type": "CLOSED", "modality": "CT", "location": "Lung", "content_type": "Organ",
    }  # fmt: skip


def test_the_twin_has_the_published_columns_pictures_and_both_languages(twin: Path):
    rows = json.loads((twin / "test.json").read_text(encoding="utf-8"))
    assert len(rows) == 30
    assert set(rows[0]) == set(row())
    assert {r["q_lang"] for r in rows} == {"en", "zh"}
    assert {r["answer_type"] for r in rows} == {"OPEN", "CLOSED"}
    assert all((twin / "imgs" / r["img_name"]).is_file() for r in rows)
    samples = list(SLAKE.read(twin, "test"))
    assert {s.gold for s in samples if s.kind == "yesno"} == {"yes", "no"}
    assert all(list(SLAKE.read(twin, split)) for split in SLAKE.splits)


def test_the_same_seed_makes_the_same_twin(twin: Path, tmp_path_factory: pytest.TempPathFactory):
    again = tmp_path_factory.mktemp("again")
    SLAKE.twin(again, 30, 0)
    files = sorted(p.relative_to(twin) for p in twin.rglob("*") if p.is_file())
    assert all((again / p).read_bytes() == (twin / p).read_bytes() for p in files)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"question": None}, "row 2 has no column 'question'"),
        ({"question": " "}, "row 2: question is empty"),
        ({"q_lang": "fr"}, "row 2: q_lang is 'fr'"),
        ({"answer_type": "MAYBE"}, "row 2: answer_type is 'MAYBE'"),
        ({"img_name": "../../etc/passwd"}, "row 2: img_name leads out of the folder"),
    ],
)
def test_a_wrong_row_is_named(tmp_path: Path, changes: dict[str, Any], said: str):
    with pytest.raises(InputError, match=said) as caught:
        read(tmp_path, row(), row(**changes))
    assert "test.json" in str(caught.value)


def test_wrong_files_are_named(tmp_path: Path):
    with pytest.raises(InputError, match=r"test\.json: is missing"):
        list(SLAKE.read(tmp_path, "test"))
    (tmp_path / "test.json").write_text("[{")
    with pytest.raises(InputError, match="is not JSON"):
        list(SLAKE.read(tmp_path, "test"))
    (tmp_path / "test.json").write_text("{}")
    with pytest.raises(InputError, match="no list"):
        list(SLAKE.read(tmp_path, "test"))
    with pytest.raises(InputError, match="row 1 is no object"):
        read(tmp_path, 5)
