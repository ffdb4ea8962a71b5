"""What a question of our own sample schema asks for, and its text without marks: the rules by which a row is scored.

The tag `task` decides where it is one of the known tasks and the answer's targets hold what it needs; else the targets
and the words of the answer decide. The row's own answer is always right under the rule that is chosen.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vesalius.dialogue.marks import MEDIA_MARK, PLACE_KINDS, PLACE_MARK
from vesalius.evaluation.contract import TaskKind
from vesalius.evaluation.scoring.cited import uncited
from vesalius.evaluation.scoring.named import ABSENT, DECLINED, VOCABULARIES, key_of, parse_named
from vesalius.findings.dialects.statements import is_absence, is_refusal
from vesalius.findings.parse import parse_grounding
from vesalius.findings.parse_answer import parse_answer
from vesalius.findings.sections import parse_report

if TYPE_CHECKING:
    from vesalius.dialogue.samples import Targets, Turn

__all__ = ["POINT_WITHIN", "SIZE_WITHIN", "Rule", "plain_text", "rule_of"]

POINT_WITHIN = 0.05
"""Share of the picture's width by which a point may be off."""
SIZE_WITHIN = 0.15
"""Share of the true size by which a size may be off, beside the 10 % of `measures`."""
_OPTION = re.compile(r"^\s*[(（]?([A-H])\s*[)）.:：、．]\s*(\S.*?)\s*$", re.MULTILINE)
_TEXTS = ("report", "describe", "description", "caption", "compare")
_SHORT_WORDS = 4
"""An answer of no more words is a closed one: exact match is fair to it."""


@dataclass(frozen=True)
class Rule:
    """How a question is scored: what `contract.Sample` holds of it."""

    kind: TaskKind
    gold: Any
    options: Mapping[str, str] | None = None
    extra: Mapping[str, Any] = field(default_factory=dict[str, Any])


def plain_text(text: str, targets: Targets | None) -> str:
    """A text without marks: media marks are taken out, names of places are said, places are pixels of the picture as
    `[x0, y0, x1, y1]` or `[x, y]`, masks the word for what they show."""
    text = MEDIA_MARK.sub("", text)
    waiting = {mark: list(getattr(targets, name)) if targets else [] for mark, name in PLACE_KINDS.items()}

    def said(found: re.Match[str]) -> str:
        mark = found[1]
        if mark == "ref-object":
            behind = PLACE_MARK.search(text, found.end())
            rest = waiting.get(behind[1]) if behind else None
            return str(rest[0].label) if rest else ""
        if not waiting[mark]:
            return ""
        target = waiting[mark].pop(0)
        if mark == "mask":
            return str(target.label)
        return "[" + ", ".join(f"{value:g}" for value in getattr(target, "box" if mark == "bbox" else "point")) + "]"

    return PLACE_MARK.sub(said, text).strip()


def rule_of(
    task: str, question: str, turn: Turn, lang: str, width_of: Callable[[Any], int], path_of: Callable[[str], Path]
) -> Rule:
    """How the answer in an assistant's turn is scored. `question`: the plain text asked. `width_of`: target → pixels of
    the picture it lies on; `path_of`: a path of the row → where the file lies."""
    said = uncited(plain_text(turn.text, turn.targets))
    asked = _Asked(task.lower().strip(), question, said, turn, lang, width_of, path_of)
    for make in (_by_task, _by_answer, _by_targets):
        rule = make(asked)
        if rule is not None:
            return rule
    return _by_words(asked)


@dataclass(frozen=True)
class _Asked:
    task: str
    question: str
    text: str
    turn: Turn
    lang: str
    width_of: Callable[[Any], int]
    path_of: Callable[[str], Path]

    @property
    def targets(self) -> Any:
        from vesalius.dialogue.samples import Targets

        return self.turn.targets or Targets()


def _by_task(asked: _Asked) -> Rule | None:
    targets, task = asked.targets, asked.task
    if task in ("change", "changes") and (targets.changes or asked.text):
        return _changes(asked)
    if _declines(asked):
        return Rule("closed", DECLINED, extra={"names": DECLINED})
    if task in ("unknown", "unanswerable"):
        return None
    if task in _TEXTS:
        return Rule("report", asked.text, extra={"labelled": True}) if asked.text else None
    if task in _PLACED:
        return _PLACED[task](asked) or _absent(asked)
    if task in VOCABULARIES:
        return _named(asked, task) or _absent(asked)
    return None


def _by_answer(asked: _Asked) -> Rule | None:
    """Choices, yes and no, and short answers that the targets name."""
    answer = asked.targets.answer
    options = dict(_OPTION.findall(asked.question))
    if len(options) > 1 and list(options) == list("ABCDEFGH"[: len(options)]):
        letter = parse_answer(answer if answer is not None else asked.text, "mcq", options, asked.lang)
        if letter.answer is not None:
            return Rule("mcq", letter.answer, options)
    if answer is None:
        return None
    plain = answer.strip().lower()
    if plain in ("yes", "no"):
        said = parse_answer(asked.text, "yesno", lang=asked.lang).answer if asked.text else plain
        return Rule("yesno", plain) if said == plain else Rule("open", asked.text)
    for vocabulary in VOCABULARIES:
        if vocabulary == asked.task and (key := key_of(answer, vocabulary)):
            return Rule("closed", key, extra={"names": vocabulary})
    return Rule("closed", [answer, asked.text] if asked.text else answer)


def _by_targets(asked: _Asked) -> Rule | None:
    """What the text's marks stand for; else the only kind of target there is."""
    targets, turn = asked.targets, asked.turn
    if asked.task in VOCABULARIES and asked.text:
        return None  # in words that no vocabulary has; the places beside them are not what was asked
    marks = [mark for mark in PLACE_MARK.findall(turn.text) if mark != "ref-object"]
    made = {"bbox": _boxes, "point": _points, "mask": _masks}
    for mark in dict.fromkeys(marks):
        if rule := made[mark](asked):
            return rule
    if targets.changes:
        return _changes(asked)
    order = (
        (_masks, _points, _boxes, _count) if not turn.text.strip() else (_count, _size, _masks, _points, _boxes, _sides)
    )
    held = [name for name in ("counts", "sizes", "masks", "points", "boxes", "sides") if getattr(targets, name)]
    if turn.text.strip() and len(held) > 1 and parse_report(asked.text) is not None:
        return None
    return next((rule for make in order if (rule := make(asked)) is not None), None)


def _by_words(asked: _Asked) -> Rule:
    text = asked.text
    if parse_report(text) is not None:
        return Rule("report", text, extra={"labelled": True})
    short = len(text.split()) <= _SHORT_WORDS and len(text) <= 40
    if short and (polarity := parse_answer(text, "yesno", lang=asked.lang).answer) and _only_polarity(text):
        return Rule("yesno", polarity)
    return Rule("closed" if short else "open", text)


def _only_polarity(text: str) -> bool:
    return text.strip(" .。!！").lower() in ("yes", "no", "是", "否", "有", "没有", "نعم", "لا")


def _declines(asked: _Asked) -> bool:
    """Whether the row teaches that it cannot be told: nothing else is in its targets."""
    targets, text = asked.targets, asked.text
    if targets.media_named() or targets.cites or targets.answer is not None or len(text) > 200:
        return False
    return bool(text) and parse_named(text, DECLINED, asked.lang).answer == DECLINED


def _absent(asked: _Asked) -> Rule | None:
    """A place or size asked for that is not there."""
    targets = asked.targets
    if targets.media_named() or not is_absence(asked.text) or is_refusal(asked.text):
        return None
    if asked.task in ("box", "point"):
        return Rule(asked.task, [])
    return Rule("closed", ABSENT, extra={"names": ABSENT})


def _where(target: Any) -> dict[str, Any]:
    return {"medium": target.media, "label": target.label}


def _one_medium(found: Any) -> dict[str, Any]:
    """What holds of all targets alike: their medium, their label."""
    told = [_where(target) for target in found]
    return {key: told[0][key] for key in ("medium", "label") if len({one[key] for one in told}) == 1}


def _boxes(asked: _Asked) -> Rule | None:
    found = asked.targets.boxes
    return Rule("box", [list(one.box) for one in found], extra=_one_medium(found)) if found else None


def _points(asked: _Asked) -> Rule | None:
    found = asked.targets.points
    if not found:
        return None
    radius = {"radius_px": POINT_WITHIN * asked.width_of(found[0])}
    return Rule("point", [list(one.point) for one in found], extra=_one_medium(found) | radius)


def _masks(asked: _Asked) -> Rule | None:
    found = asked.targets.masks
    if not found:
        return None
    gold: list[Any] = [
        {"size": list(one.rle.size), "counts": list(one.rle.counts)}
        if one.rle is not None
        else {"path": asked.path_of(one.path), "value": one.value}
        for one in found
    ]
    return Rule("mask", gold[0] if len(gold) == 1 else gold, extra=_one_medium(found))


def _count(asked: _Asked) -> Rule | None:
    found = asked.targets.counts
    if len(found) == 1:
        return Rule("count", found[0].count, extra={"label": found[0].label})
    if found or asked.task != "count":
        return None
    stated = parse_grounding(asked.text, "auto", (1, 1), strict=False, expect="count")
    count = 0 if stated.count is None and stated.status == "none" else stated.count
    return None if count is None else Rule("count", count)


def _size(asked: _Asked) -> Rule | None:
    found = asked.targets.sizes
    if not found:
        return None
    gold = [max(one.size_mm for one in found)]
    return Rule("measure", gold, extra={"unit": "mm", "within": SIZE_WITHIN} | _one_medium(found))


def _sides(asked: _Asked) -> Rule | None:
    found = sorted({one.side for one in asked.targets.sides})
    if not found:
        return None
    return Rule("closed", ", ".join(found), extra={"names": "side"} | _one_medium(asked.targets.sides))


def _changes(asked: _Asked) -> Rule:
    return Rule("change", sorted({(one.label, one.change) for one in asked.targets.changes}))


def _named(asked: _Asked, vocabulary: str) -> Rule | None:
    """One of a vocabulary: by the targets, else by what the answer itself names."""
    if vocabulary == "side" and asked.targets.sides:
        return _sides(asked)
    answer = asked.targets.answer
    key = key_of(answer, vocabulary) if answer is not None else parse_named(asked.text, vocabulary, asked.lang).answer
    return None if key is None else Rule("closed", key, extra={"names": vocabulary})


_PLACED: dict[str, Callable[[_Asked], Rule | None]] = {
    "box": _boxes, "detection": _boxes, "grounding": _boxes, "point": _points, "mask": _masks,
    "segmentation": _masks, "count": _count, "size": _size,
    "largest": lambda asked: _size(asked) or _boxes(asked),
}  # fmt: skip
