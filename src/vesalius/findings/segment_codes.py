"""SNOMED CT concepts for the labels of segments, taken from the dictionary that ships with pydicom."""

from __future__ import annotations

from typing import Any

__all__ = ["label_code", "segment_codes"]

_ORGANS = {
    "brain": "Brain",
    "breast": "Breast",
    "heart": "Heart",
    "kidney": "Kidney",
    "liver": "Liver",
    "lung": "Lung",
    "pancreas": "Pancreas",
    "prostate": "Prostate",
    "spine": "Spine",
    "spleen": "Spleen",
    "stomach": "Stomach",
}
_ABNORMAL = {
    "cyst": "Cyst",
    "edema": "Edema",
    "effusion": "Effusion",
    "haemorrhage": "Hemorrhage",
    "hemorrhage": "Hemorrhage",
    "lesion": "Lesion",
    "mass": "Mass",
    "neoplasm": "Neoplasm",
    "nodule": "Nodule",
    "oedema": "Edema",
    "pleural effusion": "PleuralEffusion",
    "tumor": "Neoplasm",
    "tumour": "Neoplasm",
}


def segment_codes(label: str) -> tuple[Any, Any]:
    """(category, type) for a label, e.g. (Organ, Liver) or (Morphologically Abnormal Structure, Nodule).

    A label that is not in the lists is called a morphologically abnormal structure of no closer type; its words still
    stand in the segment's label.
    """
    from pydicom.sr.codedict import codes

    concepts: Any = codes.SCT
    kind = label_code(label)
    if label.strip().lower() in _ORGANS:
        return concepts.Organ, kind
    abnormal = concepts.MorphologicallyAbnormalStructure
    return abnormal, abnormal if kind is None else kind


def label_code(label: str) -> Any | None:
    """The concept of a label, or None where the lists have none: then nothing is claimed about it."""
    from pydicom.sr.codedict import codes

    name = label.strip().lower()
    keyword = _ORGANS.get(name) or _ABNORMAL.get(name)
    return None if keyword is None else getattr(codes.SCT, keyword)
