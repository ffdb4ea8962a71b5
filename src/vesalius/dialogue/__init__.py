"""What is asked and in which words: messages, prompts, scene text, vocabulary and training samples."""

from __future__ import annotations

from vesalius.dialogue.messages import (
    ImagePart,
    MediaPart,
    Message,
    Part,
    TablePart,
    TextPart,
    VideoPart,
    VolumePart,
    escape_special,
    from_question,
    media_of,
    read_conversation,
    text_of,
    write_conversation,
)
from vesalius.dialogue.prompts import task_question
from vesalius.dialogue.scene_text import (
    Grouping,
    Scene,
    SceneSet,
    SeenChange,
    SeenGroup,
    SeenObject,
    compare_groups,
    group_objects,
    write_scene,
)
from vesalius.dialogue.understand import Asked, understand

__all__ = [
    "Asked",
    "Grouping",
    "ImagePart",
    "MediaPart",
    "Message",
    "Part",
    "Scene",
    "SceneSet",
    "SeenChange",
    "SeenGroup",
    "SeenObject",
    "TablePart",
    "TextPart",
    "VideoPart",
    "VolumePart",
    "compare_groups",
    "escape_special",
    "from_question",
    "group_objects",
    "media_of",
    "read_conversation",
    "task_question",
    "text_of",
    "understand",
    "write_conversation",
    "write_scene",
]
