"""The answer to a question, computed from the scene alone: what the model sees is what it is taught to say.

Cited numbers are `[n]` of the scene. Yes/no answers begin with Yes/No, 有/没有, نعم/لا.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from vesalius.dialogue.scene_text import ANATOMY, Scene, SceneSet, SeenChange, SeenGroup
from vesalius.dialogue.words import ABNORMALITY, LABEL_NAMES, MODALITY_NAMES, PLANE_NAMES, REGION_NAMES
from vesalius.errors import OptionError
from vesalius.phantoms.questions_phrases import (
    FRAMES,
    cite,
    counted,
    counted_group,
    indefinite,
    join,
    modality_noun,
    place,
    said_size,
    scan_name,
    the,
)
from vesalius.phantoms.reports import report

__all__ = ["TASKS", "Answered", "answer"]

Answered = tuple[str, tuple[int, ...]]
"""The answer's text and the group numbers it cites, in order."""

TASKS = (
    "modality", "plane", "region", "present", "count", "side", "point", "box", "mask", "size", "largest",
    "slices", "motion", "describe", "report", "change", "compare", "premise", "unknown",
)  # fmt: skip
"""`largest`: which of several; `slices`: volumes; `motion`: clips; `premise`: the question names the wrong modality;
`unknown`: no picture can tell."""

NEEDS_LABEL = frozenset({"present", "count", "side", "point", "box", "mask", "size", "largest", "slices", "motion"})


def answer(
    scene: Scene | SceneSet | None,
    task: str,
    label: str | None = None,
    lang: str = "en",
    *,
    side: str | None = None,
    said: str | None = None,
) -> Answered:
    """Answer one question from the scene alone.

    `label`: one of the known labels or `words.ABNORMALITY` (any finding); tasks that need one take ABNORMALITY for
    None. `side`: only objects on that patient side count. `said`: the modality the question takes for granted; when
    the scene's is another, the answer says so first. For several pictures, questions about one are about the last.
    Raises OptionError for an unknown task, language or label.
    """
    if task not in TASKS:
        raise OptionError(f"task {task!r} is not one of {', '.join(TASKS)}.")
    if lang not in FRAMES:
        raise OptionError(f"language {lang!r} is not one of {', '.join(FRAMES)}.")
    if label is not None and label not in LABEL_NAMES:
        raise OptionError(f"label {label!r} is not one the starter knows.")
    if scene is None or (isinstance(scene, SceneSet) and not scene.scenes):
        return FRAMES[lang]["unknown" if task == "unknown" else "no_image"], ()
    if task == "unknown":
        return FRAMES[lang]["unknown"], ()
    if task in ("change", "compare"):
        return _over_time(scene, task, label, lang)
    one = scene.scenes[-1] if isinstance(scene, SceneSet) else scene
    if said is not None and said != one.modality and one.modality in MODALITY_NAMES and said in MODALITY_NAMES:
        text, cites = answer(one, "present" if task == "premise" else task, label, lang, side=side)
        wrong = FRAMES[lang]["premise"].format(
            modality=modality_noun(one.modality, lang), said=modality_noun(said, lang)
        )
        return f"{wrong}{'' if lang == 'zh' else ' '}{text}", cites
    if task == "premise":
        task = "present"
    if task in NEEDS_LABEL:
        return _about_label(one, task, label or ABNORMALITY, lang, side)
    return WHOLE[task](one, lang)


# --- the whole picture ------------------------------------------------------------------------------------------------


def _modality(scene: Scene, lang: str) -> Answered:
    if scene.modality not in MODALITY_NAMES:
        return FRAMES[lang]["modality_unknown"], ()
    return FRAMES[lang]["modality"].format(modality=modality_noun(scene.modality, lang)), ()


def _plane(scene: Scene, lang: str) -> Answered:
    if scene.plane not in PLANE_NAMES:
        return FRAMES[lang]["plane_none"], ()
    return FRAMES[lang]["plane"].format(plane=PLANE_NAMES[scene.plane].said(lang)), ()


def _region(scene: Scene, lang: str) -> Answered:
    if scene.region not in REGION_NAMES:
        return FRAMES[lang]["region_unknown"], ()
    return FRAMES[lang]["region"].format(region=REGION_NAMES[scene.region].said(lang)), ()


def _describe(scene: Scene, lang: str) -> Answered:
    frames = FRAMES[lang]
    scan = scan_name(scene.modality, scene.plane, scene.region, lang)
    if not scene.groups:
        return frames["describe_nothing"].format(scan=scan), ()
    parts: list[str] = []
    cites: list[int] = []
    for label in dict.fromkeys(g.label for g in scene.groups):
        groups = scene.of(label)
        cites += [g.number for g in groups]
        if label in ANATOMY:
            parts.append(f"{the(label, len(groups) > 1, lang, capital=False)} {cite(groups)}")
        else:
            parts += [counted_group(g, lang) for g in groups]
    text = frames["describe"].format(scan=scan, what=join(parts, lang))
    if not scene.findings:
        text += ("" if lang == "zh" else " ") + frames["no_finding"]
    return text, tuple(cites)


def _report(scene: Scene, lang: str) -> Answered:
    written = report(scene, lang)
    heads = {"en": ("Findings: ", " Impression: "), "zh": ("所见：", "印象："), "ar": ("الموجودات: ", " الانطباع: ")}
    first, second = heads[lang]
    cites = tuple(g.number for g in scene.findings)
    return f"{first}{written.findings}{second}{written.impression}", cites


WHOLE: dict[str, Callable[[Scene, str], Answered]] = {
    "modality": _modality,
    "plane": _plane,
    "region": _region,
    "describe": _describe,
    "report": _report,
}


# --- one label --------------------------------------------------------------------------------------------------------


def _about_label(scene: Scene, task: str, label: str, lang: str, side: str | None) -> Answered:
    groups = scene.findings if label == ABNORMALITY else scene.of(label)
    if side is not None:
        groups = tuple(g for g in groups if g.side == side)
    if task == "count" and label != ABNORMALITY and side is None:
        return _count(label, groups, lang)
    if not groups:
        where = place(side, None, lang)
        maybe = bool(scene.maybe) if label == ABNORMALITY else label in scene.maybe
        frame = "maybe" if maybe else "no"
        name = LABEL_NAMES[label].en[0] if lang == "en" else indefinite(label, lang)
        return FRAMES[lang][frame].format(name=name, where=where), ()
    return LABELLED[task](scene, label, groups, lang)


def _one_label(label: str, groups: Sequence[SeenGroup]) -> tuple[str, bool]:
    """(what to call them, are they many): an abnormality is called by its own label when there is only one kind."""
    labels = {g.label for g in groups}
    many = sum(g.count for g in groups) > 1
    return (next(iter(labels)) if len(labels) == 1 else label), many


def _present(_: Scene, label: str, groups: Sequence[SeenGroup], lang: str) -> Answered:
    frames, cites = FRAMES[lang], tuple(g.number for g in groups)
    label, _many = _one_label(label, groups)
    if label == ABNORMALITY or len(groups) == 1:
        frame = frames["yes_many" if groups[0].count > 1 else "yes_one"]
        return frame.format(what=join([counted_group(g, lang) for g in groups], lang)), cites
    number = sum(g.count for g in groups)
    total = counted(label, number, lang) if lang != "ar" else f"{the(label, True, lang)} ({number})"
    colon = "：" if lang == "zh" else ": "
    return frames["yes_many"].format(what=f"{total}{colon}{_each_place(groups, lang)}"), cites


def _count(label: str, groups: Sequence[SeenGroup], lang: str) -> Answered:
    number = sum(g.count for g in groups)
    what = counted(label, number, lang) + (f" {cite(groups)}" if groups else "")
    return FRAMES[lang]["count_one" if number == 1 else "count_many"].format(what=what), tuple(g.number for g in groups)


def _count_any(_: Scene, label: str, groups: Sequence[SeenGroup], lang: str) -> Answered:
    label, _many = _one_label(label, groups)
    return _count(label, groups, lang)


def _each_place(groups: Sequence[SeenGroup], lang: str) -> str:
    parts = [f"{place(g.side, g.position, lang, bare=True)} [{g.number}]".strip() for g in groups]
    return join(parts, lang)


def _side(_: Scene, label: str, groups: Sequence[SeenGroup], lang: str) -> Answered:
    label, many = _one_label(label, groups)
    if any(g.side is None and not place(None, g.position, lang) for g in groups):
        return _here("box")(_, label, groups, lang)
    frame = FRAMES[lang]["side_many" if many else "side_one"]
    text = frame.format(the=the(label, many, lang), what=_each_place(groups, lang))
    return text, tuple(g.number for g in groups)


def _here(task: str) -> Callable[[Scene, str, Sequence[SeenGroup], str], Answered]:
    def say(_: Scene, label: str, groups: Sequence[SeenGroup], lang: str) -> Answered:
        label, many = _one_label(label, groups)
        frame = FRAMES[lang][f"{task}_many" if many else f"{task}_one"]
        return frame.format(the=the(label, many, lang), what=cite(groups)), tuple(g.number for g in groups)

    return say


def _size(_: Scene, label: str, groups: Sequence[SeenGroup], lang: str) -> Answered:
    del label
    frames, cites = FRAMES[lang], tuple(g.number for g in groups)
    if any(g.size_mm is None for g in groups):
        return frames["size_none"].format(what=cite(groups)), cites
    parts = [f"{said_size(g.size_mm or 0.0, lang)} [{g.number}]" for g in groups]
    frame = "size_many" if len(groups) > 1 else "size_largest" if groups[0].count > 1 else "size_one"
    return frames[frame].format(what=join(parts, lang)), cites


def _largest(scene: Scene, label: str, groups: Sequence[SeenGroup], lang: str) -> Answered:
    largest = max(groups, key=lambda g: g.size_mm or 0.0)
    label, many = _one_label(label, groups)
    if largest.size_mm is None or largest.count > 1:
        return _size(scene, label, [largest], lang)
    name = LABEL_NAMES[label].en[0] if lang == "en" else indefinite(label, lang)
    where = place(largest.side, None, lang, bare=True)
    comma = {"en": ", ", "zh": "，", "ar": "، "}[lang]
    what = f"{where}{comma if where else ''}{said_size(largest.size_mm, lang)} [{largest.number}]"
    return FRAMES[lang]["largest" if many else "largest_only"].format(name=name, what=what), (largest.number,)


def _slices(_: Scene, label: str, groups: Sequence[SeenGroup], lang: str) -> Answered:
    del label
    if any(g.slices is None for g in groups):
        return FRAMES[lang]["slices_none"], ()
    to = {"en": " to ", "zh": " 到 ", "ar": " إلى "}[lang]
    parts = [f"{g.slices[0]}{to}{g.slices[1]} [{g.number}]" for g in groups if g.slices]
    frame = FRAMES[lang]["slices_many" if len(groups) > 1 else "slices_one"]
    return frame.format(what=join(parts, lang)), tuple(g.number for g in groups)


def _motion(scene: Scene, label: str, groups: Sequence[SeenGroup], lang: str) -> Answered:
    frames = FRAMES[lang]
    if scene.num_frames is None or any(g.motion is None for g in groups):
        return frames["motion_none"], ()
    label, many = _one_label(label, groups)
    if len({g.motion for g in groups}) == 1:
        what = f"{frames[groups[0].motion or 'still']} {cite(groups)}"
    else:
        what = join([f"{frames[g.motion or 'still']} [{g.number}]" for g in groups], lang)
    frame = frames["motion_many" if many else "motion_one"]
    return frame.format(the=the(label, many, lang), what=what), tuple(g.number for g in groups)


LABELLED: dict[str, Callable[[Scene, str, Sequence[SeenGroup], str], Answered]] = {
    "present": _present,
    "count": _count_any,
    "side": _side,
    "point": _here("point"),
    "box": _here("box"),
    "mask": _here("mask"),
    "size": _size,
    "largest": _largest,
    "slices": _slices,
    "motion": _motion,
}


# --- several pictures -------------------------------------------------------------------------------------------------


def _over_time(scene: Scene | SceneSet, task: str, label: str | None, lang: str) -> Answered:
    if isinstance(scene, Scene) or len(scene.scenes) < 2:
        return FRAMES[lang]["single"], ()
    if task == "compare":
        return _compare(scene, lang)
    wanted = None if label in (None, ABNORMALITY) else label
    changes = [c for c in scene.changes if wanted is None or c.label == wanted]
    if not changes:
        if wanted is None:
            return FRAMES[lang]["nothing_changed"], ()
        if any(one.of(wanted) for one in scene.scenes):
            return FRAMES[lang]["unknown"], ()  # anatomy and instruments are not followed from picture to picture
        return _about_label(scene.scenes[-1], "present", wanted, lang, None)
    if wanted is None and all(c.change == "unchanged" for c in changes):
        return FRAMES[lang]["nothing_changed"], ()
    told = [c for c in changes if c.change != "unchanged"] if wanted is None else changes
    cites = tuple(n for c in told for n in (c.before, c.after) if n is not None)
    return ("" if lang == "zh" else " ").join(_tell(c, lang) for c in told), cites


def _tell(change: SeenChange, lang: str) -> str:
    a = b = ""
    if change.counts is not None:
        a, b = str(change.counts[0]), str(change.counts[1])
    elif change.sizes_mm is not None:
        a, b = said_size(change.sizes_mm[0], lang), said_size(change.sizes_mm[1], lang)
    cites = " ".join(f"[{n}]" for n in (change.before, change.after) if n is not None)
    many = change.counts is not None and max(change.counts) > 1
    return FRAMES[lang][change.change].format(
        the=the(change.label, many and lang != "en", lang),
        names=LABEL_NAMES[change.label].en_plurals[0],
        where=place(change.side, None, lang),
        cites=cites,
        a=a,
        b=b,
    )


def _compare(scenes: SceneSet, lang: str) -> Answered:
    frames = FRAMES[lang]
    cites: list[int] = []
    said: list[str] = []
    for k, scene in enumerate(scenes.scenes, 1):
        cites += [g.number for g in scene.findings]
        what = join([counted_group(g, lang) for g in scene.findings], lang) if scene.findings else frames["nothing"]
        said.append(frames["compare"].format(k=k, what=what))
    return ("" if lang == "zh" else " ").join(said), tuple(cites)
