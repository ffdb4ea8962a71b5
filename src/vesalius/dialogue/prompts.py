"""A ready wording per task and language for callers who name a task instead of asking."""

from __future__ import annotations

from vesalius.errors import OptionError

__all__ = ["TASK_QUESTIONS", "task_question"]

TASK_QUESTIONS: dict[str, dict[str, str]] = {
    "en": {
        "describe": "Describe this picture.",
        "report": "Write a report.",
        "mask": "Outline {label}.",
        "box": "Where is {label}?",
        "point": "Point to {label}.",
        "count": "How many of these are there: {label}?",
        "size": "How large is {label}?",
        "compare": "Compare the pictures.",
        "change": "What has changed?",
        "modality": "What kind of scan is this?",
        "region": "Which body part is shown?",
    },
    "zh": {
        "describe": "请描述这张图像。",
        "report": "请写报告。",
        "mask": "请勾画{label}。",
        "box": "{label}在哪里？",
        "point": "请指出{label}。",
        "count": "有多少个{label}？",
        "size": "{label}有多大？",
        "compare": "请比较两张图像。",
        "change": "有什么变化？",
        "modality": "这是什么检查？",
        "region": "这是哪个部位？",
    },
    "ar": {
        "describe": "صف هذه الصورة.",
        "report": "اكتب تقريرا.",
        "mask": "ارسم حدود {label}.",
        "box": "أين {label}؟",
        "point": "أشر إلى {label}.",
        "count": "ما عدد {label}؟",
        "size": "ما حجم {label}؟",
        "compare": "قارن الصورتين.",
        "change": "ماذا تغير؟",
        "modality": "ما نوع هذه الصورة؟",
        "region": "أي منطقة من الجسم تظهر؟",
    },
}


def task_question(task: str, label: str = "", lang: str = "en") -> str:
    """The standard question of a task. Raises OptionError for a task or language there is none for."""
    by_task = TASK_QUESTIONS.get(lang)
    if by_task is None:
        raise OptionError(f"language {lang!r} is not one of {', '.join(TASK_QUESTIONS)}.")
    if task not in by_task:
        raise OptionError(f"there is no standard question for task {task!r}.", fix=f"Use {', '.join(by_task)}.")
    return by_task[task].format(label=label)
