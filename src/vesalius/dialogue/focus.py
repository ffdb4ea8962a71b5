"""The line that stands behind a question in the starter's prompt: what the question names, looked up in the scene.

A small model reads a long scene line badly, worse across languages. So the question's words are matched against the
lexicon and the objects they mean are repeated beside it: `(count polyp 2: [1] 11 mm top, [2] 7.1 mm left edge)`. It
holds nothing that the scene text does not; a question whose words are not known gets no help and is still answered.
What is called otherwise in the question's language (labels, sides, places) stands there in both: a small model that
has to translate a side by itself says the commoner one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from vesalius.dialogue.scene_text import (
    ANATOMY,
    LABEL_ORDER,
    OBJECTS,
    Scene,
    SceneSet,
    SeenGroup,
    write_change,
    write_group,
)
from vesalius.dialogue.understand import Asked, granted, understand
from vesalius.dialogue.words import ABNORMALITY, LABEL_NAMES, MODALITY_NAMES, PLANE_NAMES, REGION_NAMES, Name

__all__ = ["point_out", "sought_in"]

_WHOLE = ("report", "describe", "compare", "change")
"""Tasks that may name every label of the scene."""

_NAMES: dict[str, Mapping[str, Name]] = {"modality": MODALITY_NAMES, "plane": PLANE_NAMES, "region": REGION_NAMES}


def point_out(scene: Scene | SceneSet | None, question: str) -> str:
    """The line for one question, in brackets. Names of labels in the question's language stand beside ours."""
    asked = understand(question)
    if scene is None:
        return f"({asked.task}: no image)"
    several = isinstance(scene, SceneSet)
    last = scene.scenes[-1] if several else scene
    words = [asked.task, *_premise(last, asked), *([asked.side] if asked.side else [])]
    if asked.task in _NAMES:
        words.append(_said(_NAMES[asked.task], getattr(last, asked.task), asked.lang))
    if several and asked.task == "change":
        told = [c for c in scene.changes if asked.label in (None, ABNORMALITY, c.label)]
        words.append(_name(asked.label, asked.lang) if asked.label else "any")
        changes = "; ".join(write_change(c, lang=asked.lang) for c in told) or "none"
        return f"({' '.join(words)}: {changes}{_glossary(scene, asked)})"
    if asked.label is None:
        return f"({' '.join(words)}{_glossary(scene, asked)})"
    asked = replace(asked, label=_meant(last, asked))
    groups = last.findings if asked.label == ABNORMALITY else last.of(asked.label or "")
    groups = tuple(g for g in groups if asked.side is None or g.side == asked.side)
    words += [_name(asked.label, asked.lang), str(sum(g.count for g in groups))]
    return f"({' '.join(words)}: {_listed(groups, asked)})"


def sought_in(question: str) -> tuple[str, ...]:
    """The labels a question may mean that takes a finding for granted; () for any other question."""
    label = granted(question)
    if label == ABNORMALITY:
        return tuple(x for x in LABEL_ORDER if x not in ANATOMY and x not in OBJECTS)
    if label == "tumour":  # see `_meant`
        return ("tumour", "mass", "nodule")
    return () if label is None else (label,)


def _meant(scene: Scene, asked: Asked) -> str | None:
    """People ask where "the tumour" is in any scan; outside the head such a thing is known as a mass or a nodule.

    Whether there is one, or how many, is answered by the word itself.
    """
    if asked.label != "tumour" or asked.task in ("present", "count"):
        return asked.label
    order = ("tumour", "mass", "nodule") if scene.region == "head" else ("mass", "nodule", "tumour")
    return next((label for label in order if scene.of(label)), asked.label)


def _premise(scene: Scene, asked: Asked) -> list[str]:
    """`not ct but xray`, where the question takes another modality for granted than was seen."""
    if asked.modality is None or asked.modality == scene.modality:
        return []
    told, seen = (_said(MODALITY_NAMES, modality, asked.lang) for modality in (asked.modality, scene.modality))
    return [f"not {told} but {seen}"]


def _listed(groups: Sequence[SeenGroup], asked: Asked) -> str:
    if not groups:
        return "none"
    if asked.label != ABNORMALITY:
        return ", ".join(write_group(g, named=False, lang=asked.lang) for g in groups)
    return ", ".join(f"{_name(g.label, asked.lang)} {write_group(g, named=False, lang=asked.lang)}" for g in groups)


def _name(label: str | None, lang: str) -> str:
    """`polyp`, or `息肉 polyp`: what it is called in the question's language and in the scene."""
    if label is None or lang == "en" or label not in LABEL_NAMES:
        return label or ""
    name = LABEL_NAMES[label]
    return f"{(name.zh if lang == 'zh' else name.ar)[0]} {label}"


def _said(names: Mapping[str, Name], key: str, lang: str) -> str:
    return f"{names[key].said(lang)} {key}" if lang != "en" and key in names else key


def _glossary(scene: Scene | SceneSet, asked: Asked) -> str:
    """`; 脑 brain, 息肉 polyp [2] left 左侧 11 mm, 器械 instrument`: what a whole report may need, where the language
    is not English: names, and behind those of findings what was seen of them (a change has told that already)."""
    if asked.lang == "en" or asked.task not in _WHOLE:
        return ""
    scenes = scene.scenes if isinstance(scene, SceneSet) else (scene,)
    labels = dict.fromkeys(x for one in scenes for x in (*(g.label for g in one.groups), *one.maybe, *one.absent))
    entries: list[str] = []
    for label in labels:
        listed = label not in ANATOMY and asked.task != "change"
        groups = [g for one in scenes for g in one.of(label)] if listed else []
        entries.append(
            " ".join([_name(label, asked.lang), *(write_group(g, named=False, lang=asked.lang) for g in groups)])
        )
    return f"; {', '.join(entries)}" if entries else ""
