"""How people ask: a small grammar of wordings per task and language.

`(one|two|)` is a choice; slots are `{a}` (a nodule), `{x}` (nodule), `{xs}` (nodules), `{the}` (the nodule), `{side}`
and `{m}` (a modality the question takes for granted). `wordings` spells every choice out.
"""

from __future__ import annotations

import re
from functools import cache
from itertools import product

__all__ = ["WORDINGS", "wordings"]

WORDINGS: dict[str, dict[str, tuple[str, ...]]] = {
    "en": {
        "modality": (
            "What (kind|type|sort) of (scan|picture|image|examination) is this?",
            "Which (modality|imaging technique) (is this|was used|is shown here)?",
            "(Name|Tell me|State) the (modality|imaging method).",
            "How was this (picture|image) (taken|acquired|made)?",
            "Is this a CT, an MRI or something else?",
        ),
        "plane": (
            "(Which|What) (plane|orientation|scan plane) is (this|shown|the slice in)?",
            "(Name|Tell me|State) the (plane|slice orientation).",
            "Is this (slice|scan|view) axial, coronal or sagittal?",
            "In (which|what) plane was this (acquired|cut|taken)?",
            "(Which|What) (view|projection) is this?",
        ),
        "region": (
            "(Which|What) (body part|body region|part of the body) is (this|shown|imaged here)?",
            "(Name|Tell me|State) the (body part|anatomical region).",
            "(Which|What) (area|part) of the (body|patient) do we see?",
            "What anatomy does this (picture|scan) cover?",
        ),
        "present": (
            "(Is there|Do you see|Can you see|Can you find) ({a}|any {x})(| here| in this picture)?",
            "(Are there|Do you see) any {xs}(| on this scan| in the image)?",
            "Does this (picture|scan) (show|contain) {a}?",
            "Would you say this (picture|scan) (shows|contains) {a}?",
            "(Any|Some) {x}(| visible| present)?",
            "Is {a} (present|visible|seen)(| here| on this image)?",
            "Can {a} be (seen|made out)?",
            "Has the patient got {a}?",
            "Is there evidence of {a}?",
        ),
        "present_side": (
            "(Is there|Do you see|Can you see|Can you find) {a} (on the {side}|on the {side} side)?",
            "Any {x} on the {side}?",
            "(Are there any {xs}|Is any {x} visible) on the {side}?",
            "On the {side}, is there {a}?",
            "Does the {side} side show {a}?",
        ),
        "present_any": (
            "(Is there|Do you see|Can you find) (anything abnormal|any abnormality|any lesion|any pathology)?",
            "Is anything (abnormal|wrong|suspicious)(| here| in this picture)?",
            "Are there any (lesions|findings|abnormalities)(| on this scan)?",
            "Does this (picture|scan) show (an abnormality|a lesion|anything abnormal)?",
        ),
        "count": (
            "How many {xs} (are there|are there here|do you see|can you count|are visible|does the picture show)?",
            "(What is|Give me|Tell me|State) the (number|total number) of {xs}.",
            "Count (the|all|all the) {xs}(|, please| in this image).",
            "How many {xs}?",
            "What is the {x} count?",
        ),
        "side": (
            "(Which|What) side is {the} on?",
            "On (which|what) side (is|do you see|can you see|lies) {the}?",
            "Is {the} on the (left or the right|right or the left|left or right side)?",
            "Is {the} (left or right|right or left|left-sided or right-sided)?",
            "(Which|What) side (shows|has|contains) {the}?",
            "(Name|Tell me|State) the side of {the}.",
            "Is it the left or the right side that has {the}?",
        ),
        "point": (
            "Point (to|at) (the {x}|the {xs}|every {x}|each {x})(|, please).",
            "(Click|Tap|Put a dot|Put your finger|Put a marker) on {the}.",
            "(Mark|Give me) a point on {the}.",
            "Can you point (to|at|out) {the}?",
            "Show me {the} with (an arrow|a pointer).",
            "Indicate {the}.",
            "Give the point coordinates of {the}.",
        ),
        "box": (
            "Where (is|exactly is|do you see|can I find|in the picture is) {the}?",
            "(Locate|Find|Localise|Box) {the}(|, please| in the image).",
            "(Draw|Give me|Put|Return) a (box|bounding box|rectangle) (around|for) {the}.",
            "What is the (location|position|bounding box) of {the}?",
            "Show me where {the} is.",
        ),
        "mask": (
            "(Outline|Segment|Delineate|Contour) (the {x}|the {xs}|every {x})(|, please| in this picture).",
            "(Draw|Give me|Return) (a mask|a segmentation|the contour|the outline) of {the}.",
            "Trace the (border|edge|margin) of {the}.",
            "Colour in the pixels of {the}.",
            "Which pixels belong to {the}?",
        ),
        "size": (
            "How (big|large|wide|long) is {the}(| in mm| in millimetres)?",
            "(What is|Give me|Tell me|State) the (size|diameter|longest diameter) of {the}.",
            "(Measure|Size) {the}(|, please).",
            "How many (mm|millimetres) does {the} measure?",
            "What does {the} measure?",
            "What are the dimensions of {the}?",
        ),
        "largest": (
            "Which {x} is (the largest|the biggest|largest|biggest|the greatest in size)?",
            "Where is the (largest|biggest) {x}?",
            "(Show|Find|Name|Give) me the (largest|biggest) {x}.",
            "(Which|What) is the (largest|biggest) {x} here?",
            "Which of the {xs} is (larger|bigger|the largest one)?",
            "How large is the (largest|biggest) {x}?",
        ),
        "slices": (
            "On (which|what) (slices|slice|slice numbers) (is|do I see|lies|can I find) {the}?",
            "(Which|What) slices (show|contain|include) {the}?",
            "(List|Name|Give me|State) the slices (with|that show) {the}.",
            "Through which slices does {the} run?",
            "From which slice to which slice is {the} seen?",
        ),
        "motion": (
            "Is {the} (moving|still|moving or still|in motion|static|moving in this clip)?",
            "(Does|Do you see) {the} move(| in the clip| in this video| over time)?",
            "(Describe|Tell me about|Report) the (motion|movement) of {the}.",
            "What is the (motion|movement) of {the}(| in this video)?",
            "Can you see any (motion|movement) of {the}?",
            "Has {the} moved?",
            "Is there (motion|movement) of {the}?",
        ),
        "describe": (
            "(Describe|Summarise|Explain) (this picture|this image|the scan|what you see)(|, please).",
            "What (is|can you see|do you see|is shown) (here|in this picture|in the image)?",
            "What (is this|am I looking at|does this show)?",
            "Give me a (short description|caption|summary)(| of this picture).",
            "Tell me about this (picture|scan|image).",
        ),
        "report": (
            "(Write|Draft|Give me|Prepare|Dictate) (a|a short|a structured) (report|radiology report).",
            "(Report|Please report) (this study|this picture|this scan).",
            "(Write up|Write down) the findings and impression.",
            "(What are|Give me|State) the findings and the impression?",
            "What would the report say?",
        ),
        "change": (
            "What (has changed|changed|is new) (since the last picture|between the two pictures|since the prior)?",
            "Has {the} (grown|changed|shrunk|progressed|become larger|become smaller)(| since the prior)?",
            "(Is there any change|Are there any changes|Is there interval change)(| since last time| of {the})?",
            "Is {the} (new|stable|larger than before|smaller than before|unchanged)?",
            "How has {the} (changed|developed|evolved)(| over time)?",
            "Did anything (change|resolve|appear)(| since the first picture)?",
        ),
        "compare": (
            "Compare (the two pictures|both images|image 1 and image 2|these scans|them)(|, please).",
            "(Give|Write) (me a|a) comparison of (the two pictures|both images).",
            "What does each (picture|image|scan) show?",
            "(What is|Tell me) the difference between (the two pictures|image 1 and image 2|both scans).",
            "How do the two (pictures|scans) differ?",
            "What do image 1 and image 2 each show?",
        ),
        "premise": (
            "(Is there|Do you see|Can you see|Can you find) {a} (in|on) this {m}?",
            "Does this {m} show {a}?",
            "Any {x} on (the|this) {m}?",
            "In this {m}, (is there|do you see|can you find) {a}?",
            "Are there any {xs} (in|on) (this|the) {m}?",
            "This {m}: (does it show {a}|is there {a})?",
        ),
        "unknown": (
            "How old is (the|this) patient?",
            "What is the (patient's|person's) (name|age|birthday|occupation|blood type|blood pressure|temperature)?",
            "(Is|Was) the patient a (smoker|diabetic)?",
            "(Who|Which doctor) (is the patient|took this picture|ordered this scan)?",
            "(Does|Did) the patient have (fever|pain|a cough)?",
            "What (will happen|happens) (next|to the patient)?",
            "(What is|Give me) the (prognosis|exact diagnosis|histology result|life expectancy).",
            "(Which|What) (treatment|medication|drug|dose) (should be given|do you recommend)?",
            "How long will the patient (live|survive)?",
            "When was this (picture|scan) taken?",
            "Is (it|this) (cancer|malignant|benign)?",
            "In which hospital was this done?",
        ),
    },
    "zh": {
        "modality": (
            "这是(什么|哪种)(检查|影像|类型的图像)？",
            "(请说出|说明)成像方式。",
            "这张图像是用什么方法(拍|做)的？",
            "这是CT还是磁共振？",
            "(什么|哪种)模态？",
        ),
        "plane": (
            "这是(什么|哪个)(平面|切面|方位)？",
            "(请说出|说明)扫描平面。",
            "这是轴位、冠状位还是矢状位？",
            "这张图像是(哪个|什么)投照位？",
            "切面方向是什么？",
        ),
        "region": (
            "这是(什么|哪个)部位？",
            "(图像|这张图)显示(哪个|什么)部位？",
            "(请说出|说明)(检查|身体)部位。",
            "这是身体的哪一部分？",
        ),
        "present": (
            "(图中|这里|图像中|)有{x}吗？",
            "有没有{x}？",
            "(能|可以)看到{x}吗？",
            "是否(存在|有|可见){x}？",
            "(看得到|看得见){x}吗？",
        ),
        "present_side": (
            "{side}有{x}吗？",
            "{side}有没有{x}？",
            "{side}是否(有|存在|可见){x}？",
            "(能|可以)看到{side}的{x}吗？",
            "{side}(能看到|看得到){x}吗？",
        ),
        "present_any": (
            "(图中|这里|)有异常吗？",
            "有没有(异常|病灶|病变)？",
            "是否(有|存在|可见)(异常|病变)？",
            "能看到(病灶|异常)吗？",
        ),
        "count": (
            "(有|一共有|图中有|能看到)(多少|几)个{x}？",
            "{x}(的数量是多少|有多少|有几个)？",
            "数一数{x}。",
            "请(计数|统计){x}。",
        ),
        "side": (
            "{x}在哪(一侧|一边|侧)？",
            "{x}在左侧还是右侧？",
            "哪(一侧|侧|边)有{x}？",
            "{x}是左侧还是右侧的？",
            "{x}位于左边还是右边？",
        ),
        "point": (
            "(请|)指出{x}。",
            "(请|)(点出|点击|点一下){x}。",
            "用(点|箭头)标出{x}。",
            "给出{x}的点坐标。",
            "请指给我看{x}。",
        ),
        "box": (
            "{x}在哪里？",
            "{x}在(什么位置|哪儿|图中何处)？",
            "(请|)(定位|框出|找出){x}。",
            "给出{x}的(边界框|位置)。",
            "画框标出{x}。",
        ),
        "mask": (
            "(请|)(勾画|分割|描出){x}。",
            "给出{x}的(掩膜|轮廓|分割结果)。",
            "画出{x}的(轮廓|边缘)。",
            "哪些像素属于{x}？",
        ),
        "size": (
            "{x}(有多大|多大|有多长)？",
            "{x}的(大小|直径|尺寸|最大径)是多少？",
            "(请|)测量{x}。",
            "{x}有多少毫米？",
        ),
        "largest": (
            "最大的{x}(在哪里|在哪|是哪个|有多大)？",
            "哪个{x}(最大|更大)？",
            "(找出|指出|请找)最大的{x}。",
            "哪一个{x}最大？",
        ),
        "slices": (
            "{x}在(哪些|哪几个|哪个)层面？",
            "(哪些|哪几个)层面(有|显示){x}？",
            "列出{x}所在的层面。",
            "从哪层到哪层可见{x}？",
            "{x}的层面范围是多少？",
        ),
        "motion": (
            "{x}(在动|在移动|在运动|会动)吗？",
            "{x}是(静止|运动)的吗？",
            "{x}有没有(移动|运动)？",
            "描述{x}的运动。",
            "{x}动了吗？",
        ),
        "describe": (
            "(请|)描述(这张图像|这幅图|图像)。",
            "(图中|这里|图上)(是什么|有什么)？",
            "(这|这张图)是什么？",
            "你看到了什么？",
            "简单介绍这张图。",
        ),
        "report": (
            "(请|)(写|出具|给出)(一份|)报告。",
            "(写出|给出)所见和印象。",
            "报告会怎么写？",
            "(请|)(生成|起草)报告。",
        ),
        "change": (
            "(有什么|有哪些|有没有)变化？",
            "{x}(变大|变小|增大|缩小|变化)了吗？",
            "与前片相比有(什么|何)变化？",
            "{x}是新出现的吗？",
            "和上次相比怎么样？",
            "{x}有何变化？",
        ),
        "compare": (
            "(请|)(比较|对比)(两张图像|两幅图|图1和图2)。",
            "两张图(有什么|有何)(不同|区别|差别)？",
            "两幅图像分别显示什么？",
            "图1和图2有何(不同|区别)？",
        ),
        "premise": (
            "这张{m}(上|中)有{x}吗？",
            "这张{m}(上|中)有没有{x}？",
            "{m}(上|中)(能|可以)看到{x}吗？",
            "{m}(上|中|图像上)是否有{x}？",
            "在这张{m}里有{x}吗？",
        ),
        "unknown": (
            "(患者|病人)(多大年龄|几岁|多大岁数)？",
            "(患者|病人)(叫什么名字|姓什么|是谁|职业是什么)？",
            "(患者|病人)(体温|血压)是多少？",
            "(接下来|以后)会怎样？",
            "(预后|确切诊断|病理结果)是什么？",
            "(应该|需要)(用什么药|怎么治疗)？",
            "(患者|病人)(能活多久|抽烟吗|发烧吗)？",
            "这是(癌症|恶性|良性)吗？",
            "(什么时候|哪家医院)拍的？",
        ),
    },
    "ar": {
        "modality": (
            "ما (نوع|طبيعة) (هذه الصورة|هذا الفحص|التصوير)؟",
            "ما (تقنية|طريقة) التصوير؟",
            "كيف (التقطت|أخذت) هذه الصورة؟",
            "اذكر (نوع|طريقة) التصوير.",
            "هل هذه أشعة مقطعية أم رنين مغناطيسي؟",
        ),
        "plane": (
            "ما (مستوى|اتجاه) (المقطع|الشريحة|الصورة)؟",
            "في أي (مستوى|مقطع) هذه الصورة؟",
            "اذكر (مستوى|اتجاه) المقطع.",
            "هل المقطع محوري أم إكليلي أم سهمي؟",
            "ما (المقطع|وضعية التصوير)؟",
        ),
        "region": (
            "أي (جزء|منطقة) من الجسم (هذه|تظهر|نرى هنا)؟",
            "ما (المنطقة|منطقة الجسم) (المصورة|الظاهرة)؟",
            "اذكر (المنطقة التشريحية|منطقة الجسم).",
            "ما الجزء المصور من الجسم؟",
        ),
        "present": (
            "هل (هناك|توجد|يوجد|ترى) {a}(| هنا| في الصورة)؟",
            "هل تظهر {a}؟",
            "هل يمكن رؤية {a}؟",
            "هل من {a} (هنا|في الصورة)؟",
        ),
        "present_side": (
            "هل (هناك|توجد|يوجد|ترى) {a} في {side}؟",
            "هل تظهر {a} في {side}؟",
            "هل يمكن رؤية {a} في {side}؟",
            "في {side}، هل (هناك|ترى|توجد) {a}؟",
        ),
        "present_any": (
            "هل (هناك|يوجد|ترى) (شذوذ|آفة|خلل|شيء غير طبيعي)؟",
            "هل تظهر (آفة|آفات)؟",
            "هل يمكن رؤية (آفة|شذوذ)؟",
        ),
        "count": (
            "كم عدد {xs}(| هنا| في الصورة| الظاهرة)؟",
            "ما عدد {xs}؟",
            "(عد|احسب) {xs}.",
            "(اذكر|أعطني) عدد {xs}.",
            "كم هو عدد {xs}؟",
        ),
        "side": (
            "في أي (جهة|جانب|ناحية) {the}؟",
            "هل {the} (على اليمين أم اليسار|في اليمين أم في اليسار|يمين أم يسار)؟",
            "أي (جهة|جانب) (فيها|تظهر فيها) {the}؟",
            "اذكر جهة {the}.",
            "ما جهة {the}؟",
        ),
        "point": (
            "أشر إلى {the}(| من فضلك).",
            "(ضع نقطة|ضع علامة|انقر) على {the}.",
            "حدد نقطة على {the}.",
            "أعطني نقطة {the}.",
            "هل يمكنك أن تشير إلى {the}؟",
            "أشر بسهم إلى {the}.",
            "ضع إصبعك على {the}.",
        ),
        "box": (
            "أين {the}(| بالضبط| في الصورة)؟",
            "(حدد|ما) (موقع|مكان) {the}(؟|.)",
            "ارسم (مربعا|إطارا) حول {the}.",
            "أين تقع {the}؟",
            "أرني أين {the}.",
        ),
        "mask": (
            "(ارسم|أعطني|تتبع) (حدود|محيط) {the}.",
            "(قسم|جزئ) {the}.",
            "أعطني (قناع|تجزئة) {the}.",
            "لون بكسلات {the}.",
        ),
        "size": (
            "ما (حجم|قطر|قياس|أبعاد) {the}؟",
            "كم (حجم|قطر|مليمترا يبلغ) {the}؟",
            "(قس|قم بقياس) {the}.",
            "كم يبلغ (قطر|طول) {the}؟",
        ),
        "largest": (
            "(أين|ما|ما حجم|أرني) أكبر {a}؟",
            "أي {xs} (أكبر|هي الأكبر|هو الأكبر)؟",
            "(حدد|جد) أكبر {a}.",
            "(ما|أين) الأكبر بين {xs}؟",
        ),
        "slices": (
            "في أي (شرائح|شريحة) {the}؟",
            "ما الشرائح التي (تظهر|فيها) {the}؟",
            "(اذكر|عدد) شرائح {the}.",
            "أي شرائح (تحتوي|تظهر) {the}؟",
            "من أي شريحة إلى أي شريحة {the}؟",
        ),
        "motion": (
            "هل (تتحرك|يتحرك) {the}(| في الفيديو)؟",
            "هل {the} (متحركة|ثابتة)؟",
            "صف حركة {the}.",
            "ما حركة {the}؟",
            "هل هناك حركة في {the}؟",
            "هل تحركت {the}؟",
        ),
        "describe": (
            "صف (هذه الصورة|ما تراه|الصورة)(| من فضلك).",
            "ماذا (ترى|يظهر) (هنا|في الصورة)؟",
            "ما (هذا|هذه)؟",
            "أعطني (وصفا|ملخصا)(| للصورة).",
        ),
        "report": (
            "اكتب (تقريرا|تقريرا قصيرا|لي تقريرا)(| من فضلك).",
            "(أعطني|جهز) (تقريرا|التقرير).",
            "اكتب الموجودات والانطباع.",
            "ماذا سيقول التقرير؟",
        ),
        "change": (
            "ماذا تغير(| بين الصورتين| منذ الصورة السابقة)؟",
            "ما التغير(| بين الصورتين)؟",
            "هل (تغيرت|كبرت|صغرت|تغير) {the}؟",
            "هل {the} (جديدة|جديد)؟",
            "هل هناك تغير(| منذ المرة السابقة)؟",
        ),
        "compare": (
            "قارن (الصورتين|بين الصورتين|الصورة 1 والصورة 2)(| من فضلك).",
            "ما الفرق بين (الصورتين|الصورة 1 والصورة 2)؟",
            "ماذا تظهر كل صورة؟",
            "اكتب مقارنة (بين الصورتين|للصورتين).",
        ),
        "premise": (
            "هل (هناك|توجد|يوجد|ترى) {a} في صورة ({m}|{m} هذه)؟",
            "هل تظهر {a} في {m}؟",
            "هل يمكن رؤية {a} في {m}؟",
            "في {m} هذه، هل (هناك|ترى|توجد) {a}؟",
        ),
        "unknown": (
            "كم عمر (المريض|المريضة)؟",
            "ما اسم (المريض|الطبيب)؟",
            "ما (عمر|مهنة) المريض؟",
            "(ما|كم) (حرارة|ضغط) المريض؟",
            "ماذا سيحدث (لاحقا|للمريض)؟",
            "ما (التشخيص النهائي|مآل المرض|العلاج|الدواء) (المناسب|المتوقع)؟",
            "هل هذا (سرطان|خبيث|حميد)؟",
            "هل المريض (مدخن|يعاني من حمى)؟",
            "متى التقطت هذه الصورة؟",
            "في أي مستشفى تم هذا؟",
        ),
    },
}
"""Grammar lines by language and task. `present_side` and `present_any` are wordings of the task `present`."""

CHOICE = re.compile(r"\(([^()]*\|[^()]*)\)")


QUESTION = re.compile(
    r"(What|Which|Who|Where|How|When|Is|Are|Was|Do|Does|Did|Can|Has|Have)\b|هل|ما|ماذا|أين|أي|كم|متى|كيف|في أي"
)
REQUEST = re.compile(r"(Name|Tell|State|Give|Show|Find|Mark|Write|Draw)\b|اذكر|أعطني|أرني|حدد|جد|جهز|اكتب")


def _ended(text: str) -> str:
    """One grammar line may begin as a question or as a request; its last mark follows."""
    if text.endswith(".") and QUESTION.match(text):
        return text[:-1] + ("؟" if "\u0600" <= text[0] <= "\u06ff" else "?")
    return text[:-1] + "." if text[-1] in "?؟" and REQUEST.match(text) else text


@cache
def wordings(task: str, lang: str) -> tuple[str, ...]:
    """Every wording of a task, each once, slots still open."""
    spelled: dict[str, None] = {}
    for line in WORDINGS[lang][task]:
        pieces = CHOICE.split(line)
        choices = [piece.split("|") if k % 2 else [piece] for k, piece in enumerate(pieces)]
        for chosen in product(*choices):
            spelled[_ended(" ".join("".join(chosen).split()))] = None
    return tuple(spelled)
