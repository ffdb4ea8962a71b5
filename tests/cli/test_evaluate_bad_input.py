"""What can go wrong with an evaluation, through the real commands: told in one line before anything is asked where it
can be, else one row of the file, and the run goes on."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from PIL import Image

from tests.evaluation.runs import Quick
from tests.inference.chat_server import ChatServer, completion, reply, status
from vesalius.cli.main import main
from vesalius.evaluation.benchmarks import benchmark
from vesalius.evaluation.benchmarks.twin_files import write_bytes, write_csv, write_json, write_lines
from vesalius.evaluation.run_folder import RunFolder

Change = Callable[[list[dict[str, Any]]], object]
MEDQA = "phrases_no_exclude_test.jsonl"


@lru_cache(maxsize=1)
def _files() -> dict[str, bytes]:
    with TemporaryDirectory() as folder:
        benchmark("slake").twin(Path(folder), 10, 0)
        paths = [path for path in Path(folder).rglob("*") if path.is_file()]
        return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def slake(folder: Path, change: Change = lambda rows: None) -> Path:
    """A twin of SLAKE with 10 questions, changed."""
    for name, content in _files().items():
        write_bytes(folder / name, content)
    rows = json.loads((folder / "test.json").read_text(encoding="utf-8"))
    change(rows)
    write_json(folder / "test.json", rows)
    return folder


def command(data: Path, out: Path, *more: str, name: str = "slake") -> list[str]:
    return ["evaluate", name, "--data", str(data), "--out", str(out), *more]


def one_line(capsys: pytest.CaptureFixture[str]) -> str:
    err = capsys.readouterr().err
    assert len(err.strip().splitlines()) == 1
    assert "Traceback" not in err
    return err


def without(column: str) -> Change:
    return lambda rows: rows[3].pop(column)


def with_(**cells: Any) -> Change:
    return lambda rows: rows[3].update(cells)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (without("question"), "test.json: row 4 has no column 'question'"),
        (without("img_name"), "test.json: row 4 has no column 'img_name'"),
        (without("qid"), "test.json: row 4 has no column 'qid'"),
        (with_(qid=1), "rows 2 and 4 have the same id '1'"),
        (with_(img_name="gone/source.png"), "row 4 names imgs/gone/source.png, which is not there"),
        (with_(img_name="../secret.png"), "row 4: img_name leads out of the folder"),
        (with_(question="  "), "row 4: question is empty"),
        (with_(q_lang="de"), "row 4: q_lang is 'de'"),
        (lambda rows: rows.clear(), "slake holds no items"),
    ],
)
def test_bad_rows_are_told_before_a_model_is_loaded(
    change: Change, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: Any, **__: Any) -> None:
        raise AssertionError("the model was loaded")

    monkeypatch.setattr("vesalius.inference.model.load", never)
    assert main(command(slake(tmp_path / "data", change), tmp_path / "run")) == 2
    assert said in one_line(capsys)
    assert not (tmp_path / "run").exists()


def _no_folder(data: Path) -> None:
    pass


def _empty_folder(data: Path) -> None:
    data.mkdir()


def _empty_file(data: Path) -> None:
    data.mkdir()
    (data / MEDQA).write_bytes(b"")


def _no_column(data: Path) -> None:
    write_lines(data / MEDQA, [{"question": "Which?", "options": {"A": "x", "B": "y"}}])


def _answer_not_an_option(data: Path) -> None:
    good = {"question": "Which?", "options": {"A": "x", "B": "y"}, "answer_idx": "A"}
    write_lines(data / MEDQA, [good, good | {"answer_idx": "E"}])


def _half_a_line(data: Path) -> None:
    data.mkdir()
    (data / MEDQA).write_bytes(b'{"question": "Wh')


@pytest.mark.parametrize(
    ("write", "said"),
    [
        (_no_folder, "there is no such folder"),
        (_empty_folder, f"holds no {MEDQA}"),
        (_empty_file, "holds no rows"),
        (_no_column, "row 1 has no column 'answer_idx'"),
        (_answer_not_an_option, "row 2, column 'answer_idx': the answer is none of the options AB"),
        (_half_a_line, "line 1 is not JSON"),
    ],
)
def test_bad_tables_are_told_before_anything_is_asked(
    write: Callable[[Path], None], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "data")
    with ChatServer() as chat:
        given = command(tmp_path / "data", tmp_path / "run", "--endpoint", chat.url, "--model", "m", name="medqa-usmle")
        assert main(given) == 2
        assert chat.asked == []
    assert said in one_line(capsys)
    assert not (tmp_path / "run").exists()


def test_a_csv_without_its_columns_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_csv(tmp_path / "data" / "test_2.csv", [{"Figure_path": "a.png", "Question": "x", "Answer": "A"}])
    assert main(command(tmp_path / "data", tmp_path / "run", name="pmc-vqa")) == 2
    assert "test_2.csv: has no column 'Choice A', 'Choice B'" in one_line(capsys)


def rows_of(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "slake" / "predictions.jsonl").read_bytes().splitlines()]


def test_an_unreadable_picture_costs_its_rows_and_the_run_goes_on_to_its_score(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = slake(tmp_path / "data")
    told = json.loads((data / "test.json").read_text(encoding="utf-8"))
    (data / "imgs" / told[4]["img_name"]).write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(40))
    hit = [k for k, row in enumerate(told, 1) if row["img_name"] == told[4]["img_name"]]
    with ChatServer() as chat:
        assert main(command(data, tmp_path / "run", "--endpoint", chat.url, "--model", "m")) == 0
    failed = [row for row in rows_of(tmp_path / "run") if row["finish_reason"] == "error"]
    assert [row["error"].split(" (")[0] for row in failed] == [f"row {k}" for k in hit]
    out = capsys.readouterr().out
    assert f"{len(hit)} failed (first: row {hit[0]}" in out
    assert "n = 10" in out
    summary = json.loads((tmp_path / "run" / "slake" / "summary.json").read_text())
    assert summary["overall"]["rates"]["error"] == len(hit) / 10


def test_a_crash_of_the_model_on_one_question_is_recorded_and_the_run_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = slake(tmp_path / "data", with_(question="What breaks it?"))

    class Loaded(Quick):
        notice = ""

    model = Loaded(lambda text: RuntimeError("index 9 is out of bounds") if "breaks" in text else None)
    monkeypatch.setattr("vesalius.inference.model.load", lambda *_, **__: model)
    assert main(command(data, tmp_path / "run", "--model", "starter", "--batch", "5")) == 0
    failed = [row for row in rows_of(tmp_path / "run") if row["finish_reason"] == "error"]
    assert len(rows_of(tmp_path / "run")) == 10
    assert len(failed) == 1
    assert failed[0]["error"].startswith("row 4 (")
    assert "RuntimeError: index 9 is out of bounds" in failed[0]["error"]
    assert "10 answers, 1 failed" in capsys.readouterr().out


def test_an_answer_that_is_none_of_the_options_is_wrong_and_counted(tmp_path: Path) -> None:
    good = {"question": "Which?", "options": {"A": "x", "B": "y"}, "answer_idx": "A"}
    write_lines(tmp_path / "data" / MEDQA, [good | {"question": f"Which is {n}?"} for n in ("one", "two", "three")])
    with ChatServer(
        faulty={word: reply(completion(letter)) for word, letter in zip(("one", "two", "three"), "AEB", strict=True)}
    ) as chat:
        given = command(tmp_path / "data", tmp_path / "run", "--endpoint", chat.url, "--model", "m", name="medqa-usmle")
        assert main(given) == 0
    run = tmp_path / "run" / "medqa-usmle"
    told = [json.loads(line) for line in (run / "scores.jsonl").read_bytes().splitlines()]
    assert [row["status"] for row in told] == ["ok", "unparsed", "ok"]
    summary = json.loads((run / "summary.json").read_text())
    figures = {one["metric"]: one["value"] for one in summary["overall"]["figures"]}
    assert figures["accuracy"] == pytest.approx(1 / 3)
    assert summary["overall"]["rates"]["parse_failure"] == pytest.approx(1 / 3)


def test_a_busy_endpoint_is_asked_again_and_garbage_costs_one_row(tmp_path: Path) -> None:
    data = slake(tmp_path / "data", with_(question="What is garbled?"))
    with ChatServer(faults=[status(429, Retry_After="0")] * 2, faulty={"garbled": reply(b"<html>busy</html>")}) as chat:
        given = command(
            data, tmp_path / "run", "--endpoint", chat.url, "--model", "m", "--batch", "1", "--retries", "3"
        )
        assert main([*given, "--no-score"]) == 0
        assert len(chat.asked) >= 12
    rows = rows_of(tmp_path / "run")
    assert [k for k, row in enumerate(rows, 1) if row["finish_reason"] == "error"] == [4]
    assert "not JSON" in rows[3]["error"]


def test_an_endpoint_that_is_too_slow_ends_in_one_line_and_the_run_can_go_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = slake(tmp_path / "data")
    with ChatServer(delay_s=2) as chat:
        base = command(data, tmp_path / "run", "--endpoint", chat.url, "--model", "m", "--no-score", "--retries", "0")
        assert main([*base, "--timeout", "0.2", "--batch", "10"]) == 3
        err = one_line(capsys)
        assert "no reply within 0.2 s" in err
        chat.delay_s = 0
        assert main([*base, "--batch", "10"]) == 0
    assert [row["finish_reason"] for row in rows_of(tmp_path / "run")] == ["stop"] * 10


def test_two_runs_into_one_folder_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = slake(tmp_path / "data")
    with ChatServer() as chat, RunFolder(tmp_path / "run" / "slake").locked():
        assert main(command(data, tmp_path / "run", "--endpoint", chat.url, "--model", "m")) == 2
        assert chat.asked == []
    assert "another run is writing here" in one_line(capsys)


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    data = slake(tmp_path / "data")
    with ChatServer() as chat:
        assert main(command(data, tmp_path / "run", "--endpoint", chat.url, "--model", "m")) == 0
    capsys.readouterr()
    return tmp_path / "run" / "slake"


def _double(path: Path) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines, lines[2]]))


def _foreign(path: Path) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines, lines[2].replace(b'"id": "2"', b'"id": "no-such"')]))


def _without_raw(path: Path) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:2], b'{"id": "2"}\n', *lines[3:]]))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda path: path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:8])),
            "2 of 10 predictions",
        ),
        (_double, "line 11 has the id of line 3"),
        (_foreign, "1 predictions are of no item of this run"),
        (_without_raw, "line 3 has no 'raw'"),
        (lambda path: path.unlink(), "predictions.jsonl: cannot be read"),
        (lambda path: path.with_name("manifest.json").write_text("{"), "manifest.json: is not JSON"),
    ],
)
def test_damaged_runs_are_not_scored(
    run: Path, change: Callable[[Path], object], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    change(run / "predictions.jsonl")
    before = (run / "summary.json").read_bytes()
    assert main(["score", str(run)]) == 2
    assert said in one_line(capsys)
    assert (run / "summary.json").read_bytes() == before


def test_data_that_changed_are_not_scored(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "data" / "test.json"
    rows = json.loads(path.read_text(encoding="utf-8"))
    rows[0]["answer"] = "Nothing of the kind"
    write_json(path, rows)
    assert main(["score", str(run)]) == 2
    assert "are not those of the run" in one_line(capsys)
    path.unlink()
    assert main(["score", str(run)]) == 2
    assert "test.json: is missing" in one_line(capsys)


def test_a_full_disk_leaves_the_old_scores(run: Path) -> None:
    before = (run / "scores.jsonl").read_bytes(), (run / "summary.json").read_bytes()

    def small() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (500, resource.RLIM_INFINITY))

    done = subprocess.run(
        [sys.executable, "-m", "vesalius", "score", str(run)],
        capture_output=True,
        text=True,
        preexec_fn=small,
        timeout=120,
    )
    assert done.returncode == 2
    assert "cannot be written: File too large" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert ((run / "scores.jsonl").read_bytes(), (run / "summary.json").read_bytes()) == before
    assert not list(run.glob("*.part"))


def test_a_picture_that_is_a_text_is_told_by_its_row(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A benchmark whose table embeds or names pictures by row reads their headers before anything is asked."""
    data = tmp_path / "data"
    data.mkdir()
    Image.new("L", (4, 4)).save(data / "a.png")
    (data / "b.png").write_text("not a picture")
    row = {"question": "Which?", "gt_answer": "Lung", "option_A": "Lung", "option_B": "Heart", "image_path": "a.png"}
    rows = [row | {"question_id": "1"}, row | {"question_id": "2", "image_path": "b.png"}]
    write_json(data / "QA_information" / "Open-access" / "set.json", rows)
    assert main(command(data, tmp_path / "run", name="omnimedvqa")) == 2
    assert "set.json: row 2, column 'image_path': the picture cannot be read" in one_line(capsys)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--temperature", "-1"], "temperature is -1; it must be 0 to 100"),
        (["--temperature", "nan"], "temperature is nan"),
        (["--max-new-tokens", "0"], "max-new-tokens is 0; it must be 1 or more"),
        (["--leaks", "hide"], "leaks is 'hide', not refuse or drop"),
        (["--quirks", "off"], "--quirks is for models loaded here"),
        (["--device", "cuda:7"], "--device is for models loaded here"),
        (["--timeout", "nan"], "--timeout must be above 0 s"),
    ],
)
def test_numbers_and_options_that_no_endpoint_can_mean_are_refused_before_it_is_asked(
    more: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with ChatServer() as chat:
        given = command(slake(tmp_path / "data"), tmp_path / "run", "--endpoint", chat.url, "--model", "m", *more)
        assert main(given) == 2
        assert chat.asked == []
    assert said in one_line(capsys)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("bad", [reply(b"<html>"), reply(b""), reply(b'{"choices": []}'), status(400, b"no such")])
def test_a_run_in_which_every_answer_failed_has_no_score_and_can_be_mended(
    bad: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = slake(tmp_path / "data")
    with ChatServer(faulty={"": bad}) as chat:
        given = command(data, tmp_path / "run", "--endpoint", chat.url, "--model", "m", "--retries", "0")
        assert main(given) == 3
        assert "every answer of slake failed, so there is no score. Mend what the first one says" in one_line(capsys)
        assert not (tmp_path / "run" / "slake" / "summary.json").exists()
        assert len(rows_of(tmp_path / "run")) == 10
        chat.faulty.clear()
        assert main([*given, "--retry-errors"]) == 0
    assert "n = 10" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["score", "{tmp}/gone"], "gone: there is no such folder. Name the --out of vesalius evaluate."),
        (["score", "{tmp}/data/test.json"], "test.json: is a file, not the folder of a run."),
        (["score", "{run}", "--profile", "pdc"], "Use strict, or the profile of this benchmark's own rules"),
        (
            ["compare", "{run}", "{run}", "--metric", "zz"],
            "no item of both runs has the metric 'zz'. They have accuracy",
        ),
        (["compare", "{run}", "{tmp}/gone"], "gone: there is no such folder"),
        (["contamination", "{tmp}/empty.jsonl", "{run}"], "empty.jsonl: the training set holds no items"),
        (["contamination", "slake=", "{run}"], "'slake=' names no folder. Give NAME=DIR"),
        (["contamination", "{tmp}/gone", "{run}"], "is nothing to read. Give samples.jsonl"),
        (["phantom", "{tmp}/new", "--as", "slak"], "Did you mean slake?"),
        (["phantom", "{tmp}/data", "--as", "slake"], "exists and is not an empty folder. Name a new folder."),
    ],
)
def test_wrong_names_are_told_with_what_to_do(
    given: list[str], said: str, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty.jsonl").write_bytes(b"")
    before = sorted(tmp_path.rglob("*"))
    assert main([one.format(tmp=tmp_path, run=run) for one in given]) == 2
    assert said in one_line(capsys)
    assert sorted(tmp_path.rglob("*")) == before, "nothing half written"


def test_contamination_takes_the_out_folder_of_runs_too(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["contamination", f"slake={tmp_path / 'data'}", str(run.parent), "--embedding", "pixels"]) == 0
    assert "10 of 10" in capsys.readouterr().out
