"""Boxes of SLAKE: `imgs/xmlab<N>/detection.json`, a list of {name: [x, y, w, h]} in pixels of `source.jpg` beside it.
`<split>.json` says by `img_name` which pictures are of a split; without it all count. A sample is a picture and a name
with all its boxes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from vesalius.errors import InputError
from vesalius.evaluation.benchmarks.boxes import ask_locate, checked_box, numbers_in, picture_size
from vesalius.evaluation.benchmarks.pictures import picture_file
from vesalius.evaluation.benchmarks.rows import Row, find_tables, load_json, rows_of
from vesalius.evaluation.benchmarks.twin_files import write_json
from vesalius.evaluation.benchmarks.twin_questions import truths
from vesalius.evaluation.contract import Benchmark, Sample

__all__ = ["BENCHMARKS"]


def _read(folder: Path, split: str) -> Iterator[Sample]:
    wanted: set[str] | None = None
    if (folder / f"{split}.json").is_file():
        named = rows_of([folder / f"{split}.json"], ("img_name",))
        wanted = {Path(row.text("img_name")).parent.name for row in named}
    paths = find_tables(folder, ("imgs/*/detection.json",))
    asked = 0
    for path in sorted(paths, key=lambda path: (len(path.parent.name), path.parent.name)):
        if wanted is None or path.parent.name in wanted:
            for sample in _picture(path):
                yield sample
                asked += 1
    if not asked:
        raise InputError(f"no box of the split {split!r} is there.", file=folder, fix="Use the files as published.")


def _picture(path: Path) -> Iterator[Sample]:
    loaded = load_json(path)
    if not isinstance(loaded, list):
        raise InputError("is not a list of boxes by name.", file=path)
    found: dict[str, list[list[float]]] = {}
    for number, values in enumerate(cast("list[Any]", loaded), 1):
        if not isinstance(values, dict) or not values:
            raise InputError(f"row {number} is not a box by its name.", file=path)
        row = Row(path, number, cast("dict[str, Any]", values))
        for label, value in row.values.items():
            x, y, width, height = numbers_in(row, label, value, 4)
            found.setdefault(label, []).append(checked_box(row, label, [x, y, x + width, y + height]))
    if not found:
        return
    name = path.parent.name
    medium = picture_file(Row(path, 0, {}), "picture", path.parent, "source.jpg")
    size = picture_size(medium)
    for label, boxes in found.items():
        question = ask_locate(label)
        yield Sample(
            id=f"{name}-{label}",
            kind="box",
            question=question,
            prompt=question,
            media=(medium,),
            gold=boxes,
            size=size,
            cluster=name,
            tags={"label": label},
            extra={"label": label},
        )


def _twin(folder: Path, count: int, seed: int) -> None:
    """Every object of generated pictures; `count` names or more."""
    from PIL import Image

    asked = 0
    for k, truth in enumerate(truths("slake-boxes", 1_000_000, seed), 1):
        place = folder / "imgs" / f"xmlab{k}"
        rows: list[dict[str, list[float]]] = []
        for one in truth.objects:
            x0, y0, x1, y1 = one.box
            rows.append({one.label.title(): [x0, y0, x1 - x0, y1 - y0]})
        write_json(place / "detection.json", rows)
        Image.fromarray(truth.pixels).convert("RGB").save(place / "source.jpg", quality=95)
        asked += len({one.label for one in truth.objects})
        if asked >= count:
            return


BENCHMARKS = {
    "slake-boxes": Benchmark(
        name="slake-boxes",
        title="SLAKE boxes",
        group="grounding",
        splits=("test", "validation", "train"),
        template="locate",
        primary="mean_iou",
        read=_read,
        twin=_twin,
        dialect="qwen-json",
        files="`imgs/xmlab*/detection.json`, `imgs/xmlab*/source.jpg`, `test.json`",
        source="https://www.med-vqa.com/slake/",
        licence="CC BY 4.0",
    )
}
