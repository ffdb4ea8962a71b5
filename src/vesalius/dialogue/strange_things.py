"""Whether a question is about something no word of the lexicon names: "how many teeth are there?", "有没有骨折？".

A model that knows some labels must not answer such a question with one of them. What a question holds beside words of
asking and of pictures is taken for the name of a thing; a question that holds nothing else ("where is it?") is none.
"""

from __future__ import annotations

import re

__all__ = ["asks_of_something_strange"]

_DESCRIBE = re.compile(
    r"\bdescri|summar|\bcaption|\bexplain|tell me about|overview|\bnormal\b"
    "|描述|介绍|说明|总结|概述|正常|صف|ملخص|اشرح|طبيعي"
)
"""Wishes to hear of the whole picture, whatever else they hold."""

_ABOUT_A_THING = frozenset({"count", "box", "mask", "point", "size", "side", "largest", "present"})

_EN_ASKING = frozenset(
    """
    a about above across affected after again all along also am among an analyse analysed analyze and another
    any anyone anything anywhere are area areas around as ask at away be because been before being below beside
    best better between big bigger biggest both bottom bounding box boxes bright brighter but by can case center
    centre circle clear clearly click cm color colour comment comments compare compared concern concerning
    concerns condition contour coordinates correct could count dark darker dear describe detail detailed details
    detect diameter did different dimension dimensions disease diseases disorder display do does doing done dot
    down draw each edge edges either else end enough estimate every everything exact exactly exam examination
    examine explain extent far few figure find first for form found frame frames from full further get give
    given go going good got great had half has have having he hello help her here hers hi him his horizontal how
    i if illness im image imaged images imaging important in indicate information inside interesting interpret
    into is it item items its itself just know label labelled labels large larger largest last least left length
    less let like line list locate located location locations long longest look looking looks made make many
    mark marked marks mask maximum may me mean measure measured measurement medical middle might millimeter
    millimeters millimetre millimetres mm more most mr mrs much must my name near nearest necessary need new
    next nice no not noteworthy nothing notice now number object objects obvious of off often ok on one ones
    only or order organ organs other others our out outline over overall own page part parts patient patients
    per person photo photograph picture pictures pixel pixels place placed please point pointer points position
    possible precise precisely present probably quality question read reading real really rectangle red relevant
    remarkable right same say scan scans second see seeing seem seems seen segment segmentation separate several
    shade shape she short should show showing shown shows side sides significant similar single sir size sized
    sizes slice slices small smaller smallest so some something somewhere spot spots state structure structures
    study such suggest summary sure take tally tap tell than thank thanks that the their them then there these
    they thing things think third this those through tip to together top total towards trace true two type under
    until unusual up upper us use using very video view views visible visualise visualised visualize visualized
    volume want was way we well were what where whether which while white who whole whose why wide wider widest
    width will with within without worry worrying would x xray y yes you your
    """.split()
)
"""Words that ask, point, or speak of a picture as such, and names nothing."""

_EN_PICTURE = frozenset(
    "image images picture pictures photo photograph scan scans film films study video clip slice slices frame frames "
    "this that these those here see seen show shown shows look looking analyse analyze interpret comment".split()
)
_EN_YES_NO = re.compile(r"^(please |can you tell me |tell me )?(if |whether )?(is|are|was|were|does|do|did|has|have)\b")

_ZH_ASKING = frozenset(
    "请问您你我他她它们这那此该张幅个些种类次项是否不没有无存在看得见到出来去吗呢吧啊么嘛呀什哪里儿的地了"
    "着过和与或还也都就又再一二两三四五六七八九十几多少大小长短宽窄高低上下中内外左右前后侧边面图像片影照"
    "相扫描检查画层切位置定框标识指点勾分割绘轮廓区域处方东西病人患者任何所全部颗枚数量统计直径尺寸测毫厘"
    "米积明显能会可以帮助告诉给把将为对从向往于由用示找寻最更较怎样如若果因谢好先生医师时候共总具体清楚只"
    "条块事发现另其异常"
)
_ZH_PICTURE = re.compile("图|像|片|影|照|扫描|检查|这|看|描述|介绍|说明")

_AR_ASKING = frozenset(
    """
    هل ما ماذا من في علي الي عن مع هو هي هذا هذه ذلك تلك هنا هناك اي اين كم كيف لماذا متي هم انت نحن
    انا او ام و ثم لا لم لن ليس ليست نعم يوجد توجد موجود موجودة يظهر تظهر تري يري اري نري يمكن يمكنك
    ان انه انها كان كانت قد لقد الذي التي كل جميع بعض عدد العدد كم صورة الصورة الصور صور فحص الفحص
    مقطع المقطع شريحة الشريحة مسح المسح مريض المريض المريضة حدد ارسم اشر ضع اعطني اخبرني اذكر عد
    احسب قس قسم جزئ اوجد ابحث ارني بين وضح من فضلك رجاء لو سمحت حجم الحجم قطر القطر طول عرض ارتفاع
    مساحة موقع الموقع مكان المكان موضع جهة الجهة جانب الجانب ناحية يمين اليمين يسار اليسار ايمن ايسر
    الايمن الايسر اكبر الاكبر اصغر كبير كبيرة صغير صغيرة واحد واحدة اثنان شيء شيئا اشياء منطقة
    المنطقة مربع المربع اطار نقطة علامة حدود محيط قناع بكسل مليمتر ملم سم حول فوق تحت داخل خارج اعلي
    اسفل وسط عند بها به فيها فيه لها له لي تبلغ يبلغ يقع تقع واضح واضحة مرئي مرئية مري ظاهر ظاهرة
    عضو الاعضاء اخر اخري اخرون بالملليمتر بالمليمتر
    """.split()
)
_AR_PICTURE = re.compile("صور|فحص|مقطع|شريحة|مسح|هذا|هذه|هنا|تري|يظهر|تظهر")


def asks_of_something_strange(text: str, lang: str, task: str | None) -> bool:
    """`text`: folded, with every known name (of labels, modalities, planes, regions, sides) replaced by @ or taken out,
    and naming no label.  `lang`: "en" | "zh" | "ar".  `task`: what the words of asking say, None for nothing."""
    if task not in (None, "describe", *_ABOUT_A_THING) or (task == "describe" and _DESCRIBE.search(text)):
        return False
    named, picture, words = _left_over(text, lang)
    if not named:
        return False
    if task in _ABOUT_A_THING:
        return True
    # One word alone ("impression?") and whatever speaks of the picture ("what stands out here?") asks for all of it.
    return words > 1 and not picture


def _left_over(text: str, lang: str) -> tuple[bool, bool, int]:
    """(whether a name is left, whether the picture as a whole is spoken of, number of words)."""
    if lang == "zh":
        written = [c for c in text if "\u4e00" <= c <= "\u9fff"]
        return any(c not in _ZH_ASKING for c in written), _ZH_PICTURE.search(text) is not None, len(written)
    if lang == "ar":
        spoken = re.findall(r"[\u0621-\u064a]{2,}", text)
        return any(not _asks(word) for word in spoken), _AR_PICTURE.search(text) is not None, len(spoken)
    spoken = re.findall(r"[a-z]+(?:['-][a-z]+)*", text.replace("\u2019", "'"))
    spoken = [word.removesuffix("'s") for word in spoken if len(word) > 1 or word == "a"]
    picture = not _EN_YES_NO.search(text) and any(word in _EN_PICTURE for word in spoken)
    return any(word not in _EN_ASKING and "'" not in word for word in spoken), picture, len(spoken)


def _asks(word: str) -> bool:
    """An Arabic word of asking, with or without attached conjunctions, prepositions and article."""
    bare = word.lstrip("وفبكل")
    forms = {word, bare, word.removeprefix("ال"), *(form.removesuffix("ها").removesuffix("ه") for form in (word, bare))}
    return bool(forms & _AR_ASKING) or len(bare) < 2
