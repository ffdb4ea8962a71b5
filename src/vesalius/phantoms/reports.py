"""Short structured reports from a scene, and reading reported findings back out of free text (negation aware)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache

from vesalius.dialogue.scene_text import ANATOMY, OBJECTS, Scene, SeenGroup
from vesalius.dialogue.words import ABNORMALITY, LABEL_NAMES, SIDES, label_forms
from vesalius.errors import OptionError
from vesalius.findings.findings import Report
from vesalius.phantoms.questions_phrases import counted, indefinite, join, place, said_size, the

__all__ = ["finding_labels", "report"]

NO_FINDING = {"en": "No abnormality.", "zh": "未见异常。", "ar": "لا شذوذ."}


def report(scene: Scene, lang: str = "en") -> Report:
    """Findings (each with size and citation, then what was looked for in vain) and impression, in en, zh or ar.

    Raises OptionError for another language.
    """
    if lang not in NO_FINDING:
        raise OptionError(f"language {lang!r} is not one of {', '.join(NO_FINDING)}.")
    gap = "" if lang == "zh" else " "
    said = [_finding(g, lang) for g in scene.findings]
    if scene.absent:
        said.append(_none(scene.absent, lang))
    impressions = [_impression(scene, label, lang) for label in dict.fromkeys(g.label for g in scene.findings)]
    return Report(
        findings=gap.join(said) or NO_FINDING[lang], impression=gap.join(impressions) or NO_FINDING[lang], lang=lang
    )


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _finding(group: SeenGroup, lang: str) -> str:
    """`Nodule on the left, 12 mm [3].`"""
    if group.count > 1:
        noun = f"{the(group.label, True, 'ar')} ({group.count})" if lang == "ar" else None
        noun = noun or counted(group.label, group.count, lang)
    else:
        noun = LABEL_NAMES[group.label].en[0] if lang == "en" else indefinite(group.label, lang)
    where = place(group.side, None, lang)
    text = f"{where}{noun}" if lang == "zh" else f"{noun}{where}"
    if group.size_mm is not None:
        comma, up_to = {"en": (", ", "up to "), "zh": ("，", "最大 "), "ar": ("، ", "حتى ")}[lang]
        text += f"{comma}{up_to if group.count > 1 else ''}{said_size(group.size_mm, lang)}"
    return f"{_capital(text)} [{group.number}]{'。' if lang == 'zh' else '.'}"


def _none(labels: Sequence[str], lang: str) -> str:
    if lang == "zh":
        return f"未见{'、'.join(LABEL_NAMES[x].zh[0] for x in labels)}。"
    if lang == "ar":
        return f"لا دليل على {' أو '.join(LABEL_NAMES[x].ar[0] for x in labels)}."
    return f"No {' or '.join(LABEL_NAMES[x].en[0] for x in labels)}."


def _impression(scene: Scene, label: str, lang: str) -> str:
    """`Nodules on the left and on the right.`"""
    groups = scene.of(label)
    many = scene.count(label) > 1
    sides = [s for s in SIDES if any(g.side == s for g in groups)]
    where = join([place(s, None, lang, bare=True) for s in sides], lang) if sides else ""
    if any(g.side is None for g in groups):
        where = ""
    if lang == "zh":
        return f"{where}{LABEL_NAMES[label].zh[0]}。"
    if lang == "ar":
        noun = LABEL_NAMES[label].ar_all if many else LABEL_NAMES[label].ar[0]
        return f"{noun}{' في ' if where else ''}{where}."
    noun = LABEL_NAMES[label].en_plurals[0] if many else LABEL_NAMES[label].en[0]
    return _capital(f"{noun}{' ' if where else ''}{where}.")


# --- reading back -----------------------------------------------------------------------------------------------------

SENTENCE = re.compile(
    r"(?<!\d)[.!?](?=\s|$)|(?<=\d)\.(?=\s|$)|[。!?!?؟;;؛\n]|\bbut\b|\bhowever\b|\balthough\b|但是?|然而|لكن|بينما"
)
NOT_BEFORE = re.compile(
    r"\b(no|not|without|denies|absence of|free of|negative for|never|neither|nor|ruled out|rather than|clear of)\b"
    r"|未见|没有|無|无|未发现|不伴|排除|否认|(?<!\w)[وف]?(لا|بدون|دون|ليس|ليست|غياب|عدم|خالية? من|لم|غير)(?!\w)"
)
NOT_AFTER = re.compile(
    r"\b(is|are|was|were)\s+(not\b|no longer\b|absent|excluded|ruled out|unlikely)|\b(has|have) resolved\b"
    r"|\b(is|are) gone\b|不存在|已?消失|未见|(?<!\w)(غير (موجود|مرئي)|اختفى|اختفت|اختفاء|مستبعد)"
)
PICTURE_PLACE = re.compile(
    r"\b(at|in|on|near) the (top|bottom|upper|lower|centre|center)?[\s-]*(left|right)?[\s-]*(edge|corner|half|part)?"
    r" of the (picture|image|photo)"
    r"|画面\w{0,4}|[左右][上下]方|(أعلى|أسفل|وسط|حافة)\s*(يسار|يمين)?\s*الصورة"
)
ATTRIBUTE = re.compile(r"\b(left|right|bilateral)([- ]sided)?\s+([\w-]+\s+)?$")
"""An English side just ahead of the noun it belongs to, at most one word between."""
BOTH_SIDES = re.compile(
    r"\bbilateral(ly)?\b|\bboth (sides|lungs|kidneys)\b|双侧|两侧|双肺|(?<!\w)(الجهتين|ثنائية? الجانب)"
)


def _alternatives(forms: Sequence[str], lang: str) -> str:
    longest_first = sorted({f.lower() for f in forms}, key=len, reverse=True)
    body = "|".join(re.escape(f) for f in longest_first)
    if lang == "zh":
        return f"(?:{body})"
    # Arabic conjunctions and prepositions are written onto the word ("and a nodule").
    return rf"(?<![\w-])[وفب]?(?:{body})(?!\w)" if lang == "ar" else rf"\b(?:{body})\b"


@cache
def _label_pattern(lang: str) -> re.Pattern[str]:
    """One named alternative per form, longest first, so "pleural effusion" is not read as something shorter."""
    pairs = [
        (form.lower(), label)
        for label in LABEL_NAMES
        if label not in ANATOMY and label != ABNORMALITY
        for form in label_forms(label, lang)
    ]
    pairs.sort(key=lambda pair: -len(pair[0]))
    return re.compile("|".join(f"(?P<n{k}>{_alternatives([form], lang)})" for k, (form, _) in enumerate(pairs)))


@cache
def _labels_by_name(lang: str) -> dict[str, str]:
    pairs = [
        (form.lower(), label)
        for label in LABEL_NAMES
        if label not in ANATOMY and label != ABNORMALITY
        for form in label_forms(label, lang)
    ]
    pairs.sort(key=lambda pair: -len(pair[0]))
    return {f"n{k}": label for k, (_, label) in enumerate(pairs)}


@cache
def _side_pattern(lang: str) -> re.Pattern[str]:
    return re.compile("|".join(f"(?P<{s}>{_alternatives(name.forms(lang), lang)})" for s, name in SIDES.items()))


def finding_labels(text: str, lang: str = "en") -> set[tuple[str, str | None]]:
    """Findings a text asserts, as (label, side); side None where none is said in the same sentence.

    Negated findings ("No effusion", "未见结节", "لا دليل على") are left out, negation reaching to the end of its
    sentence or to "but". Anatomy and mere objects (instruments, debris) are not findings.
    Raises OptionError for another language.
    """
    if lang not in NO_FINDING:
        raise OptionError(f"language {lang!r} is not one of {', '.join(NO_FINDING)}.")
    found: set[tuple[str, str | None]] = set()
    plain = PICTURE_PLACE.sub(" ", text.lower())
    if lang == "zh":
        plain = plain.replace("，", "。").replace(",", "。")  # a comma ends a Chinese statement; lists take 、
    for sentence in SENTENCE.split(plain):
        if sentence:
            found |= _sentence_labels(sentence, lang)
    return {(label, side) for label, side in found if label not in OBJECTS}


def _sentence_labels(sentence: str, lang: str) -> set[tuple[str, str | None]]:
    mentions = list(_label_pattern(lang).finditer(sentence))
    found: set[tuple[str, str | None]] = set()
    for k, mention in enumerate(mentions):
        following = mentions[k + 1].start() if k + 1 < len(mentions) else len(sentence)
        predicate = re.split("[,،]", sentence[mention.end() : following], maxsplit=1)[0]
        if NOT_BEFORE.search(sentence[: mention.start()]) or NOT_AFTER.search(predicate):
            continue
        label = _labels_by_name(lang)[mention.lastgroup or ""]
        before = sentence[mentions[k - 1].end() if k else 0 : mention.start()]
        after = sentence[mention.end() : following]
        if following < len(sentence):
            after = ATTRIBUTE.sub("", after)
        found |= {(label, side) for side in _sides(before, after, lang)}
    return found


def _sides(before: str, after: str, lang: str) -> set[str | None]:
    """Sides said between the neighbouring mentions. English: the adjective first, then what follows, then what stands
    further ahead; Chinese: what stands ahead; Arabic: what follows."""
    attribute = ATTRIBUTE.search(before)
    spans = (before, after) if lang == "zh" else (attribute[0] if attribute else "", after, before)
    for span in spans:
        if BOTH_SIDES.search(span):
            return {"left", "right"}
        sides: set[str | None] = {m.lastgroup for m in _side_pattern(lang).finditer(span)}
        if sides:
            return sides
    return {None}
