"""Thumbnails of an error: what was shown, with the true places and those of the answer drawn on it.

A picture is reduced first and drawn on then, so that lines and labels stay crisp. Of a volume the slice is shown that
the truth lies on, of a clip its middle frame; of several pictures at most four.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vesalius.errors import VesaliusError
from vesalius.evaluation.contract import Medium, Sample
from vesalius.evaluation.prediction import Prediction
from vesalius.evaluation.scoring import places
from vesalius.evaluation.scoring.item import ItemScore
from vesalius.evaluation.scoring.masks import masks_of
from vesalius.evaluation.scoring.true_masks import true_mask
from vesalius.findings.draw import overlay
from vesalius.findings.findings import Box, Finding, Mask, Point
from vesalius.findings.legend import PALETTE
from vesalius.findings.place import volume_mask_to_slice
from vesalius.study.items import AXES, Clip, Picture, Slide, Volume
from vesalius.study.read import read
from vesalius.vision.views import native_axis

__all__ = ["ANSWER_COLOUR", "SIDE", "TRUTH_COLOUR", "Thumbnail", "thumbnails"]

SIDE = 320
"""Long side of a thumbnail, pixels."""
MOST_PICTURES = 4
MOST_PLACES = 40
_ORDER = ("answer", "-", "truth")
ANSWER_COLOUR, TRUTH_COLOUR = PALETTE[0], PALETTE[2]
Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Thumbnail:
    """A drawn picture. `caption`: which slice or frame, empty for a picture alone."""

    image: Image.Image
    caption: str = ""

    def data_uri(self) -> str:
        """As JPEG, colours at full resolution (thin coloured lines would blur)."""
        held = io.BytesIO()
        self.image.save(held, format="JPEG", quality=80, subsampling=0, optimize=True)
        return "data:image/jpeg;base64," + base64.b64encode(held.getvalue()).decode("ascii")


def thumbnails(sample: Sample, prediction: Prediction, item: ItemScore) -> list[Thumbnail]:
    """The media of an item with its places; nothing where there are none or they cannot be read."""
    found: list[Thumbnail] = []
    for position, medium in enumerate(sample.media[:MOST_PICTURES]):
        try:
            shown = _read(medium)
            thumbnail = _of_item(shown, sample, prediction, item, position)
        except (VesaliusError, OSError, ValueError, IndexError):
            continue  # an item may be an error because its picture is damaged
        if thumbnail is not None:
            found.append(thumbnail)
    return found


def _read(medium: Medium) -> Any:
    wanted = {"image": (Picture, Slide), "volume": (Volume,), "video": (Clip,)}[medium.kind]
    if medium.kind == "volume":
        from vesalius.inference.media import read_raw

        study = read_raw(medium.source)
    else:
        study = read(medium.source)
    return next((one for one in study.items if isinstance(one, wanted)), None)


def _of_item(shown: Any, sample: Sample, prediction: Prediction, item: ItemScore, position: int) -> Thumbnail | None:
    match shown:
        case Picture():
            return Thumbnail(_drawn(shown.view(), _flat(sample, prediction, item, position, shown)))
        case Slide():
            return Thumbnail(_drawn(shown.thumbnail(SIDE), []))
        case Volume():
            return _slice(shown, sample, prediction, item)
        case Clip():
            frame = shown.num_frames // 2
            return Thumbnail(_drawn(shown.frames([frame])[0], []), f"frame {frame} of {shown.num_frames}")
        case _:
            return None


def _flat(sample: Sample, prediction: Prediction, item: ItemScore, position: int, shown: Picture) -> list[Finding]:
    """Places on a picture. Where several pictures are shown and the truth names none, they go on each that has the
    size the truth is in."""
    named = sample.extra.get("image")
    if isinstance(named, int) and len(sample.media) > 1 and named != position:
        return []
    if sample.size is not None and len(sample.media) > 1 and sample.size != (shown.width, shown.height):
        return []
    if sample.kind == "mask":
        return [
            Mask(label=name, mask=mask)
            for name, mask in _masks(sample, prediction)
            if mask.shape == (shown.height, shown.width) and mask.any()
        ]
    if sample.kind not in places.KINDS or sample.kind == "box3d":
        return []
    true = places.truth_of(sample).rows
    return [*_marks("truth", true), *_marks("answer", _answered(item))]


def _answered(item: ItemScore) -> list[list[float]]:
    """The places of an answer as the profile read them; where it read none, the other reading's."""
    answer: Any = item.answer
    if not isinstance(answer, Mapping):
        return []
    told = cast("Mapping[str, Any]", answer)
    return next((told[key] for key in ("places", "tolerant", "strict") if told.get(key)), [])


def _marks(name: str, rows: Sequence[Sequence[float]]) -> list[Finding]:
    found: list[Finding] = []
    for row in rows[:MOST_PLACES]:
        if len(row) == 4:
            x0, y0, x1, y1 = row
            found.append(Box(label=name, x0=min(x0, x1), y0=min(y0, y1), x1=max(x0, x1), y1=max(y0, y1)))
        elif len(row) == 2:
            found.append(Point(label=name, x=row[0], y=row[1]))
    return found


def _masks(sample: Sample, prediction: Prediction) -> list[tuple[str, NDArray[np.bool_]]]:
    """Those of the truth and of the answer, in the truth's frame (see `scoring.true_masks`)."""
    truth = true_mask(sample)
    return [("truth", truth.inside), *(("answer", mask) for mask in masks_of(prediction, truth)[0] or ())]


def _slice(volume: Volume, sample: Sample, prediction: Prediction, item: ItemScore) -> Thumbnail:
    """A slice as one looks at it: where the true mask is largest, through the true box's middle, or in the middle."""
    axis, index = native_axis(volume), volume.num_slices(native_axis(volume)) // 2
    marks: list[Finding] = []
    if sample.kind == "mask":
        solid = [(name, mask) for name, mask in _masks(sample, prediction) if mask.shape == volume.shape and mask.any()]
        if solid:
            across = tuple(d for d in range(3) if d != AXES[axis])
            index = int(np.argmax(solid[0][1].sum(axis=across)))
            marks = [Mask(label=name, mask=volume_mask_to_slice(mask, axis, index)) for name, mask in solid]
    elif sample.kind == "box3d" and (true := places.truth_of(sample).rows) and len(true[0]) == 6:
        # Along slices, rows and columns: feet to head, and an axial slice as it is shown.
        axis = "axial"
        extent = np.asarray(sample.extra.get("shape", (1.0, 1.0, 1.0)), dtype=float)
        scale = np.asarray((volume.shape[2], volume.shape[1], volume.shape[0])) / extent
        index = int(np.clip((true[0][0] + true[0][3]) / 2 * scale[0], 0, volume.shape[2] - 1))
        rows = {"truth": true, "answer": _answered(item)}
        marks = [mark for name, boxes in rows.items() for mark in _cuts(name, boxes, scale, index)]
    view = volume.slices([index], axis)[0].view()
    return Thumbnail(_drawn(view, marks), f"{axis} slice {index} of {volume.num_slices(axis)}")


def _cuts(name: str, boxes: Sequence[Sequence[float]], scale: NDArray[np.float64], index: int) -> list[Finding]:
    """Where boxes (two corners along slices, rows, columns) are cut by a slice."""
    found: list[Finding] = []
    for box in boxes:
        if len(box) != 6:
            continue
        low, high = np.sort(np.asarray(box, dtype=float).reshape(2, 3) * scale, axis=0)
        if low[0] <= index + 1 and index <= high[0]:
            found.append(Box(label=name, x0=low[2], y0=low[1], x1=high[2], y1=high[1]))
    return found


def _drawn(pixels: Pixels, findings: Sequence[Finding]) -> Image.Image:
    """The picture at thumbnail size with findings on it; small pictures are enlarged by whole factors."""
    height, width = pixels.shape[:2]
    longest = max(height, width)
    factor = SIDE / longest if longest > SIDE else float(SIDE // longest)
    size = max(1, round(width * factor)), max(1, round(height * factor))
    how = Image.Resampling.LANCZOS if factor < 1 else Image.Resampling.NEAREST
    small = np.asarray(Image.fromarray(pixels).resize(size, how))
    x, y = size[0] / width, size[1] / height
    scaled: list[Finding] = []
    for one in findings:
        match one:
            case Box():
                scaled.append(Box(label=one.label, x0=one.x0 * x, y0=one.y0 * y, x1=one.x1 * x, y1=one.y1 * y))
            case Point():
                scaled.append(Point(label=one.label, x=one.x * x, y=one.y * y))
            case Mask():
                reduced = Image.fromarray(one.mask.astype(np.uint8) * 255).resize(size, Image.Resampling.BOX)
                scaled.append(Mask(label=one.label, mask=np.asarray(reduced) >= 128))
            case _:
                pass
    return overlay(small, scaled, scale=1.0, labels=_ORDER, legend=False)
