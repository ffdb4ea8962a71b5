"""A run asks every item once, whatever stops it, and says what it was."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from tests.evaluation.runs import TINY, Quick, write_benchmark
from vesalius.errors import InputError, ModelError, OptionError
from vesalius.evaluation.fingerprint import Sampling
from vesalius.evaluation.passes import Pass, passes_of
from vesalius.evaluation.predict import predict
from vesalius.evaluation.run_folder import RunFolder, run_folders


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_benchmark(tmp_path / "data", 12)


def rows_of(run: RunFolder, name: str = "main") -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run.path / Pass(name).file).read_bytes().splitlines()]


def test_a_row_holds_all_that_scoring_needs(data: Path, tmp_path: Path):
    run = predict(TINY, data, Quick(), tmp_path / "run", batch=5)
    row = rows_of(run)[3]
    assert row["id"] == "q3"
    assert row["prompt_sha256"] == hashlib.sha256(b"What is it, 3?").hexdigest()
    assert row["images"] == [hashlib.sha256((data / "1.png").read_bytes()).hexdigest()]
    assert row["raw"].startswith("What is it, 3?|30x22:")
    assert (row["tokens_in"], row["tokens_out"], row["finish_reason"], row["seed"]) == (5, 3, "stop", 0)
    assert row["model"] == "quick"
    assert row["latency_s"] == 0.01
    assert [r["id"] for r in rows_of(run)] == [f"q{k}" for k in range(12)]
    (again,) = run_folders(tmp_path / "run")
    assert [p.id for p in again.predictions()] == [f"q{k}" for k in range(12)]
    assert list(RunFolder(run.path, TINY).complete_predictions()) == [s.id for s in run.samples()]


def test_the_manifest_is_the_fingerprint(data: Path, tmp_path: Path):
    told = predict(TINY, data, Quick(), tmp_path / "run", limit=4, passes=passes_of(["blank"], seed=7)).manifest
    assert (told["benchmark"], told["split"], told["limit"], told["items"]) == ("tiny", "test", 4, 4)
    assert told["template"] == "tiny-1"
    assert told["seeds"] == [7]
    assert told["passes"]["blank"] == {
        "file": "predictions.blank.jsonl", "items": 4, "seed": 7, "ablation": "blank",
    }  # fmt: skip
    assert {"torch", "vesalius", "python"} <= set(told["packages"])
    assert len(told["dataset_sha256"]) == 64


@pytest.mark.parametrize("cut", [1, 40, 400, 10**6])
def test_a_killed_run_resumes_without_loss_or_doubles(data: Path, tmp_path: Path, cut: int):
    """However many bytes reached the disk: whole rows stay as they are, a torn one is asked again."""
    whole = predict(TINY, data, Quick(), tmp_path / "whole", batch=3)
    content = (whole.path / "predictions.jsonl").read_bytes()
    run = predict(TINY, data, Quick(), tmp_path / "run", batch=3)
    (run.path / "predictions.jsonl").write_bytes(content[:cut])
    second = Quick()
    predict(TINY, data, second, tmp_path / "run", batch=3)
    assert len(second.asked) == 12 - content[:cut].count(b"\n")
    assert (run.path / "predictions.jsonl").read_bytes() == content


def test_zeros_that_a_power_cut_left_are_cut_off(data: Path, tmp_path: Path):
    run = predict(TINY, data, Quick(), tmp_path / "run")
    path = run.path / "predictions.jsonl"
    content = path.read_bytes()
    path.write_bytes(content + bytes(300) + b"\n")
    predict(TINY, data, Quick(), tmp_path / "run")
    assert path.read_bytes() == content


def test_a_damaged_row_in_the_middle_names_its_line(data: Path, tmp_path: Path):
    run = predict(TINY, data, Quick(), tmp_path / "run")
    path = run.path / "predictions.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:4], b"{broken\n", *lines[5:]]))
    with pytest.raises(InputError, match="line 5 is not JSON"):
        predict(TINY, data, Quick(), tmp_path / "run")
    path.write_bytes(b"".join([*lines, lines[2]]))
    with pytest.raises(InputError, match="line 13 has the id of line 3"):
        predict(TINY, data, Quick(), tmp_path / "run")


def test_ids_of_another_data_set_are_refused(data: Path, tmp_path: Path):
    run = predict(TINY, data, Quick(), tmp_path / "run")
    path = run.path / "predictions.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"q7"', b'"z7"'))
    with pytest.raises(InputError, match="of no item"):
        predict(TINY, data, Quick(), tmp_path / "run")
    with pytest.raises(InputError, match="missing"):
        run.complete_predictions()
    (run.path / "manifest.json").unlink()
    with pytest.raises(OptionError, match="without a manifest"):
        predict(TINY, data, Quick(), tmp_path / "run")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"limit": 3}, "limit: none, now 3"),
        ({"sampling": Sampling(max_new_tokens=9)}, "sampling.max_new_tokens: 512, now 9"),
        ({"passes": passes_of(seed=1)}, "seed: 0, now 1"),
        ({"sampling": Sampling(options={"max_pixels": 99})}, "image_budget.max_pixels: none, now 99"),
    ],
)
def test_a_run_goes_on_only_with_its_own_settings(data: Path, tmp_path: Path, change: dict[str, Any], said: str):
    predict(TINY, data, Quick(), tmp_path / "run")
    with pytest.raises(OptionError, match="begun with other settings") as caught:
        predict(TINY, data, Quick(), tmp_path / "run", **change)
    assert said in str(caught.value)


def test_changed_data_are_noticed_and_a_moved_folder_is_not(data: Path, tmp_path: Path):
    run = predict(TINY, data, Quick(), tmp_path / "run")
    moved = data.rename(tmp_path / "elsewhere")
    predict(TINY, moved, Quick(), tmp_path / "run")
    assert run.manifest["data"] == str(moved)
    (moved / "test.json").write_text((moved / "test.json").read_text().replace("What is it, 11?", "What was it?"))
    with pytest.raises(OptionError, match="dataset_sha256"):
        predict(TINY, moved, Quick(), tmp_path / "run")


def test_two_runs_into_one_folder_are_refused(data: Path, tmp_path: Path):
    run = RunFolder(tmp_path / "run" / "tiny", TINY)
    with run.locked(), pytest.raises(OptionError, match="another run is writing here"):
        predict(TINY, data, Quick(), tmp_path / "run")
    predict(TINY, data, Quick(), tmp_path / "run")


def test_a_crash_on_one_sample_costs_one_row(data: Path, tmp_path: Path):
    model = Quick(lambda text: RuntimeError("index 7 is out of bounds") if "it, 4?" in text else None)
    rows = rows_of(predict(TINY, data, model, tmp_path / "run", batch=6))
    assert [r["id"] for r in rows if r["finish_reason"] == "error"] == ["q4"]
    assert "row 5 (data/2.png): RuntimeError: index 7" in rows[4]["error"]
    assert rows[4]["raw"] == ""
    assert all("What is it" in r["raw"] for r in rows if r["id"] != "q4")
    well = Quick()
    predict(TINY, data, well, tmp_path / "run")
    assert well.asked == []
    again = predict(TINY, data, well, tmp_path / "run", retry_errors=True)
    assert len(well.asked) == 1
    assert [r["finish_reason"] for r in rows_of(again)] == ["stop"] * 12
    assert [r["id"] for r in rows_of(again)] == [f"q{k}" for k in range(12)]


def test_an_unreadable_picture_is_one_row_that_names_it(data: Path, tmp_path: Path):
    (data / "3.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(50))
    rows = rows_of(predict(TINY, data, Quick(), tmp_path / "run"))
    failed = [r for r in rows if r["finish_reason"] == "error"]
    assert [r["id"] for r in failed] == ["q6", "q7"]
    assert failed[0]["error"].startswith("row 7 (data/3.png): InputError:")


def test_a_model_that_is_gone_stops_the_run(data: Path, tmp_path: Path):
    gone = Quick(lambda text: ModelError("the endpoint does not answer.") if "it, 8?" in text else None)
    with pytest.raises(ModelError):
        predict(TINY, data, gone, tmp_path / "run", batch=2)
    run = predict(TINY, data, Quick(), tmp_path / "run", batch=2)
    assert [r["id"] for r in rows_of(run)] == [f"q{k}" for k in range(12)]


def test_ctrl_c_leaves_a_run_that_goes_on(data: Path, tmp_path: Path):
    class Stopped(Quick):
        def ask_batch(self, requests: Any, **how: Any) -> Any:
            if len(self.batches) == 2:
                raise KeyboardInterrupt
            return super().ask_batch(requests, **how)

    with pytest.raises(KeyboardInterrupt):
        predict(TINY, data, Stopped(), tmp_path / "run", batch=4)
    rest = Quick()
    predict(TINY, data, rest, tmp_path / "run", batch=4)
    assert len(rest.asked) == 4


def wrong(**keys: Any) -> Any:
    return lambda rows: rows[5].update(keys)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (wrong(id="q2"), "rows 3 and 6 have the same id"),
        (wrong(images=["gone.png"]), "row 6 names gone.png, which is not there"),
        (wrong(question="  "), "row 6 has no question"),
        (lambda rows: rows.clear(), "holds no items"),
    ],
)
def test_wrong_data_are_told_before_anything_is_asked(tmp_path: Path, change: Any, said: str):
    data = write_benchmark(tmp_path / "data", 8, change=change)
    model = Quick()
    with pytest.raises(InputError, match=said):
        predict(TINY, data, model, tmp_path / "run")
    assert model.asked == []
    assert not (tmp_path / "run").exists()


def test_unknown_splits_limits_and_folders_are_refused(data: Path, tmp_path: Path):
    wrong_options: list[dict[str, Any]] = [{"split": "val"}, {"limit": 0}, {"batch": 0}]
    for how in wrong_options:
        with pytest.raises(OptionError):
            predict(TINY, data, Quick(), tmp_path / "run", **how)
    with pytest.raises(InputError, match="no such folder"):
        predict(TINY, tmp_path / "nowhere", Quick(), tmp_path / "run")


def test_samples_are_read_as_they_are_asked(data: Path, tmp_path: Path):
    """Never more than one batch is read ahead of what is answered."""
    read: list[int] = []
    model = Quick()

    def counted(folder: Path, split: str) -> Any:
        for k, sample in enumerate(TINY.read(folder, split)):
            read.append(k - len(model.asked))
            yield sample

    from dataclasses import replace

    predict(replace(TINY, read=counted), data, model, tmp_path / "run", batch=2)
    assert max(read[12:]) <= 2


def test_sampled_answers_depend_on_seed_and_item_alone(data: Path, tmp_path: Path):
    hot = Sampling(temperature=1.0)
    one = predict(TINY, data, Quick(), tmp_path / "one", sampling=hot, batch=5, passes=passes_of(repeats=2))
    two = predict(TINY, data, Quick(), tmp_path / "two", sampling=hot, batch=3)
    assert rows_of(one) == rows_of(two)
    seeds = [r["raw"].rpartition("|")[2] for r in rows_of(one) + rows_of(one, "repeat2")]
    assert len(set(seeds)) == 24
    assert {r["seed"] for r in rows_of(one, "repeat2")} == {1}
