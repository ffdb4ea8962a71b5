"""MedSG-Bench (MedSG-Bench on the hub): `Task1.json` … `Task8.json` (a file a task, or fewer) with rows `task,
question, images (2 to 6), answer [x1, y1, x2, y2] in pixels, additional_info, need_format, size`;
pictures by their paths.

Boxes that questions name are pixels of the first picture: the default prompt leaves them so, the variant "norm1000"
rewrites them into thousandths of it, for models that think in those. `extra["reference_boxes"]` holds them. Whether the
published answers share the pictures' frame is not certain; nothing is rescaled here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, cast

from vesalius.evaluation.benchmarks.boxes import one_box, picture_size
from vesalius.evaluation.benchmarks.medsg_twin import write_medsg_twin
from vesalius.evaluation.benchmarks.pictures import picture_file
from vesalius.evaluation.benchmarks.prompts import template_id
from vesalius.evaluation.benchmarks.rows import Row, find_tables, rows_of
from vesalius.evaluation.contract import Benchmark, Medium, Sample

__all__ = ["BENCHMARKS", "SUFFIX", "TASKS"]

TASKS = (
    "Registered_Diff", "Non_Registered_Diff", "multi_view", "object_tracking",
    "concept", "patch", "crossmodal", "referring",
)  # fmt: skip
SUFFIX = (
    "Output only the coordinates. Format: (x1,y1),(x2,y2). Strictly follow this format. "
    "No additional text or explanation."
)
_COLUMNS = ("task", "question", "images", "answer")
_BOX = re.compile(r"\((\d+),(\d+)\),\((\d+),(\d+)\)")


def _read(coord: str, folder: Path, split: str) -> Iterator[Sample]:
    patterns = ("Task*.json", "MedSG-Bench/Task*.json", "*/Task*.json", "*.json")
    for row in rows_of(find_tables(folder, patterns), _COLUMNS):
        yield _sample(coord, row, folder)


def _sample(coord: str, row: Row, folder: Path) -> Sample:
    task = row.text("task")
    if task not in TASKS:
        raise row.error("task", f"it is none of {', '.join(TASKS)}.")
    media = _pictures(row, folder)
    first = picture_size(media[0])
    question = re.sub(r"<image>\n?", "", row.text("question", strip=False))
    references = [[int(v) for v in found] for found in _BOX.findall(question)]
    asked = _BOX.sub(partial(_in_thousandths, first), question) if coord == "norm1000" else question
    return Sample(
        id=f"{row.path.stem}-{row.number}",
        kind="box",
        question=question,
        prompt=asked + SUFFIX,
        media=media,
        gold=[one_box(row, "answer")],
        size=_size(row, first),
        tags={"task": task, "images": str(len(media))},
        extra={"reference_boxes": references, "additional_info": row.values.get("additional_info")},
    )


def _in_thousandths(size: tuple[int, int], found: re.Match[str]) -> str:
    x0, y0, x1, y1 = (round(int(v) / size[k % 2] * 1000) for k, v in enumerate(found.groups()))
    return f"({x0},{y0}),({x1},{y1})"


def _pictures(row: Row, folder: Path) -> tuple[Medium, ...]:
    names = row.value("images")
    if not isinstance(names, list) or not 2 <= len(cast("list[Any]", names)) <= 6:
        raise row.error("images", "the value is not a list of 2 to 6 pictures.")
    media: list[Medium] = []
    for name in cast("list[Any]", names):
        # The authors' paths begin with a folder of their machine; the last two parts are published.
        path = PurePosixPath(name) if isinstance(name, str) else None
        short = str(PurePosixPath(*path.parts[-2:])) if path is not None and path.is_absolute() else name
        media.append(picture_file(row, "images", folder, short, ("", "images", "MedSG-Bench")))
    return tuple(media)


def _size(row: Row, first: tuple[int, int]) -> tuple[int, int]:
    """Of the picture the box lies in: told where pictures differ (multi_view), else that of all of them."""
    told = row.values.get("size")
    if told is None:
        return first
    pair = cast("list[Any]", told) if isinstance(told, list) else []
    if len(pair) != 2 or not all(isinstance(v, int) and v > 0 for v in pair):
        raise row.error("size", "it is not [width, height].")
    return pair[0], pair[1]


def _benchmark(coord: str) -> Benchmark:
    return Benchmark(
        name="medsg-bench",
        title="MedSG-Bench",
        group="grounding",
        splits=("test",),
        template=template_id("medsg" if coord == "abs" else "medsg-norm1000"),
        primary="mean_iou",
        read=partial(_read, coord),
        twin=write_medsg_twin,
        dialect="parens",
        coord="norm1000" if coord == "norm1000" else None,
        files="`Task1.json` … `Task8.json`, pictures by their paths",
        source="https://huggingface.co/MedSG-Bench",
        licence="Apache-2.0",
    )


BENCHMARKS = {"medsg-bench": replace(_benchmark("abs"), variants={"norm1000": _benchmark("norm1000")})}
