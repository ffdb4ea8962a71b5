"""`{<x0><y0><x1><y1>}`: whole per cent of the picture's width and height, origin top left (MedM-VL, Uni-Med data)."""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["PercentBox", "read_boxes", "write_box"]

_NUMBER = r"\s*<\s*(\d{1,3})\s*>"
_BOX = re.compile(r"\{" + _NUMBER * 4 + r"\s*\}")
_LONGEST_LABEL = 80


@dataclass(frozen=True)
class PercentBox:
    """Corners in per cent, 0..100, x0 < x1 and y0 < y1. `label`: the words that stood before it, or ""."""

    x0: int
    y0: int
    x1: int
    y1: int
    label: str = ""


def read_boxes(text: str) -> list[PercentBox]:
    """Every box in an answer, in order. Numbers above 100 are cut to 100; boxes without extent are left out.

    Some tokenizers say `<unk>` for a brace they lack; it is passed over, as the published evaluation does.
    """
    plain = text.replace("<unk>", "")
    found: list[PercentBox] = []
    last = 0
    for match in _BOX.finditer(plain):
        x0, y0, x1, y1 = (min(int(value), 100) for value in match.groups())
        label = plain[last : match.start()].splitlines()[-1:] or [""]
        last = match.end()
        if x0 < x1 and y0 < y1:
            found.append(PercentBox(x0, y0, x1, y1, label[0].strip(" \t:;,.-")[-_LONGEST_LABEL:]))
    return found


def write_box(x0: float, y0: float, x1: float, y1: float, width: float, height: float) -> str:
    """A box in pixels of a `width`×`height` picture as the model writes it, rounded to whole per cent."""
    values = (x0 / width, y0 / height, x1 / width, y1 / height)
    return "{" + "".join(f"<{min(max(round(100 * value), 0), 100)}>" for value in values) + "}"
