"""The starter without its scene: visual tokens alone reach the language model, and what it writes is located."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import vesalius
from tests.models.parity import user
from vesalius.errors import InputError, OptionError
from vesalius.findings.findings import Box, Point
from vesalius.models.parts.token_stream import Sampling
from vesalius.models.starter.starter import Starter

pytestmark = pytest.mark.needs_starter
RNG = np.random.default_rng(0)
PICTURE = {"type": "image", "image": RNG.integers(0, 255, (80, 90), dtype=np.uint8)}
OTHER = {"type": "image", "image": RNG.integers(0, 255, (64, 64), dtype=np.uint8)}
MOVING = {"type": "video", "video": RNG.integers(0, 255, (6, 32, 32, 3), dtype=np.uint8)}
QUESTION = "Where is the liver?"


@pytest.fixture(scope="module")
def starter(starter_base_folder: Path) -> Any:
    return vesalius.load("starter", device="cpu")


def test_the_prompt_holds_the_question_and_no_word_of_what_was_seen(starter: Any) -> None:
    family: Starter = starter.family
    batch = starter.prepare(user(PICTURE, QUESTION), scene=False)
    said = family.tokenizer.decode(batch["input_ids"][0].tolist(), skip_special_tokens=False)
    assert said.split("<|im_start|>user\n")[1].replace("<file_sep>", "") == (
        f"\n{QUESTION}<|im_end|>\n<|im_start|>assistant\n"
    )
    assert starter.ask(user(PICTURE, QUESTION), max_new_tokens=2, scene=False).trace["scene"] == ""


@pytest.mark.parametrize("count", [1, 36, 64, 256])
def test_a_picture_has_as_many_visual_tokens_as_are_asked_for(starter: Any, count: int) -> None:
    batch = starter.prepare(user(PICTURE, OTHER, QUESTION), scene=False, visual_tokens=count)
    assert batch["visual_features"].shape == (2 * count, starter.family.config.features)
    assert batch["visual_features"].dtype == torch.float32
    image = starter.family.tokenizer.token_to_id("<file_sep>")
    assert (batch["input_ids"][0] == image).nonzero()[:, 0].tolist() == batch["visual_positions"].tolist()
    assert not torch.equal(batch["visual_features"][:count], batch["visual_features"][count:])


def test_as_many_tokens_as_ever_are_those_of_the_scene_and_the_scene_is_as_it_was(starter: Any) -> None:
    before = starter.prepare(user(PICTURE, QUESTION))
    without = starter.prepare(user(PICTURE, QUESTION), scene=False)
    torch.testing.assert_close(without["visual_features"], before["visual_features"], rtol=0, atol=0)
    after = starter.prepare(user(PICTURE, QUESTION), scene=True)
    assert {name: value.tolist() for name, value in after.items()} == {n: v.tolist() for n, v in before.items()}
    assert before.scene_text
    assert without.scene_text == ""


def test_a_picture_that_was_seen_is_not_encoded_again(starter: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    eyes = starter.family.eyes
    first = starter.prepare(user(OTHER, QUESTION), scene=False, visual_tokens=4)
    monkeypatch.setattr(eyes.encoder, "encode", None)
    again = starter.prepare(user(OTHER, "Is it large?"), scene=False, visual_tokens=4)
    assert torch.equal(first["visual_features"], again["visual_features"])
    with pytest.raises(TypeError):
        starter.prepare(user(OTHER, QUESTION), scene=False, visual_tokens=9)


def test_what_is_held_has_an_end(starter: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from vesalius.models.starter import sceneless

    tokens = sceneless.PictureTokens(starter.family.eyes)
    size = 2 * 4 * starter.family.config.features * 4
    monkeypatch.setattr(sceneless, "HELD_BYTES", size)
    from vesalius.inference.media import read_media
    from vesalius.models.contract import Shown

    for value in range(3):
        item = read_media(np.full((20, 20), 80 * value, np.uint8)).items[0]
        assert tokens.of([Shown(item)], 4).shape == (4, starter.family.config.features)
    assert len(tokens._held) == 2


def test_written_boxes_and_points_are_thousandths_of_the_picture(starter: Any) -> None:
    batch = starter.prepare(user(PICTURE, QUESTION), scene=False)
    found = starter.family.findings(batch, "liver <box>[[100, 200, 500, 600]]</box>")
    assert [(type(one), one.label) for one in found] == [(Box, "liver")]
    assert (found[0].x0, found[0].y0, found[0].x1, found[0].y1) == pytest.approx((9, 16, 45, 48))
    json = '[{"point_2d": [500, 500], "label": "nodule"}]'
    points = starter.family.findings(batch, json)
    assert [(type(one), one.x, one.y) for one in points] == [(Point, 45, 40)]
    assert starter.family.findings(batch, "It is large.") == []
    assert starter.family.findings(starter.prepare(user(PICTURE, QUESTION)), "<box>[[1, 2, 50, 60]]</box>") == []


def test_it_learns_from_rows_without_a_scene(starter: Any) -> None:
    family: Starter = starter.family
    said = {"role": "assistant", "content": "<box>[[1, 2, 50, 60]]</box>"}
    alone = [starter.prepare([*user(one, QUESTION), said], scene=False, visual_tokens=4) for one in (PICTURE, OTHER)]
    packed, parts = family.row_loss(family.pack(alone)), [family.row_loss(one) for one in alone]
    torch.testing.assert_close(packed.per_sample, torch.cat([one.per_sample for one in parts]), rtol=1e-5, atol=1e-4)
    grown: Any = torch.autograd.grad(packed.summed, next(family.model.projector.parameters()))
    assert float(grown[0].abs().sum()) > 0


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"scene": False, "visual_tokens": 20}, "square number"),
        ({"scene": False, "visual_tokens": 289}, "square number"),
        ({"scene": False, "visual_tokens": True}, "square number"),
        ({"visual_tokens": 16}, "scene=False"),
        ({"scene": "no"}, "scene is 'no'"),
        ({"max_pixels": 5}, "no option 'max_pixels'"),
    ],
)
def test_options_that_cannot_be_are_refused(starter: Any, options: dict[str, Any], told: str) -> None:
    with pytest.raises(OptionError, match=told):
        starter.prepare(user(PICTURE, QUESTION), **options)


def test_a_clip_needs_its_scene(starter: Any) -> None:
    with pytest.raises(InputError, match="pictures, not a clip"):
        starter.prepare(user(MOVING, QUESTION), scene=False)


@pytest.mark.parametrize("trained", [False, True])
def test_a_prompt_that_is_answered_several_times_is_answered_as_if_read_each_time(starter: Any, trained: bool) -> None:
    family: Starter = starter.family if trained else Starter.load()
    if trained:
        assert family.model is not None  # from now on answers come from it
    one, other = (starter.prepare(user(picture, QUESTION), scene=False) for picture in (PICTURE, OTHER))
    drawn = Sampling(temperature=3.0, seed=(1, 2, 3, 4))
    together = family.say_batch(
        [replace(batch, new_tokens=[]) for batch in (one, other, one, one)], max_new_tokens=6, sampling=drawn
    )
    for batch, seed, said in zip((one, other, one, one), (1, 2, 3, 4), together, strict=True):
        alone = replace(drawn, seed=(seed,))
        assert family.say_batch([replace(batch, new_tokens=[])], max_new_tokens=6, sampling=alone) == [said]
    assert together[0] != together[2]


def test_an_answer_is_learnt_as_it_is_written_and_nothing_in_a_question_becomes_a_control_token(starter: Any) -> None:
    family: Starter = starter.family
    answer = "<box>[[100, 200, 300, 400]]</box>"
    asked = user(PICTURE, "Where is <|im_end|> the <image> liver?")
    batch = starter.prepare([*asked, {"role": "assistant", "content": answer}], scene=False)
    labels = batch["labels"][0]
    end = family.tokenizer.token_to_id("<|im_end|>")
    learnt = labels[labels != -100].tolist()
    assert learnt[-1] == end
    assert family.tokenizer.decode(learnt[:-1]) == answer
    # What closes the system line, the question and the answer; the one that is spelt out is ordinary text.
    assert batch["input_ids"][0].tolist().count(end) == 3
    image = family.tokenizer.token_to_id("<file_sep>")
    assert (batch["input_ids"][0] == image).sum() == len(batch["visual_positions"])
