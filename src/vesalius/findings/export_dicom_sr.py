"""Findings as a DICOM structured report (TID 1500) that points at the images they lie on.

A box, point or outline in the plane of a stored image is drawn on that image (SCOORD); one across the stored images, on
a reformatted slice, lies in patient space (SCOORD3D, LPS mm). Masks point at their segment where a DICOM SEG goes
along. Needs highdicom (`pip install 'vesalius[export]'`).
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from os import PathLike
from typing import Any

from vesalius.errors import InputError, UnsupportedError, VesaliusError
from vesalius.findings.dicom_regions import Regions, SegmentLinks
from vesalius.findings.findings import Box, Count, Finding, Mask, Measurement, Point
from vesalius.findings.segment_codes import segment_codes
from vesalius.findings.sr_codes import certainty, numbers
from vesalius.findings.writing import replacing
from vesalius.study.items import Clip, Picture, Volume

__all__ = ["write_dicom_sr"]


def write_dicom_sr(
    findings: Sequence[Finding],
    item: Volume | Picture | Clip,
    path: str | PathLike[str],
    *,
    model: str = "vesalius",
    include_patient: bool = False,
    segmentation: str | PathLike[str] | None = None,
) -> int:
    """Write one Comprehensive 3D SR, an imaging measurement report, and return the number of its measurement groups.

    `findings`: those on this item; each box, point and mask becomes a region-of-interest group with its size in UCUM
    units, measurements of the same `group` stand in it, other measurements and counts get a group of their own; a
    report is not written.  `item`: read from DICOM files that are still in place.  `segmentation`: the DICOM SEG of
    exactly the masks among `findings`, in their order; without it masks are outlined.  `model`, `include_patient`: as
    in `write_dicom_seg`.  The report is marked as unverified.
    Raises UnsupportedError without highdicom or for an item that is not from DICOM files, InputError when nothing can
    be written or a finding does not fit, GeometryError when the files no longer match the volume.
    """
    try:
        import highdicom.sr as sr
        from highdicom import UID
    except ImportError as exc:
        raise UnsupportedError("DICOM SR needs highdicom.", fix="Run: pip install 'vesalius[export]'.") from exc
    links = None if segmentation is None else SegmentLinks(segmentation)
    regions = Regions(item, links, include_patient=include_patient)
    try:
        with warnings.catch_warnings():
            # Source headers that bend the standard make pydicom warn about values we only pass on.
            warnings.simplefilter("ignore")
            groups = _groups(sr, findings, regions)
            if not groups:
                raise InputError("there is no box, point, mask, count or measurement to write as DICOM SR.")
            report = sr.Comprehensive3DSR(
                evidence=regions.evidence(),
                content=_content(sr, UID(), groups, model),
                series_instance_uid=UID(),
                series_number=901,
                sop_instance_uid=UID(),
                instance_number=1,
                manufacturer="Vesalius",
                is_complete=True,
                series_description="Vesalius findings",
            )
            # Labels may be in any script; without this, text beyond ASCII is unreadable elsewhere.
            report.SpecificCharacterSet = "ISO_IR 192"
            with replacing(path) as temporary:
                report.save_as(temporary)
    except VesaliusError:
        raise
    except (ValueError, TypeError, AttributeError, KeyError, IndexError) as exc:
        raise InputError(
            f"the source images do not allow a DICOM SR ({type(exc).__name__}).", fix="Write the findings as JSON."
        ) from exc
    return len(groups)


def _content(sr: Any, device: Any, groups: Sequence[Any], model: str) -> Any:
    from pydicom.sr.codedict import codes

    known: Any = codes
    observer = sr.ObserverContext(
        observer_type=known.DCM.Device,
        observer_identifying_attributes=sr.DeviceObserverIdentifyingAttributes(
            uid=device, name="Vesalius", manufacturer_name="Vesalius", model_name=_text(model)
        ),
    )
    return sr.MeasurementReport(
        observation_context=sr.ObservationContext(observer_device_context=observer),
        procedure_reported=known.SCT.ImagingProcedure,
        imaging_measurements=list(groups),
        title=known.DCM.ImagingMeasurementReport,
    )


def _groups(sr: Any, findings: Sequence[Finding], regions: Regions) -> list[Any]:
    placed = [f for f in findings if isinstance(f, Box | Point | Mask)]
    # A measurement stands with the first region of its group.
    homes = {f.group: n for n, f in reversed(list(enumerate(placed))) if f.group is not None}
    loose = [f for f in findings if isinstance(f, Measurement) and f.group not in homes]
    groups: list[Any] = []
    segment = 0
    for number, finding in enumerate(placed):
        segment += isinstance(finding, Mask)
        own = [
            f for f in findings if isinstance(f, Measurement) and f.group is not None and homes.get(f.group) == number
        ]
        measured = [*numbers(sr, finding), *(m for f in own for m in numbers(sr, f)), *certainty(sr, finding)]
        shared = _shared(sr, finding.label, len(groups) + 1) | {"measurements": measured or None}
        volumetric, region = regions.of(sr, finding, segment)
        if region is None:
            continue
        build = (
            sr.VolumetricROIMeasurementsAndQualitativeEvaluations
            if volumetric
            else sr.PlanarROIMeasurementsAndQualitativeEvaluations
        )
        groups.append(build(**shared, **region))
    for finding in (*loose, *(f for f in findings if isinstance(f, Count))):
        measured = [*numbers(sr, finding), *certainty(sr, finding)]
        shared = _shared(sr, finding.label, len(groups) + 1)
        images = regions.images(sr, finding.where)
        groups.append(sr.MeasurementsAndQualitativeEvaluations(**shared, source_images=images, measurements=measured))
    return groups


def _shared(sr: Any, label: str, number: int) -> dict[str, Any]:
    """What every group says: which finding it is, in words and in codes."""
    from highdicom import UID

    category, kind = segment_codes(label)
    return {
        "tracking_identifier": sr.TrackingIdentifier(uid=UID(), identifier=f"{_text(label)} {number}"),
        "finding_category": category,
        "finding_type": kind,
    }


def _text(text: str) -> str:
    """As a DICOM text value may be: no backslash, which separates values, no control character, 64 characters."""
    plain = "".join(c if c.isprintable() and c != "\\" else " " for c in text)
    return plain.strip()[:56] or "finding"
