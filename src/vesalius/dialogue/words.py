"""The vocabulary in English, Chinese and Arabic: labels, sides, modalities, planes, regions and changes.

The first form of each tuple is the one Vesalius says; all forms are understood. No form belongs to two entries.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = [
    "ABNORMALITY",
    "CHANGES",
    "LABEL_NAMES",
    "LANGUAGES",
    "MODALITY_NAMES",
    "PLANE_NAMES",
    "POSITIONS",
    "REGION_NAMES",
    "SIDES",
    "LabelName",
    "Name",
    "english_names",
    "label_forms",
]

LANGUAGES = ("en", "zh", "ar")

ABNORMALITY = "abnormality"
"""Stands for any finding at all ("is anything wrong?")."""


@dataclass(frozen=True)
class LabelName:
    """How a label is said. `en`: singular forms; `plurals`: the same forms, plural. `article`: "a", "an" or "" (mass
    noun). `ar`: indefinite singular forms; `ar_the`: definite singular forms; `ar_all`: definite plural."""

    en: tuple[str, ...]
    zh: tuple[str, ...]
    ar: tuple[str, ...]
    ar_the: tuple[str, ...]
    ar_all: str
    plurals: tuple[str, ...] = ()
    article: str = "a"

    @property
    def en_plurals(self) -> tuple[str, ...]:
        return self.plurals or tuple(f"{form}s" for form in self.en)


@dataclass(frozen=True)
class Name:
    """Forms of a name per language, the spoken one first."""

    en: tuple[str, ...]
    zh: tuple[str, ...]
    ar: tuple[str, ...]

    def said(self, lang: str) -> str:
        return self.forms(lang)[0]

    def forms(self, lang: str) -> tuple[str, ...]:
        return self.zh if lang == "zh" else self.ar if lang == "ar" else self.en


LABEL_NAMES: dict[str, LabelName] = {
    "lung": LabelName(
        ("lung", "lung field", "pulmonary field"), ("肺", "肺野"), ("رئة",), ("الرئة", "الحقل الرئوي"), "الرئتان"
    ),
    "heart": LabelName(
        ("heart", "cardiac silhouette", "cardiac shadow"), ("心脏", "心影"), ("قلب",), ("القلب", "ظل القلب"), "القلوب"
    ),
    "liver": LabelName(("liver", "hepatic parenchyma"), ("肝脏", "肝"), ("كبد",), ("الكبد",), "الأكباد"),
    "kidney": LabelName(("kidney", "renal outline"), ("肾脏", "肾"), ("كلية",), ("الكلية",), "الكليتان"),
    "spine": LabelName(
        ("spine", "vertebral column", "spinal column", "backbone"),
        ("脊柱", "脊椎"),
        ("عمود فقري",),
        ("العمود الفقري",),
        "الأعمدة الفقرية",
    ),
    "brain": LabelName(
        ("brain", "brain tissue", "cerebrum"),
        ("大脑", "脑实质"),
        ("دماغ", "مخ"),
        ("الدماغ", "المخ"),
        "الأدمغة",
        plurals=("brains", "brain tissues", "cerebra"),
    ),
    "ventricle": LabelName(
        ("ventricle", "cerebral ventricle", "brain ventricle"), ("脑室",), ("بطين",), ("البطين",), "البطينات"
    ),
    "optic disc": LabelName(
        ("optic disc", "optic disk", "optic nerve head"),
        ("视盘", "视乳头"),
        ("قرص بصري",),
        ("القرص البصري",),
        "الأقراص البصرية",
        article="an",
    ),
    "nodule": LabelName(
        ("nodule", "nodular opacity", "nodular lesion", "coin lesion"),
        ("结节", "小结节"),
        ("عقدة", "عقيدة"),
        ("العقدة", "العقيدة"),
        "العقد",
        plurals=("nodules", "nodular opacities", "nodular lesions", "coin lesions"),
    ),
    "mass": LabelName(
        ("mass", "lump", "space-occupying lesion", "mass lesion"),
        ("肿块", "占位"),
        ("كتلة",),
        ("الكتلة",),
        "الكتل",
        plurals=("masses", "lumps", "space-occupying lesions", "mass lesions"),
    ),
    "consolidation": LabelName(
        ("consolidation", "airspace opacity", "airspace disease", "infiltrate"),
        ("实变", "肺实变"),
        ("تكثف", "تصلد"),
        ("التكثف", "التصلد"),
        "التكثفات",
        plurals=("consolidations", "airspace opacities", "airspace diseases", "infiltrates"),
    ),
    "effusion": LabelName(
        ("effusion", "pleural effusion", "pleural fluid", "fluid collection"),
        ("积液", "胸腔积液"),
        ("انصباب", "انصباب جنبي"),
        ("الانصباب", "الانصباب الجنبي"),
        "الانصبابات",
        article="an",
    ),
    "tumour": LabelName(
        ("tumour", "tumor", "neoplasm", "neoplastic lesion"),
        ("肿瘤", "新生物"),
        ("ورم",),
        ("الورم",),
        "الأورام",
    ),
    "haemorrhage": LabelName(
        ("haemorrhage", "hemorrhage", "bleed", "haematoma", "hematoma"),
        ("出血", "血肿"),
        ("نزيف", "نزف"),
        ("النزيف", "النزف"),
        "مواضع النزيف",
    ),
    "cyst": LabelName(
        ("cyst", "cystic lesion", "fluid-filled sac", "simple cyst"),
        ("囊肿", "囊性病变"),
        ("كيسة", "كيس"),
        ("الكيسة", "الكيس"),
        "الكيسات",
    ),
    "stone": LabelName(
        ("stone", "calculus", "concretion", "kidney stone", "gallstone"),
        ("结石",),
        ("حصاة", "حصوة"),
        ("الحصاة", "الحصوة"),
        "الحصوات",
        plurals=("stones", "calculi", "concretions", "kidney stones", "gallstones"),
    ),
    "microaneurysm": LabelName(
        ("microaneurysm", "micro-aneurysm", "capillary aneurysm", "retinal microaneurysm"),
        ("微动脉瘤", "微血管瘤"),
        ("أم دم دقيقة",),
        ("أم الدم الدقيقة",),
        "أمهات الدم الدقيقة",
    ),
    "exudate": LabelName(
        ("exudate", "hard exudate", "lipid deposit", "retinal exudate"),
        ("渗出", "渗出物"),
        ("نضحة", "نتحة"),
        ("النضحة", "النتحة"),
        "النضحات",
        article="an",
    ),
    "mole": LabelName(
        ("mole", "naevus", "nevus", "pigmented spot", "pigmented lesion"),
        ("痣", "色素痣"),
        ("شامة", "وحمة"),
        ("الشامة", "الوحمة"),
        "الشامات",
        plurals=("moles", "naevi", "nevi", "pigmented spots", "pigmented lesions"),
    ),
    "polyp": LabelName(
        ("polyp", "polypoid lesion", "polypoid growth", "mucosal growth"),
        ("息肉", "息肉样病变"),
        ("سليلة", "زائدة لحمية"),
        ("السليلة", "الزائدة اللحمية"),
        "السلائل",
    ),
    "cell": LabelName(
        ("cell", "stained cell", "cell body", "cell profile"),
        ("细胞",),
        ("خلية",),
        ("الخلية",),
        "الخلايا",
        plurals=("cells", "stained cells", "cell bodies", "cell profiles"),
    ),
    "instrument": LabelName(
        ("instrument", "surgical tool", "tool", "forceps"),
        ("器械", "钳子"),
        ("أداة",),
        ("الأداة",),
        "الأدوات",
        plurals=("instruments", "surgical tools", "tools", "forceps"),
        article="an",
    ),
    "debris": LabelName(
        ("debris", "dirt", "contaminant", "debris particle"),
        ("杂质", "碎屑"),
        ("شائبة",),
        ("الشائبة",),
        "الشوائب",
        plurals=("debris", "dirt", "contaminants", "debris particles"),
        article="",
    ),
    ABNORMALITY: LabelName(
        ("abnormality", "lesion", "finding", "anomaly", "pathology"),
        ("异常", "病灶", "病变"),
        ("شذوذ", "آفة", "خلل", "آفات"),
        ("الشذوذ", "الآفة", "الخلل"),
        "الآفات",
        plurals=("abnormalities", "lesions", "findings", "anomalies", "pathologies"),
        article="an",
    ),
}

SIDES: dict[str, Name] = {
    "left": Name(
        ("left", "left-sided", "left side"),
        ("左侧", "左边", "左"),
        ("الجهة اليسرى", "اليسرى", "اليسار", "يسار", "الأيسر"),
    ),
    "right": Name(
        ("right", "right-sided", "right side"),
        ("右侧", "右边", "右"),
        ("الجهة اليمنى", "اليمنى", "اليمين", "يمين", "الأيمن"),
    ),
    "midline": Name(("midline",), ("中线",), ("خط الوسط", "الخط الناصف")),
}

MODALITY_NAMES: dict[str, Name] = {
    "xray": Name(
        ("X-ray", "radiograph", "x ray", "xray", "plain film"),
        ("X光片", "X线片", "X光", "X线"),
        ("أشعة سينية", "أشعة عادية"),
    ),
    "ct": Name(
        ("CT", "CT scan", "CAT scan", "computed tomography"), ("CT", "计算机断层"), ("أشعة مقطعية", "تصوير مقطعي")
    ),
    "mr": Name(
        ("MRI", "MR scan", "magnetic resonance", "MR"), ("磁共振", "核磁共振", "核磁", "MRI"), ("رنين مغناطيسي", "رنين")
    ),
    "ultrasound": Name(
        ("ultrasound", "sonogram", "sonography", "ultrasound scan"),
        ("超声", "B超", "彩超"),
        ("موجات فوق صوتية", "سونار"),
    ),
    "fundus": Name(
        ("fundus photograph", "fundus photo", "retinal photograph", "fundus image"),
        ("眼底照片", "眼底照相", "眼底图"),
        ("صورة قاع العين", "تصوير قاع العين"),
    ),
    "skin": Name(
        ("skin photograph", "skin photo", "dermoscopy", "dermatoscopy"),
        ("皮肤照片", "皮肤镜"),
        ("صورة جلدية", "تنظير الجلد"),
    ),
    "endoscopy": Name(
        ("endoscopy", "colonoscopy", "endoscopic image", "endoscopy frame"),
        ("内镜", "内窥镜", "肠镜"),
        ("تنظير داخلي", "منظار"),
    ),
    "microscopy": Name(
        ("microscopy", "micrograph", "microscope image", "histology"),
        ("显微镜图像", "显微镜", "显微图"),
        ("صورة مجهرية", "مجهر"),
    ),
}

PLANE_NAMES: dict[str, Name] = {
    "axial": Name(("axial", "transverse"), ("轴位", "横断面"), ("محوري", "عرضي")),
    "coronal": Name(("coronal",), ("冠状位", "冠状面"), ("إكليلي", "تاجي")),
    "sagittal": Name(("sagittal",), ("矢状位", "矢状面"), ("سهمي",)),
    "frontal": Name(("frontal",), ("正位",), ("أمامي",)),
    "lateral": Name(("lateral",), ("侧位",), ("جانبي",)),
}

REGION_NAMES: dict[str, Name] = {
    "chest": Name(("chest", "thorax"), ("胸部",), ("الصدر",)),
    "abdomen": Name(("abdomen", "belly"), ("腹部",), ("البطن",)),
    "head": Name(("head", "skull"), ("头部",), ("الرأس",)),
    "eye": Name(("eye", "retina"), ("眼部",), ("العين",)),
    "skin": Name(("skin",), ("皮肤",), ("الجلد",)),
    "bowel": Name(("bowel", "colon"), ("肠道",), ("الأمعاء",)),
    "tissue": Name(("tissue",), ("组织",), ("النسيج",)),
    "breast": Name(("breast",), ("乳腺",), ("الثدي",)),
}

POSITIONS: dict[str, Name] = {
    "upper": Name(("upper",), ("上部",), ("الجزء العلوي",)),
    "lower": Name(("lower",), ("下部",), ("الجزء السفلي",)),
    "anterior": Name(("anterior",), ("前部",), ("الجزء الأمامي",)),
    "posterior": Name(("posterior",), ("后部",), ("الجزء الخلفي",)),
    "top": Name(("top",), ("上方",), ("أعلى",)),
    "bottom": Name(("bottom",), ("下方",), ("أسفل",)),
    "centre": Name(("centre",), ("中央",), ("وسط",)),
    "top left": Name(("top left",), ("左上方",), ("أعلى يسار",)),
    "top right": Name(("top right",), ("右上方",), ("أعلى يمين",)),
    "bottom left": Name(("bottom left",), ("左下方",), ("أسفل يسار",)),
    "bottom right": Name(("bottom right",), ("右下方",), ("أسفل يمين",)),
    "left edge": Name(("left edge",), ("画面左缘",), ("حافة يسار",)),
    "right edge": Name(("right edge",), ("画面右缘",), ("حافة يمين",)),
}
"""Where in the body (upper, lower, anterior, posterior) or, without patient sides, where in the picture."""

CHANGES: dict[str, Name] = {
    "new": Name(("new",), ("新出现",), ("جديد",)),
    "resolved": Name(("resolved",), ("消失",), ("اختفى",)),
    "grown": Name(("grown",), ("增大",), ("كبر",)),
    "shrunk": Name(("shrunk",), ("缩小",), ("صغر",)),
    "unchanged": Name(("unchanged",), ("无变化",), ("دون تغير",)),
    "more": Name(("more",), ("增多",), ("زاد",)),
    "fewer": Name(("fewer",), ("减少",), ("نقص",)),
}


def english_names() -> dict[str, str]:
    """Every Chinese and Arabic form of a label → its English name, for where only Latin letters can be written."""
    return {
        form: name.en[0] for name in LABEL_NAMES.values() for form in (*name.zh, *name.ar, *name.ar_the, name.ar_all)
    }


def label_forms(label: str, lang: str) -> tuple[str, ...]:
    """Every form a label may take in a question: singular and plural, definite and indefinite."""
    name = LABEL_NAMES[label]
    if lang == "zh":
        return name.zh
    if lang == "ar":
        return (*name.ar, *name.ar_the, name.ar_all)
    return (*name.en, *name.en_plurals)
