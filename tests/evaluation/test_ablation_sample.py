"""Blank, exchanged and no pictures are asked of a sample of the items unless they are asked of all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.evaluation.runs import TINY, Quick, write_benchmark
from tests.inference.chat_server import ChatServer
from vesalius.cli.main import main
from vesalius.evaluation.benchmarks import benchmark
from vesalius.evaluation.passes import Pass, passes_of
from vesalius.evaluation.predict import predict
from vesalius.evaluation.run_folder import RunFolder
from vesalius.evaluation.score import score_run
from vesalius.evaluation.survey import drawn

NAMES = ("blank", "shuffle", "none")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_benchmark(tmp_path / "data", 24)


def answers(run: RunFolder, name: str) -> dict[str, str]:
    return {row.id: row.raw for row in run.complete_predictions(name).values()}


def asked(data: Path, out: Path, model: Any = None, **how: Any) -> RunFolder:
    return predict(TINY, data, model or Quick(), out, passes=passes_of(**how), batch=3)


def test_the_command_asks_and_prints_them_unbidden(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    benchmark("slake").twin(tmp_path / "data", 60, 0)
    with ChatServer() as chat:
        given = ["evaluate", "slake", "--data", str(tmp_path / "data"), "--out", str(tmp_path / "run")]
        given += ["--endpoint", chat.url, "--model", "m"]
        assert main(given) == 0
        assert len(chat.asked) == 60 + 3 * 50
        out = capsys.readouterr().out
        run = RunFolder(tmp_path / "run" / "slake")
        sets = [set(run.complete_predictions(name)) for name in NAMES]
        assert sets[0] == sets[1] == sets[2]
        assert [len(ids) for ids in sets] == [50, 50, 50]
        rows = {line.split("  ")[0]: line.split() for line in out.splitlines() if line.startswith("images: ")}
        assert [name.split()[1] for name in rows] == list(NAMES)
        assert all("50" in cells for cells in rows.values())
        note = (
            "Asked of items drawn by seed 0 from 60: blank pictures (50), exchanged pictures (50), the question alone "
            "(50) (all: --image-ablation all)."
        )
        page = (run.path / "report.html").read_text(encoding="utf-8")
        for text in (out, page):
            assert note in text
        assert "Not asked" not in out
        chat.asked.clear()
        assert main(given) == 0
        assert not chat.asked
        assert main([*given, "--image-ablation", "all"]) == 0
        assert "images: blank" in (told := capsys.readouterr().out)
        assert note not in told.rpartition("profile strict")[2]
        assert [len(run.complete_predictions(name)) for name in NAMES] == [60, 60, 60]


def test_a_pass_named_asks_all_and_the_others_their_sample(data: Path, tmp_path: Path):
    run = asked(data, tmp_path / "run", ablations=["shuffle"], ablation_sample=5)
    assert [len(answers(run, name)) for name in NAMES] == [5, 24, 5]
    notes = score_run(run.path, benchmark=TINY, resamples=20).notes
    assert any("from 24: blank pictures (5), the question alone (5)" in note for note in notes)


def test_the_sample_is_that_of_the_seed(data: Path, tmp_path: Path):
    first, same, other = (
        set(asked(data, tmp_path / str(k), ablation_sample=6, seed=seed).complete_predictions("blank"))
        for k, seed in enumerate((3, 3, 4))
    )
    assert first == same != other


@given(st.sets(st.text(max_size=6), max_size=30), st.integers(0, 99), st.integers(0, 9), st.integers(0, 9))
def test_more_holds_fewer_in_whatever_order_the_ids_come(ids: set[str], seed: int, few: int, more: int):
    small, large = sorted((few, more))
    assert drawn(sorted(ids), seed, small) <= drawn(sorted(ids, reverse=True), seed, large)
    assert len(drawn(ids, seed, large)) == min(large, len(ids))
    assert drawn(ids, seed, None) == ids


def test_exchanged_pictures_of_a_sample_are_anothers_of_the_same_modality(data: Path, tmp_path: Path):
    run = asked(data, tmp_path / "run", ablation_sample=8)
    modality = {row.images[0]: s.tags["modality"] for row, s in zip(run.predictions(), run.samples(), strict=True)}
    own = {row.id: row.images[0] for row in run.predictions()}
    shown = {row.id: row.images[0] for row in run.predictions("shuffle")}
    assert len(shown) == 8
    assert all(shown[key] != own[key] and modality[shown[key]] == modality[own[key]] for key in shown)


def test_pictures_to_exchange_are_sought_near_the_sample_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from vesalius.evaluation import derangement

    data = write_benchmark(tmp_path / "data", 80)
    hashed: list[Any] = []
    real = derangement.Medium.sha256
    monkeypatch.setattr(derangement.Medium, "sha256", lambda self: hashed.append(self.source) or real(self))
    asked(data, tmp_path / "run")
    before = len(set(hashed))
    assert before == 40
    hashed.clear()
    run = asked(data, tmp_path / "run", ablation_sample=2)
    assert [len(answers(run, name)) for name in NAMES] == [2, 2, 2]
    assert len(set(hashed)) <= 2 + 4 * 2


def test_without_a_like_picture_an_item_of_the_sample_is_left_out(tmp_path: Path):
    data = write_benchmark(
        tmp_path / "data", 8, change=lambda rows: [row.update(images=["0.png"] * (k + 1)) for k, row in enumerate(rows)]
    )
    run = asked(data, tmp_path / "run", ablation_sample=3)
    assert [len(answers(run, name)) for name in NAMES] == [3, 0, 3]
    assert len(run.manifest["passes"]["shuffle"]["left_out"]) == 3
    notes = score_run(run.path, benchmark=TINY, resamples=20).notes
    assert any("blank pictures (3), the question alone (3)" in note for note in notes)
    assert any(note.startswith("Not asked: exchanged pictures;") for note in notes)


@pytest.mark.parametrize("after", [{"ablation_sample": 9}, {"ablations": ["all"]}])
def test_a_sample_grows_and_never_shrinks(data: Path, tmp_path: Path, after: dict[str, Any]):
    few = asked(data, tmp_path / "run", ablation_sample=4)
    kept = {name: answers(few, name) for name in ("blank", "none")}
    model = Quick()
    run = asked(data, tmp_path / "run", model, **after)
    count = after.get("ablation_sample", 24)
    assert [len(answers(run, name)) for name in NAMES] == [count] * 3
    assert len(model.asked) == 3 * count - 2 * 4
    assert all(kept[name].items() <= answers(run, name).items() for name in kept)
    straight = asked(data, tmp_path / "straight", **after)
    assert all(answers(run, name) == answers(straight, name) for name in NAMES)
    files = {name: (run.path / Pass(name).file).read_bytes() for name in NAMES}
    again = Quick()
    asked(data, tmp_path / "run", again, ablation_sample=4)
    assert not again.asked
    assert files == {name: (run.path / Pass(name).file).read_bytes() for name in NAMES}
    assert score_run(run.path, benchmark=TINY, resamples=20).passes[0].figure.n == count


def test_a_pass_with_a_limit_takes_the_place_of_a_sample_and_keeps_it(data: Path, tmp_path: Path):
    asked(data, tmp_path / "run", ablation_sample=4)
    run = asked(data, tmp_path / "run", ablations=["blank"], ablation_limit=10, ablation_sample=4)
    assert list(answers(run, "blank")) == [f"q{k}" for k in range(10)]
    asked(data, tmp_path / "run", ablation_sample=4)
    assert list(answers(run, "blank")) == [f"q{k}" for k in range(10)]
    assert score_run(run.path, benchmark=TINY, resamples=20).passes[0].figure.n == 10


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("rows", [0, 2])
def test_a_run_killed_within_a_sample_goes_on_to_the_same_bytes(data: Path, tmp_path: Path, name: str, rows: int):
    whole = asked(data, tmp_path / "whole", ablation_sample=7)
    run = asked(data, tmp_path / "run", ablation_sample=7)
    path = run.path / Pass(name).file
    content = path.read_bytes()
    lines = content.splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:rows]) + lines[rows][:9])
    for later in NAMES[NAMES.index(name) + 1 :]:
        (run.path / Pass(later).file).unlink()
    model = Quick()
    asked(data, tmp_path / "run", model, ablation_sample=7)
    assert len(model.asked) == 7 - rows + 7 * (2 - NAMES.index(name))
    assert {p.name: p.read_bytes() for p in run.path.glob("predictions*")} == {
        p.name: p.read_bytes() for p in whole.path.glob("predictions*")
    }


def test_their_clusters_are_those_of_the_real_pictures(data: Path, tmp_path: Path):
    run = asked(data, tmp_path / "run", ablations=["all"])
    summary = score_run(run.path, benchmark=TINY, resamples=20)
    full = summary.overall.figure("accuracy")
    assert full is not None
    assert (full.clusters, full.unit) == (12, "image")
    assert [(one.figure.clusters, one.figure.unit) for one in summary.passes] == [(12, "image")] * 3


def test_imported_answers_say_that_they_cannot_be_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    row = {"id": "a", "kind": "mcq", "gold": "A", "answer": "A", "options": {"A": "x", "B": "y"}}
    (tmp_path / "told.jsonl").write_text(json.dumps(row) + "\n")
    assert main(["score", "--import", "items", str(tmp_path / "told.jsonl")]) == 0
    assert (
        "Not asked: blank pictures, exchanged pictures, the question alone; the answers were imported and no model is "
        "at hand to ask."
    ) in capsys.readouterr().out


def test_a_benchmark_without_pictures_has_nothing_to_take_away(tmp_path: Path):
    texts = write_benchmark(tmp_path / "data", 4, change=lambda rows: [row.update(images=[]) for row in rows])
    model = Quick()
    run = asked(texts, tmp_path / "run", model, ablation_sample=50)
    assert len(model.asked) == 4
    assert not score_run(run.path, benchmark=TINY, resamples=20).passes
