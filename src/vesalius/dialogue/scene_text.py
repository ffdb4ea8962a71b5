"""What a detector saw on a picture, as short text for a language model that cites objects by number.

    ct axial chest | [1] lung left 210 mm | [2] lung right 205 mm | [3] nodule left 12 mm anterior | none: mass

The same grouping serves the drawn truth (training) and the detector (answering), so a model never meets text it was
not trained on. Every number a model may speak stands in this text.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vesalius.dialogue.words import POSITIONS, SIDES, Name

__all__ = [
    "ANATOMY",
    "COUNTED",
    "LABEL_ORDER",
    "LOOKED_FOR",
    "OBJECTS",
    "SURE",
    "SURE_OUT_OF_PLACE",
    "Grouping",
    "Scene",
    "SceneSet",
    "SeenChange",
    "SeenGroup",
    "SeenObject",
    "compare_groups",
    "describe_change",
    "group_objects",
    "position_of",
    "size_text",
    "write_change",
    "write_group",
    "write_scene",
]

COUNTED = frozenset({"cell", "debris", "microaneurysm", "exudate"})
"""Small things that come in numbers: one group per picture."""

MAX_SINGLE = 5
"""Objects of one label up to which each is a group of its own."""

UNSIZED = frozenset({"lung", "spine", "brain"})
"""Anatomy whose visible length says more about the field of view than about the patient: never given a size."""

SURE = 0.2
"""Confidence from which an object is listed; below it its label is only `maybe`.

Confidence is the chance that the object is there *and* rightly outlined, so it stands well below ½ for small findings
that are surely there; what is seen at all is decided by each label's own threshold before this."""

SURE_OUT_OF_PLACE = 0.5
"""The same for a finding that is not looked for on this kind of picture (a brain tumour on a chest scan)."""

LABEL_ORDER = (
    "lung", "heart", "liver", "kidney", "spine", "brain", "ventricle", "optic disc",
    "nodule", "mass", "consolidation", "effusion", "tumour", "haemorrhage", "cyst", "stone",
    "microaneurysm", "exudate", "mole", "polyp", "cell", "instrument", "debris",
)  # fmt: skip
"""The order in which labels are listed: anatomy, findings, other objects."""

ANATOMY = frozenset(LABEL_ORDER[:8])
OBJECTS = frozenset({"instrument", "debris"})

LOOKED_FOR: dict[tuple[str, str], tuple[str, ...]] = {
    ("xray", "chest"): ("nodule", "consolidation", "effusion"),
    ("ct", "chest"): ("nodule", "mass", "effusion"),
    ("ct", "abdomen"): ("mass", "cyst", "stone"),
    ("ct", "head"): ("haemorrhage",),
    ("mr", "head"): ("tumour",),
    ("mr", "abdomen"): ("mass", "cyst"),
    ("ultrasound", "abdomen"): ("mass", "cyst", "stone"),
    ("ultrasound", "breast"): ("mass", "cyst", "stone"),
    ("fundus", "eye"): ("haemorrhage", "microaneurysm", "exudate"),
    ("skin", "skin"): ("mole",),
    ("endoscopy", "bowel"): ("polyp", "instrument"),
    ("microscopy", "tissue"): ("cell", "debris"),
}
"""What is named under `none:` when it was looked for and not seen, by (modality, region)."""


@dataclass(frozen=True)
class SeenObject:
    """One detected or drawn object. `box`: pixel frame. `side`: patient side or None. `slices`: first and last 0-based
    canonical slice. `motion`: "moving" | "still"."""

    label: str
    side: str | None
    size_mm: float | None
    box: tuple[float, float, float, float]
    confidence: float = 1.0
    slices: tuple[int, int] | None = None
    motion: str | None = None


@dataclass(frozen=True)
class SeenGroup:
    """What one number `[n]` stands for: one object, or several small ones. `size_mm`: longest diameter (of the
    largest). `position`: a key of `words.POSITIONS`. `centre`: (x, y) as fractions of the picture, not written."""

    number: int
    label: str
    count: int
    side: str | None
    size_mm: float | None
    position: str | None
    confidence: float
    slices: tuple[int, int] | None = None
    motion: str | None = None
    centre: tuple[float, float] | None = None


@dataclass(frozen=True)
class Scene:
    """One picture, volume (`num_slices`) or clip (`num_frames`) as it was seen. `maybe`: labels below `SURE`."""

    modality: str
    plane: str
    region: str
    groups: tuple[SeenGroup, ...] = ()
    maybe: tuple[str, ...] = ()
    num_slices: int | None = None
    num_frames: int | None = None

    def of(self, label: str) -> tuple[SeenGroup, ...]:
        """Groups of one label."""
        return tuple(g for g in self.groups if g.label == label)

    def count(self, label: str) -> int:
        """Objects of one label, over its groups."""
        return sum(g.count for g in self.of(label))

    @property
    def findings(self) -> tuple[SeenGroup, ...]:
        """Groups that are neither anatomy nor mere objects."""
        return tuple(g for g in self.groups if g.label not in ANATOMY and g.label not in OBJECTS)

    @property
    def absent(self) -> tuple[str, ...]:
        """Labels that were looked for in such a picture and neither seen nor suspected."""
        seen = {g.label for g in self.groups} | set(self.maybe)
        return tuple(x for x in LOOKED_FOR.get((self.modality, self.region), ()) if x not in seen)


@dataclass(frozen=True)
class SeenChange:
    """What became of one object between two pictures. `before`, `after`: group numbers. `change`: a key of
    `words.CHANGES`. Sizes in mm; counts only for counted labels."""

    label: str
    side: str | None
    change: str
    before: int | None = None
    after: int | None = None
    sizes_mm: tuple[float, float] | None = None
    counts: tuple[int, int] | None = None


@dataclass(frozen=True)
class SceneSet:
    """Several pictures of one conversation, oldest first; group numbers run on from one to the next."""

    scenes: tuple[Scene, ...]
    changes: tuple[SeenChange, ...] = ()


@dataclass(frozen=True)
class Grouping:
    """`members[i]`: indices of the input objects that `groups[i]` stands for. `maybe`: labels seen only unsurely."""

    groups: tuple[SeenGroup, ...]
    members: tuple[tuple[int, ...], ...]
    maybe: tuple[str, ...]

    def members_of(self, number: int) -> tuple[int, ...]:
        """Input indices behind `[number]`, or () for a number nobody has."""
        return next((m for g, m in zip(self.groups, self.members, strict=True) if g.number == number), ())


def position_of(
    box: tuple[float, float, float, float], picture_size: tuple[int, int], plane: str, side: str | None
) -> str | None:
    """Where a box (pixel frame) lies: a key of `words.POSITIONS`, or None for the unremarkable middle.

    Axial slices run anterior → posterior down the picture, other planes upper → lower; pictures without a plane and
    without patient sides are described as pictures (top left…). `picture_size`: (width, height).
    """
    x = (box[0] + box[2]) / 2 / picture_size[0]
    y = (box[1] + box[3]) / 2 / picture_size[1]
    if side is not None or plane != "none":
        names = ("anterior", "posterior") if plane == "axial" else ("upper", "lower")
        return names[0] if y < 0.4 else names[1] if y > 0.6 else None
    down = "top" if y < 0.4 else "bottom" if y > 0.6 else ""
    across = "left" if x < 0.4 else "right" if x > 0.6 else ""
    if down and across:
        return f"{down} {across}"
    return down or (f"{across} edge" if across else "centre")


def _order(objects: Sequence[SeenObject], indices: Sequence[int]) -> list[int]:
    # Largest first, so "the largest" is always the first of its label; then left to right, top to bottom.
    return sorted(indices, key=lambda i: (-(objects[i].size_mm or 0.0), objects[i].box))


def _one_or_none(values: set[str | None]) -> str | None:
    return next(iter(values)) if len(values) == 1 else None


def _group(
    number: int, objects: Sequence[SeenObject], members: Sequence[int], picture_size: tuple[int, int], plane: str
) -> SeenGroup:
    chosen = [objects[i] for i in members]
    sizes = [o.size_mm for o in chosen if o.size_mm is not None and math.isfinite(o.size_mm) and o.size_mm > 0]
    spans = [o.slices for o in chosen if o.slices is not None]
    single = chosen[0] if len(chosen) == 1 else None
    side = _one_or_none({o.side for o in chosen})
    box = tuple(pick(o.box[k] for o in chosen) for k, pick in enumerate((min, min, max, max)))
    centre = ((box[0] + box[2]) / 2 / picture_size[0], (box[1] + box[3]) / 2 / picture_size[1])
    placed = single is not None and single.slices is None and single.label not in ANATOMY
    return SeenGroup(
        number=number,
        label=chosen[0].label,
        count=len(chosen),
        side=side,
        size_mm=max(sizes) if sizes and chosen[0].label not in UNSIZED else None,
        position=position_of(single.box, picture_size, plane, side) if placed and single else None,
        confidence=sum(o.confidence for o in chosen) / len(chosen),
        slices=(min(a for a, _ in spans), max(b for _, b in spans)) if spans else None,
        motion=_one_or_none({o.motion for o in chosen}),
        centre=centre,
    )


def group_objects(
    objects: Sequence[SeenObject],
    picture_size: tuple[int, int],
    *,
    plane: str = "none",
    start: int = 1,
    kind: tuple[str, str] | None = None,
    sought: Sequence[Sequence[str]] = (),
) -> Grouping:
    """Number what was seen: each object, or one group for counted labels and for more than five of a kind.

    `picture_size`: (width, height) px. `start`: the first number (later pictures of a set run on). `kind`: (modality,
    region), which says what is out of place (None: nothing is). `sought`: for each question that takes a finding for
    granted, the labels it may mean.
    Objects below `SURE` (or `SURE_OUT_OF_PLACE`) get no number; their labels are in `maybe` unless surely seen as well.
    What is sought and not surely seen gets one all the same, the surest of its kind that is in place; its number is
    behind all others, so those stay what they were in a conversation that goes on.
    """
    rank = {label: k for k, label in enumerate(LABEL_ORDER)}
    in_place = None if kind is None else ANATOMY | OBJECTS | frozenset(LOOKED_FOR.get(kind, LABEL_ORDER))
    placed = [in_place is None or o.label in in_place for o in objects]
    sure = [i for i, o in enumerate(objects) if o.confidence >= (SURE if placed[i] else SURE_OUT_OF_PLACE)]
    labels = sorted({objects[i].label for i in sure}, key=lambda x: (rank.get(x, len(rank)), x))
    groups: list[SeenGroup] = []
    members: list[tuple[int, ...]] = []
    for label in labels:
        mine = _order(objects, [i for i in sure if objects[i].label == label])
        together = len(mine) > MAX_SINGLE or (label in COUNTED and len(mine) > 1)
        for part in [mine] if together else [[i] for i in mine]:
            groups.append(_group(start + len(groups), objects, part, picture_size, plane))
            members.append(tuple(part))
    for meant in sought:
        here = [i for i, o in enumerate(objects) if o.label in meant and placed[i]]
        if here and not any(g.label in meant for g in groups):
            surest = max(here, key=lambda i: objects[i].confidence)
            groups.append(_group(start + len(groups), objects, [surest], picture_size, plane))
            members.append((surest,))
            labels.append(objects[surest].label)
    unsure = {o.label for i, o in enumerate(objects) if i not in sure} - set(labels)
    return Grouping(tuple(groups), tuple(members), tuple(sorted(unsure, key=lambda x: (rank.get(x, len(rank)), x))))


def compare_groups(
    before: Sequence[SeenGroup], after: Sequence[SeenGroup], grown: float = 1.2, near: float = 0.15
) -> tuple[SeenChange, ...]:
    """Match the findings of two pictures by label, side and centre, nearest pairs first, and say what became of each.

    `grown`: ratio of longest diameters from which a finding has grown (and 1/`grown` to which it has shrunk).
    `near`: how far apart (fraction of the picture) single objects may lie and still be the same one.
    """
    old_ones = [g for g in before if g.label not in ANATOMY and g.label not in OBJECTS]
    new_ones = [g for g in after if g.label not in ANATOMY and g.label not in OBJECTS]
    candidates = sorted(
        (_distance(old, new), i, k)
        for i, old in enumerate(old_ones)
        for k, new in enumerate(new_ones)
        if old.label == new.label and _may_be_same(old, new, near)
    )
    partner: dict[int, int] = {}
    for _, i, k in candidates:
        if i not in partner and k not in partner.values():
            partner[i] = k
    changes = [
        describe_change(old, new_ones[partner[i]], grown)
        if i in partner
        else SeenChange(old.label, old.side, "resolved", before=old.number)
        for i, old in enumerate(old_ones)
    ]
    unmatched = [g for k, g in enumerate(new_ones) if k not in partner.values()]
    return (*changes, *(SeenChange(g.label, g.side, "new", after=g.number) for g in unmatched))


def _may_be_same(old: SeenGroup, new: SeenGroup, near: float) -> bool:
    if old.count + new.count > 2:
        return True
    return old.side == new.side and _distance(old, new) <= near


def describe_change(old: SeenGroup, new: SeenGroup, grown: float = 1.2) -> SeenChange:
    """How one finding changed: in number when it is a group, else in longest diameter."""
    if old.count + new.count > 2:
        change = "more" if new.count > old.count else "fewer" if new.count < old.count else "unchanged"
        return SeenChange(new.label, new.side, change, old.number, new.number, counts=(old.count, new.count))
    if old.size_mm is None or new.size_mm is None:
        return SeenChange(new.label, new.side, "unchanged", old.number, new.number)
    ratio = new.size_mm / old.size_mm
    change = "grown" if ratio >= grown else "shrunk" if ratio <= 1 / grown else "unchanged"
    return SeenChange(new.label, new.side, change, old.number, new.number, sizes_mm=(old.size_mm, new.size_mm))


def _distance(a: SeenGroup, b: SeenGroup) -> float:
    return math.dist(a.centre, b.centre) if a.centre and b.centre else 0.0


def size_text(size_mm: float) -> str:
    """A length as it is written and spoken: `12 mm`, `7.5 mm`, `340 um` (micrometres below 1 mm)."""
    if size_mm < 0.9995:
        return f"{max(1, round(size_mm * 1000))} um"
    if size_mm < 9.95:
        return f"{size_mm:.1f}".removesuffix(".0") + " mm"
    return f"{size_mm:.0f} mm"


def write_group(group: SeenGroup, *, named: bool = True, lang: str = "en") -> str:
    """`[1] polyp x2 up to 11 mm top`, or without the label's name. `lang`: a language in which its side, or else
    its place, is said again behind ours: `[3] left 左侧 12 mm`."""
    words = [f"[{group.number}]", *([group.label] if named else [])]
    if group.count > 1:
        words.append(f"x{group.count}")
    words += _also_said(SIDES, group.side, lang)
    if group.size_mm is not None:
        words.append(("up to " if group.count > 1 else "") + size_text(group.size_mm))
    # Where a side is known, it is what an answer says.
    words += _also_said(POSITIONS, group.position, "en" if group.side else lang)
    if group.slices is not None:
        words.append(f"slices {group.slices[0]}-{group.slices[1]}")
    if group.motion is not None:
        words.append(group.motion)
    return " ".join(words)


def _also_said(names: Mapping[str, Name], key: str | None, lang: str) -> list[str]:
    """`left`, and `左侧` behind it where the language is not English."""
    if key is None:
        return []
    return [key] if lang == "en" else [key, names[key].said(lang)]


def _write_one(scene: Scene) -> str:
    head = [scene.modality or "unknown"]
    if scene.num_slices is not None:
        head.append(f"volume of {scene.num_slices} slices")
    if scene.num_frames is not None:
        head.append(f"clip of {scene.num_frames} frames")
    head += [word for word in (scene.plane, scene.region) if word not in ("", "none", "unknown", scene.modality)]
    parts = [" ".join(head)]
    labels: list[str] = []
    for group in scene.groups:
        parts.append(write_group(group))
        labels.append(group.label)
    parts += [
        f"{label} x{scene.count(label)} in all"
        for label in dict.fromkeys(labels)
        if labels.count(label) > 1 and label not in ANATOMY
    ]
    if scene.maybe:
        parts.append(f"maybe: {', '.join(scene.maybe)}")
    if scene.absent:
        parts.append(f"none: {', '.join(scene.absent)}")
    return " | ".join(parts)


def write_change(change: SeenChange, *, lang: str = "en") -> str:
    """`[1] [4] nodule left grown 5 mm to 9 mm`. `lang`: as in `write_group`."""
    words = [f"[{n}]" for n in (change.before, change.after) if n is not None]
    words += [change.label, *_also_said(SIDES, change.side, lang), change.change]
    if change.sizes_mm is not None and change.change in ("grown", "shrunk"):
        words.append(f"{size_text(change.sizes_mm[0])} to {size_text(change.sizes_mm[1])}")
    if change.counts is not None and change.change != "unchanged":
        words.append(f"{change.counts[0]} to {change.counts[1]}")
    return " ".join(words)


def write_scene(scene: Scene | SceneSet | None) -> str:
    """The scene text: one line per picture, and a `changes:` line for several. `no image` for None."""
    if scene is None:
        return "no image"
    if isinstance(scene, Scene):
        return _write_one(scene)
    if not scene.scenes:
        return "no image"
    lines = [f"image {k}: {_write_one(one)}" for k, one in enumerate(scene.scenes, 1)]
    if len(scene.scenes) > 1:
        lines.append("changes: " + ("; ".join(write_change(c) for c in scene.changes) or "none"))
    return "\n".join(lines)
