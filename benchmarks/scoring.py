"""Time to score stored multiple-choice answers: `python -m benchmarks.scoring --items 100000`."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from vesalius.evaluation.contract import Benchmark, Sample
from vesalius.evaluation.fingerprint import Sampling, manifest_of
from vesalius.evaluation.passes import MAIN, Pass
from vesalius.evaluation.prediction import Prediction
from vesalius.evaluation.prediction_file import rewrite
from vesalius.evaluation.score import score_run
from vesalius.evaluation.survey import survey
from vesalius.findings.export_json import write_json
from vesalius.inference.identity import Identity

OPTIONS = {"A": "pleural effusion", "B": "pneumothorax", "C": "rib fracture", "D": "no finding"}
FORMS = ("{}", "({})", "The answer is {}.", "\\boxed{{\\text{{{}}}}}", "Option {} is correct.", "I cannot tell.")


def _read(count: int) -> Iterator[Sample]:
    for k in range(count):
        prompt = f"Question {k}: what is shown?"
        yield Sample(str(k), "mcq", prompt, prompt, options=OPTIONS, gold="ABCD"[k % 4], cluster=f"p{k // 3}",
                     tags={"modality": ("CT", "MR", "US")[k % 3]})  # fmt: skip


def main() -> None:
    """Write a run of `--items` answers in six forms, score it, print the seconds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=100_000)
    count = parser.parse_args().items
    made = Benchmark(
        "timed", "Timed", "text", ("test",), "t-1", "accuracy", lambda folder, split: _read(count), lambda *_: None
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        found = survey(_read(count), folder, made.name)
        identity = Identity("none", "none")
        manifest = manifest_of(made, folder, "test", None, found, identity, Sampling(), [Pass(MAIN)])
        write_json(folder / "manifest.json", manifest)
        rows = [Prediction(str(k), raw=FORMS[k % 6].format("ABCD"[k % 5 % 4])) for k in range(count)]
        rewrite(folder / "predictions.jsonl", rows)
        began, cpu = time.perf_counter(), time.process_time()
        summary = score_run(folder, benchmark=made)
        seconds = time.perf_counter() - began
        sys.stdout.write(f"{summary.n} answers: {seconds:.1f} s ({time.process_time() - cpu:.1f} s of one core)\n")


if __name__ == "__main__":
    main()
