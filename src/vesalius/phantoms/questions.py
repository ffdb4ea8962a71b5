"""Questions about phantoms with answers that follow from the scene text, in English, Chinese and Arabic."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from vesalius.dialogue.scene_text import ANATOMY, LABEL_ORDER, LOOKED_FOR, Scene, SceneSet
from vesalius.dialogue.understand import Asked, understand
from vesalius.dialogue.words import ABNORMALITY, LABEL_NAMES, MODALITY_NAMES, SIDES
from vesalius.errors import OptionError
from vesalius.phantoms.questions_answers import TASKS, answer
from vesalius.phantoms.questions_scenes import AnyTruth, imperfect_scene, objects_behind, scene_of
from vesalius.phantoms.questions_wordings import WORDINGS, wordings

__all__ = [
    "TASKS",
    "Asked",
    "Question",
    "answer",
    "balance_yes_no",
    "fill",
    "imperfect_scene",
    "make_questions",
    "questions_from_scene",
    "scene_of",
    "understand",
    "wordings",
]


@dataclass(frozen=True)
class Question:
    """One question with its answer. `cites`: group numbers of the scene in the order the answer names them.

    `truth`: what a scorer needs: label, side and said modality asked about, `present`, `count`, `sides`, `sizes_mm`,
    and for pictures the exact `boxes` and `points` (pixel frame) of the objects cited.
    """

    task: str
    lang: str
    prompt: str
    answer: str
    cites: tuple[int, ...]
    truth: dict[str, Any] = field(default_factory=dict[str, Any])


def make_questions(
    truth: AnyTruth | None, rng: random.Random, lang: str = "en", tasks: Sequence[str] | None = None
) -> list[Question]:
    """One question per task that applies to `truth` (two for `present`: one of each answer where possible).

    `truth` None makes questions about an absent picture. Answers see only the scene a perfect detector reports.
    Raises OptionError for an unknown task or language.
    """
    if truth is None:
        return questions_from_scene(None, rng, lang, tasks)
    made = questions_from_scene(scene_of(truth), rng, lang, tasks)
    for question in made:
        behind = objects_behind(truth, question.cites)
        if behind:
            question.truth["boxes"] = [list(o.box) for o in behind]
            question.truth["points"] = [list(o.point) for o in behind]
    return made


def questions_from_scene(
    scene: Scene | SceneSet | None, rng: random.Random, lang: str = "en", tasks: Sequence[str] | None = None
) -> list[Question]:
    """As `make_questions`, from any scene: a detector's own, with its own mistakes, included."""
    for task in tasks or ():
        if task not in TASKS:
            raise OptionError(f"task {task!r} is not one of {', '.join(TASKS)}.")
    if lang not in WORDINGS:
        raise OptionError(f"language {lang!r} is not one of {', '.join(WORDINGS)}.")
    made: list[Question] = []
    for task in tasks or applicable(scene):
        if task not in applicable(scene):
            continue
        if task == "present":
            made += [_present(scene, rng, lang, yes) for yes in (True, False)]
        else:
            made.append(_ask(scene, task, rng, lang))
    return made


def applicable(scene: Scene | SceneSet | None) -> tuple[str, ...]:
    """Tasks that can be asked of such a scene."""
    if scene is None:
        return ("present", "count", "box", "describe", "report", "unknown")
    if isinstance(scene, SceneSet):
        return ("modality", "region", "present", "change", "compare", "unknown")
    skipped = {"compare", "change"}
    if scene.num_slices is None:
        skipped.add("slices")
    if scene.num_frames is None:
        skipped.add("motion")
    if scene.plane == "none":
        skipped.add("plane")
    return tuple(task for task in TASKS if task not in skipped)


def _last(scene: Scene | SceneSet | None) -> Scene | None:
    return scene.scenes[-1] if isinstance(scene, SceneSet) else scene


def _seen_labels(scene: Scene | None) -> list[str]:
    return list(dict.fromkeys(g.label for g in scene.groups)) if scene else []


def _unseen_labels(scene: Scene | None, rng: random.Random) -> list[str]:
    """Labels not in the scene; mostly those looked for there, now and then one that never belongs to such a picture."""
    seen = set(_seen_labels(scene))
    looked_for: tuple[str, ...] = LOOKED_FOR.get((scene.modality, scene.region), LABEL_ORDER) if scene else LABEL_ORDER
    near = [label for label in looked_for if label not in seen]
    far = [label for label in LABEL_ORDER if label not in seen and label not in near]
    return near if near and (rng.random() < 0.7 or not far) else far


def _pick_label(scene: Scene | None, task: str, rng: random.Random) -> str:
    """Mostly something that is there, findings before anatomy; sometimes something that is not."""
    seen = _seen_labels(scene)
    if task in ("slices", "largest") and scene is not None:
        seen = [x for x in seen if x not in ANATOMY] or seen
    if task == "largest" and scene is not None:
        seen = [x for x in seen if scene.count(x) > 1] or seen
    if task == "size" and scene is not None:
        seen = [x for x in seen if any(g.size_mm is not None for g in scene.of(x))] or seen
    if task == "motion" and scene is not None:
        seen = [x for x in seen if all(g.motion is not None for g in scene.of(x))] or seen
    findings = [x for x in seen if x not in ANATOMY]
    if task == "premise" and rng.random() < 0.4:
        return rng.choice(_unseen_labels(scene, rng) or seen)
    if not seen or rng.random() < 0.15:
        unseen = _unseen_labels(scene, rng)
        return rng.choice(unseen or seen or ["nodule"])
    if findings and rng.random() < 0.08 and task not in ("count", "largest"):
        return ABNORMALITY
    return rng.choice(findings if findings and rng.random() < 0.75 else seen)


MASS_NOUNS = frozenset(
    {
        "debris",
        "dirt",
        "forceps",
        "pleural fluid",
        "airspace disease",
        "brain tissue",
        "hepatic parenchyma",
        "pathology",
    }
)


def fill(
    template: str, label: str, lang: str, rng: random.Random, side: str | None = None, said: str | None = None
) -> str:
    """Put names into a wording: the label in any of its forms (the canonical one half of the time), the side
    asked about, and the modality `said` to be there."""
    name = LABEL_NAMES[label]
    if lang == "en":
        k = 0 if rng.random() < 0.5 else rng.randrange(len(name.en))
        singular, plural = name.en[k], name.en_plurals[k]
        article = "" if singular in MASS_NOUNS else "an" if singular[0] in "aeiou" else "a"
        values = {"a": f"{article} {singular}".strip(), "x": singular, "xs": plural, "the": f"the {singular}"}
        values["side"] = side or ""
    elif lang == "zh":
        form = name.zh[0] if rng.random() < 0.5 else rng.choice(name.zh)
        values = {"x": form, "side": SIDES[side].zh[rng.randrange(2)] if side and side != "midline" else "中线"}
    else:
        k = 0 if rng.random() < 0.6 else rng.randrange(min(len(name.ar), len(name.ar_the)))
        values = {"a": name.ar[k], "x": name.ar[k], "the": name.ar_the[k], "xs": name.ar_all}
        values["side"] = SIDES[side].said("ar") if side else ""
    if said is not None:
        values["m"] = MODALITY_NAMES[said].said(lang)
    text = template.format(**values)
    return text[:1].upper() + text[1:]


def _facts(scene: Scene | None, label: str, side: str | None) -> dict[str, Any]:
    if scene is None:
        return {"label": label, "present": False, "count": 0}
    groups = scene.findings if label == ABNORMALITY else scene.of(label)
    groups = tuple(g for g in groups if side is None or g.side == side)
    facts: dict[str, Any] = {"label": label, "present": bool(groups), "count": sum(g.count for g in groups)}
    if side is not None:
        facts["side"] = side
    if groups:
        facts["sides"] = [g.side for g in groups]
        facts["sizes_mm"] = [g.size_mm for g in groups]
    return facts


def _present(scene: Scene | SceneSet | None, rng: random.Random, lang: str, yes: bool) -> Question:
    """A yes/no question whose answer is `yes` where the scene allows it."""
    last = _last(scene)
    findings = list(last.findings) if last else []
    kind, side = "present", None
    label = rng.choice((_seen_labels(last) if yes else _unseen_labels(last, rng)) or list(LABEL_ORDER))
    if yes and findings and rng.random() < 0.6:
        label = rng.choice(findings).label
    if bool(findings) is yes and rng.random() < 0.2:
        kind, label = "present_any", ABNORMALITY
    elif last and rng.random() < 0.3:
        sided = [g for g in last.groups if g.side in ("left", "right")]
        if yes and sided:
            chosen = rng.choice(sided)
            kind, label, side = "present_side", chosen.label, chosen.side
        elif not yes and (free := _empty_sides(last)):
            kind, (label, side) = "present_side", rng.choice(free)
    template = rng.choice(wordings(kind, lang))
    text, cites = answer(scene, "present", label, lang, side=side)
    prompt = fill(template, label, lang, rng, side)
    return Question("present", lang, prompt, text, cites, _facts(last, label, side))


def _empty_sides(scene: Scene) -> list[tuple[str, str]]:
    """(label, side) where the label is seen, but only on the other side."""
    sides: defaultdict[str, set[str]] = defaultdict(set)
    for group in scene.groups:
        if group.side in ("left", "right") and group.count == 1:
            sides[group.label].add(group.side)
    other = {"left": "right", "right": "left"}
    return [(label, other[next(iter(found))]) for label, found in sides.items() if len(found) == 1]


def _ask(scene: Scene | SceneSet | None, task: str, rng: random.Random, lang: str) -> Question:
    last = _last(scene)
    template = rng.choice(wordings(task, lang))
    named = "{a}" in template or "{x}" in template or "{xs}" in template or "{the}" in template
    label = _pick_label(last, task, rng) if named else None
    if task == "change" and named and isinstance(scene, SceneSet) and rng.random() < 0.9:
        followed = [c.label for c in scene.changes]
        label = rng.choice(followed or [x for x in _unseen_labels(last, rng) if x not in ANATOMY] or ["nodule"])
    said = None
    if task == "premise":
        actual = last.modality if last else None
        others = [m for m in MODALITY_NAMES if m != actual]
        said = actual if actual in MODALITY_NAMES and rng.random() < 0.3 else rng.choice(others)
    text, cites = answer(scene, task, label, lang, said=said)
    facts = _facts(last, label, None) if label else {}
    if said is not None:
        facts["said"] = said
    if last is not None:
        facts |= {"modality": last.modality, "plane": last.plane, "region": last.region}
    return Question(task, lang, fill(template, label or "nodule", lang, rng, said=said), text, cites, facts)


def balance_yes_no(questions: Sequence[Question], rng: random.Random) -> list[Question]:
    """Drop surplus `present` questions so that each (language, label) has as many Yes as No; order is kept.

    A label that is always there or never there loses its yes/no questions altogether: they teach nothing but habit.
    """
    sides: defaultdict[tuple[str, str], tuple[list[int], list[int]]] = defaultdict(lambda: ([], []))
    for k, question in enumerate(questions):
        if question.task == "present":
            sides[question.lang, question.truth["label"]][int(bool(question.truth["present"]))].append(k)
    dropped: set[int] = set()
    for no, yes in sides.values():
        keep = min(len(no), len(yes))
        for surplus in (no, yes):
            dropped |= set(rng.sample(surplus, len(surplus) - keep))
    return [q for k, q in enumerate(questions) if k not in dropped]
