"""Prediction files of other projects, brought into a run folder so that they are scored like any run.

The folder holds `items.jsonl` (what was asked and what is right, as the file tells it), `predictions.jsonl` and a
manifest; nothing but the given file is needed, and the folder may be moved.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any, cast, get_args

from vesalius.errors import InputError, OptionError
from vesalius.evaluation.benchmarks.rows import Row, load_json, rows_of
from vesalius.evaluation.contract import Benchmark, Sample, TaskKind
from vesalius.evaluation.prediction import Prediction

__all__ = ["FORMATS", "Format", "import_run", "imported_benchmark"]

ITEMS = "items.jsonl"
Answered = tuple[Sample, Prediction]
_NOT_TOLD = "(the file does not hold the question)"


def _medsg(path: Path) -> Iterator[Answered]:
    """Rows `{task, question, answer, groundtruth}` and totals at the end, as the evaluation script writes them; or an
    object with `columns` and `rows` of lists. Boxes are pixels of the picture shown."""
    told = load_json(path)
    held = cast("dict[str, Any]", told) if isinstance(told, dict) else {"rows": told}
    rows = held.get("rows")
    if not isinstance(rows, list):
        raise InputError("holds no list of rows.", file=path)
    columns = ["groundtruth" if name.startswith("groundtruth") else name for name in held.get("columns", ())]
    for number, given in enumerate(cast("list[Any]", rows), 1):
        values = dict(zip(columns, given, strict=False)) if columns and isinstance(given, list) else given
        if not isinstance(values, dict):
            raise InputError(f"row {number} is neither an object nor a list under columns.", file=path)
        row = Row(path, number, cast("dict[str, Any]", values))
        if "answer" not in row.values and all(isinstance(value, Mapping) for value in row.values.values()):
            continue  # totals by task
        box = _numbers(row, "groundtruth", 4)
        task = row.maybe("task") or str(held.get("task") or "referring")
        size = row.values.get("size") or held.get("size") or (336, 336)  # the benchmark's pictures have 336 x 336
        question = row.maybe("question") or _NOT_TOLD
        yield (
            Sample(f"{task}-{number}", "box", question, question, gold=[box], size=_size(row, size),
                   tags={"task": task}),
            _answer(row, "answer", f"{task}-{number}"),
        )  # fmt: skip


def _pdc(path: Path) -> Iterator[Answered]:
    """JSON Lines `response, labels, messages, images`; the task follows from the label. Sizes are not told."""
    from vesalius.evaluation.published.point_detect_count import read_answer, task_of

    kinds: dict[str, TaskKind] = {
        "pointing": "point", "bounding": "box", "counting": "count", "cnt_and_point": "count_point",
        "count_and_box": "count_box",
    }  # fmt: skip
    for row in rows_of([path], ("response", "labels")):
        label = row.text("labels")
        try:
            task = task_of(label)
        except InputError as exc:
            raise row.error("labels", exc.problem) from exc
        true = read_answer(label, task, label=True)
        gold: Any = {
            "pointing": true.points, "bounding": true.boxes, "counting": true.count or 0,
            "cnt_and_point": {"count": true.count or 0, "points": true.points},
            "count_and_box": {"count": true.count or 0, "boxes": true.boxes},
        }[task]  # fmt: skip
        question = _asked(row) or _NOT_TOLD
        picture = next((str(one.get("path") or "") for one in _objects(row.values.get("images"))), "")
        yield (
            Sample(str(row.number), kinds[task], question, question, gold=gold, tags={"task": task}),
            _answer(row, "response", str(row.number), (picture,) if picture else ()),
        )  # fmt: skip


def _domain_shift(path: Path) -> Iterator[Answered]:
    """Rows `dataset, domain, subject, true_class, predicted_class, image, id`: what a classifier or model chose."""
    columns = ("dataset", "domain", "true_class", "predicted_class", "id")
    for row in rows_of([path], columns):
        sample = Sample(
            row.text("id"), "closed", "What is in this image?", "What is in this image?", gold=row.text("true_class"),
            tags=row.tags(("dataset", "domain")),
        )  # fmt: skip
        yield sample, _answer(row, "predicted_class", sample.id)


def _items(path: Path) -> Iterator[Answered]:
    """JSON Lines `id, kind, gold, answer` and, where there are any, `question, options, lang, size, cluster, tags,
    extra`: any benchmark in this toolkit's own words."""
    for row in rows_of([path], ("id", "kind", "gold", "answer")):
        yield _sample(row), _answer(row, "answer", row.text("id"))


def _sample(row: Row) -> Sample:
    kind = row.text("kind")
    if kind not in get_args(TaskKind):
        raise row.error("kind", f"it is none of {', '.join(get_args(TaskKind))}.")
    options, size = row.values.get("options"), row.values.get("size")
    if options is not None and not isinstance(options, Mapping):
        raise row.error("options", "it is not an object of letter → text.")
    question = row.maybe("question") or _NOT_TOLD
    prompt = row.maybe("prompt") or question
    held: dict[str, dict[str, Any]] = {}
    for column in ("tags", "extra"):
        value: Any = row.values.get(column) or {}
        if not isinstance(value, Mapping):
            raise row.error(column, "it is not an object.")
        held[column] = dict(cast("Mapping[str, Any]", value))
    return Sample(
        row.text("id"), cast("TaskKind", kind), question, prompt, options=cast("Any", options),
        gold=row.value("gold"), lang=row.maybe("lang") or "en", size=None if size is None else _size(row, size),
        cluster=row.maybe("cluster") or None, tags={key: str(value) for key, value in held["tags"].items()},
        extra=held["extra"],
    )  # fmt: skip


def _asked(row: Row) -> str:
    turns = [turn for turn in _objects(row.values.get("messages")) if turn.get("role") == "user"]
    return str(turns[0].get("content") or "").strip() if turns else ""


def _objects(value: Any) -> list[Mapping[str, Any]]:
    listed = cast("list[Any]", value) if isinstance(value, list) else []
    return [cast("Mapping[str, Any]", one) for one in listed if isinstance(one, Mapping)]


def _answer(row: Row, column: str, name: str, images: tuple[str, ...] = ()) -> Prediction:
    """The answer as it stands; null is an empty one. `images`: what names the pictures shown."""
    value = row.values.get(column)
    raw = "" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return Prediction(name, images=images, raw=raw)


def _numbers(row: Row, column: str, count: int) -> list[float]:
    value = row.value(column)
    if not isinstance(value, list) or len(cast("list[Any]", value)) != count:
        raise row.error(column, f"it is not a list of {count} numbers.")
    numbers = cast("list[Any]", value)
    if not all(isinstance(one, int | float) and not isinstance(one, bool) for one in numbers):
        raise row.error(column, f"it is not a list of {count} numbers.")
    return numbers


def _size(row: Row, value: Any) -> tuple[int, int]:
    pair = list(cast("Any", value)) if isinstance(value, list | tuple) else []
    if len(pair) != 2 or not all(isinstance(one, int) and one > 0 for one in pair):
        raise row.error("size", "it is not [width, height].")
    return pair[0], pair[1]


@dataclass(frozen=True)
class Format:
    """A kind of prediction file. `benchmark`: the name the run goes by, which "published" finds its profile from."""

    benchmark: str
    title: str
    group: str
    primary: str
    read: Callable[[Path], Iterator[Answered]]
    dialect: str | None = None


FORMATS: dict[str, Format] = {
    "medsg": Format("medsg-bench", "MedSG-Bench, stored answers", "grounding", "iou", _medsg, "qwen-json"),
    "pdc": Format("medmultipoints", "PointDetectCount, stored answers", "counting", "point_f1", _pdc, "qwen-json"),
    "domain-shift": Format("domain-shift", "Domain shift, stored answers", "robustness", "accuracy", _domain_shift),
    "items": Format("items", "Stored answers", "text", "accuracy", _items),
}
"""Name of `vesalius score --import` → format."""


def imported_benchmark(name: str) -> Benchmark:
    """The benchmark whose items an imported run brought along. OptionError for an unknown format."""
    form = _format(name)

    def read(folder: Path, split: str) -> Iterator[Sample]:
        for row in rows_of([folder / ITEMS], ("id", "kind", "gold")):
            yield _sample(row)

    def no_twin(folder: Path, count: int, seed: int) -> None:
        raise OptionError("stored answers have no twin.")

    return Benchmark(
        form.benchmark, form.title, form.group, ("test",), f"imported-{name}", form.primary, read, no_twin,
        dialect=form.dialect,
    )  # fmt: skip


def import_run(file: str | PathLike[str], format_name: str, out: str | PathLike[str], model: str | None = None) -> Path:
    """Make `out` a run folder of the answers in `file`, and return it.

    `format_name`: a name of `FORMATS`. `model`: what gave the answers (default: the file's name). Raises InputError
    naming file and row for what is no such file, OptionError when `out` holds another run or cannot be written.
    """
    from vesalius.evaluation.fingerprint import Sampling, manifest_of
    from vesalius.evaluation.passes import MAIN, Pass
    from vesalius.evaluation.prediction_file import rewrite
    from vesalius.evaluation.run_folder import RunFolder
    from vesalius.evaluation.survey import survey
    from vesalius.findings.export_json import write_json
    from vesalius.findings.writing import output_folder, replacing
    from vesalius.inference.identity import Identity

    path, form, folder = Path(file), _format(format_name), output_folder(out)
    if not path.is_file():
        raise InputError("there is no such file." if not path.exists() else "is not a file.", file=path)
    answered = list(form.read(path))
    if not answered:
        raise InputError("holds no answers.", file=path)
    source = hashlib.sha256(path.read_bytes()).hexdigest()
    if (folder / "manifest.json").exists() and RunFolder(folder).manifest.get("imported", {}).get("sha256") != source:
        raise OptionError("the folder holds another run.", file=folder, fix="Choose another --out.")
    benchmark, name = imported_benchmark(format_name), model or path.stem
    found = survey(iter([sample for sample, _ in answered]), path, form.benchmark)
    manifest = manifest_of(
        benchmark, Path(), "test", None, found, Identity(name, name), Sampling(options={}), [Pass(MAIN)]
    )
    manifest |= {"data": ".", "imported": {"format": format_name, "file": path.name, "sha256": source}}
    # Nothing is known of how these answers were made.
    for key in ("created", "image_budget", "sampling", "packages", "seeds"):
        manifest.pop(key)
    with RunFolder(folder).locked():
        with replacing(folder / ITEMS) as temporary, temporary.open("w", encoding="utf-8") as lines:
            for sample, _ in answered:
                lines.write(json.dumps(_told(sample), ensure_ascii=False) + "\n")
        rewrite(folder / "predictions.jsonl", [replace(one, model=name) for _, one in answered])
        write_json(folder / "manifest.json", manifest)
    return folder


def _format(name: str) -> Format:
    if name not in FORMATS:
        raise OptionError(f"no prediction file is called {name!r}.", fix=f"Known: {', '.join(FORMATS)}.")
    return FORMATS[name]


def _told(sample: Sample) -> dict[str, Any]:
    names = ("id", "kind", "question", "prompt", "options", "gold", "lang", "size", "cluster", "tags", "extra")
    told = {key: getattr(sample, key) for key in names}
    return {key: value for key, value in told.items() if value not in (None, {}) or key == "gold"}
