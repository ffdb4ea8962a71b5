"""What the twins of text and picture benchmarks are made of: phantoms, and questions of ours about them with exact
answers, in English and Chinese. The same name, count and seed give the same questions on every machine."""

from __future__ import annotations

import io
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vesalius.dialogue.words import LABEL_NAMES, MODALITY_NAMES
from vesalius.evaluation.benchmarks.choices import lettered

if TYPE_CHECKING:
    from vesalius.dialogue.scene_text import Scene
    from vesalius.phantoms.truth import Truth

__all__ = [
    "TwinChoice",
    "picture_scene",
    "pictured_answers",
    "pictured_choices",
    "png",
    "section_texts",
    "truths",
    "written_choices",
]

_SIZE = (128, 128)
_PER_PICTURE = 3


@dataclass(frozen=True)
class TwinChoice:
    """A multiple-choice question; `gold`: index of the right option. `truth`: the phantom it is about."""

    question: str
    texts: tuple[str, ...]
    gold: int
    truth: Truth

    @property
    def letter(self) -> str:
        return "ABCDEFGHIJ"[self.gold]

    @property
    def options(self) -> dict[str, str]:
        return lettered(self.texts)


def truths(name: str, count: int, seed: int, modalities: Sequence[str] = ("xray", "ct", "mr")) -> Iterator[Truth]:
    """`count` held-out phantoms, 128 × 128, the modalities by turns. `name` keeps benchmarks apart."""
    from vesalius.phantoms.pictures import draw_picture
    from vesalius.phantoms.splits import HELD_OUT

    first = random.Random(f"{name}/{seed}").randrange(len(HELD_OUT))
    for k in range(count):
        yield draw_picture(HELD_OUT[(first + k) % len(HELD_OUT)], modalities[k % len(modalities)], _SIZE)


def png(truth: Truth) -> bytes:
    """The phantom's pixels as PNG."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(truth.pixels).save(buffer, format="PNG", compress_level=6)
    return buffer.getvalue()


def picture_scene(truth: Truth) -> Scene:
    """What a perfect reader of the phantom reports."""
    from vesalius.dialogue.scene_text import Scene
    from vesalius.phantoms.questions_scenes import scene_of

    scene = scene_of(truth)
    assert isinstance(scene, Scene), "one picture has one scene"
    return scene


def section_texts(truth: Truth, lang: str = "en") -> tuple[str, str]:
    """Findings and impression of a phantom, without the numbers that cite its objects."""
    from vesalius.phantoms.reports import report

    made = report(picture_scene(truth), lang)
    findings, impression = (re.sub(r" \[\d+\]", "", text) for text in (made.findings, made.impression))
    return findings, impression


def written_choices(name: str, count: int, seed: int, num_options: int = 4, lang: str = "en") -> list[TwinChoice]:
    """Questions that text alone answers: what a report describes, how much a lesion grew, what volume a box has."""
    rng = random.Random(f"{name}/{lang}/{seed}")
    made: list[TwinChoice] = []
    for truth in truths(name, -(-count // _PER_PICTURE), seed, ("microscopy", "skin", "xray", "ultrasound")):
        made += [
            _described(truth, rng, num_options, lang),
            _grown(truth, rng, num_options, lang),
            _volume(truth, rng, num_options, lang),
        ]
    return made[:count]


def pictured_choices(
    name: str, count: int, seed: int, num_options: int = 4, modalities: Sequence[str] = ("xray", "ct", "mr")
) -> list[TwinChoice]:
    """Questions about a picture, three to each: what it shows, how it was made, what it does not show."""
    rng = random.Random(f"{name}/pictures/{seed}")
    made: list[TwinChoice] = []
    for truth in truths(name, -(-count // _PER_PICTURE), seed, modalities):
        seen, unseen = _labels(truth)
        modality = MODALITY_NAMES[truth.modality].en[0]
        others = [said.en[0] for key, said in MODALITY_NAMES.items() if key != truth.modality]
        made += [
            _mixed(rng, "Which of these does the picture show?", rng.choice(seen), unseen, num_options, truth),
            _mixed(rng, "How was this picture made?", modality, others, num_options, truth),
            _mixed(rng, "Which part of the body is it?", *_regions(truth), num_options, truth),
        ]
    return made[:count]


def pictured_answers(
    name: str, count: int, seed: int, modalities: Sequence[str] = ("xray", "ct", "mr")
) -> list[tuple[Truth, str, str]]:
    """(phantom, question, short answer), three to a phantom: one yes, one no, one open."""
    from vesalius.phantoms.questions import make_questions

    rng = random.Random(f"{name}/answers/{seed}")
    made: list[tuple[Truth, str, str]] = []
    for truth in truths(name, -(-count // _PER_PICTURE), seed, modalities):
        for asked in make_questions(truth, rng, "en", ("present",)):
            made.append((truth, asked.prompt, "yes" if asked.truth["present"] else "no"))
        (asked,) = make_questions(truth, rng, "en", ("modality",))
        made.append((truth, asked.prompt, MODALITY_NAMES[truth.modality].en[0]))
    return made[:count]


def _mixed(
    rng: random.Random, question: str, right: str, wrong: Sequence[str], num_options: int, truth: Truth
) -> TwinChoice:
    texts = [right, *rng.sample([text for text in wrong if text != right], min(num_options - 1, len(wrong)))]
    rng.shuffle(texts)
    return TwinChoice(question, tuple(texts), texts.index(right), truth)


def _labels(truth: Truth, lang: str = "en") -> tuple[list[str], list[str]]:
    """Names of what the phantom shows, findings only where there are any, and of what it does not show."""
    from vesalius.phantoms.truth import LABELS

    shown = {one.label for one in truth.objects}
    seen = [x for x in LABELS if x in shown and LABELS[x] == "finding"] or [x for x in LABELS if x in shown]

    def names(labels: list[str]) -> list[str]:
        return [(LABEL_NAMES[x].zh if lang == "zh" else LABEL_NAMES[x].en)[0] for x in labels]

    return names(seen or ["debris"]), names([x for x in LABELS if x not in shown and x != "debris"])


def _regions(truth: Truth) -> tuple[str, list[str]]:
    from vesalius.dialogue.words import REGION_NAMES

    others = [said.en[0] for key, said in REGION_NAMES.items() if key != truth.region]
    return REGION_NAMES[truth.region].en[0], others


def _described(truth: Truth, rng: random.Random, num_options: int, lang: str) -> TwinChoice:
    scene = picture_scene(truth)
    findings, _ = section_texts(truth, lang)
    _, unseen = _labels(truth, lang)
    said = [group.label for group in scene.findings]
    none = "没有异常" if lang == "zh" else "nothing abnormal"
    right = (LABEL_NAMES[said[0]].zh if lang == "zh" else LABEL_NAMES[said[0]].en)[0] if said else none
    question = (
        f"报告写道：“{findings}”报告描述了什么？"
        if lang == "zh"
        else f'A report reads: "{findings}" Which of these does it describe as present?'
    )
    return _mixed(rng, question, right, unseen, num_options, truth)


def _grown(truth: Truth, rng: random.Random, num_options: int, lang: str) -> TwinChoice:
    first, growth = rng.randint(5, 40), rng.randint(2, 30)
    from vesalius.phantoms.truth import LABELS

    label = next((one.label for one in truth.objects if LABELS[one.label] == "finding"), "nodule")
    if lang == "zh":
        name = LABEL_NAMES[label].zh[0]
        question = f"{name}上次测量为 {first} mm，现在为 {first + growth} mm。增大了多少？"
    else:
        name = LABEL_NAMES[label].en[0]
        question = f"The {name} measured {first} mm before and measures {first + growth} mm now. How much has it grown?"
    wrong = [f"{growth + k} mm" for k in range(1, 6)] + [f"{growth + 10 * k} mm" for k in range(1, 9)]
    return _mixed(rng, question, f"{growth} mm", list(dict.fromkeys(wrong)), num_options, truth)


def _volume(truth: Truth, rng: random.Random, num_options: int, lang: str) -> TwinChoice:
    sides = [rng.randrange(10, 60, 10) for _ in range(3)]
    ml = sides[0] * sides[1] * sides[2] // 1000
    said = " × ".join(map(str, sides))
    question = (
        f"一个长方体病灶的边长为 {said} mm。它的体积是多少毫升？"
        if lang == "zh"
        else f"A box-shaped specimen measures {said} mm. What is its volume in millilitres?"
    )
    wrong = [str(ml + k) for k in (1, 2, 3, 5, 7, 10, 20, 30, 50)]
    return _mixed(rng, question, str(ml), wrong, num_options, truth)
