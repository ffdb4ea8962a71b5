"""From study items to the pixels MedM-VL's encoders read.

Volumes become `[D, H, W]`, axis 0 = slices. Scans with patient geometry (NIfTI, DICOM) are laid out as they are looked
at: slices from feet to head, rows from front to back, columns from the patient's right to left. Arrays without
geometry keep their stored order, which is all the published code knows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vesalius.errors import InputError, OptionError
from vesalius.models.contract import Shown
from vesalius.models.medmvl.config import MedmvlConfig
from vesalius.models.medmvl.quirks import MedmvlQuirks
from vesalius.study.geometry import AXES
from vesalius.study.items import Picture, Slide, Volume
from vesalius.vision.clip_pixels import PixelRule
from vesalius.vision.ct_volume import HU_WINDOW, cropped, foreground_box, grey_slices, resized, windowed
from vesalius.vision.pillow_rgb import rgb_by_pillow

__all__ = ["MedmvlPixels", "VolumeReading"]

_RAW = ("npy", "npz", "array")
_DEFAULT_SLICES = 32
_LEGACY_SLICE_PX = 256
_MEAN, _STD = 55.6982188356434, 66.1943479570918
"""Grey levels MedM-CLIP was normalised with."""
_SLIDE_PX = 1024


@dataclass(frozen=True)
class VolumeReading:
    """`intensity`: "hu" (None: the window −1000..1000, or the one the caller asks for) or "0_255" (values as they are,
    what the older generations were trained on).  `orientation`: "radiological" (None) or "stored", the file's own
    voxel order, its last axis first, which is what a NIfTI becomes when it is saved as `.npy` for the published code.
    OptionError for another value."""

    intensity: str | None = None
    orientation: str | None = None

    def __post_init__(self) -> None:
        for name, value, known in (
            ("volume_intensity", self.intensity, ("hu", "0_255")),
            ("volume_orientation", self.orientation, ("radiological", "stored")),
        ):
            if value is not None and value not in known:
                raise OptionError(f"{name} is {value!r}; use {' or '.join(known)}.")


@dataclass(frozen=True)
class MedmvlPixels:
    """`rule`: how the 2D tower reads pictures, None without one."""

    config: MedmvlConfig
    rule: PixelRule | None
    quirks: MedmvlQuirks

    def picture(self, shown: Shown) -> Tensor:
        """`[3, S, S]` float32 of a picture. InputError for clips and for checkpoints that read volumes only."""
        if self.rule is None:
            raise InputError("this checkpoint reads volumes only.", fix="Give a volume, or load a 2D checkpoint.")
        return torch.from_numpy(self.rule.normalised(_rgb(shown, self.quirks.opened_by_pillow)))

    def num_slices(self, shown: Shown) -> int:
        """How many slices of a volume the tower sees. OptionError where a 3D tower's number is fixed."""
        if self.config.reads_volumes_as_slices:
            return shown.num_slices or _DEFAULT_SLICES
        plan = self.config.encoder_3d
        fixed = plan.shape.image[0] if plan else _DEFAULT_SLICES
        if shown.num_slices not in (None, fixed):
            raise OptionError(f"num_slices is {shown.num_slices}; this checkpoint reads volumes as {fixed} slices.")
        return fixed

    def volume(self, shown: Shown, reading: VolumeReading) -> Tensor:
        """`[3, N, S, S]` float32 of slices for a 2D tower, `[1, D, H, W]` for a 3D tower."""
        num_slices = self.num_slices(shown)
        values = _slices_first(shown, stored=reading.orientation == "stored")
        if reading.intensity != "0_255":
            window = shown.window
            values = windowed(values, HU_WINDOW if window is None else (window.low, window.high))
        if self.rule is not None:
            return self._slices(values, num_slices, self.rule)
        plan = self.config.encoder_3d
        if plan is None:  # a config without any encoder is refused on loading
            raise InputError("this checkpoint reads no volumes.")
        grey = np.asarray(values, dtype=np.float32)
        if plan.kind == "m3dclip":
            scaled = grey / np.float32(255)
            scaled = scaled - scaled.min()
            scaled = scaled / np.maximum(scaled.max(), np.float32(1e-8))
            box = foreground_box(scaled)
        else:
            scaled = (grey - np.float32(_MEAN)) / np.float32(_STD)
            box = foreground_box(scaled if self.quirks.foreground_above_mean else grey)
        return resized(cropped(scaled, box), plan.shape.image)[None]

    def _slices(self, values: NDArray[Any], num_slices: int, rule: PixelRule) -> Tensor:
        # The older layout resized every volume to 256 pixels first and left the rest to the picture's own rule.
        side = rule.size if self.config.generation == "g2" else _LEGACY_SLICE_PX
        grey = grey_slices(values, (num_slices, side, side), truncate=self.quirks.grey_levels_truncated)
        each = [rule.normalised(np.repeat(plane[:, :, None], 3, axis=2)) for plane in grey]
        return torch.from_numpy(np.stack(each, axis=1))


def _slices_first(shown: Shown, *, stored: bool) -> NDArray[Any]:
    """`[D, H, W]` across the axis asked for (axial) as it is looked at; an array without geometry as it is."""
    item = shown.item
    if not isinstance(item, Volume):
        raise InputError(f"MedM-VL reads pictures and volumes, not a {type(item).__name__.lower()}.")
    values = item.source.all()
    if stored and item.origin.format not in _RAW:
        return values.transpose(2, 1, 0)
    axis = AXES[shown.axis or "axial"]
    stored_axis, flipped = item.orientation.stored_axis(axis)
    planes = np.moveaxis(values, stored_axis, 0)
    return item.orientation.planes_to_display(planes[::-1] if flipped else planes, axis)


def _rgb(shown: Shown, by_pillow: bool) -> NDArray[np.uint8]:
    item = shown.item
    if isinstance(item, Slide):
        return item.thumbnail(_SLIDE_PX)
    if not isinstance(item, Picture):
        raise InputError(f"MedM-VL reads pictures and volumes, not a {type(item).__name__.lower()}.")
    opened = rgb_by_pillow(shown.source, item) if by_pillow else None
    if opened is not None:
        return opened
    view = item.view()
    return view if view.ndim == 3 else np.repeat(view[:, :, None], 3, axis=2)
