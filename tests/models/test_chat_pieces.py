"""Prompts as pieces: what is tokenized together, what is learned, where positions go, thinking apart."""

from __future__ import annotations

import pytest
import torch

from tests.models.parity import ROOT
from vesalius.errors import CheckpointError
from vesalius.models.parts.chat_pieces import IGNORED, Control, Media, Span, Text, encode_pieces, render_pieces
from vesalius.models.parts.chat_tokens import ChatTokens
from vesalius.models.parts.mrope import mrope_positions
from vesalius.models.parts.packed_rows import next_labels, packed_positions
from vesalius.models.parts.thinking import split_thinking

FOLDER = ROOT / "tests" / "fixtures" / "medmo" / "qwen3vl_tiny"


@pytest.fixture(scope="module")
def tokens() -> ChatTokens:
    return ChatTokens.load(FOLDER)


def test_neighbouring_texts_are_tokenized_as_one(tokens: ChatTokens) -> None:
    joined = encode_pieces([Text("assistant\n"), Text("\nYes", learned=True)], tokens)
    assert joined.ids == tokens.plain("assistant\n\nYes")
    apart = encode_pieces([Text("assistant\n"), Text("\nYes", learned=True, alone=True)], tokens)
    assert apart.ids == tokens.plain("assistant\n") + tokens.plain("\nYes")


def test_only_what_is_learned_is_a_label(tokens: ChatTokens) -> None:
    made = encode_pieces([Text("Why?"), Text("No.", learned=True), Control("<|im_end|>", True), Text("\n")], tokens)
    learned = [token for token in made.labels if token != IGNORED]
    assert learned == [*tokens.plain("No."), tokens.id("<|im_end|>")]
    assert made.labels[-1] == IGNORED


def test_media_are_one_word_in_the_text_and_many_tokens_in_the_row(tokens: ChatTokens) -> None:
    pieces = [Text("a"), Media("<|image_pad|>", (1, 2, 3), 1), Text("b")]
    made = encode_pieces(pieces, tokens)
    assert made.types.count(1) == 6
    assert render_pieces(pieces) == "a<|image_pad|>b"


def test_an_unknown_control_token_is_named(tokens: ChatTokens) -> None:
    with pytest.raises(CheckpointError, match="<unknown>"):
        encode_pieces([Control("<unknown>")], tokens)


def test_text_after_a_clip_goes_on_behind_its_time() -> None:
    clip = Media("<|video_pad|>", (3, 1, 2), 2, seconds=1.0, per_second=2.0)
    positions = mrope_positions([Span(2), Span(6, clip), Span(2)])[:, 0]
    assert positions[0].tolist() == [0, 1, 2, 2, 4, 4, 6, 6, 7, 8]
    assert positions[2].tolist() == [0, 1, 2, 3, 2, 3, 2, 3, 7, 8]


def test_temporal_steps_are_floored_and_pictures_stand_still() -> None:
    clip = Media("<|video_pad|>", (4, 1, 1), 2, seconds=2 / 3, per_second=2.0)
    assert mrope_positions([Span(4, clip)])[0, 0].tolist() == [0, 1, 2, 4]
    picture = Media("<|image_pad|>", (1, 2, 2), 1)
    assert mrope_positions([Span(4, picture), Span(1)])[:, 0].tolist() == [
        [0, 0, 0, 0, 2],
        [0, 0, 1, 1, 2],
        [0, 1, 0, 1, 2],
    ]


def test_a_packed_row_restarts_and_predicts_nothing_across() -> None:
    one = torch.arange(3).expand(3, 1, 3)
    assert packed_positions([one, one])[0, 0].tolist() == [0, 1, 2, 0, 1, 2]
    assert next_labels(torch.tensor([[1, 2, 3, 4, 5, 6]]), (3, 3)).tolist() == [2, 3, -100, 5, 6, -100]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Yes.", ("", "Yes.")),
        ("<think>hm</think>Yes.", ("hm", "Yes.")),
        ("hm</think> <answer>Yes.</answer>", ("hm", "Yes.")),
        ("<think>cut", ("cut", "")),
        ("It says <think> once.", ("", "It says <think> once.")),
    ],
)
def test_thinking_is_split_from_the_answer(text: str, expected: tuple[str, str]) -> None:
    assert split_thinking(text) == expected
