"""Masks as a DICOM Segmentation that points at the images it was drawn on.

The frames of the segmentation take the position of their source images from the source headers, never from the
volume's affine, so they lie exactly on them. Needs highdicom (`pip install 'vesalius[export]'`).
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from copy import deepcopy
from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vesalius.errors import InputError, UnsupportedError, VesaliusError
from vesalius.findings.dicom_sources import SourcePlane, picture_source, volume_sources
from vesalius.findings.export_nifti import canonical_mask
from vesalius.findings.findings import Mask
from vesalius.findings.segment_codes import segment_codes
from vesalius.findings.writing import replacing
from vesalius.study.items import Clip, Picture, Volume

__all__ = ["write_dicom_seg"]


def write_dicom_seg(
    masks: Sequence[Mask],
    item: Volume | Picture | Clip,
    path: str | PathLike[str],
    *,
    model: str = "vesalius",
    include_patient: bool = False,
    codes: Mapping[str, tuple[Any, Any]] | None = None,
) -> dict[int, str]:
    """Write one binary SEG with a segment per mask and return the label of each segment number (from 1).

    `masks`: `[X, Y, Z]` canonical voxels or `[H, W]` of a slice (a volume), `[H, W]` (a picture; a clip, where
    `where.frame` says on which frame); masks may overlap.
    `item`: read from DICOM files that are still in place (`Origin.files`); their headers give positions and references.
    `model`: the algorithm's name.  `include_patient`: copy name, identity, dates and study description of the
    source, as an archive needs to file the object; otherwise those fields are empty and only UIDs link it.
    `codes`: label -> (category, type), pydicom codes, instead of the built-in SNOMED CT choice.
    Raises UnsupportedError without highdicom or for an item that is not from DICOM files, InputError when no mask has a
    pixel or a mask does not fit, GeometryError when the files no longer match the volume.
    """
    highdicom = _highdicom()
    if not any(m.mask.any() for m in masks):
        raise InputError("there is no mask with a pixel to write as DICOM SEG.")
    if isinstance(item, Picture | Clip):
        sources = [picture_source(item, include_patient=include_patient)]
        frames = _picture_frames(masks, item)
    else:
        planes = volume_sources(item, include_patient=include_patient)
        sources, frames = _volume_frames(masks, item, planes)
    descriptions = [_description(highdicom, n, mask.label, model, codes) for n, mask in enumerate(masks, start=1)]
    try:
        with warnings.catch_warnings():
            # Source headers that bend the standard make pydicom warn about values we only pass on.
            warnings.simplefilter("ignore")
            build = _build_on_clip if isinstance(item, Clip) else _build
            segmentation = build(highdicom, sources, frames, descriptions, model)
            if isinstance(item, Clip):
                _name_frames(segmentation, masks)
            with replacing(path) as temporary:
                segmentation.save_as(temporary)
    except VesaliusError:
        raise
    except (ValueError, TypeError, AttributeError, KeyError, IndexError) as exc:
        raise InputError(
            f"the source images do not allow a DICOM SEG ({type(exc).__name__}).",
            fix="Write the masks as NIfTI or JSON instead.",
        ) from exc
    return {n: mask.label for n, mask in enumerate(masks, start=1)}


def _highdicom() -> Any:
    try:
        import highdicom
        from highdicom import seg
    except ImportError as exc:
        raise UnsupportedError("DICOM SEG needs highdicom.", fix="Run: pip install 'vesalius[export]'.") from exc
    del seg  # importing it is what makes highdicom.seg there
    return highdicom


def _picture_frames(masks: Sequence[Mask], item: Picture | Clip) -> NDArray[np.uint8]:
    """`[1, H, W, S]` uint8."""
    for mask in masks:
        frame = mask.where.frame
        if isinstance(item, Clip) and (frame is None or not 0 <= frame < item.num_frames):
            raise InputError(f"a mask lies on frame {frame} of a clip of {item.num_frames} frames.")
        if mask.mask.shape != (item.height, item.width):
            raise InputError(f"mask {mask.mask.shape} does not match the picture ({item.height}, {item.width}).")
    return np.stack([m.mask for m in masks], axis=-1)[None].astype(np.uint8)


def _volume_frames(
    masks: Sequence[Mask], volume: Volume, planes: Sequence[SourcePlane]
) -> tuple[list[Any], NDArray[np.uint8]]:
    """The source images that carry a mask and their pixels `[N, H, W, S]` uint8, in the source's order.

    A multi-frame source is one image for all frames, so there every frame goes along.
    """
    whole = len({id(plane.header) for plane in planes}) < len(planes)
    drawn: list[tuple[int, int, NDArray[np.bool_]]] = []
    for segment, mask in enumerate(masks):
        voxels = canonical_mask(mask, volume)
        for position, plane in enumerate(planes):
            pixels = plane.pixels(voxels)
            if pixels.any():
                drawn.append((position, segment, pixels))
    used = list(range(len(planes))) if whole else sorted({position for position, _, _ in drawn})
    rows, columns = planes[0].size
    frames = np.zeros((len(used), rows, columns, len(masks)), dtype=np.uint8)
    for position, segment, pixels in drawn:
        frames[used.index(position), :, :, segment] = pixels
    return [planes[0].header] if whole else [planes[n].header for n in used], frames


def _description(
    highdicom: Any, number: int, label: str, model: str, codes: Mapping[str, tuple[Any, Any]] | None
) -> Any:
    from pydicom.sr.codedict import codes as known

    category, kind = (codes or {}).get(label) or segment_codes(label)
    algorithm = highdicom.AlgorithmIdentificationSequence(
        name=model[:64], version=_version(), family=known.DCM.ArtificialIntelligence
    )
    # A backslash separates values in DICOM text and may not stand inside one.
    written = label.replace("\\", "/")[:64] or "finding"
    return highdicom.seg.SegmentDescription(
        segment_number=number,
        segment_label=written,
        segmented_property_category=category,
        segmented_property_type=kind,
        algorithm_type="AUTOMATIC",
        algorithm_identification=algorithm,
        tracking_uid=highdicom.UID(),
        tracking_id=f"{written[:48]} {number}",
    )


def _build(highdicom: Any, sources: Sequence[Any], frames: NDArray[np.uint8], descriptions: Any, model: str) -> Any:
    segmentation = highdicom.seg.Segmentation(
        source_images=sources,
        pixel_array=frames,
        segmentation_type="BINARY",
        segment_descriptions=descriptions,
        series_instance_uid=highdicom.UID(),
        series_number=900,
        sop_instance_uid=highdicom.UID(),
        instance_number=1,
        manufacturer="Vesalius",
        manufacturer_model_name=model[:64],
        software_versions=_version(),
        device_serial_number="1",
        content_label="SEGMENTATION",
        content_description="Masks found by a model",
        series_description="Vesalius findings",
    )
    # Labels may be in any script; without this, text beyond ASCII is unreadable elsewhere.
    segmentation.SpecificCharacterSet = "ISO_IR 192"
    return segmentation


def _build_on_clip(
    highdicom: Any, sources: Sequence[Any], frames: NDArray[np.uint8], descriptions: Any, model: str
) -> Any:
    """As `_build`, for a clip without a frame of reference (ultrasound, endoscopy), which highdicom refuses.

    It is built as if on a single picture, one segment per mask, and the clip's own class is put back afterwards.
    """
    from pydicom.uid import SecondaryCaptureImageStorage

    (header,) = sources
    kind, header.SOPClassUID = header.SOPClassUID, SecondaryCaptureImageStorage
    if "NumberOfFrames" in header:
        del header.NumberOfFrames
    segmentation = _build(highdicom, [header], frames, descriptions, model)

    def put_back(_: Any, element: Any) -> None:
        if element.keyword == "ReferencedSOPClassUID" and element.value == SecondaryCaptureImageStorage:
            element.value = kind

    segmentation.walk(put_back)
    return segmentation


def _name_frames(segmentation: Any, masks: Sequence[Mask]) -> None:
    """Say of each frame of the segmentation which frame of the clip it was drawn on."""
    shared = segmentation.SharedFunctionalGroupsSequence[0]
    for group in segmentation.PerFrameFunctionalGroupsSequence:
        named = group if "SegmentIdentificationSequence" in group else shared
        segment = int(named.SegmentIdentificationSequence[0].ReferencedSegmentNumber)
        # highdicom gives all frames of one source the same item; each needs its own.
        group.DerivationImageSequence = deepcopy(group.DerivationImageSequence)
        for source in group.DerivationImageSequence[0].SourceImageSequence:
            source.ReferencedFrameNumber = (masks[segment - 1].where.frame or 0) + 1  # DICOM counts from 1


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("vesalius")
    except PackageNotFoundError:
        return "0"
