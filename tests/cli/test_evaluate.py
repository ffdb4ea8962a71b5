"""`vesalius evaluate` through the real command: local models, endpoints, and what stops it."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.inference.chat_server import ChatServer, status
from vesalius.cli.main import main
from vesalius.evaluation.benchmarks import benchmark
from vesalius.evaluation.run_folder import RunFolder

TINY_MODEL = Path(__file__).parents[1] / "fixtures" / "medmo" / "qwen3vl_tiny"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    (folder / "SLAKE").mkdir()
    benchmark("slake").twin(folder / "SLAKE", 24, 0)
    return folder


def command(data: Path, out: Path, *more: str) -> list[str]:
    """Asks the questions as they stand; the baselines of the pictures have tests of their own."""
    return ["evaluate", "slake", "--data", str(data), "--out", str(out), "--no-score", "--ablation-sample", "0", *more]


def rows(out: Path, name: str = "predictions.jsonl") -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "slake" / name).read_bytes().splitlines()]


def test_a_checkpoint_answers_with_its_hash_in_the_manifest(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    given = command(data, tmp_path, "--model", str(TINY_MODEL), "--limit", "4", "--max-new-tokens", "3")
    assert main([*given, "--image-ablation", "none", "--option", "max_pixels=50176"]) == 0
    out, err = capsys.readouterr()
    assert "slake main: 4 answers in" in out
    assert err == ""
    told = rows(tmp_path)
    assert [r["id"] for r in told] == [s.id for s in RunFolder(tmp_path / "slake").samples()]
    assert all(r["finish_reason"] in ("stop", "length") and r["tokens_in"] > 3 and r["tokens_out"] for r in told)
    assert all(
        r["tokens_in"] < t["tokens_in"] for r, t in zip(rows(tmp_path, "predictions.none.jsonl"), told, strict=True)
    )
    manifest = RunFolder(tmp_path / "slake").manifest
    assert len(manifest["model"]["weights_sha256"]) == 64
    assert manifest["image_budget"]["max_pixels"] == 50176
    assert manifest["limit"] == 4


def test_an_endpoint_is_asked_and_a_bad_item_costs_a_row(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    with ChatServer(faulty={"Is there a": status(400, b"too long")}) as chat:
        assert main(command(data, tmp_path, "--endpoint", chat.url, "--model", "m")) == 0
    told = rows(tmp_path)
    assert len(told) == 24
    bad = [r for r in told if r["finish_reason"] == "error"]
    assert bad
    assert all("status 400: too long" in r["error"] for r in bad)
    assert all(r["raw"].endswith("[224x224]") for r in told if r not in bad)
    assert f"{len(bad)} failed (first: row" in capsys.readouterr().out


def test_an_endpoint_that_goes_down_leaves_a_run_that_goes_on(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    with ChatServer() as chat:
        given = command(data, tmp_path, "--endpoint", chat.url, "--model", "m", "--retries", "0", "--batch", "2")
        assert main([*given, "--limit", "24"]) == 0
        whole = rows(tmp_path)
        (tmp_path / "slake" / "predictions.jsonl").write_bytes(
            b"".join((tmp_path / "slake" / "predictions.jsonl").read_bytes().splitlines(keepends=True)[:7])
        )
    assert main([*given, "--limit", "24"]) == 3
    assert "no connection" in capsys.readouterr().err
    assert len(rows(tmp_path)) == 7
    assert [r["id"] for r in whole[:7]] == [r["id"] for r in rows(tmp_path)]


def start(given: list[str], **how: Any) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "vesalius", *given], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **how
    )


def wait_for_rows(out: Path, number: int) -> None:
    path = out / "slake" / "predictions.jsonl"
    end = time.monotonic() + 120
    while not path.exists() or path.read_bytes().count(b"\n") < number:
        assert time.monotonic() < end, "the run did not begin"
        time.sleep(0.02)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_stopped_run_goes_on_to_the_same_rows(data: Path, tmp_path: Path, how: signal.Signals):
    with ChatServer(delay_s=0.15) as chat:
        given = command(data, tmp_path, "--endpoint", chat.url, "--model", "m", "--batch", "2")
        process = start(given)
        wait_for_rows(tmp_path, 4)
        second = main(given)
        assert second == 2  # the folder is held
        process.send_signal(how)
        _, err = process.communicate(timeout=60)
        if how is signal.SIGINT:
            assert process.returncode == 130
            assert "goes on where it stopped" in err
            assert "Traceback" not in err
        kept = len(rows(tmp_path))
        assert 4 <= kept < 24
        chat.delay_s = 0
        chat.asked.clear()
        assert main(given) == 0
        assert len(chat.asked) == 24 - kept
    assert [r["id"] for r in rows(tmp_path)] == [s.id for s in RunFolder(tmp_path / "slake").samples()]


def test_a_full_disk_is_one_line_and_the_rows_before_it_stay(data: Path, tmp_path: Path):
    with ChatServer() as chat:
        given = command(data, tmp_path, "--endpoint", chat.url, "--model", "m", "--batch", "2")

        def small() -> None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (4000, resource.RLIM_INFINITY))

        process = start(given, preexec_fn=small)
        _, err = process.communicate(timeout=120)
        assert process.returncode == 2
        assert "predictions cannot be written: File too large" in err
        assert len(err.strip().splitlines()) == 1
        kept = len(rows(tmp_path))
        assert 0 < kept < 24
        chat.asked.clear()
        assert main(given) == 0
        assert len(chat.asked) == 24 - kept
        assert len({r["id"] for r in rows(tmp_path)}) == 24


@pytest.mark.parametrize(
    ("more", "code", "said"),
    [
        (["--split", "gold"], 2, "no split 'gold'"),
        (["--limit", "0"], 2, "limit is 0"),
        (["--option", "pixels"], 2, "is not KEY=VALUE"),
        (["--image-ablation", "grey"], 2, "'grey' is not one of"),
        (["--ablation-sample", "-1"], 2, "ablation-sample is -1"),
        (["--endpoint", "host:80"], 2, "is no address"),
        (["--model", "no-such-model"], 2, "no model is called"),
    ],
)
def test_wrong_options_are_one_line(
    data: Path, tmp_path: Path, more: list[str], code: int, said: str, capsys: pytest.CaptureFixture[str]
):
    assert main(command(data, tmp_path / "run", *more)) == code
    err = capsys.readouterr().err
    assert said in err
    assert len(err.strip().splitlines()) == 1
    assert not (tmp_path / "run").exists()


def test_unknown_benchmarks_and_missing_files_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["evaluate", "slak", "--data", str(tmp_path), "--out", str(tmp_path / "o")]) == 2
    assert "Did you mean slake?" in capsys.readouterr().err
    assert main(["evaluate", "slake", "--data", str(tmp_path), "--out", str(tmp_path / "o")]) == 2
    assert "test.json: is missing" in capsys.readouterr().err


def test_in_a_pipe_nothing_is_drawn(data: Path, tmp_path: Path):
    with ChatServer() as chat:
        process = start(command(data, tmp_path, "--endpoint", chat.url, "--model", "m", "--limit", "3"))
        out, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (0, "")
    assert out.count("\n") == 1
    assert os.fspath(tmp_path) in out
