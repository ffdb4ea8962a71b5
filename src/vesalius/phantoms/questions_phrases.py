"""How answers are put in English, Chinese and Arabic: noun phrases, citations and sentence frames."""

from __future__ import annotations

from collections.abc import Sequence

from vesalius.dialogue.scene_text import SeenGroup, size_text
from vesalius.dialogue.words import LABEL_NAMES, MODALITY_NAMES, PLANE_NAMES, POSITIONS, REGION_NAMES, SIDES

__all__ = [
    "FRAMES",
    "cite",
    "counted",
    "counted_group",
    "indefinite",
    "join",
    "modality_noun",
    "place",
    "said_size",
    "scan_name",
    "the",
]

PICTURE_PLACES = frozenset(
    {"top", "bottom", "centre", "top left", "top right", "bottom left", "bottom right", "left edge", "right edge"}
)

FRAMES: dict[str, dict[str, str]] = {
    "en": {
        "no_image": "No picture was given.",
        "unknown": "This cannot be told from the picture.",
        "modality": "This is {modality}.",
        "modality_unknown": "The kind of picture cannot be told.",
        "premise": "This is {modality}, not {said}.",
        "plane": "The plane is {plane}.",
        "plane_none": "This picture has no scan plane.",
        "region": "It shows the {region}.",
        "region_unknown": "The body region cannot be told.",
        "yes_one": "Yes, there is {what}.",
        "yes_many": "Yes, there are {what}.",
        "no": "No {name} is seen{where}.",
        "maybe": "No clear {name} is seen{where}; one is possible.",
        "count_one": "There is {what}.",
        "count_many": "There are {what}.",
        "side_one": "{the} is {what}.",
        "side_many": "{the} are {what}.",
        "point_one": "{the} is at {what}.",
        "point_many": "{the} are at {what}.",
        "box_one": "{the} is here: {what}.",
        "box_many": "{the} are here: {what}.",
        "mask_one": "{the} is outlined: {what}.",
        "mask_many": "{the} are outlined: {what}.",
        "size_one": "It measures {what}.",
        "size_many": "They measure {what}.",
        "size_largest": "The largest measures {what}.",
        "size_none": "The size cannot be measured here {what}.",
        "slices_one": "It is on slices {what}.",
        "slices_many": "They are on slices {what}.",
        "slices_none": "This is not a volume with slices.",
        "motion_one": "{the} is {what}.",
        "motion_many": "{the} are {what}.",
        "motion_none": "Motion cannot be told from a single picture.",
        "moving": "moving",
        "still": "still",
        "largest": "The largest {name} is {what}.",
        "largest_only": "There is only one {name}: {what}.",
        "describe": "This is {scan}. It shows {what}.",
        "describe_nothing": "This is {scan}. Nothing else is seen.",
        "no_finding": "No abnormality is seen.",
        "single": "There is only one picture, so change cannot be told.",
        "compare": "Image {k}: {what}.",
        "nothing": "no abnormality",
        "nothing_changed": "Nothing has changed.",
        "new": "{the}{where} is new {cites}.",
        "resolved": "{the}{where} is gone {cites}.",
        "grown": "{the}{where} has grown from {a} to {b} {cites}.",
        "shrunk": "{the}{where} has shrunk from {a} to {b} {cites}.",
        "unchanged": "{the}{where} is unchanged {cites}.",
        "more": "There are more {names}: {a} before, {b} now {cites}.",
        "fewer": "There are fewer {names}: {a} before, {b} now {cites}.",
    },
    "zh": {
        "no_image": "没有提供图像。",
        "unknown": "无法从图像得知。",
        "modality": "这是{modality}。",
        "modality_unknown": "无法判断图像类型。",
        "premise": "这是{modality}，不是{said}。",
        "plane": "{plane}。",
        "plane_none": "该图像没有扫描平面。",
        "region": "{region}。",
        "region_unknown": "无法判断部位。",
        "yes_one": "有，{what}。",
        "yes_many": "有，{what}。",
        "no": "没有，{where}未见{name}。",
        "maybe": "没有，{where}未见明确{name}，但有可能。",
        "count_one": "共 {what}。",
        "count_many": "共 {what}。",
        "side_one": "{the}在{what}。",
        "side_many": "{the}在{what}。",
        "point_one": "{the}在 {what}。",
        "point_many": "{the}在 {what}。",
        "box_one": "{the}在这里：{what}。",
        "box_many": "{the}在这里：{what}。",
        "mask_one": "已勾画{the}：{what}。",
        "mask_many": "已勾画{the}：{what}。",
        "size_one": "大小为 {what}。",
        "size_many": "大小为 {what}。",
        "size_largest": "最大 {what}。",
        "size_none": "无法测量大小 {what}。",
        "slices_one": "在层面 {what}。",
        "slices_many": "在层面 {what}。",
        "slices_none": "这不是带层面的容积。",
        "motion_one": "{the}{what}。",
        "motion_many": "{the}{what}。",
        "motion_none": "单张图像无法判断运动。",
        "moving": "在移动",
        "still": "静止",
        "largest": "最大的{name}：{what}。",
        "largest_only": "只有一个{name}：{what}。",
        "describe": "{scan}，可见{what}。",
        "describe_nothing": "{scan}，未见其他。",
        "no_finding": "未见异常。",
        "single": "只有一张图像，无法判断变化。",
        "compare": "图{k}：{what}。",
        "nothing": "未见异常",
        "nothing_changed": "没有变化。",
        "new": "{where}{the}新出现 {cites}。",
        "resolved": "{where}{the}消失 {cites}。",
        "grown": "{where}{the}增大，{a} 到 {b} {cites}。",
        "shrunk": "{where}{the}缩小，{a} 到 {b} {cites}。",
        "unchanged": "{where}{the}无变化 {cites}。",
        "more": "{the}增多，{a} 到 {b} {cites}。",
        "fewer": "{the}减少，{a} 到 {b} {cites}。",
    },
    "ar": {
        "no_image": "لا توجد صورة.",
        "unknown": "لا يمكن معرفة ذلك من الصورة.",
        "modality": "نوع الصورة: {modality}.",
        "modality_unknown": "لا يمكن تحديد نوع الصورة.",
        "premise": "نوع الصورة {modality} وليس {said}.",
        "plane": "المقطع {plane}.",
        "plane_none": "لا مقطع لهذه الصورة.",
        "region": "تظهر الصورة {region}.",
        "region_unknown": "لا يمكن تحديد المنطقة.",
        "yes_one": "نعم، هناك {what}.",
        "yes_many": "نعم، هناك {what}.",
        "no": "لا، لا دليل على {name}{where}.",
        "maybe": "لا، لا دليل واضح على {name}{where}، لكن الاحتمال قائم.",
        "count_one": "العدد: {what}.",
        "count_many": "العدد: {what}.",
        "side_one": "{the} في {what}.",
        "side_many": "{the} في {what}.",
        "point_one": "{the} عند {what}.",
        "point_many": "{the} عند {what}.",
        "box_one": "{the} هنا: {what}.",
        "box_many": "{the} هنا: {what}.",
        "mask_one": "تم تحديد {the}: {what}.",
        "mask_many": "تم تحديد {the}: {what}.",
        "size_one": "القياس {what}.",
        "size_many": "القياس {what}.",
        "size_largest": "الأكبر {what}.",
        "size_none": "لا يمكن قياس الحجم {what}.",
        "slices_one": "في الشرائح {what}.",
        "slices_many": "في الشرائح {what}.",
        "slices_none": "لا شرائح في هذه الصورة.",
        "motion_one": "{the}: {what}.",
        "motion_many": "{the}: {what}.",
        "motion_none": "لا يمكن معرفة الحركة من صورة واحدة.",
        "moving": "حركة",
        "still": "ثبات",
        "largest": "الأكبر: {what}.",
        "largest_only": "واحدة فقط: {what}.",
        "describe": "{scan}: {what}.",
        "describe_nothing": "{scan}. لا يظهر شيء آخر.",
        "no_finding": "لا شذوذ.",
        "single": "صورة واحدة فقط، لا يمكن معرفة التغير.",
        "compare": "الصورة {k}: {what}.",
        "nothing": "لا شذوذ",
        "nothing_changed": "لا تغير.",
        "new": "{the}{where}: ظهور جديد {cites}.",
        "resolved": "{the}{where}: اختفاء {cites}.",
        "grown": "{the}{where}: زاد الحجم من {a} إلى {b} {cites}.",
        "shrunk": "{the}{where}: نقص الحجم من {a} إلى {b} {cites}.",
        "unchanged": "{the}{where}: دون تغير {cites}.",
        "more": "{the}: زاد العدد من {a} إلى {b} {cites}.",
        "fewer": "{the}: نقص العدد من {a} إلى {b} {cites}.",
    },
}


def cite(groups: Sequence[SeenGroup]) -> str:
    """`[3] [4]`"""
    return " ".join(f"[{g.number}]" for g in groups)


def join(parts: Sequence[str], lang: str) -> str:
    """A list in words: `a, b and c`."""
    if lang == "zh":
        return "、".join(parts)
    if lang == "ar":
        return " و".join(parts)
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def indefinite(label: str, lang: str) -> str:
    """`a nodule`"""
    name = LABEL_NAMES[label]
    if lang == "zh":
        return name.zh[0]
    if lang == "ar":
        return name.ar[0]
    return f"{name.article} {name.en[0]}".strip()


def the(label: str, many: bool, lang: str, *, capital: bool = True) -> str:
    """`The nodule`, `The nodules`"""
    name = LABEL_NAMES[label]
    if lang == "zh":
        return name.zh[0]
    if lang == "ar":
        return name.ar_all if many else name.ar_the[0]
    return f"{'The' if capital else 'the'} {name.en_plurals[0] if many else name.en[0]}"


def counted(label: str, count: int, lang: str) -> str:
    """`1 nodule`, `3 nodules`, `3 个结节`; Arabic says the bare number after "the number:"."""
    name = LABEL_NAMES[label]
    if lang == "zh":
        return f"{count} 个{name.zh[0]}"
    if lang == "ar":
        return str(count)
    return f"{count} {name.en[0] if count == 1 else name.en_plurals[0]}"


def place(side: str | None, position: str | None, lang: str, *, bare: bool = False) -> str:
    """Where in words, with a leading space where the language needs one: ` on the left`, `左侧`, ` في الجهة اليسرى`.

    Side wins over position; "" when neither is known. `bare`: without the leading space and (ar) preposition.
    """
    if side is not None:
        name = SIDES[side].said(lang)
        english = " in the midline" if side == "midline" else f" on the {side}"
    elif position is not None and position in PICTURE_PLACES:
        name = POSITIONS[position].said(lang)
        english = f" at the {position} of the picture"
        name = f"画面{name.removeprefix('画面')}" if lang == "zh" else f"{name} الصورة" if lang == "ar" else name
    else:
        return ""
    if lang == "zh":
        return name
    if lang == "ar":
        return name if bare else f" في {name}"
    return english.strip() if bare else english


def counted_group(group: SeenGroup, lang: str) -> str:
    """A group with its number, side and citation: `a nodule on the left [3]`, `7 cells [1]`."""
    if group.count > 1:
        many = f"{the(group.label, True, 'ar')} ({group.count})" if lang == "ar" else ""
        return f"{many or counted(group.label, group.count, lang)} [{group.number}]"
    where = place(group.side, None, lang)
    noun = indefinite(group.label, lang)
    return f"{where}{noun} [{group.number}]" if lang == "zh" else f"{noun}{where} [{group.number}]"


def said_size(size_mm: float, lang: str) -> str:
    """The scene's own spelling, in Arabic script units for Arabic."""
    text = size_text(size_mm)
    return text.replace("mm", "مم").replace("um", "ميكرون") if lang == "ar" else text


def modality_noun(modality: str, lang: str) -> str:
    """`a CT`, `an MRI`, `磁共振`"""
    name = MODALITY_NAMES[modality].said(lang)
    if lang != "en":
        return name
    if modality in ("xray", "mr"):
        return f"an {name}"
    mass = {"ultrasound": "an ultrasound", "endoscopy": "an endoscopy picture", "microscopy": "a microscopy picture"}
    return mass.get(modality, f"a {name}")


def scan_name(modality: str, plane: str, region: str, lang: str) -> str:
    """`an axial CT of the chest`"""
    known_plane = PLANE_NAMES[plane].said(lang) if plane in PLANE_NAMES else ""
    known_region = REGION_NAMES[region].said(lang) if region in REGION_NAMES and region != modality else ""
    if modality not in MODALITY_NAMES:
        noun = {"en": "a picture", "zh": "图像", "ar": "صورة"}[lang]
    else:
        noun = modality_noun(modality, lang)
    if lang == "zh":
        return f"{known_region}{known_plane}{noun}"
    if lang == "ar":
        of_region = f" لل{known_region.removeprefix('ال')}" if known_region else ""
        return f"{noun}{of_region}{'، مقطع ' if known_plane else ''}{known_plane}"
    if known_plane:
        article = "an" if known_plane[0] in "aeiou" else "a"
        noun = f"{article} {known_plane} {noun.split(' ', 1)[1]}"
    article = "" if region == "tissue" else "the "
    return f"{noun} of {article}{known_region}" if known_region else noun
