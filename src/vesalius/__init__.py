"""Medical vision-language models on clinical files: what is asked of a study is answered in its own coordinates.

    study = vesalius.read("ct_series/")
    answer = vesalius.load("starter").ask(study, "Where is the tumour?")
    print(answer.text, answer.findings)

Names are loaded when they are first used, so `import vesalius` itself needs no third-party package.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from vesalius.errors import (
    CheckpointError,
    GeometryError,
    InputError,
    LimitError,
    ModelError,
    OptionError,
    UnsupportedError,
    VesaliusError,
    WeightsMissingError,
)

if TYPE_CHECKING:
    from vesalius.findings.encode import encode
    from vesalius.findings.parse import parse_grounding
    from vesalius.findings.parse_answer import parse_answer
    from vesalius.inference.model import load
    from vesalius.study.deidentify import deidentify
    from vesalius.study.items import Clip, Document, Picture, Slide, Study, Table, Volume
    from vesalius.study.read import read

__version__ = "0.1.0"

__all__ = [
    "CheckpointError",
    "Clip",
    "Document",
    "GeometryError",
    "InputError",
    "LimitError",
    "ModelError",
    "OptionError",
    "Picture",
    "Slide",
    "Study",
    "Table",
    "UnsupportedError",
    "VesaliusError",
    "Volume",
    "WeightsMissingError",
    "__version__",
    "deidentify",
    "encode",
    "load",
    "parse_answer",
    "parse_grounding",
    "read",
]

_HOMES = {
    "deidentify": "vesalius.study.deidentify",
    "encode": "vesalius.findings.encode",
    "load": "vesalius.inference.model",
    "parse_answer": "vesalius.findings.parse_answer",
    "parse_grounding": "vesalius.findings.parse",
    "read": "vesalius.study.read",
    **dict.fromkeys(("Clip", "Document", "Picture", "Slide", "Study", "Table", "Volume"), "vesalius.study.items"),
}
"""Where each name that is loaded on first use lives."""


def __getattr__(name: str) -> object:
    """Load a public name on first use (PEP 562) and keep it."""
    if name not in _HOMES:
        raise AttributeError(f"module 'vesalius' has no attribute {name!r}")
    value: object = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
