"""A sample becomes the conversation a model prepares: media in place, places in the family's own words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.training.data_rows import write_picture
from vesalius.dialogue.samples import BoxTarget, CountTarget, MaskTarget, Media, Rle, Sample, Targets, Turn
from vesalius.errors import InputError, OptionError
from vesalius.training.data.conversation import SAYINGS, conversation_of, saying_of

BOX = BoxTarget(label="cyst", box=(32.0, 12.0, 64.0, 48.0))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for k in range(3):
        write_picture(tmp_path / f"{k}.png", seed=k)
    return tmp_path


def talk(*turns: Turn, pictures: int = 1) -> Sample:
    return Sample(id="a", media=tuple(Media(kind="image", path=f"{k}.png") for k in range(pictures)), turns=turns)


def user(text: str = "Where is it?") -> Turn:
    return Turn(role="user", text=text)


def answer(text: str = "", **targets: Any) -> Turn:
    return Turn(role="assistant", text=text, targets=Targets(**targets) if targets else None)


def test_media_stand_in_front_or_where_they_are_marked(folder: Path) -> None:
    plain = conversation_of(talk(user(), answer("Here.")), folder)
    assert plain == [
        {"role": "user", "content": [{"type": "image", "image": str(folder / "0.png")},
                                     {"type": "text", "text": "Where is it?"}]},
        {"role": "assistant", "content": [{"type": "text", "text": "Here."}]},
    ]  # fmt: skip
    marked = talk(user("Before:\n<image>\nafter:\n<image>\nWhat changed?"), answer("Nothing."),
                  user("And <image>?"), answer("No."), pictures=3)  # fmt: skip
    said = conversation_of(marked, folder)
    kinds = [[part.get("text", part.get("image", ""))[-6:] for part in one["content"]] for one in said]
    assert kinds == [["efore:", "/0.png", "after:", "/1.png", "anged?"], ["thing."], ["And ", "/2.png", "?"], ["No."]]
    assert said[0]["content"][0]["text"] == "Before:"


@pytest.mark.parametrize(
    ("family", "says"),
    [
        ("medmo", "At cyst <box>[[500, 250, 1000, 1000]]</box>."),
        ("medmvl", "At cyst {<50><25><100><100>}."),
        ("hulumed", "At <ref>cyst</ref><box>[[500, 250, 1000, 1000]]</box>."),
    ],
)
def test_places_are_said_in_the_family_s_own_frame(folder: Path, family: str, says: str) -> None:
    said = conversation_of(talk(user(), answer("At <ref-object><bbox>.", boxes=(BOX,))), folder, SAYINGS[family])
    assert said[-1]["content"][0]["text"] == says


@pytest.mark.parametrize("checkpoint", ["qwen25vl_tiny", "qwen3vl_tiny"])
def test_a_family_prepares_what_comes_out(folder: Path, checkpoint: str) -> None:
    import vesalius

    model = vesalius.load(str(Path(__file__).parents[1] / "fixtures" / "medmo" / checkpoint))
    sample = talk(user("<image>\nWhere is it?"), answer(boxes=(BOX,)))
    for options in ({}, {"min_pixels": 6_000}):
        saying = saying_of(model, **options)
        conversation = conversation_of(sample, folder, saying)
        batch = model.prepare(conversation, **options)
        assert float(model.loss(batch).detach()) > 0
        said = conversation[-1]["content"][0]["text"]
        if checkpoint == "qwen3vl_tiny":
            assert said == "cyst <box>[[500, 250, 1000, 1000]]</box>"
            continue
        assert saying.processed_size is not None
        width, height = batch.sights[0].fitted
        assert saying.processed_size((64, 48)) == (width, height)
        box = [width // 2, round(height / 4), width, height]
        assert said == f'```json\n[\n\t{{"bbox_2d": {box}, "label": "cyst"}}\n]\n```'


def test_fitted_pixels_are_not_guessed(folder: Path) -> None:
    with pytest.raises(OptionError, match="processed_size"):
        conversation_of(talk(user(), answer(boxes=(BOX,))), folder, SAYINGS["qwen2_5_vl"])


def test_an_answer_of_targets_alone_is_said_whole(folder: Path) -> None:
    saying = SAYINGS["starter"]
    counted = talk(user(), answer(boxes=(BOX,), counts=(CountTarget(label="cyst", count=1),)))
    assert conversation_of(counted, folder, saying)[-1]["content"][0]["text"] == (
        '```json\n{"counts": 1, "bbox_2d": [[500, 250, 1000, 1000]], "label": "cyst"}\n```'
    )
    assert conversation_of(talk(user(), answer(answer="yes")), folder, saying)[-1]["content"][0]["text"] == "yes"
    mask = MaskTarget(label="cyst", rle=Rle(size=(48, 64), counts=[48 * 64]))
    segment = talk(user(), answer("Sure, it is <mask>.", masks=(mask,)))
    assert conversation_of(segment, folder, SAYINGS["citrusv"])[-1]["content"][0]["text"] == "Sure, it is [SEG]."
    with pytest.raises(OptionError, match="mask"):
        conversation_of(segment, folder, saying)


def test_bad_samples_are_refused_before_any_step(folder: Path) -> None:
    with pytest.raises(InputError, match="2 <image> but 1 image"):
        conversation_of(talk(user("<image><image>"), answer("x")), folder)
    with pytest.raises(InputError, match="no answer"):
        conversation_of(talk(answer("x"), user()), folder)
    with pytest.raises(OptionError, match="saying"):
        conversation_of(talk(user(), answer(boxes=(BOX,))), folder)
    with pytest.raises(InputError, match="neither text nor targets"):
        conversation_of(talk(user(), answer("")), folder, SAYINGS["medmo"])
    lost = talk(user(), answer("<bbox>", boxes=(BOX,))).model_copy(
        update={"media": (Media(kind="image", path="none.png"),)}
    )
    with pytest.raises(InputError, match="cannot be read"):
        conversation_of(lost, folder, SAYINGS["medmo"])
