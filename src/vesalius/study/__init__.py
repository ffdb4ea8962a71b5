"""Clinical files in, items out: see `read`."""

from vesalius.study.items import (
    Axis,
    Clip,
    Document,
    Item,
    Origin,
    Picture,
    SliceView,
    Slide,
    Study,
    Table,
    Volume,
    VoxelSource,
)
from vesalius.study.raw_voxels import late_warnings
from vesalius.study.read import read
from vesalius.study.windows import PRESETS, Window, preset

__all__ = [
    "PRESETS",
    "Axis",
    "Clip",
    "Document",
    "Item",
    "Origin",
    "Picture",
    "SliceView",
    "Slide",
    "Study",
    "Table",
    "Volume",
    "VoxelSource",
    "Window",
    "late_warnings",
    "preset",
    "read",
]
