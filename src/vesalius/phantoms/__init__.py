"""Generated studies with exact truth: pictures, volumes, clips and pairs to train, test and demonstrate on.

They only resemble clinical pictures and are never clinical.
"""

from vesalius.phantoms.clips import draw_clip
from vesalius.phantoms.pairs import draw_pair
from vesalius.phantoms.pictures import draw_picture
from vesalius.phantoms.truth import (
    LABELS,
    MODALITIES,
    PLANES,
    REGIONS,
    ClipTruth,
    PairTruth,
    PlacedObject,
    Truth,
    VolumeTruth,
)
from vesalius.phantoms.volumes import draw_volume, slice_truth

__all__ = [
    "LABELS",
    "MODALITIES",
    "PLANES",
    "REGIONS",
    "ClipTruth",
    "PairTruth",
    "PlacedObject",
    "Truth",
    "VolumeTruth",
    "draw_clip",
    "draw_pair",
    "draw_picture",
    "draw_volume",
    "slice_truth",
]
