"""Conversations are checked, special tokens in text lose their power, and the short form makes the long one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vesalius import limits
from vesalius.dialogue.messages import (
    ImagePart,
    Message,
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
from vesalius.errors import InputError, LimitError, OptionError, VesaliusError
from vesalius.study.items import Document, Origin, Picture, Study, Table

FULL: list[dict[str, Any]] = [
    {"role": "system", "content": [{"type": "text", "text": "Be brief."}]},
    {
        "role": "user",
        "content": [
            {"type": "image", "image": "a.png", "timestamp": 2.5},
            {"type": "volume", "volume": "b.nii.gz", "num_slices": 8, "axis": "coronal", "window": "lung"},
            {"type": "video", "video": "c.mp4", "fps": 2.0, "timestamps": [0.0, 1.5]},
            {"type": "table", "table": "d.csv"},
            {"type": "text", "text": "What is it?"},
        ],
    },
    {"role": "assistant", "content": [{"type": "text", "text": "A mole [1]."}]},
]


def user(*parts: Any) -> list[dict[str, Any]]:
    return [{"role": "user", "content": list(parts)}]


def picture() -> Picture:
    return Picture(4, 3, lambda: np.zeros((3, 4), np.uint8), Origin("array"))


def test_a_conversation_survives_reading_and_writing() -> None:
    messages = read_conversation(FULL)
    assert write_conversation(messages) == FULL
    assert read_conversation(messages) == messages
    assert messages[1].parts[1] == VolumePart("b.nii.gz", 8, "coronal", "lung")
    assert [type(p) for p in media_of(messages)] == [ImagePart, VolumePart, VideoPart, TablePart]
    assert text_of(messages[1]) == "What is it?"


def test_a_string_is_short_for_one_text_part() -> None:
    assert read_conversation([{"role": "user", "content": "Hi"}]) == (Message("user", (TextPart("Hi"),)),)


@pytest.mark.parametrize(
    ("conversation", "kind", "says"),
    [
        ([], InputError, "empty"),
        ("Where?", InputError, "list of messages"),
        ([3], InputError, "message 1 is int"),
        ([{"role": "assistant", "content": "x"}], InputError, "no user message"),
        ([{"role": "doctor", "content": "x"}], InputError, "role 'doctor'"),
        ([{"role": "User", "content": "x"}], InputError, "Did you mean user?"),
        ([{"content": "x"}], InputError, "role None"),
        ([{"role": ["user"], "content": "x"}], InputError, "role"),
        ([{"role": "user", "content": []}], InputError, "no content"),
        ([{"role": "user"}], InputError, "no content"),
        (user({"type": "audio", "audio": "a.wav"}), InputError, "type 'audio'"),
        (user({"type": "image_url", "image_url": "a"}), InputError, "Did you mean image?"),
        (user({"type": {}}), InputError, "type {}"),
        (user({"text": "x"}), InputError, "type None"),
        (user({"type": "video", "video": []}), InputError, "no video"),
        (user({"type": "video", "video": "v", "timestamp": [0]}), InputError, "Did you mean timestamps?"),
        (user({"type": "image", "image": "a", "timestamp": "now"}), OptionError, "timestamp 'now'"),
        (user(5), InputError, "part 1 is int"),
        (user({"type": "image"}), InputError, "type image but no image"),
        (user({"type": "image", "image": ""}), InputError, "no image"),
        (user({"type": "image", "image": b""}), InputError, "no image"),
        (user({"type": "image", "image": "a", "axis": "axial"}), InputError, "unknown key 'axis'"),
        (user({"type": "text", "text": 5}), InputError, "int, not text"),
        (user({"type": "volume", "volume": "v", "num_slices": 0}), OptionError, "num_slices 0"),
        (user({"type": "volume", "volume": "v", "num_slices": True}), OptionError, "num_slices True"),
        (user({"type": "volume", "volume": "v", "axis": "oblique"}), OptionError, "axis 'oblique'"),
        (user({"type": "video", "video": "v", "fps": 0}), OptionError, "fps 0"),
        (user({"type": "video", "video": "v", "fps": float("nan")}), OptionError, "fps nan"),
        (user({"type": "video", "video": "v", "timestamps": [float("nan")]}), OptionError, "timestamps"),
        (user({"type": "video", "video": "v", "timestamps": "1"}), OptionError, "timestamps"),
        ([{"role": "system", "content": [{"type": "image", "image": "a"}]}, *user("x")], InputError, "holds media"),
    ],
)
def test_a_wrong_conversation_is_refused_in_one_line(conversation: Any, kind: type[VesaliusError], says: str) -> None:
    with pytest.raises(kind) as refused:
        read_conversation(conversation)
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)


def test_too_many_media_and_too_much_text_are_refused() -> None:
    with limits.using(replace(limits.current(), max_media=2, max_text_chars=10)):
        read_conversation(user(*[{"type": "image", "image": "a"}] * 2))
        with pytest.raises(LimitError, match="3 media, more than the 2"):
            read_conversation(user(*[{"type": "image", "image": "a"}] * 3))
        with pytest.raises(LimitError, match="11 characters"):
            read_conversation(user("x" * 11))


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("<|im_end|>", "< |im_end| >"),
        ("a<|im_start|>system", "a< |im_start| >system"),
        ("<image> <IMG></s>", "< image> < IMG>< /s>"),
        ("<|image_pad|><|vision_start|>", "< |image_pad| >< |vision_start| >"),
        ("[INST] do [/INST] [SEG]", "[ INST] do [ /INST] [ SEG]"),
        ("<\uff5cend\uff5c>", "< \uff5cend\uff5c >"),
        ("<<|im_end|>|im_end|>", "<< |im_end| >|im_end| >"),
        ("size < 5 mm, [1] lung, a <b>bold</b> word", "size < 5 mm, [1] lung, a <b>bold</b> word"),
    ],
)
def test_special_tokens_in_text_are_broken_visibly(text: str, escaped: str) -> None:
    assert escape_special(text) == escaped


SPECIAL = ["<|im_end|>", "<|im_start|>", "<image>", "<|image_pad|>", "</s>", "[INST]", "<think>", "<|eot_id|>"]


@given(
    st.lists(st.sampled_from([*SPECIAL, "<", "|", ">", "<|", "|>", "im_end", "image", "a", "[", "]", " "]), max_size=8)
)
def test_no_combination_of_pieces_rebuilds_a_special_token(pieces: list[str]) -> None:
    escaped = escape_special("".join(pieces))
    assert not any(token in escaped for token in SPECIAL)
    assert escape_special(escaped) == escaped


def test_a_models_own_tokens_are_broken_on_request() -> None:
    assert escape_special("say @@seg@@ now", extra=["@@seg@@"]) == "say @ @seg@@ now"


def test_text_of_users_is_escaped_on_reading() -> None:
    assert text_of(read_conversation(user({"type": "text", "text": "<|im_end|>"}))[0]) == "< |im_end| >"


def test_a_study_and_a_question_become_one_user_message() -> None:
    table = Table(("a",), (("1",),), Origin("csv"))
    study = Study((picture(), table, Document("see <image>", Origin("txt"))))
    (message,) = from_question(study, "What is <image>?")
    assert [type(p) for p in message.parts] == [ImagePart, TablePart, TextPart, TextPart]
    assert message.parts[2:] == (TextPart("see < image>"), TextPart("What is < image>?"))


def test_paths_and_arrays_are_taken_by_their_kind() -> None:
    media = ["a.png", "b.nii.gz", "c.MP4", "d.csv", np.zeros((5, 5)), np.zeros((5, 5, 3)), np.zeros((5, 5, 9)), b"x"]
    (message,) = from_question(media, "What?")
    assert [type(p).__name__ for p in message.parts[:-1]] == [
        "ImagePart", "VolumePart", "VideoPart", "TablePart", "ImagePart", "ImagePart", "VolumePart", "ImagePart",
    ]  # fmt: skip


def test_without_media_a_question_stands_alone_and_an_empty_one_is_refused() -> None:
    assert from_question(None, "What is a cyst?")[0].parts == (TextPart("What is a cyst?"),)
    with pytest.raises(InputError, match="question is empty"):
        from_question(None, "  ")


def test_a_picture_may_be_told_its_spacing():
    def parts(spacing: object) -> tuple[Any, ...]:
        content = [{"type": "image", "image": "a.png", "spacing_mm": spacing}, {"type": "text", "text": "Size?"}]
        return read_conversation([{"role": "user", "content": content}])

    assert parts(0.5)[0].parts[0].spacing_mm == (0.5, 0.5)
    assert parts([0.5, 0.7])[0].parts[0].spacing_mm == (0.5, 0.7)
    assert write_conversation(parts(0.5))[0]["content"][0]["spacing_mm"] == [0.5, 0.5]
    for wrong in (0, -1, "1", [1], [1, 2, 3], float("nan")):
        with pytest.raises(OptionError, match="spacing_mm"):
            parts(wrong)
