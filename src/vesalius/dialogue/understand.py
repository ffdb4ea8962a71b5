"""A plain reading of a question: which task it sets, about which label and side, in which language.

Used to choose the procedure (return masks? compare two pictures?) and to point a small model at what the question names
(`dialogue.focus`), never to answer.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

from vesalius.dialogue.scene_text import ANATOMY
from vesalius.dialogue.strange_things import asks_of_something_strange
from vesalius.dialogue.words import (
    ABNORMALITY,
    LABEL_NAMES,
    MODALITY_NAMES,
    PLANE_NAMES,
    REGION_NAMES,
    SIDES,
    label_forms,
)

__all__ = ["GRANTING", "Asked", "granted", "language_of", "understand"]


@dataclass(frozen=True)
class Asked:
    """`task`: a key of the task list. `label`: a known label, `words.ABNORMALITY`, or None. `side`: "left" |
    "right" | "midline" when the question limits itself to one. `modality`: the one the question takes for granted."""

    task: str
    label: str | None
    lang: str
    side: str | None = None
    modality: str | None = None


def language_of(text: str) -> str:
    """ "ar", "zh" or "en" by the script most letters are written in."""
    arabic = sum("\u0600" <= c <= "\u06ff" for c in text)
    chinese = sum("\u4e00" <= c <= "\u9fff" for c in text)
    latin = sum("a" <= c <= "z" for c in text.lower())
    if chinese and chinese * 2 >= max(arabic, latin):
        return "zh"
    return "ar" if arabic and arabic * 2 >= latin else "en"


ARABIC_MARKS = re.compile("[\u064b-\u0652\u0640]")
ARABIC_FOLD = str.maketrans("أإآى", "اااي")


def _folded(text: str) -> str:
    """Lower case; Arabic without vowel marks and with one form of alef and of final ya."""
    return ARABIC_MARKS.sub("", " ".join(text.lower().split())).translate(ARABIC_FOLD)


RULES: dict[str, tuple[tuple[str, str], ...]] = {
    "en": (
        (
            "unknown",
            r"how old|\bage\b|\bnamed?\b(?= of the (patient|person))"
            r"|(patient|person)('s)? name|birthday|occupation|blood "
            r"(type|pressure)|temperature|smoke|diabetic|\bwho\b"
            r"|which doctor|fever|\bpain\b|\bcough|will happen|happens "
            r"(next|to)|prognosis|diagnosis|diagnose|histology result"
            r"|life expectancy|treat|medication|\bdrugs?\b|\bdose\b|survive"
            r"|\blive\b|when was|which hospital|\bcancer|malignan|\bbenign|therapy|surgery|operate|phone|address",
        ),
        ("report", r"\breports?\b(?! the (motion|movement))|findings and (the )?impression|dictate|write[- ]?up"),
        (
            "mask",
            r"\boutline|\bsegment|\bmask|\bcontour|delineate|\btrace\b|pixels|\bcolou?r in\b|\bshade\b"
            r"|\b(draw|mark) the (border|edge|margin)",
        ),
        (
            "compare",
            r"\bcompare\b|comparison|\bdiffer(s|ence|ences|ent)?\b|side by side|\beach (picture|image|scan|one)\b"
            r"|image 1 and image 2|both (images|pictures|scans)|\bversus\b|\bvs\b",
        ),
        ("count", r"\bhow many\b(?! (mm|millimet|cm|centimet|slices))|\bnumber of\b|\bcount\b|\btally\b"),
        ("largest", r"\b(largest|biggest|greatest)\b|\bwhich\b.*\b(larger|bigger)\b"),
        (
            "change",
            r"\bchang(e|es|ed|ing)\b|\bgrow(n|ing|s|th)?\b|\bgrew\b|shr[auin]+k|progress|evolv|developed|\bsince\b|"
            r"\bcompared\b|\bstable\b|\bnew\b|resolve|larger than"
            r"|smaller than|(become|got|gotten) (larger|smaller|bigger|worse)"
            r"|unchanged|interval|\bappear(ed)?\b|prior|previous|follow-up",
        ),
        (
            "slices",
            r"^(?!.*\b(plane|orientation|projection)\b).*"
            r"\b(which|what|list|name|give me|state|through|how many)\b.*\bslices?\b(?! (orientation|is this|in\b))",
        ),
        ("motion", r"\bmov(e|es|ed|ing|ement|ements)\b|\bmotion\b|\bstill\b|\bstatic\b"),
        (
            "size",
            r"\bhow (big|large|wide|long|tall|thick)\b|\bsize\b|diameter|\bmeasure|millimet|\bmm\b|\bcm\b|dimension"
            r"|\bhow much (space|area)|\bextent\b|volume of the",
        ),
        (
            "point",
            r"\bpoint(s|ing)?\b|\bclick\b|\btap\b|\bdot\b|\bindicate\b"
            r"|\bpin\b|\barrow\b|\bpointer\b|\bfinger\b|\bmarker\b",
        ),
        (
            "side",
            r"\b(which|what) side\b|\bleft or\b|\bright or\b|or (the )?right\b|left-sided or|lateral(ity|ised|ized)"
            r"|(name|tell me|state) the side\b|or (the )?left\b",
        ),
        (
            "box",
            r"\bwhere\b|\blocat|locali[sz]e|\bbox(es)?\b|\bposition of\b"
            r"|rectangle|\bfind (the|all|every|each)\b|\bshow me (the|all|every)\b"
            r"|\bhighlight\b|\bmark (the|all|every)\b",
        ),
        (
            "region",
            r"body (part|region)|part of the (body|patient)|area of the (body|patient)|anatom(y|ical)|which organ"
            r"|\bregion\b",
        ),
        (
            "plane",
            r"\bplane\b|orientation|\bprojection\b|\b(which|what) view\b"
            r"|\baxial\b.*\bor\b|\bcoronal\b.*\bor\b|\bcut is\b",
        ),
        (
            "modality",
            r"modality|imaging (technique|method)|(kind|type|sort) of (scan|picture|image|exam|study|photo)"
            r"|how was th\w+ (picture|image|scan)|\bis (this|it) an? (ct|mri?|x-?ray|ultrasound|pet)\b[^?]*(,| or )"
            r"|^is (this|it) an? (ct|mri?|x-?ray|ultrasound|endoscopy|fundus photo\w*)( scan)?\W*$|which scanner",
        ),
        (
            "describe",
            r"\bdescri(be|ption)|summar|\bcaption\b|\bexplain\b"
            r"|^what (is|are|can|do|does|am)\b(?!.*\b(size|side)\b)|tell me about"
            r"|\bnormal\b|overview|what's (this|that|in|here|on)",
        ),
        (
            "present",
            r"\b(is|are|was) (there|any)|\bany\b|\bdo(es)?\b|\bcan\b"
            r"|present|visible|seen|\bhas\b|\bshows?\b|\bevidence\b",
        ),
    ),
    "zh": (
        (
            "unknown",
            "年龄|几岁|多大岁数|名字|姓什么|姓名|是谁|职业|体温|血压|会怎样|会怎么样|预后|诊断|病理结果|什么药|怎么治|治疗"
            "|活多久|抽烟|吸烟|发烧|发热|疼|癌|恶性|良性|什么时候|哪家医院|手术|电话|地址|住址",
        ),
        ("report", "报告|所见和印象|印象"),
        ("mask", "勾画|分割|描出|掩膜|轮廓|边缘|像素|勾勒"),
        ("compare", "比较|对比|不同|区别|差别|差异|分别|图1和图2"),
        ("slices", "层面|哪层|哪一层|哪几层|切片"),
        ("count", "多少个|几个|数量|有多少(?!毫米)|数一数|数数|计数|统计|几颗|几枚|多少颗|多少枚|几处"),
        ("largest", "最大的|最大(?!径|直径)|更大|较大"),
        ("change", "变化|变大|变小|增大|缩小|新出现|前片|上次|相比|新的吗|长大|改变|进展"),
        ("motion", "移动|运动|在动|静止|会动|动了|动吗"),
        ("size", "多大|大小|直径|尺寸|最大径|测量|毫米|有多长|多长|多宽"),
        ("plane", "平面|切面|方位|矢状|冠状|投照|断面|体位"),
        ("point", "指出|点出|点击|点一下|用点|箭头|点坐标|指给|指向|指一下"),
        ("side", "哪一?[侧边]|左.{0,2}还是.{0,2}右|右.{0,2}还是.{0,2}左|左右"),
        ("region", "部位|哪一部分|哪个部分"),
        ("box", "在哪|哪里|哪儿|位置|何处|定位|框|找出|找到|标出"),
        (
            "modality",
            "(什么|哪种|哪类)(检查|影像|类型|设备|扫描)|成像|方法|还是(磁共振|CT|ct|超声)|模态|是ct吗|是(磁共振|超声|x光)吗",
        ),
        ("describe", "描述|是什么|有什么|看到了什么|看到什么|介绍|说明|总结|正常吗|是否正常|概述"),
        ("present", "有|是否|存在|看到|看得|可见"),
    ),
    "ar": (
        (
            "unknown",
            "كم عمر|عمر المريض|عمره|اسم (المريض|الطبيب|المريضة)|مهنة|حرارة"
            "|ضغط|سيحدث|التشخيص|تشخيص|مآل|مال المرض|العلاج|علاج|الدواء|دواء"
            "|سرطان|خبيث|حميد|مدخن|حمي|متي|مستشفي|عملية|هاتف|سيعيش|عنوان",
        ),
        ("report", "تقرير|الموجودات والانطباع|الانطباع"),
        ("mask", "حدود|محيط|قسم |جزئ |قناع|تجزئة|بكسل|تقسيم|ظلل"),
        ("compare", "قارن|مقارنة|الفرق|كل صورة"),
        ("count", "كم عدد|ما عدد|كم هو عدد|^عد |احسب|عدد (ال|@)|كم (?!حجم|قطر|يبلغ|ملي|طول)"),
        ("largest", "اكبر|الاكبر"),
        ("change", "تغير|كبرت|صغرت|جديدة|جديد|السابقة|ازداد|نما|نمت|كبر |صغر "),
        ("slices", "شريحة (?!ا?ل?(صورة|مقطع))|شرائح|الشرائح"),
        ("motion", "تتحرك|يتحرك|حركة|متحرك|ثابت|تحرك"),
        ("size", "حجم|قطر|قياس|ابعاد|مليمتر|قس |طول|عرض ال|ملم|بقياس"),
        ("plane", "مستوي|اتجاه|المقطع|مقطع هذه|وضعية|محوري ام|سهمي"),
        ("point", "اشر|نقطة|علامة|انقر|تشير|سهم|اصبع"),
        ("side", "(اي|ما|اذكر) (جهة|جانب|ناحية)|ام (علي |في )?(ال)?(يسار|يمين|ايسر|ايمن)"),
        ("region", "منطقة|المنطقة|جزء|الجزء|عضو"),
        ("box", "اين|موقع|مكان|مربع|اطار|ارني"),
        ("modality", "نوع|طبيعة|تقنية|طريقة|كيف (التقطت|اخذت)|ام رنين|ام اشعة|هل هذه اشعة|هل هذا رنين"),
        ("describe", "صف |صف$|ماذا|ما هذ|وصفا|ملخص|وصف|اشرح|(?<!غير )طبيعي(ة)?(؟|$)"),
        ("present", "هل|هناك|توجد|يوجد|تظهر|يظهر|تري"),
    ),
}
"""First match wins, from the most to the least particular."""

GRANTING = frozenset({"side", "point", "box", "mask", "size", "largest", "slices", "motion"})
"""Tasks about something that is there."""

OPEN = {
    "en": r"\bif\b|\bwhether\b|\b(an?|any|some|no) (\w+ )?@|\bor not\b",
    "zh": "(是否有|是否存在|是否可?见|有没有|有无|任何).{0,4}@|如果|如有|若有",
    "ar": r"\bهل (يوجد|توجد|هناك|تري|يظهر|تظهر) (اي )?@|\bاذا\b|\bان (وجد|كان)|\bاي @(?!.*اكبر)",
}
"""What leaves open whether it is; names of labels stand as @."""

ANY_PHRASES = {
    "en": r"\babnormal\b|anything wrong|\bsuspicious\b|\bsomething wrong\b|\bproblems?\b|\bnormal\b",
    "zh": "异常|不正常|问题|正常",
    "ar": "غير طبيعي|مشكلة|طبيعي",
}


def _bounded(form: str, lang: str) -> str:
    """A form as a pattern; Arabic takes attached conjunctions and prepositions (و ف ب ك ل) and ل + ال as لل."""
    if lang == "zh":
        return "出血(?!肿)" if form == "出血" else re.escape(form)  # 点出血肿: 出 belongs to the verb
    if lang == "ar":
        article = f"|لل{re.escape(form[2:])}" if form.startswith("ال") else ""
        return rf"(?<!\w)[وفبكل]?(?:{re.escape(form)}{article})(?!\w)"
    return rf"(?<![\w-]){re.escape(form)}(?![\w-])"


@cache
def _pattern(form: str, lang: str) -> re.Pattern[str]:
    return re.compile(_bounded(form, lang))


def _named(form: str, lang: str, text: str) -> bool:
    """Whether `text` holds the form as a word. Most forms are not there at all: no pattern is made for those."""
    return (form[2:] if lang == "ar" else form) in text and _pattern(form, lang).search(text) is not None


@cache
def _label_forms(lang: str) -> tuple[tuple[str, str], ...]:
    """(form, label): findings' own names before those of anything abnormal, longer forms before shorter."""
    forms = [(_folded(form), label) for label in LABEL_NAMES for form in label_forms(label, lang)]
    forms.sort(key=lambda pair: (pair[1] == ABNORMALITY, -len(pair[0])))
    return tuple(forms)


def _label(text: str, lang: str) -> tuple[str | None, str]:
    """(label, the text with every named label replaced by @, so that "polypoid growth" asks nothing about growing).

    Findings before anatomy ("a nodule in the left lung" is about the nodule), longer forms before shorter.
    """
    found: list[str] = []
    generic = False
    for form, label in _label_forms(lang):
        if not _named(form, lang, text):
            continue
        if label == ABNORMALITY:
            generic = True
            continue
        text = _pattern(form, lang).sub("@", text)
        found.append(label)
    findings = [label for label in found if label not in ANATOMY]
    if found:
        return (findings or found)[0], text
    return (ABNORMALITY if generic or re.search(ANY_PHRASES[lang], text) else None), text


def _side(text: str, lang: str) -> str | None:
    found = {
        side for side, name in SIDES.items() if any(_named(_folded(form), lang, text) for form in name.forms(lang))
    }
    return next(iter(found)) if len(found) == 1 else None


def _modality(text: str, lang: str) -> str | None:
    """The modality named, longest form first; None when none or several are."""
    found: dict[str, int] = {}
    for modality, name in MODALITY_NAMES.items():
        for form in name.forms(lang):
            if _named(_folded(form), lang, text):
                found[modality] = max(found.get(modality, 0), len(form))
    return next(iter(found)) if len(found) == 1 else None


def _without_names(text: str, lang: str) -> str:
    """The folded text without the names of modalities, planes, regions and sides."""
    for names in (MODALITY_NAMES, PLANE_NAMES, REGION_NAMES, SIDES):
        for name in names.values():
            for form in sorted(map(_folded, name.forms(lang)), key=len, reverse=True):
                if _named(form, lang, text):
                    text = _pattern(form, lang).sub("@", text)
    return text


def _read(question: str) -> tuple[str, str | None, str]:
    """(language, label, the folded text with every named label replaced by @)."""
    lang = language_of(question)
    return (lang, *_label(_folded(question[:2000]), lang))


def granted(question: str) -> str | None:
    """The finding a question takes for granted ("where is the nodule?"; `words.ABNORMALITY` for "the lesion"), or
    None: it asks whether one is there, leaves it open ("outline any nodules"), or names none."""
    asked = understand(question)
    if asked.task not in GRANTING or asked.label is None or asked.label in ANATOMY:
        return None
    lang, _, text = _read(question)
    for form, label in _label_forms(lang):
        if label == ABNORMALITY and _named(form, lang, text):
            text = _pattern(form, lang).sub("@", text)
    return None if re.search(OPEN[lang], text) else asked.label


def understand(question: str) -> Asked:
    """Read a question in English, Chinese or Arabic.

    Without any known word of asking it is `present` when it names a label and `describe` otherwise; what asks about a
    thing that no word here names is `unknown`. The text is only matched against fixed patterns, whatever it says.
    """
    lang, label, asked = _read(question)
    text = _folded(question[:2000])
    side, modality = _side(text, lang), _modality(text, lang)
    said = next((task for task, pattern in RULES[lang] if re.search(pattern, asked)), None)
    task = said or "present"
    if label is None and asks_of_something_strange(_without_names(asked, lang), lang, said):
        task = "unknown"
    elif task == "present" and label is None:
        task = "describe"
    if task == "side":
        side = None
    if task in ("modality", "compare", "change"):
        modality = None
    if task in ("report", "unknown", "modality", "plane", "region"):
        label = None
    return Asked(task, label, lang, side, modality)
