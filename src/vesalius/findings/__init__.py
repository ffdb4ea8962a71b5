"""What was found, where it lies in millimetres, how it is drawn and how it leaves the house.

Drawing needs Pillow and is imported by its own name, so that this front door stays light: `findings.draw.overlay`,
`findings.montage`, `findings.export_report` and `findings.save.save_findings`.
"""

from vesalius.findings.export_dicom_seg import write_dicom_seg
from vesalius.findings.export_json import from_json, to_json, write_json
from vesalius.findings.export_nifti import write_nifti_mask
from vesalius.findings.findings import Box, Count, Finding, Mask, Measurement, Point, Report, Where
from vesalius.findings.masks import (
    RunLengths,
    area_mm2,
    bounding_box,
    contours,
    decode_rle,
    encode_rle,
    longest_diameter,
    volume_ml,
)
from vesalius.findings.place import Plane, place, plane_of, slice_mask_to_volume, volume_mask_to_slice

__all__ = [
    "Box",
    "Count",
    "Finding",
    "Mask",
    "Measurement",
    "Plane",
    "Point",
    "Report",
    "RunLengths",
    "Where",
    "area_mm2",
    "bounding_box",
    "contours",
    "decode_rle",
    "encode_rle",
    "from_json",
    "longest_diameter",
    "place",
    "plane_of",
    "slice_mask_to_volume",
    "to_json",
    "volume_mask_to_slice",
    "volume_ml",
    "write_dicom_seg",
    "write_json",
    "write_nifti_mask",
]
