"""The starter's prompt, and a ready wording per task and language for callers who name a task instead of asking."""

from __future__ import annotations

from collections.abc import Sequence

from vesalius.dialogue.scene_text import Scene, SceneSet, write_scene
from vesalius.errors import OptionError

__all__ = ["STARTER_SYSTEM", "TASK_QUESTIONS", "starter_prompt", "task_question"]

STARTER_SYSTEM = "Answer from what was seen. Cite objects by number."

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


def starter_prompt(
    scene: Scene | SceneSet | str | None,
    turns: Sequence[tuple[str, str]],
    *,
    visual: str = "",
    system: str | None = None,
) -> str:
    """The whole ChatML prompt up to where the starter's answer begins.

    `scene`: what was seen, or its text already written. `turns`: ("user" | "assistant", text), oldest first, the last
    one the question, special tokens escaped (`messages.escape_special`). `visual`: placeholder text that the model
    replaces by its picture embeddings; it stands, with the scene text, before the first user text.
    """
    if not turns or turns[-1][0] != "user":
        raise OptionError("a prompt ends with a user turn.")
    seen = scene if isinstance(scene, str) else write_scene(scene)
    pieces = [f"<|im_start|>system\n{system or STARTER_SYSTEM}<|im_end|>\n"]
    shown = False
    for role, text in turns:
        if role not in ("user", "assistant"):
            raise OptionError(f"turn role {role!r} is not user or assistant.")
        body = text if shown or role != "user" else f"{visual}{seen}\n{text}"
        shown = shown or role == "user"
        pieces.append(f"<|im_start|>{role}\n{body}<|im_end|>\n")
    return "".join(pieces) + "<|im_start|>assistant\n"
