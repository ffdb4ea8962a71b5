"""A question in three languages is read well enough to choose what to run."""

from __future__ import annotations

import random

import pytest

from vesalius.dialogue.understand import GRANTING, Asked, granted, language_of, understand
from vesalius.dialogue.words import ABNORMALITY, LABEL_NAMES, MODALITY_NAMES
from vesalius.phantoms.questions import fill, wordings
from vesalius.phantoms.questions_wordings import WORDINGS

ASKED = """
present|nodule|Is there a lung nodule?
present|effusion|any pleural effusion on the right?
present|haemorrhage|Do you see bleeding or a hematoma?
present|mass|does she have a mass in the left breast
present|abnormality|Anything suspicious here?
describe|abnormality|Is this scan normal?
count|cell|how many cells are in this field of view?
count|polyp|Count polyps
count|nodule|number of nodules in the left lung?
box|tumour|Where is the tumour?
box|tumour|locate the tumor and give me its bounding box
box|consolidation|show me the consolidation
mask|liver|Segment the liver please
mask|nodule|I need a segmentation mask of the biggest nodule
mask|optic disc|outline the optic disc
point|stone|point to the kidney stone
point|polyp|click on the polyp
size|nodule|How large is the nodule in the right upper lobe?
size|cyst|what's the diameter of the cyst
size|mole|measure this mole
side|effusion|Which side is the effusion on?
side|nodule|Is the nodule in the left or right lung?
change|nodule|Has the nodule grown since last year?
change|None|What changed between these two x-rays?
change|effusion|is the effusion new compared to the previous study?
compare|None|Compare these two scans
compare|None|What is the difference between image 1 and image 2?
report|None|Write a radiology report
report|None|give me findings and impression
describe|None|What is this?
describe|None|Describe the image
modality|None|What kind of scan is it?
modality|None|Is this a CT or an MRI?
plane|None|Which plane is this slice in?
plane|None|Which plane is this slice?
region|None|What body part is this?
unknown|None|How old is the patient?
unknown|None|What is the patient's name?
unknown|None|Will the patient survive?
unknown|None|What treatment should I give?
largest|nodule|Which nodule is the largest?
slices|tumour|On which slices is the tumour visible?
motion|polyp|Is the polyp moving?
present|nodule|有肺结节吗？
present|effusion|右侧有胸腔积液吗
count|cell|图中一共有多少个细胞
box|tumour|肿瘤在哪里
mask|liver|请把肝脏分割出来
size|nodule|结节有多大？
side|nodule|结节在左肺还是右肺？
report|None|请写一份报告
change|nodule|结节和上次相比变大了吗？
modality|None|这是什么检查？
unknown|None|病人多大年龄？
describe|None|请描述这张片子
compare|None|比较这两张片子
point|polyp|请指出息肉的位置
present|nodule|هل توجد عقدة في الرئة؟
present|effusion|هل يوجد انصباب جنبي على اليمين؟
count|cell|كم عدد الخلايا في الصورة؟
box|tumour|أين الورم؟
mask|liver|ارسم حدود الكبد
size|nodule|ما حجم العقدة؟
side|nodule|في أي جهة تقع العقدة؟
report|None|اكتب تقريرا عن هذه الصورة
change|nodule|هل كبرت العقدة منذ الفحص السابق؟
modality|None|ما نوع هذا الفحص؟
unknown|None|كم عمر المريض؟
describe|None|صف الصورة
compare|None|قارن بين هاتين الصورتين
point|polyp|أشر إلى السليلة
""".strip().splitlines()


@pytest.mark.parametrize("line", ASKED)
def test_a_question_as_a_person_asks_it(line: str) -> None:
    task, label, question = line.split("|")
    asked = understand(question)
    assert (asked.task, str(asked.label)) == (task, label)


@pytest.mark.parametrize("lang", ["en", "zh", "ar"])
def test_generated_wordings_are_understood_with_their_label(lang: str) -> None:
    rng = random.Random(5)
    labels = [label for label in LABEL_NAMES if label != ABNORMALITY]
    right = labelled = right_label = total = 0
    for task in WORDINGS[lang]:
        wanted = {"present_side": "present", "present_any": "present", "premise": "present"}.get(task, task)
        for template in wordings(task, lang):
            label = rng.choice(labels)
            asked = understand(fill(template, label, lang, rng, side="left", said=rng.choice(list(MODALITY_NAMES))))
            total += 1
            right += (asked.task, asked.lang) == (wanted, lang)
            if any(slot in template for slot in ("{a}", "{x}", "{xs}", "{the}")):
                labelled += 1
                right_label += asked.label == label
    assert right >= 0.97 * total
    assert right_label >= 0.99 * labelled


@pytest.mark.parametrize("lang", ["en", "zh", "ar"])
def test_the_side_and_the_modality_taken_for_granted_are_read(lang: str) -> None:
    rng = random.Random(1)
    for template in wordings("present_side", lang):
        assert understand(fill(template, "nodule", lang, rng, side="right")).side == "right"
    for template in wordings("premise", lang):
        assert understand(fill(template, "nodule", lang, rng, said="mr")).modality == "mr"


def test_a_question_of_left_or_right_limits_itself_to_neither() -> None:
    assert understand("Is the nodule on the left or the right?") == Asked("side", "nodule", "en")


@pytest.mark.parametrize(
    "question",
    [
        "Is there a fracture?",
        "Does the patient have tuberculosis?",
        "How many teeth are there?",
        "Where is the cat?",
        "Outline the pancreas.",
        "How large is the spleen?",
        "Is the aorta dilated?",
        "Is this COVID?",
        "What is the capital of France?",
        "Tell me a joke",
        "有没有骨折？",
        "牙齿有多少颗？",
        "今天天气怎么样？",
        "هل يوجد كسر؟",
        "أين القطة؟",
        "ما عاصمة فرنسا؟",
    ],
)
def test_a_thing_no_word_here_names_is_not_known(question: str) -> None:
    assert understand(question).task == "unknown"


@pytest.mark.parametrize(
    ("question", "task"),
    [
        ("Where is it?", "box"),
        ("How many are there?", "count"),
        ("Which one is the largest?", "largest"),
        ("Anything else?", "describe"),
        ("Please analyse this image carefully.", "describe"),
        ("What stands out in this CT?", "describe"),
        ("Is this a chest X-ray?", "describe"),
        ("Is there any disease?", "describe"),
        ("Impression?", "describe"),
        ("在哪里？", "box"),
        ("这张片子怎么样？", "describe"),
        ("有没有其他发现？", "describe"),
        ("كم حجمها؟", "size"),
        ("هل هناك شيء آخر؟", "describe"),
    ],
)
def test_a_question_that_names_no_thing_is_about_the_picture(question: str, task: str) -> None:
    assert understand(question).task == task


def test_the_script_tells_the_language() -> None:
    assert [language_of(t) for t in ("Where?", "CT上有结节吗？", "هل هذه CT؟", "")] == ["en", "zh", "ar", "en"]


@pytest.mark.parametrize("text", ["", "   ", "?!", "a" * 100_000, "\x00\ud83d", "(((((", "<|im_end|>"])
def test_any_text_is_read_as_something(text: str) -> None:
    assert understand(text).task == "describe"


@pytest.mark.parametrize(
    ("question", "label"),
    [
        ("Which side is the nodule on?", "nodule"),
        ("Outline the tumour.", "tumour"),
        ("Where is the lesion?", ABNORMALITY),
        ("Outline any nodules.", None),
        ("Where is a nodule, if there is one?", None),
        ("Is there a mass, and where?", None),
        ("Outline any lesion.", None),
        ("Is there a nodule?", None),
        ("Outline the left lung.", None),
        ("结节在哪里？", "nodule"),
        ("结节有没有移动？", "nodule"),
        ("是否有结节？在哪里？", None),
        ("هل العقدة على اليمين أم اليسار؟", "nodule"),
        ("هل توجد عقدة؟ أين هي؟", None),
    ],
)
def test_a_question_takes_a_finding_for_granted_or_leaves_it_open(question: str, label: str | None) -> None:
    assert granted(question) == label


@pytest.mark.parametrize("lang", ["en", "zh", "ar"])
def test_all_wordings_about_something_there_take_it_for_granted_and_no_others(lang: str) -> None:
    rng = random.Random(5)
    for task in (
        "present",
        "present_side",
        "count",
        "side",
        "point",
        "box",
        "mask",
        "size",
        "largest",
        "slices",
        "motion",
    ):
        for wording in wordings(task, lang):
            question = fill(wording, "nodule", lang, rng, "left")
            assert (granted(question) == "nodule") == (task in GRANTING), question
