"""How a model is taught to say places: the marks of a turn become its targets in the model's dialect and frame."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vesalius.dialogue.marks import PLACE_KINDS, PLACE_MARK, UNNAMED
from vesalius.errors import InputError, OptionError

if TYPE_CHECKING:
    from vesalius.dialogue.samples import BoxTarget, MaskTarget, PointTarget, Targets, Turn

    Target = BoxTarget | PointTarget | MaskTarget

__all__ = ["Saying", "Size", "said"]

Size = tuple[int, int]
_RUN = re.compile(r"(?:<(?:ref-object|bbox|point|mask)>)+")


@dataclass(frozen=True)
class Saying:
    """A way to say places. `dialect`: a name of `findings.dialects.DIALECTS`. `coord`: the frame of its numbers (None:
    the dialect's own). `processed_size`: the size a picture of (width, height) is shown at, for "abs_processed".
    `mask_token`: what stands for a mask."""

    dialect: str
    coord: str | None = None
    processed_size: Callable[[Size], Size] | None = None
    mask_token: str | None = None

    def words(self, targets: Sequence[tuple[Target, str]], size_of: Callable[[Target], Size]) -> str:
        """(target, label or "") pairs as text; `size_of`: (width, height) in pixels of what a target lies on. Raises
        OptionError when the dialect cannot say one or a frame needs a size that is not given."""
        from vesalius.findings.dialects.table import dialect_named
        from vesalius.findings.encode import encode

        said: list[str] = []
        plain = self.dialect in ("medmvl", "unit", "m3d")  # these have no place for a name
        for group in _by_picture(targets, by_label=plain):
            if group[0][0].__class__.__name__ == "MaskTarget":
                said += [self._mask(label) for _, label in group]
                continue
            size = size_of(group[0][0])
            coord = self.coord or dialect_named(self.dialect).coord
            shown = None
            if coord == "abs_processed":
                if self.processed_size is None:
                    raise OptionError(
                        f"the dialect {self.dialect!r} counts pixels of the picture as the model is shown it, and that "
                        "size is not known here.",
                        fix="Give processed_size, or coord='abs_original' for pixels of the original.",
                    )
                shown = self.processed_size(size)
            items = [_item(target, label) for target, label in group]
            name = f"{group[0][1]} " if plain and group[0][1] else ""
            said.append(name + encode(items, self.dialect, size, shown, coord))
        return " ".join(said)

    def _mask(self, label: str) -> str:
        if self.mask_token is None:
            raise OptionError(
                f"the dialect {self.dialect!r} has no token for a mask.", fix="Train a model with a mask head on these."
            )
        return f"{label} {self.mask_token}".lstrip()


def said(turn: Turn, saying: Saying, size_of: Callable[[Target], Size]) -> str:
    """The turn's text with its marks said; a turn without text says all its targets. InputError when it has neither or
    a mark has no target."""
    targets = turn.targets
    if turn.text.strip():
        if "<" not in turn.text or not PLACE_MARK.search(turn.text):
            return turn.text
        return _with_marks(turn.text, targets, saying, size_of)
    if targets is None:
        raise InputError("a turn has neither text nor targets.", fix="Give it one of them.")
    return _all(targets, saying, size_of)


def _with_marks(text: str, targets: Targets | None, saying: Saying, size_of: Callable[[Target], Size]) -> str:
    order = _targets_of_marks(text, targets)

    def say(run: re.Match[str]) -> str:
        pairs: list[tuple[Target, str]] = []
        label, alone = "", ""
        for mark in PLACE_MARK.finditer(run[0]):
            target = order[run.start() + mark.start()]
            if mark[1] == "ref-object":
                label = alone = target.label
                continue
            pairs.append((target, label))
            alone = ""
        return (saying.words(pairs, size_of) + (f" {alone}" if alone else "")) if pairs else alone

    return _RUN.sub(say, text)


def _targets_of_marks(text: str, targets: Targets | None) -> dict[int, Target]:
    """Where each mark begins → its target; that of a name is the place behind it."""
    waiting: dict[str, Iterator[Target]] = {
        mark: iter(getattr(targets, field) if targets is not None else ()) for mark, field in PLACE_KINDS.items()
    }
    order: dict[int, Target] = {}
    names: list[int] = []
    for mark in PLACE_MARK.finditer(text):
        if mark[1] == "ref-object":
            names.append(mark.start())
            continue
        target = next(waiting[mark[1]], None)
        if target is None:
            raise InputError(f"a text has more <{mark[1]}> than its turn has {PLACE_KINDS[mark[1]]}.")
        for start in (*names, mark.start()):
            order[start] = target
        names = []
    if names:
        raise InputError("a <ref-object> has no place behind it.", fix="Write the name instead.")
    return order


def _all(targets: Targets, saying: Saying, size_of: Callable[[Target], Size]) -> str:
    """A whole answer out of targets alone."""
    placed: list[tuple[Target, str]] = [
        (one, "" if one.label == UNNAMED else one.label) for one in (*targets.boxes, *targets.points)
    ]
    if not placed:
        placed = [(one, "" if one.label == UNNAMED else one.label) for one in targets.masks]
    counts = targets.counts
    if saying.dialect == "qwen-json" and len(counts) == 1:
        return _counted(counts[0].count, counts[0].label, placed, saying, size_of)
    if placed:
        return saying.words(placed, size_of)
    if len(counts) == 1:
        return str(counts[0].count)
    if targets.answer is not None:
        return targets.answer
    raise InputError("a turn has no text, and its targets cannot be said without one.", fix="Give the turn a text.")


def _counted(
    count: int, label: str, placed: Sequence[tuple[Target, str]], saying: Saying, size_of: Callable[[Target], Size]
) -> str:
    """Qwen's form of a count: `{"counts": 3, "bbox_2d": [[…], …], "label": "polyp"}`."""
    body: dict[str, Any] = {"counts": count}
    if placed:
        inner = saying.words([(target, "") for target, _ in placed], size_of)
        rows: list[dict[str, Any]] = json.loads(inner.removeprefix("```json").removesuffix("```"))
        for row in rows:
            for key, numbers in row.items():
                body.setdefault(key, []).append(numbers)
    return f"```json\n{json.dumps({**body, 'label': label}, ensure_ascii=False)}\n```"


def _by_picture(targets: Sequence[tuple[Target, str]], *, by_label: bool) -> list[list[tuple[Target, str]]]:
    """Neighbours that are written together: places on one picture; masks apart from places."""
    groups: list[list[tuple[Target, str]]] = []
    key: Any = None
    for target, label in targets:
        is_mask = target.__class__.__name__ == "MaskTarget"
        now = (target.media, target.axis, target.slice, target.frame, is_mask, label if by_label else "")
        if groups and now == key:
            groups[-1].append((target, label))
        else:
            groups.append([(target, label)])
        key = now
    return groups


def _item(target: Target, label: str) -> dict[str, Any]:
    kind = "box" if hasattr(target, "box") else "point"
    return {"kind": kind, "coords": list(getattr(target, kind)), "label": label}
