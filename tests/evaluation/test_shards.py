"""Several processes give the file that one gives."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from vesalius.errors import OptionError, UnsupportedError
from vesalius.evaluation.benchmarks import benchmark
from vesalius.evaluation.shards import Shards

TINY_MODEL = Path(__file__).parents[1] / "fixtures" / "medmo" / "qwen3vl_tiny"


def evaluated(data: Path, out: Path, *more: str) -> list[dict[str, Any]]:
    given = ["evaluate", "slake", "--data", str(data), "--out", str(out), "--model", str(TINY_MODEL), "--no-score"]
    given += ["--limit", "7", "--max-new-tokens", "3", "--batch", "2", "--ablation-sample", "2"]
    done = subprocess.run(
        [sys.executable, "-m", "vesalius", *given, *more], capture_output=True, text=True, timeout=500, check=False
    )
    assert done.returncode == 0, done.stderr
    files = [out / "slake" / f"predictions{name}.jsonl" for name in ("", ".blank", ".shuffle", ".none")]
    lines = [line for file in files for line in file.read_bytes().splitlines()]
    return [{**json.loads(line), "latency_s": 0} for line in lines]


def test_workers_give_the_rows_of_one_process_and_take_up_its_run(tmp_path: Path):
    pytest.importorskip("ray", reason="the ray extra is not installed")
    benchmark("slake").twin(tmp_path, 8, 0)
    one = evaluated(tmp_path, tmp_path / "one")
    path = tmp_path / "many" / "slake"
    path.mkdir(parents=True)
    (path / "manifest.json").write_bytes((tmp_path / "one" / "slake" / "manifest.json").read_bytes())
    first = (tmp_path / "one" / "slake" / "predictions.jsonl").read_bytes().splitlines(keepends=True)[1]
    (path / "predictions.jsonl").write_bytes(first)
    assert evaluated(tmp_path, tmp_path / "many", "--workers", "2") == one
    assert first in (path / "predictions.jsonl").read_bytes()


def test_without_the_extra_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UnsupportedError, match=r'pip install "vesalius\[ray\]"'):
        Shards("starter", 2)


def test_a_number_of_workers_out_of_range_is_refused():
    with pytest.raises(OptionError):
        Shards("starter", 0)
