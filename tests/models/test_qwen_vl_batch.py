"""Several conversations as one left-padded batch: what the published processors make, equal to one by one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from tests.models.parity import ROOT, largest, loaded, user
from vesalius.errors import InputError

FOLDER = ROOT / "tests" / "fixtures" / "medmo"
CITRUS = ROOT / "tests" / "fixtures" / "citrusv" / "citrusv_tiny"
PICTURE = {"type": "image", "image": str(FOLDER / "inputs" / "img0.png")}
OTHER = {"type": "image", "image": str(FOLDER / "inputs" / "img1.png")}
VIDEO = {"type": "video", "video": str(FOLDER / "inputs" / "video0.npy"), "fps": 2.0}
ASKED = [
    user(PICTURE, "What is shown?"),
    user("What is the normal size of the liver?"),
    user(VIDEO, "What moves?", OTHER),
    user(OTHER, PICTURE, "Compare."),
]
NAMES = ["qwen3vl_tiny", "qwen25vl_tiny"]


def answered(conversation: list[dict[str, Any]], text: str) -> list[dict[str, Any]]:
    return [*conversation, {"role": "assistant", "content": text}]


@pytest.mark.parametrize("name", NAMES)
def test_rows_are_padded_on_the_left_and_pixels_follow_one_another(name: str) -> None:
    model = loaded(FOLDER / name)
    batch = model.prepare(ASKED)
    alone = [model.prepare(one) for one in ASKED]
    longest = max(batch.lengths)
    pad = model.family.tokens.id("<|endoftext|>")
    for row, one in enumerate(alone):
        length = batch.lengths[row]
        assert torch.equal(batch["input_ids"][row, longest - length :], one["input_ids"][0])
        assert (batch["input_ids"][row, : longest - length] == pad).all()
        assert batch["attention_mask"][row].tolist() == [0] * (longest - length) + [1] * length
        assert torch.equal(batch["position_ids"][:, row, longest - length :], one["position_ids"][:, 0])
        assert (batch["position_ids"][:, row, : longest - length] == 1).all()
        assert torch.equal(batch["mm_token_type_ids"][row, longest - length :], one["mm_token_type_ids"][0])
    assert torch.equal(
        batch["pixel_values"], torch.cat([one["pixel_values"] for one in (alone[0], alone[2], alone[3])])
    )
    assert torch.equal(batch["pixel_values_videos"], alone[2]["pixel_values_videos"])
    assert batch["image_grid_thw"].shape == (4, 3)


@pytest.mark.parametrize("name", NAMES)
def test_logits_of_a_batch_are_those_of_its_rows(name: str) -> None:
    model = loaded(FOLDER / name)
    batch = model.prepare(ASKED)
    logits = model.logits(batch)
    for row, one in enumerate(ASKED):
        assert largest(logits[row, -batch.lengths[row] :], model.logits(model.prepare(one))[0]) < 1e-4
    hidden = model.trace(batch)["last_hidden"]
    assert hidden.shape[:2] == batch["input_ids"].shape


@pytest.mark.parametrize("name", NAMES)
def test_a_batch_generates_what_its_rows_say(name: str) -> None:
    model = loaded(FOLDER / name)
    rows = model.generate(model.prepare(ASKED), max_new_tokens=6)
    assert rows.shape == (4, 6)
    for row, answer in zip(rows.tolist(), model.ask_batch(ASKED, max_new_tokens=6), strict=True):
        said = answer.trace["new_tokens"]
        assert row == said + [model.family.pad_id] * (6 - len(said))


@pytest.mark.parametrize("name", NAMES)
def test_the_loss_of_a_padded_batch_is_that_of_the_packed_row(name: str) -> None:
    model = loaded(FOLDER / name)
    samples = [answered(one, text) for one, text in zip(ASKED, ("A lung.", "Ten.", "A dot.", "Alike."), strict=True)]
    packed, padded = model.prepare(samples), model.prepare(samples, packed=False)
    assert packed["input_ids"].shape[0] == 1
    assert padded["input_ids"].shape[0] == 4
    for reduction in ("mean", "sum", "per_sample"):
        torch.testing.assert_close(
            model.loss(padded, reduction=reduction), model.loss(packed, reduction=reduction), rtol=1e-5, atol=1e-5
        )


def test_labels_may_be_given() -> None:
    model = loaded(FOLDER / "qwen3vl_tiny")
    batch = model.prepare(answered(ASKED[0], "A lung."))
    fewer = batch["labels"].clone()
    fewer[0, int((fewer[0] != -100).nonzero()[0])] = -100
    assert torch.equal(model.loss(batch, labels=batch["labels"]), model.loss(batch))
    assert not torch.equal(model.loss(batch, labels=fewer), model.loss(batch))
    assert torch.equal(model.loss(batch, labels="answers and their ends"), model.loss(batch))
    with pytest.raises(InputError, match="labels are"):
        model.loss(batch, labels=fewer[:, 1:])


def test_a_batch_is_not_said_piece_by_piece() -> None:
    family = loaded(FOLDER / "qwen3vl_tiny").family
    batch = loaded(FOLDER / "qwen3vl_tiny").prepare(ASKED)
    with pytest.raises(InputError, match="4 conversations"):
        next(family.say(batch, max_new_tokens=1, sampling=None))


def test_masks_of_a_citrus_batch_are_those_of_its_rows() -> None:
    model = loaded(CITRUS)
    mask = np.zeros((40, 40), np.uint8)
    mask[5:20, 5:30] = 1
    samples = [answered(ASKED[0], "It is [SEG]."), answered(ASKED[1], "Ten."), answered(ASKED[3], "Here [SEG] [SEG].")]
    masks = [[mask], None, [mask, mask]]
    padded, packed = model.prepare(samples, masks=masks, packed=False), model.prepare(samples, masks=masks)
    later = model.prepare(samples, packed=False)
    for name, value in model.family.loss_terms(packed).items():
        assert model.family.loss_terms(padded)[name].item() == pytest.approx(value.item(), abs=1e-5)
        assert model.family.loss_terms(later, masks=masks)[name].item() == pytest.approx(value.item(), abs=1e-5)
    traced = model.trace(padded)
    for row, one in enumerate(samples):
        alone = model.trace(model.prepare(one))
        assert torch.equal(traced[f"{row}.seg_positions"], alone["seg_positions"])
        if "masks" in alone:
            assert torch.equal(traced[f"{row}.masks"], alone["masks"])
    with pytest.raises(InputError, match="1 lists of masks for 3"):
        model.loss(later, masks=[[mask]])
