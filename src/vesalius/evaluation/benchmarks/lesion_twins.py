"""Twins of the benchmarks of lesions with boxes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vesalius.evaluation.benchmarks.twin_files import write_bytes, write_csv
from vesalius.evaluation.benchmarks.twin_questions import png, truths
from vesalius.evaluation.benchmarks.twin_volumes import volumes
from vesalius.phantoms.truth import LABELS

__all__ = ["write_deeplesion", "write_nih", "write_vindr"]

_NIH_SIDE = 1024


def write_nih(folder: Path, count: int, seed: int) -> None:
    """`count` boxes or more on generated radiographs of 128 pixels a side, told on 1024 as published."""
    rows: list[dict[str, Any]] = []
    for k, truth in enumerate(truths("nih-chestxray8", 1_000_000, seed, ("xray",))):
        found = [one for one in truth.objects if LABELS[one.label] == "finding"]
        if not found:
            continue
        name = f"{k:08}_000.png"
        write_bytes(folder / "images" / name, png(truth))
        scale = _NIH_SIDE / truth.pixels.shape[0]
        for one in found:
            x0, y0, x1, y1 = (v * scale for v in one.box)
            place = {"Bbox [x": x0, "y": y0, "w": x1 - x0, "h]": y1 - y0}
            rows.append({"Image Index": name, "Finding Label": one.label.title(), **place})
        if len({(row["Image Index"], row["Finding Label"]) for row in rows}) >= count:
            break
    write_csv(folder / "BBox_List_2017.csv", rows)


def write_deeplesion(folder: Path, count: int, seed: int) -> None:
    """`count` key slices of generated volumes, 16 bit with 32768 added to HU."""
    import io

    import numpy as np
    from PIL import Image

    rows: list[dict[str, Any]] = []
    for k, truth in enumerate(volumes("deeplesion", count, seed, "ct"), 1):
        index = int((truth.instances > 0).sum(axis=(0, 1)).argmax())
        shown = truth.values[::-1, ::-1, index].T.astype(np.int32) + 32768
        instances = truth.instances[::-1, ::-1, index].T
        buffer = io.BytesIO()
        Image.fromarray(shown.astype(np.uint16)).save(buffer, format="PNG")
        series = f"{k:06}_01_01"
        write_bytes(folder / "Images_png" / series / f"{index + 1:03}.png", buffer.getvalue())
        for number in np.unique(instances[instances > 0]).tolist():
            ys, xs = np.nonzero(instances == number)
            box = (int(xs.min()), int(ys.min()), int(xs.max()) + 1, int(ys.max()) + 1)
            rows.append(
                {
                    "File_name": f"{series}_{index + 1:03}.png",
                    "Patient_index": k,
                    "Key_slice_index": index + 1,
                    "Bounding_boxes": ", ".join(map(str, box)),
                    "Coarse_lesion_type": 5 if truth.region == "chest" else 2,
                    "Image_size": "32, 32",
                    "Train_Val_Test": 3,
                }
            )
    write_csv(folder / "DL_info.csv", rows)


def write_vindr(folder: Path, count: int, seed: int) -> None:
    """Generated radiographs as PNG, the healthy ones with "No finding"; `count` questions or more."""
    rows: list[dict[str, Any]] = []
    for k, truth in enumerate(truths("vindr-cxr", 1_000_000, seed, ("xray",))):
        name = f"{k:032x}"
        found = [one for one in truth.objects if LABELS[one.label] == "finding"]
        edges: list[tuple[Any, ...]] = [(one.label.title(), *one.box) for one in found] or [("No finding", *[""] * 4)]
        for label, *box in edges:
            told = dict(zip(("x_min", "y_min", "x_max", "y_max"), box, strict=True))
            rows.append({"image_id": name, "class_name": label, **told})
        write_bytes(folder / "test" / f"{name}.png", png(truth))
        if (k + 1) * len({row["class_name"] for row in rows} - {"No finding"}) >= count:
            break
    write_csv(folder / "annotations" / "annotations_test.csv", rows)
