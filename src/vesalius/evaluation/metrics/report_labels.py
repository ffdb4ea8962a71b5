"""Agreement of the findings labelled in two reports (14 CheXpert labels, 18 CT labels, or any others).

The labels come from a labeller of the caller's choice. A label is present (1), absent (0), uncertain (-1) or not
mentioned (None).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from vesalius.errors import InputError, OptionError
from vesalius.evaluation.metrics.aligned import aligned
from vesalius.evaluation.metrics.classification import ClassScores, multilabel_scores

__all__ = ["CHEXPERT_5", "CHEXPERT_14", "CT_RATE_18", "label_scores"]

CHEXPERT_14 = (
    "Enlarged Cardiomediastinum",
    "Cardiomegaly",
    "Lung Opacity",
    "Lung Lesion",
    "Edema",
    "Consolidation",
    "Pneumonia",
    "Atelectasis",
    "Pneumothorax",
    "Pleural Effusion",
    "Pleural Other",
    "Fracture",
    "Support Devices",
    "No Finding",
)
CHEXPERT_5 = ("Cardiomegaly", "Edema", "Consolidation", "Atelectasis", "Pleural Effusion")
CT_RATE_18 = (
    "Medical material",
    "Arterial wall calcification",
    "Cardiomegaly",
    "Pericardial effusion",
    "Coronary artery wall calcification",
    "Hiatal hernia",
    "Lymphadenopathy",
    "Emphysema",
    "Atelectasis",
    "Lung nodule",
    "Lung opacity",
    "Pulmonary fibrotic sequela",
    "Pleural effusion",
    "Mosaic attenuation pattern",
    "Peribronchial thickening",
    "Consolidation",
    "Bronchiectasis",
    "Interlobular septal thickening",
)

Labels = Mapping[str, int | None]


def label_scores(
    predicted: Sequence[Labels | None],
    true: Sequence[Labels],
    labels: Sequence[str] = CHEXPERT_14,
    *,
    uncertain: Literal["present", "absent"] = "present",
) -> ClassScores:
    """Precision, recall and F1 per label over all reports; `micro_f1` and `macro_f1` of the result are the usual
    figures. A report without prediction (None) has no label present. `uncertain`: how -1 counts on both sides.

    Raises InputError for a value that is not 1, 0, -1 or None, or a label outside `labels`.
    """
    said, truth = aligned(predicted, true)
    if uncertain not in ("present", "absent"):
        raise OptionError(f"uncertain is {uncertain!r}, not present or absent.")
    rows = [[_vector(row or {}, labels, uncertain == "present") for row in side] for side in (said, truth)]
    return multilabel_scores(np.array(rows[0]), np.array(rows[1]), labels)


def _vector(row: Labels, labels: Sequence[str], doubtful: bool) -> list[bool]:
    unknown = row.keys() - set(labels)
    if unknown:
        raise InputError(f"label {min(unknown)!r} is not one of the {len(labels)}.")
    found = [row.get(label) for label in labels]
    if any(value not in (1, 0, -1, None) for value in found):
        raise InputError("a label's value is not 1, 0, -1 or None.")
    return [value == 1 or (value == -1 and doubtful) for value in found]
