"""DICOM SEG: each segment becomes a mask file (NIfTI beside the samples) on the series it was drawn on, or run lengths on
a picture. A row is a SEG file: the source itself, or every SEG below a folder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from vesalius.dialogue.convert.coco import plain_rle
from vesalius.dialogue.convert.contract import Format, Options, Places, RawRow, RowError
from vesalius.dialogue.convert.located import located_samples
from vesalius.dialogue.samples import BoxTarget, MaskTarget, Sample
from vesalius.errors import VesaliusError

__all__ = ["FORMATS"]


def _rows(source: Path, options: Options) -> Iterator[RawRow]:
    from vesalius.findings.read_dicom_seg import is_dicom_seg

    files = [source] if source.is_file() else sorted(one for one in source.rglob("*") if one.is_file())
    number = 0
    for path in files:
        if source.is_file() or is_dicom_seg(path):
            number += 1
            yield RawRow(number, path, path.stem)


def _samples(row: RawRow, places: Places) -> Sequence[Sample]:
    from vesalius.findings.export_nifti import write_nifti_mask
    from vesalius.findings.masks import bounding_box
    from vesalius.findings.read_dicom_seg import read_dicom_seg
    from vesalius.study.items import Picture

    seg: Path = row.values
    series = places.options.series or (places.options.media if places.options.media else seg.parent)
    item = _item(series)
    try:
        found = read_dicom_seg(seg, item)
    except VesaliusError as exc:
        raise RowError(f"the segmentation {str(exc.args[0]).split(': ', 1)[-1].rstrip('.')}", "See above.") from exc
    boxes: dict[str, list[BoxTarget]] = {}
    masks: dict[str, list[MaskTarget]] = {}
    for number, one in enumerate(found, 1):
        if not one.mask.any():
            places.notes["segments without a pixel were left out"] += 1
            continue
        if isinstance(item, Picture):
            masks.setdefault(one.label, []).append(MaskTarget(label=one.label, rle=plain_rle(one.mask)))
            box = bounding_box(one.mask)
            assert box is not None
            boxes.setdefault(one.label, []).append(BoxTarget(label=one.label, box=box))
            continue
        folder = places.options.out / "masks"
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{row.name}-{number}.nii.gz"
        write_nifti_mask([one], item, path)
        target = MaskTarget(label=one.label, path=places.told(path), value=1)
        masks.setdefault(one.label, []).append(target)
    name = str(series.absolute())
    media = [places.medium("image" if isinstance(item, Picture) else "volume", name)]
    return located_samples(row, places, media, row.name, boxes, masks)


def _item(series: Path) -> Any:
    """The one scan of a folder or file; a folder with more would show a model other scans, too."""
    from vesalius.study.items import Picture, Volume
    from vesalius.study.read import read

    fix = "Name the folder of the series alone with --series."
    try:
        items = read(str(series)).items
    except VesaliusError as exc:
        raise RowError(f"the scan {str(exc.args[0]).split(': ', 1)[-1].rstrip('.')}", fix, "media") from exc
    if len(items) != 1 or not isinstance(items[0], Volume | Picture):
        raise RowError(f"{len(items)} items lie where the scan should be", fix, "media")
    return items[0]


def _recognises(source: Path, first: Any) -> bool:
    from vesalius.findings.read_dicom_seg import is_dicom_seg

    if source.is_file():
        return is_dicom_seg(source)
    return any(is_dicom_seg(one) for one in sorted(source.rglob("*"))[:2000] if one.is_file())


FORMATS = (
    Format("dicom-seg", "DICOM Segmentation objects and the series they were drawn on (`--series`)",
           "segments, by the positions in their headers", _recognises, _rows, _samples),
)  # fmt: skip
