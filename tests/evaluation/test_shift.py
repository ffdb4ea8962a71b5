"""Shifted data: who is i.i.d., who is not, and that no patient stands on both sides."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.evaluation.scored import item, stored_run
from vesalius.cli.main import main
from vesalius.errors import InputError, OptionError
from vesalius.evaluation.benchmarks import benchmark
from vesalius.evaluation.contract import Benchmark, Medium, Sample
from vesalius.evaluation.robustness import rr_over_seeds
from vesalius.evaluation.run_folder import RunFolder
from vesalius.evaluation.score import score_run
from vesalius.evaluation.shift import asks_for, shift_named, shifted


def of(test: Sequence[Sample], train: Sequence[Sample] = (), validate: Sequence[Sample] | None = None) -> Benchmark:
    held = {"test": test, "train": train, "validate": validate}

    def read(folder: Path, split: str) -> Any:
        rows = held[split]
        if rows is None:
            raise InputError("is missing.", file=folder)
        yield from rows

    return Benchmark("tiny", "Tiny", "2d", ("test", "train", "validate"), "t", "accuracy", read, lambda *_: None)


def row(key: str, patient: str | None, gold: str = "yes", **tags: str) -> Sample:
    return item(key, "yesno", gold, cluster=patient, tags=tags)


def sides(made: Benchmark, folder: Path = Path()) -> dict[str, str]:
    return {sample.id: sample.tags["shift"] for sample in made.read(folder, "test")}


def remarks(made: Benchmark) -> Sequence[str]:
    assert made.remarks is not None
    return made.remarks(Path(), "test")


TEST = [row("a", "1", scanner="A"), row("b", "1", scanner="A"), row("c", "2", scanner="B"), row("d", "3", scanner="A")]
TRAIN = [row("e", "4", scanner="B"), row("f", "5", scanner="A"), row("a", "6", scanner="B")]


def test_a_value_that_is_the_same_for_a_patient_brings_its_training_rows_into_the_test():
    made = shifted(of(TEST, TRAIN, [row("v", "7", scanner="B")]), shift_named("scanner=B"))
    assert sides(made) == {
        "a": "iid", "b": "iid", "c": "ood", "d": "iid", "train/e": "ood", "train/a": "ood", "validate/v": "ood",
    }  # fmt: skip
    (first, *rest) = remarks(made)
    assert "3 i.i.d. and 4 OoD items" in first
    assert "the same for all items of a patient" in first
    assert any("rows of train, validate with the value are added" in one for one in rest)
    assert made.run_name == "tiny+scanner=B"
    assert made.derived == {"shift": "scanner=B"}


@pytest.mark.parametrize("where", ["test", "train", "between"])
def test_a_value_that_differs_within_a_patient_takes_test_rows_alone(where: str):
    test, train = list(TEST), list(TRAIN)
    if where == "test":
        test.append(row("x", "2", scanner="A"))
    elif where == "train":
        train.append(row("x", "4", scanner="A"))
    else:
        train.append(row("x", "3", scanner="B"))
    made = shifted(of(test, train), shift_named("scanner=B"))
    told = sides(made)
    assert all(not key.startswith("train/") for key in told)
    assert told["c"] == "ood"
    assert "can differ within a patient" in remarks(made)[0]


def test_a_patient_of_the_remaining_training_rows_is_not_in_the_test(tmp_path: Path):
    train = [*TRAIN, row("g", "3", scanner="A"), row("h", "1", scanner="A")]
    with pytest.raises(InputError, match=r"2 patients are both in training rows and in the test \(3 items\)"):
        sides(shifted(of(TEST, train), shift_named("scanner=B")))
    made = shifted(of(TEST, [*TRAIN, row("g", "3", scanner="A")]), shift_named("scanner=B"), "drop")
    assert sides(made) == {"a": "iid", "b": "iid", "c": "ood", "train/e": "ood", "train/a": "ood"}
    assert any("1 items of 1 patients that are in training rows are left out" in one for one in remarks(made))
    assert made.derived == {"shift": "scanner=B", "leaks": "drop"}


def test_without_patients_the_same_picture_is_a_leak(tmp_path: Path):
    for name, content in (("a", b"1"), ("b", b"2"), ("c", b"1")):
        (tmp_path / name).write_bytes(content)

    def shown(key: str, name: str, scanner: str) -> Sample:
        return replace(row(key, None, scanner=scanner), media=(Medium("image", tmp_path / name),))

    test = [shown("p", "a", "A"), shown("q", "b", "B")]
    with pytest.raises(InputError, match="1 patients"):
        sides(shifted(of(test, [shown("r", "c", "A")]), shift_named("scanner=B")))


def test_a_training_patient_whose_rows_are_all_held_out_is_no_leak():
    test = [*TEST, row("x", "2", scanner="A")]  # patient 2 has both values: no training rows are added
    train = [row("y", "2", scanner="B"), row("z", "9", scanner="A")]
    assert sides(shifted(of(test, train), shift_named("scanner=B")))["x"] == "iid"


def test_questions_that_ask_for_the_attribute_are_dropped():
    test = [
        *TEST,
        row("t", "3", scanner="A", content_type="Scanner"),
        replace(row("n", "3", scanner="A"), question="Which scanner is it?"),
        item("o", "open", "b.", cluster="2", tags={"scanner": "B"}),
        item("m", "mcq", "B", cluster="2", tags={"scanner": "B"}, options={"A": "x", "B": "B"}),
        item("k", "mcq", "A", cluster="2", tags={"scanner": "B"}, options={"A": "x", "B": "B"}),
    ]
    made = shifted(of(test, TRAIN), shift_named("Scanner=b"))
    assert set(sides(made)) == {"a", "b", "c", "d", "k", "train/e", "train/a"}
    assert any("4 test questions that ask for Scanner are dropped" in one for one in remarks(made))
    assert not asks_for(shift_named("content_type=Size"), row("s", "1", content_type="Size"))


@pytest.mark.parametrize(
    ("text", "age", "holds"),
    [
        ("age<40", "39", True),
        ("age<40", "40", False),
        ("age>=60", "060Y", True),
        ("age >= 60", "59.5", False),
        ("age<=40", "unknown", False),
        ("age!=40", "40", False),
        ("AGE=40", "40", True),
    ],
)
def test_columns_are_compared_as_text_or_number(text: str, age: str, holds: bool):
    assert shift_named(text).holds(row("a", "1", age=age)) is holds
    assert not shift_named(text).holds(row("a", "1", sex="f"))


@pytest.mark.parametrize("text", ["modality", "=CT", "modality=", "age<old", "<40"])
def test_what_is_no_shift_is_refused(text: str):
    with pytest.raises(OptionError, match="shift"):
        shift_named(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [("site=B", "has no tag 'site'. Known: scanner"), ("scanner=C", "no item"), ("scanner!=C", "every item")],
)
def test_a_shift_without_two_sides_is_refused(text: str, said: str):
    with pytest.raises(OptionError, match=said):
        sides(shifted(of(TEST, TRAIN), shift_named(text)))


def test_missing_training_rows_are_told():
    made = shifted(of(TEST, (), None), shift_named("scanner=B"))
    assert any("the split validate could not be read" in one for one in remarks(made))


def test_training_splits_hold_what_is_left_to_learn_from_and_baselines_know_no_more(tmp_path: Path):
    train = [row("e", "4", "no", scanner="B"), row("f", "5", "yes", scanner="A"), row("g", "6", "no", scanner="B")]
    made = shifted(of(TEST, train), shift_named("scanner=B"))
    assert [sample.id for sample in made.read(Path(), "train")] == ["f"]
    answers = dict.fromkeys(sides(made), "yes")
    summary = score_run(stored_run(tmp_path / "run", made, answers), benchmark=made)
    # Of all training rows the most frequent answer would be no.
    assert summary.baselines["most frequent answer"].value == pytest.approx(4 / 6)


def test_the_rr_of_a_shift_has_an_interval_over_patients(tmp_path: Path):
    test = [row(f"i{k}", f"p{k // 2}", scanner="A") for k in range(20)]
    test += [row(f"o{k}", f"q{k // 2}", scanner="B") for k in range(10)]
    made = shifted(of(test), shift_named("scanner=B"))
    answers = {f"i{k}": "yes" if k < 16 else "no" for k in range(20)} | {
        f"o{k}": "yes" if k < 6 else "no" for k in range(10)
    }
    folder = stored_run(tmp_path / "run", made, answers)
    summary = score_run(folder, benchmark=made)
    (told,) = summary.robustness
    assert (told.name, told.rr) == ("shift: scanner=B", 0.75)
    assert (told.familiar.value, told.shifted.value, told.familiar.n, told.shifted.n) == (0.8, 0.6, 20, 10)
    assert told.low is not None
    assert told.high is not None
    assert told.low < 0.75 < told.high
    assert {"shift=iid", "shift=ood"} <= {table.group for table in summary.tables}
    assert any(note.startswith("Shift scanner=B: 20 i.i.d. and 10 OoD") for note in summary.notes)


def test_rr_over_seeds_has_mean_and_sample_deviation():
    told = rr_over_seeds([(0.8, 0.6), (0.5, 0.5), (0.5, 0.6), (0.0, 0.3), (None, 0.1)])
    assert told is not None
    assert (told.mean, told.n) == (pytest.approx((0.75 + 1 + 1.2) / 3), 3)
    assert told.sd == pytest.approx(0.22546248764114465)
    assert rr_over_seeds([(0.0, 0.5)]) is None


def test_no_picture_of_the_slake_twin_is_in_training_and_test(tmp_path: Path):
    made = benchmark("slake")
    made.twin(tmp_path, 24, 1)
    places = {
        split: {medium.source for sample in made.read(tmp_path, split) for medium in sample.media}
        for split in made.splits
    }
    assert not places["test"] & places["train"]
    assert not places["test"] & places["validate"]


def test_the_command_runs_corruptions_shift_and_variant(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    from tests.inference.chat_server import ChatServer

    data = tmp_path / "data"
    benchmark("slake").twin(data, 24, 0)
    with ChatServer() as chat:
        base = ["evaluate", "slake", "--data", str(data), "--out", str(tmp_path / "run"), "--endpoint", chat.url]
        base += ["--model", "m", "--batch", "4"]
        more = ["--shift", "modality=X-Ray", "--corruption", "noise:low", "--corruption", "blur:high"]
        assert main([*base, *more]) == 0
        out = capsys.readouterr().out
        for text in ("shift: modality=X-Ray", "corruption: blur:high", "corruption: noise:low", " RR "):
            assert text in out
        run = RunFolder(tmp_path / "run" / "slake+modality=X-Ray")
        assert run.manifest["derived"] == {"shift": "modality=X-Ray"}
        assert set(run.complete_predictions()) == set(run.complete_predictions("noise-low"))
        assert main(["score", str(run.path), "--json"]) == 0
        told = json.loads(capsys.readouterr().out)
        assert [one["name"] for one in told["robustness"]] == [
            "corruption: blur:high", "corruption: noise:low", "shift: modality=X-Ray",
        ]  # fmt: skip
        assert main([*base, "--no-score"]) == 0  # beside it, the benchmark as it is
        assert (tmp_path / "run" / "slake" / "manifest.json").is_file()


def test_another_prompt_has_a_folder_of_its_own_and_is_found_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    pytest.importorskip("pyarrow")
    from tests.inference.chat_server import ChatServer

    benchmark("vqa-rad").twin(tmp_path / "data", 4, 0)
    with ChatServer() as chat:
        base = ["evaluate", "vqa-rad", "--data", str(tmp_path / "data"), "--out", str(tmp_path / "run"), "--model", "m"]
        base += ["--endpoint", chat.url]
        assert main([*base, "--variant", "reasoning"]) == 0
        assert main(base) == 0
        run = RunFolder(tmp_path / "run" / "vqa-rad+reasoning")
        assert run.manifest["template"] == "yn/op+reasoning"
        assert all("\\boxed{}" in sample.prompt for sample in run.samples())
        capsys.readouterr()
        assert main(["score", str(tmp_path / "run")]) == 0
        assert capsys.readouterr().out.count("n = 4") == 2
        assert main([*base, "--variant", "no-such"]) == 2
        assert "vqa-rad has no prompt template 'no-such'. Known: direct, reasoning" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--corruption", "fog"], "corruption 'fog' is not known"),
        (["--shift", "modality"], "is not COLUMN=VALUE"),
        (["--shift", "scanner=A"], "has no tag 'scanner'"),
        (["--shift", "modality=CT", "--leaks", "keep"], "leaks is 'keep'"),
    ],
)
def test_wrong_robustness_options_are_one_line(
    more: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    benchmark("slake").twin(tmp_path / "data", 6, 0)
    given = ["evaluate", "slake", "--data", str(tmp_path / "data"), "--out", str(tmp_path / "run"), *more]
    assert main(given) == 2
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1
    assert not (tmp_path / "run").exists()
