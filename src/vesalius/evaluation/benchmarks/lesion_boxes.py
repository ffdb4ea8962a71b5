"""Lesions with boxes and no questions: NIH ChestX-ray8, DeepLesion, VinDr-CXR. The layouts are from general knowledge,
not checked against the files.

`nih-chestxray8`: `BBox_List_2017.csv` with `Image Index, Finding Label, x, y, w, h` on 1024 × 1024 pixels, pictures in
`images/`.  `deeplesion`: `DL_info.csv` with `File_name, Patient_index, Bounding_boxes "x1, y1, x2, y2", Image_size,
Train_Val_Test`, slices in `Images_png/<series>/<slice>.png` (16 bit, HU + 32768).  `vindr-cxr`:
`annotations/annotations_test.csv` with `image_id, class_name, x_min, y_min, x_max, y_max` and `test/<image_id>.dicom`
(or PNG, JPEG).

A sample is a picture and a label with all its boxes. Boxes are rescaled to the picture that is there when it is not of
the published size. VinDr-CXR is asked for every class of the file on every picture; its split "test-present" only for
those a picture shows.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath

from vesalius.errors import InputError
from vesalius.evaluation.benchmarks.boxes import ask_locate, checked_box, number_in, numbers_in, picture_size
from vesalius.evaluation.benchmarks.lesion_twins import write_deeplesion, write_nih, write_vindr
from vesalius.evaluation.benchmarks.pictures import picture_file
from vesalius.evaluation.benchmarks.rows import Row, find_tables, rows_of
from vesalius.evaluation.contract import Benchmark, Medium, Sample

__all__ = ["BENCHMARKS"]


@dataclass
class _Found:
    """All boxes of one label on one picture, in the published frame (None: that of the picture itself)."""

    row: Row
    label: str
    frame: tuple[float, float] | None = None
    boxes: list[list[float]] = field(default_factory=list[list[float]])
    cluster: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict[str, str])

    def sample(self, name: str, medium: Medium) -> Sample:
        size = _size(medium)
        across, down = (1.0, 1.0) if self.frame is None else (size[0] / self.frame[0], size[1] / self.frame[1])
        question = ask_locate(self.label)
        return Sample(
            id=name,
            kind="box",
            question=question,
            prompt=question,
            media=(medium,),
            gold=[[x0 * across, y0 * down, x1 * across, y1 * down] for x0, y0, x1, y1 in self.boxes],
            size=size,
            cluster=self.cluster,
            tags={"label": self.label} | dict(self.tags),
            extra={"label": self.label},
        )


def _size(medium: Medium) -> tuple[int, int]:
    if not isinstance(medium.source, Path) or medium.source.suffix.lower() not in (".dcm", ".dicom"):
        return picture_size(medium)
    import pydicom
    from pydicom.errors import InvalidDicomError

    try:
        header = pydicom.dcmread(medium.source, stop_before_pixels=True)
        return int(header.Columns), int(header.Rows)
    except (OSError, AttributeError, ValueError, TypeError, InvalidDicomError) as exc:
        raise InputError("is no readable DICOM picture.", file=medium.source, fix="Get the file again.") from exc


def _nih(folder: Path, split: str) -> Iterator[Sample]:
    found: dict[tuple[str, str], _Found] = {}
    for row in rows_of(find_tables(folder, ("BBox_List_2017.csv", "*/BBox_List_2017.csv")), ("Image Index",)):
        # The published header splits "Bbox [x,y,w,h]" at its commas.
        columns = [column if column in row.values else other for column, other in _NIH_COLUMNS]
        if absent := [column for column in columns if column not in row.values]:
            raise InputError(f"has no column {absent[0]!r}.", file=row.path, fix="Use the file as published.")
        x, y, width, height = (number_in(row, column) for column in columns)
        name, label = row.text("Image Index"), row.text("Finding Label")
        patient = name.split("_")[0]
        one = found.setdefault((name, label), _Found(row, label, (1024.0, 1024.0), cluster=patient))
        one.boxes.append(checked_box(row, columns[2], [x, y, x + width, y + height]))
    for (name, label), one in found.items():
        medium = picture_file(one.row, "Image Index", folder, name, ("images", ""))
        # Published as "Infiltrate" in one place and "Infiltration" in the other; asked as it stands here.
        yield one.sample(f"{name}-{label}", medium)


_NIH_COLUMNS = (("Bbox [x", "x"), ("y", "y"), ("w", "w"), ("h]", "h"))
_PARTS = {"train": "1", "val": "2", "test": "3"}
_TYPES = ("", "bone", "abdomen", "mediastinum", "liver", "lung", "kidney", "soft tissue", "pelvis")
_LESION_COLUMNS = ("File_name", "Patient_index", "Bounding_boxes", "Image_size", "Train_Val_Test")


def _deeplesion(folder: Path, split: str) -> Iterator[Sample]:
    found: dict[str, _Found] = {}
    for row in rows_of(find_tables(folder, ("DL_info.csv",)), _LESION_COLUMNS):
        if row.text("Train_Val_Test") != _PARTS[split]:
            continue
        width, height = numbers_in(row, "Image_size", row.text("Image_size"), 2)
        if min(width, height) <= 0:
            raise row.error("Image_size", "it is not two numbers over 0.")
        kind = row.maybe("Coarse_lesion_type")
        tags = {"lesion_type": _TYPES[int(kind)]} if kind.isdigit() and 0 < int(kind) < len(_TYPES) else {}
        cluster = row.text("Patient_index")
        one = found.setdefault(row.text("File_name"), _Found(row, "lesion", (width, height), [], cluster, tags))
        box = numbers_in(row, "Bounding_boxes", row.text("Bounding_boxes"), 4)
        one.boxes.append(checked_box(row, "Bounding_boxes", box))
    if not found:
        raise InputError(f"no row of DL_info.csv is of the split {split!r}.", file=folder)
    for name, one in found.items():
        series, _, slice_name = name.rpartition("_")
        deep = PurePosixPath(series, slice_name).as_posix()
        there = any((folder / place / deep).is_file() for place in ("Images_png", ""))
        medium = picture_file(one.row, "File_name", folder, deep if there else name, ("Images_png", ""))
        yield one.sample(name, medium)


_EDGES = ("x_min", "y_min", "x_max", "y_max")
_NO_FINDING = re.compile(r"no finding", re.IGNORECASE)


def _vindr(folder: Path, split: str) -> Iterator[Sample]:
    pictures: dict[str, dict[str, _Found]] = {}
    first: dict[str, Row] = {}
    paths = find_tables(folder, ("annotations/annotations_test.csv", "annotations_test.csv"))
    for row in rows_of(paths, ("image_id", "class_name", *_EDGES)):
        name, label = row.text("image_id"), row.text("class_name")
        shown = pictures.setdefault(name, {})
        first.setdefault(name, row)
        if not _NO_FINDING.fullmatch(label):
            box = checked_box(row, "x_max", [number_in(row, column) for column in _EDGES])
            shown.setdefault(label, _Found(row, label)).boxes.append(box)
    labels = sorted({label for shown in pictures.values() for label in shown})
    for name, shown in pictures.items():
        medium = _dicom_or_picture(first[name], folder, name)
        for label in labels if split == "test" else sorted(shown):
            yield shown.get(label, _Found(first[name], label)).sample(f"{name}-{label}", medium)


def _dicom_or_picture(row: Row, folder: Path, name: str) -> Medium:
    for suffix in (".dicom", ".dcm", ".png", ".jpg"):
        for place in ("test", ""):
            if (folder / place / f"{name}{suffix}").is_file():
                return picture_file(row, "image_id", folder, f"{name}{suffix}", (place,))
    return picture_file(row, "image_id", folder, f"{name}.dicom", ("test", ""))


_make = partial(Benchmark, group="grounding", template="locate", dialect="qwen-json")

BENCHMARKS = {
    "nih-chestxray8": _make(
        name="nih-chestxray8",
        title="NIH ChestX-ray8 boxes",
        splits=("test",),
        primary="mean_iou",
        read=_nih,
        twin=write_nih,
        files="`BBox_List_2017.csv`, `images/`",
        source="https://nihcc.app.box.com/v/ChestXray-NIHCC",
        licence="free to use with attribution to the NIH Clinical Center",
    ),
    "deeplesion": _make(
        name="deeplesion",
        title="DeepLesion",
        splits=("test", "val", "train"),
        primary="mean_iou",
        read=_deeplesion,
        twin=write_deeplesion,
        files="`DL_info.csv`, `Images_png/`",
        source="https://nihcc.app.box.com/v/DeepLesion",
        licence="free to use with attribution to the NIH Clinical Center",
    ),
    "vindr-cxr": _make(
        name="vindr-cxr",
        title="VinDr-CXR",
        splits=("test", "test-present"),
        primary="map_40",
        read=_vindr,
        twin=write_vindr,
        files="`annotations/annotations_test.csv`, `test/`",
        source="https://physionet.org/content/vindr-cxr/",
        licence="PhysioNet Credentialed Health",
    ),
}
