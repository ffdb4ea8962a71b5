"""Training samples: one JSON object a line, media by path, turns with text and exact targets.

{"id": "p7-0", "lang": "en", "media": [{"kind": "image", "path": "images/7.png", "meta": {}}],
 "turns": [{"role": "user", "text": "Where is the nodule?"},
           {"role": "assistant", "text": "The nodule is here: [3].", "targets": {"boxes": [...]}}],
 "tags": {"modality": "ct", "area": "chest", "task": "box"}, "patient": "a3f9"}

Texts hold no coordinates: `<bbox>`, `<point>`, `<mask>` and `<ref-object>` stand for a turn's targets, `<image>`,
`<volume>`, `<video>` and `<table>` for its media (see `dialogue.marks`). Files: `dialogue.sample_files`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from vesalius.dialogue.sample_files import read_samples, write_samples

__all__ = [
    "BoxTarget",
    "ChangeTarget",
    "CountTarget",
    "MaskTarget",
    "Media",
    "PointTarget",
    "Rle",
    "Sample",
    "SideTarget",
    "SizeTarget",
    "Tags",
    "Targets",
    "Turn",
    "problem_of",
    "read_samples",
    "write_samples",
]

Finite = Annotated[float, Field(allow_inf_nan=False)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class _Placed(_Strict):
    """What something is and on which medium, slice or frame it lies (0-based)."""

    label: Annotated[str, Field(min_length=1, max_length=200)]
    media: Annotated[int, Field(ge=0)] = 0
    axis: Literal["axial", "coronal", "sagittal"] | None = None
    slice: Annotated[int, Field(ge=0)] | None = None
    frame: Annotated[int, Field(ge=0)] | None = None
    number: Annotated[int, Field(ge=1)] | None = None
    """The `[n]` by which the text cites it."""


class BoxTarget(_Placed):
    """`box`: (x0, y0, x1, y1), pixel frame of the original picture, x0 < x1, y0 < y1."""

    box: tuple[Finite, Finite, Finite, Finite]

    @model_validator(mode="after")
    def _ordered(self) -> BoxTarget:
        x0, y0, x1, y1 = self.box
        if not (x0 < x1 and y0 < y1):
            raise ValueError("box is empty or reversed: it needs x0 < x1 and y0 < y1")
        return self


class PointTarget(_Placed):
    """`point`: (x, y), pixel frame."""

    point: tuple[Finite, Finite]


class CountTarget(_Placed):
    """How many there are."""

    count: Annotated[int, Field(ge=0)]


class SideTarget(_Placed):
    """Patient side."""

    side: Literal["left", "right", "midline"]


class SizeTarget(_Placed):
    """Longest diameter in mm."""

    size_mm: Annotated[float, Field(gt=0, allow_inf_nan=False)]


class ChangeTarget(_Placed):
    """What became of a finding between two pictures."""

    change: Literal["new", "resolved", "grown", "shrunk", "unchanged", "more", "fewer"]


class Rle(_Strict):
    """A binary mask as alternating run lengths, zeros first, down the columns (COCO's uncompressed form).

    `size`: (height, width)."""

    size: tuple[Annotated[int, Field(gt=0)], Annotated[int, Field(gt=0)]]
    counts: list[Annotated[int, Field(ge=0)]]

    @model_validator(mode="after")
    def _full(self) -> Rle:
        if sum(self.counts) != self.size[0] * self.size[1]:
            raise ValueError("run lengths do not add up to height x width")
        return self


class MaskTarget(_Placed):
    """Either `path` (a PNG or .nii.gz: inside is what equals `value`, or all that is not zero without one) or `rle`."""

    path: Annotated[str, Field(min_length=1)] | None = None
    value: Annotated[int, Field(ge=1)] | None = None
    rle: Rle | None = None

    @model_validator(mode="after")
    def _one(self) -> MaskTarget:
        if (self.path is None) == (self.rle is None):
            raise ValueError("a mask needs either path or rle")
        return self


class Targets(_Strict):
    """What the turn's text says, exactly. `answer`: "yes", "no", an option or a word. `cites`: numbers cited."""

    answer: str | None = None
    cites: tuple[int, ...] = ()
    boxes: tuple[BoxTarget, ...] = ()
    points: tuple[PointTarget, ...] = ()
    counts: tuple[CountTarget, ...] = ()
    masks: tuple[MaskTarget, ...] = ()
    sides: tuple[SideTarget, ...] = ()
    sizes: tuple[SizeTarget, ...] = ()
    changes: tuple[ChangeTarget, ...] = ()

    def media_named(self) -> set[int]:
        """Indices of the media that the targets lie on."""
        groups = (self.boxes, self.points, self.counts, self.masks, self.sides, self.sizes, self.changes)
        return {target.media for group in groups for target in group}


class Media(_Strict):
    """`path`: relative to the samples file (or absolute). `meta`: spacing, window, fps…, never patient data."""

    kind: Literal["image", "volume", "video", "table"]
    path: Annotated[str, Field(min_length=1)]
    meta: dict[str, Any] = {}


class Turn(_Strict):
    """One message. `targets`: what its text says, exactly; in a user turn, the places it asks about. An assistant turn
    without text says its targets in the form of the model that is trained."""

    role: Literal["system", "user", "assistant"]
    text: str
    targets: Targets | None = None


class Tags(_Strict):
    """What the sample is about, for mixing and for reporting scores apart."""

    modality: str = "unknown"
    area: str = "unknown"
    task: str = "unknown"


class Sample(_Strict):
    """One conversation to learn from. `patient`: a pseudonym, so that no patient is on both sides of a split."""

    id: Annotated[str, Field(min_length=1, max_length=200)]
    lang: Annotated[str, Field(min_length=2, max_length=8)] = "en"
    media: tuple[Media, ...] = ()
    turns: Annotated[tuple[Turn, ...], Field(min_length=1)]
    tags: Tags = Tags()
    patient: Annotated[str, Field(min_length=1, max_length=200)] | None = None

    @model_validator(mode="after")
    def _fits(self) -> Sample:
        if not any(turn.role == "assistant" for turn in self.turns):
            raise ValueError("there is no assistant turn to learn")
        named = {k for turn in self.turns if turn.targets is not None for k in turn.targets.media_named()}
        if named and self.media and max(named) >= len(self.media):
            raise ValueError(f"a target lies on media {max(named)}, but there are only {len(self.media)}")
        if named and not self.media:
            raise ValueError("a target lies on media, but there are none")
        return self


def problem_of(error: ValidationError) -> str:
    """The first thing wrong with a row, and how many more there are; never the row's own words."""
    first = error.errors(include_input=False, include_url=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    if first["type"] == "missing":
        return f"{where} is missing{more}"
    return f"{where + ': ' if where else ''}{first['msg']}{more}"
