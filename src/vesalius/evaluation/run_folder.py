"""A run on disk: what was asked, of what, with what answers.

OUT/slake/manifest.json                what the numbers depend on (see `fingerprint`)
OUT/slake/predictions.jsonl            one `Prediction` a line
OUT/slake/predictions.blank.jsonl      … of another pass (see `passes`)
OUT/slake/.lock                        held while somebody writes
OUT/vqa-rad+reasoning/…                a benchmark by another of its prompts, or on shifted data
"""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import Any, cast

from vesalius.errors import InputError, OptionError
from vesalius.evaluation.contract import Benchmark, Sample
from vesalius.evaluation.corruptions import corruption_named
from vesalius.evaluation.passes import MAIN, Pass
from vesalius.evaluation.prediction import Prediction
from vesalius.evaluation.prediction_file import read_predictions

__all__ = ["RunFolder", "run_folders"]


class RunFolder:
    """The folder of one benchmark's run. Reading takes no lock: a run may be watched while it goes on."""

    def __init__(self, path: str | PathLike[str], benchmark: Benchmark | None = None) -> None:
        """`benchmark`: for one that `benchmarks.BENCHMARKS` does not name. Nothing is read yet."""
        self.path = Path(path)
        self._benchmark = benchmark

    @property
    def manifest(self) -> dict[str, Any]:
        """`manifest.json`. InputError when there is none or it is damaged."""
        path = self.path / "manifest.json"
        try:
            read: Any = json.loads(path.read_text(encoding="utf-8"))
        except OSError as exc:
            raise InputError(
                "the folder holds no run.", file=self.path, fix="Name a folder with manifest.json."
            ) from exc
        except ValueError as exc:
            raise InputError("is not JSON.", file=path) from exc
        if not isinstance(read, dict) or not isinstance(cast("dict[str, Any]", read).get("passes"), dict):
            raise InputError("is no manifest of a run.", file=path)
        return cast("dict[str, Any]", read)

    @property
    def benchmark(self) -> Benchmark:
        """The benchmark that was run, by the prompt and on the shift it was run with; for imported answers, the one
        their items lie beside."""
        from vesalius.evaluation.benchmarks import benchmark
        from vesalius.evaluation.imported import imported_benchmark
        from vesalius.evaluation.shift import rederived

        if self._benchmark is not None:
            return self._benchmark
        told = self.manifest
        if "imported" in told:
            return imported_benchmark(str(told["imported"]["format"]))
        return rederived(benchmark(str(told["benchmark"])), told.get("derived", {}))

    @property
    def data(self) -> Path:
        """Where the files lay that were asked; the folder itself for imported answers."""
        return self.path / str(self.manifest["data"])

    def passes(self) -> list[Pass]:
        """The passes of this run, the main one first."""
        told: Mapping[str, Mapping[str, Any]] = self.manifest["passes"]
        return [
            Pass(
                name,
                one.get("seed", 0),
                one.get("ablation"),
                one.get("permutation", 0),
                corruption_named(one["corruption"]) if "corruption" in one else None,
                one.get("limit"),
                one.get("sample"),
            )
            for name, one in told.items()
        ]

    def predictions(self, name: str = MAIN) -> Iterator[Prediction]:
        """The rows of a pass in stored order. InputError for a damaged row, a double id or a pass not run."""
        return read_predictions(self.path / Pass(name).file)

    def complete_predictions(self, name: str = MAIN) -> dict[str, Prediction]:
        """Id → row of a pass. InputError unless its ids are exactly those asked: none missing, none foreign."""
        rows = {row.id: row for row in self.predictions(name)}
        asked = self.asked_ids(name)
        for what, ids in (("missing", asked.keys() - rows.keys()), ("of no item", rows.keys() - asked.keys())):
            if ids:
                raise InputError(
                    f"{len(ids)} of {len(asked)} predictions are {what} (first {min(ids)!r}).",
                    file=self.path / Pass(name).file,
                    fix="Run vesalius evaluate again: it asks what is missing." if what == "missing" else None,
                )
        return {key: rows[key] for key in asked}

    def asked_ids(self, name: str = MAIN) -> dict[str, None]:
        """The ids a pass asks, in order, from the data folder."""
        from vesalius.evaluation.survey import asked_of

        one = next((p for p in self.passes() if p.name == name), None)
        if one is None:
            raise InputError(f"the run has no pass {name!r}.", file=self.path)
        left_out = set(self.manifest["passes"][name].get("left_out", ()))
        return {key: None for key in asked_of(one, self.samples()) if key not in left_out}

    def samples(self) -> Iterator[Sample]:
        """The items asked, read again from the data folder the manifest names."""
        from itertools import islice

        told = self.manifest
        return islice(self.benchmark.read(self.data, told["split"]), told["limit"])

    @contextmanager
    def locked(self) -> Generator[None]:
        """Hold the folder for writing, making it. OptionError when another run holds it; a killed one holds nothing."""
        from filelock import FileLock, Timeout

        from vesalius.findings.writing import output_folder

        lock = FileLock(output_folder(self.path) / ".lock", timeout=0)
        try:
            lock.acquire()
        except Timeout as exc:
            raise OptionError(
                "another run is writing here.", file=self.path, fix="Wait for it, or choose another --out."
            ) from exc
        except OSError as exc:
            raise OptionError(
                f"cannot be locked: {exc.strerror}.", file=self.path, fix="Choose another --out."
            ) from exc
        try:
            yield
        finally:
            lock.release()


def run_folders(path: str | PathLike[str]) -> list[RunFolder]:
    """The runs in a folder: itself, or the benchmarks under it in order of name. InputError when there is none."""
    root = Path(path)
    found = [p.parent for p in (root / "manifest.json", *sorted(root.glob("*/manifest.json"))) if p.is_file()]
    if not root.is_dir():
        what = "is a file, not the folder of a run." if root.exists() else "there is no such folder."
        raise InputError(what, file=path, fix="Name the --out of vesalius evaluate.")
    if not found:
        raise InputError("the folder holds no run.", file=path, fix="Name the --out of vesalius evaluate.")
    return [RunFolder(one) for one in found]
