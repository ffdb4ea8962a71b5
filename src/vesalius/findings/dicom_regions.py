"""Where a finding lies on stored DICOM images: graphic coordinates, source references, segments."""

from __future__ import annotations

from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vesalius.errors import InputError
from vesalius.findings.dicom_sources import SourcePlane, picture_source, volume_sources
from vesalius.findings.export_nifti import canonical_mask
from vesalius.findings.findings import Box, Mask, Point, Where
from vesalius.findings.masks import contours
from vesalius.findings.place import plane_of
from vesalius.study.geometry import AXES, LPS_TO_RAS, display_to_voxel
from vesalius.study.items import Clip, Picture, Volume

__all__ = ["Regions", "SegmentLinks"]

Reference = tuple[str, str, int | None]
"""SOP class UID, SOP instance UID, frame number from 1 or None for a single-frame image."""


class SegmentLinks:
    """A written DICOM SEG: its header, and which frames and source images each segment has."""

    def __init__(self, path: str | PathLike[str]) -> None:
        from pydicom import dcmread

        self.header: Any = dcmread(path, stop_before_pixels=True)
        self.frames: dict[int, list[int]] = {}
        self.sources: dict[int, list[Reference]] = {}
        shared = self.header.SharedFunctionalGroupsSequence[0]
        for number, group in enumerate(self.header.PerFrameFunctionalGroupsSequence, start=1):
            named = group if "SegmentIdentificationSequence" in group else shared
            segment = int(named.SegmentIdentificationSequence[0].ReferencedSegmentNumber)
            self.frames.setdefault(segment, []).append(number)
            derived = group if "DerivationImageSequence" in group else shared
            for source in derived.DerivationImageSequence[0].SourceImageSequence:
                frame = source.get("ReferencedFrameNumber")
                place = (str(source.ReferencedSOPClassUID), str(source.ReferencedSOPInstanceUID))
                reference = (*place, None if frame is None else int(frame))
                if reference not in self.sources.setdefault(segment, []):
                    self.sources[segment].append(reference)


class Regions:
    """Turns findings on one item into regions of interest of a structured report.

    Raises what `volume_sources` and `picture_source` raise.
    """

    def __init__(self, item: Volume | Picture | Clip, links: SegmentLinks | None, *, include_patient: bool) -> None:
        self._item, self._links = item, links
        self._planes: list[SourcePlane] = []
        if isinstance(item, Volume):
            self._planes = volume_sources(item, include_patient=include_patient)
            headers = [plane.header for plane in self._planes]
        else:
            headers = [picture_source(item, include_patient=include_patient)]
        self._headers = list({id(header): header for header in headers}.values())

    def evidence(self) -> list[Any]:
        """The data sets a report on this item refers to: source images, and the SEG."""
        return [*self._headers, *([self._links.header] if self._links else [])]

    def of(self, sr: Any, finding: Box | Point | Mask, segment: int) -> tuple[bool, dict[str, Any] | None]:
        """(is it volumetric, the region as keywords of a region-of-interest group); None when it has no pixel.

        `segment`: the mask's number in the SEG.
        """
        if isinstance(finding, Mask):
            if not finding.mask.any():
                return False, None
            return self._segment(sr, segment) if self._links else self._outlined(sr, finding)
        plane = plane_of(finding.where, self._item)
        if isinstance(finding, Box):
            x0, y0, x1, y1 = finding.x0, finding.y0, finding.x1, finding.y1
            corners = np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1], [x0, y0]], dtype=np.float64)
        else:
            corners = np.array([[finding.x, finding.y]], dtype=np.float64)
        limits = np.array([plane.width, plane.height]) + 1e-6
        if not ((corners >= -1e-6) & (corners <= limits)).all():
            raise InputError(f"a {finding.kind} does not fit the {plane.width} x {plane.height} picture.")
        return False, {"referenced_region": self._drawn(sr, corners, finding.where)}

    def images(self, sr: Any, where: Where) -> list[Any] | None:
        """The source image of a slice or frame that a number was read from; None when it names none."""
        if isinstance(self._item, Picture):
            reference: Reference | None = _reference(self._headers[0], None)
        elif isinstance(self._item, Clip):
            reference = None if where.frame is None else _reference(self._headers[0], where.frame + 1)
        elif where.axis is None or where.slice_index is None:
            reference = None
        else:
            found = self._stored(where)
            reference = None if found is None else self._named(found)
        return None if reference is None else [sr.SourceImageForMeasurementGroup(*_listed(reference))]

    def _drawn(self, sr: Any, corners: NDArray[np.float64], where: Where) -> Any:
        """Corners `[N, 2]` of the pixel frame, on the stored image or, across stored images, in patient space."""
        solo = len(corners) == 1
        if not isinstance(self._item, Volume):
            if isinstance(self._item, Clip) and where.frame is None:
                raise InputError("a finding on a clip needs where.frame to be written as DICOM SR.")
            frame = where.frame + 1 if isinstance(self._item, Clip) and where.frame is not None else None
            return _region(sr, corners, _reference(self._headers[0], frame))
        if where.axis is None or where.slice_index is None:
            raise InputError("a finding on a volume needs where.axis and where.slice_index.")
        flat = np.column_stack([corners, np.zeros(len(corners)), np.ones(len(corners))])
        voxels = flat @ display_to_voxel(self._item.shape, AXES[where.axis], where.slice_index).T
        found = self._stored(where)
        if found is not None:
            plane = self._planes[found]
            steps = voxels[:, :3] - plane.first
            # Stored columns and rows count pixel centres from 0; graphic coordinates, like the pixel frame, corners.
            stored = np.column_stack([steps @ plane.across, steps @ plane.down]) + 0.5
            return _region(sr, stored, self._named(found))
        lps = (voxels @ (LPS_TO_RAS @ self._item.affine_ras).T)[:, :3]
        kind = sr.GraphicTypeValues3D.POINT if solo else sr.GraphicTypeValues3D.POLYGON
        return sr.ImageRegion3D(kind, lps, str(self._headers[0].FrameOfReferenceUID))

    def _stored(self, where: Where) -> int | None:
        """The position of the stored image that is this slice, or None when the slice cuts across."""
        if where.axis is None or where.slice_index is None:
            return None
        axis = AXES[where.axis]
        for number, plane in enumerate(self._planes):
            if plane.across[axis] == plane.down[axis] == 0 and plane.first[axis] == where.slice_index:
                return number
        return None

    def _named(self, number: int) -> Reference:
        """The reference of a stored plane; frames of one file are counted."""
        header = self._planes[number].header
        own = [n for n, plane in enumerate(self._planes) if plane.header is header]
        return _reference(header, own.index(number) + 1 if "PerFrameFunctionalGroupsSequence" in header else None)

    def _segment(self, sr: Any, segment: int) -> tuple[bool, dict[str, Any]]:
        """A mask as the segment of the SEG: one frame of it is a planar region, several a volume."""
        assert self._links is not None
        header, frames = self._links.header, self._links.frames.get(segment)
        if not frames:
            raise InputError(f"the DICOM SEG has no segment {segment}.")
        place = (str(header.SOPClassUID), str(header.SOPInstanceUID))
        sources = [sr.SourceImageForSegmentation(*_listed(r)) for r in self._links.sources[segment]]
        if len(frames) == 1 and len(sources) == 1:
            frame = sr.ReferencedSegmentationFrame(*place, frames[0], segment, sources[0])
            return False, {"referenced_segment": frame}
        whole = sr.ReferencedSegment(*place, segment, frame_numbers=frames, source_images=sources)
        return True, {"referenced_segment": whole}

    def _outlined(self, sr: Any, mask: Mask) -> tuple[bool, dict[str, Any]]:
        """A mask as outlines on every stored image it touches; the rims of holes are outlines too."""
        outlines: list[Any] = []
        if isinstance(self._item, Volume):
            voxels = canonical_mask(mask, self._item)
            for number, plane in enumerate(self._planes):
                pixels = plane.pixels(voxels)
                reference = self._named(number)
                outlines += [_region(sr, _closed(line), reference) for line in contours(pixels)] if pixels.any() else []
        else:
            if mask.mask.shape != (self._item.height, self._item.width):
                raise InputError(f"mask {mask.mask.shape} does not match the picture.")
            outlines += [self._drawn(sr, _closed(line), mask.where) for line in contours(mask.mask)]
        if len(outlines) == 1:
            return False, {"referenced_region": outlines[0]}
        return True, {"referenced_regions": outlines}


def _closed(line: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.concatenate([line, line[:1]])


def _region(sr: Any, corners: NDArray[np.float64], reference: Reference) -> Any:
    kind = sr.GraphicTypeValues.POINT if len(corners) == 1 else sr.GraphicTypeValues.POLYLINE
    # Corners are known to lie inside but for rounding, and graphic coordinates may not be negative.
    return sr.ImageRegion(kind, np.maximum(corners, 0.0), sr.SourceImageForRegion(*_listed(reference)))


def _reference(header: Any, frame: int | None) -> Reference:
    return str(header.SOPClassUID), str(header.SOPInstanceUID), frame


def _listed(reference: Reference) -> tuple[str, str, list[int] | None]:
    kind, instance, frame = reference
    return kind, instance, None if frame is None else [frame]
