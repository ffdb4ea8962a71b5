"""Citrus-V: equal to the published code, one mask per [SEG], and no fault of the reference copied."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor

import vesalius
from tests.models.parity import ROOT, Case, cases_of, largest, loaded
from vesalius.errors import CheckpointError, InputError, OptionError
from vesalius.findings.dialects.seg_tokens import names_of_tokens
from vesalius.findings.findings import Box, Mask
from vesalius.models.citrusv.citrusv import CitrusQuirks
from vesalius.models.citrusv.masks import full_size, sam_picture
from vesalius.models.citrusv.module import ResidualProjector, build_citrus
from vesalius.models.citrusv.names import OurTensors, to_published
from vesalius.models.citrusv.settings import SAM2_BY_FILE, SegSettings
from vesalius.vision.patches import fit_picture
from vesalius.vision.resize import resized

CASES = cases_of("citrusv")
TRAINED = [case for case in CASES if case.values[0].name.startswith("train")]
SPOKEN = [case for case in CASES if case.values[0].name.startswith("generate")]
GIVEN = [case for case in CASES if case not in SPOKEN]
FOLDER = ROOT / "tests" / "fixtures" / "citrusv"
PICTURE = str(FOLDER / "inputs" / "img0.png")


@pytest.fixture
def citrus() -> Any:
    return loaded(FOLDER / "citrusv_tiny")


def options_of(case: Case) -> dict[str, Any]:
    options = dict(case.options)
    if "masks" in options:
        options["masks"] = [str(case.checkpoint.parent / mask) for mask in options["masks"]]
    return options


def talk(question: str, answer: str | None = None, picture: Any = PICTURE) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = [
        {"role": "user", "content": [{"type": "image", "image": picture}, {"type": "text", "text": question}]}
    ]
    return made if answer is None else [*made, {"role": "assistant", "content": answer}]


# --- parity -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", GIVEN)
def test_what_is_read_and_drawn_equals_the_published_code(case: Case) -> None:
    model = loaded(case.checkpoint)
    batch = model.prepare(case.conversation, **options_of(case))
    found = {**model.trace(batch), **batch, "logits_last16": model.logits(batch)[0, -16:]}
    for name, expected in case.tensors.items():
        if name.startswith("grad.") or name == "sam_pixel_values_if_original":
            continue
        exact = not expected.is_floating_point() or "pixel_values" in name
        limit = 0.0 if exact else 1e-4 if name.startswith("logits") else 2e-5
        if name == "masks":
            sure = case.tensors["low_res_masks"].abs() > 1e-4
            assert torch.equal(found[name][sure], expected[sure])
        else:
            assert largest(found[name], expected) <= limit, name


@pytest.mark.parametrize("case", [case for case in CASES if "sam_pixel_values_if_original" in case.values[0].tensors])
def test_sam2_may_see_the_original_picture(case: Case) -> None:
    batch = loaded(case.checkpoint).prepare(case.conversation, **{**options_of(case), "sam_image_from": "original"})
    expected = case.tensors["sam_pixel_values_if_original"]
    assert torch.equal(batch["sam_pixel_values"][..., ::4, ::4], expected)
    default = {name: value for name, value in options_of(case).items() if name != "sam_image_from"}
    batch = loaded(case.checkpoint).prepare(case.conversation, **default)
    assert torch.equal(batch["sam_pixel_values"][..., ::4, ::4], expected)


@pytest.mark.parametrize("case", SPOKEN)
def test_one_pass_says_everything_and_draws_every_mask(case: Case) -> None:
    answer = loaded(case.checkpoint).ask(
        case.conversation, max_new_tokens=case.options["max_new_tokens"], sam_image_from="smart_resized"
    )
    assert answer.trace["new_tokens"] == case.expected["new_tokens"]
    assert answer.text == case.expected["text"]
    assert answer.trace["seg_positions"] == case.tensors["seg_positions"].tolist()
    assert answer.trace["seg_masks_rle"] == case.expected["rle"]
    assert answer.trace["chosen_index"] == case.tensors["chosen_index"].tolist()
    assert largest(answer.trace["low_res_masks"], case.tensors["low_res_masks"]) < 2e-5
    masks = [finding for finding in answer.findings if isinstance(finding, Mask)]
    assert len(masks) == case.expected["num_seg"]
    picture = answer.items[0]
    for mask, row in zip(masks, case.tensors["ious"], strict=True):
        assert mask.mask.shape == (picture.height, picture.width)
        assert mask.confidence == pytest.approx(float(row.max()), abs=2e-5)
    json.dumps(answer.to_json())


@pytest.mark.parametrize("case", TRAINED)
@pytest.mark.parametrize(("hook", "name"), [(None, "plain"), (0.001, "hook0.001")])
def test_losses_and_gradients_equal_the_published_code(case: Case, hook: float | None, name: str) -> None:
    model = loaded(case.checkpoint)
    family = model.family
    batch = model.prepare(case.conversation, **options_of(case))
    terms = {term: value.item() for term, value in family.loss_terms(batch).items()}
    assert terms == pytest.approx(case.expected["losses"], abs=1e-5)
    family.model.zero_grad()
    model.loss(batch, seg_grad_hook=hook).backward()
    for stored, expected in case.tensors.items():
        if stored.startswith(f"grad.{name}."):
            published = stored.removeprefix(f"grad.{name}.")
            gradient = family.published_parameter(published).grad
            gradient = gradient.norm(dim=1) if "lm_head" in published else gradient
            torch.testing.assert_close(gradient, expected, atol=2e-5, rtol=1e-4)


def test_the_real_size_input_of_sam2_is_bit_identical(citrus: Any) -> None:
    picture = vesalius.read(PICTURE).pictures[0].view()
    high, wide = fit_picture(*picture.shape[:2], factor=28, min_pixels=3136, max_pixels=12544)
    stored = load_file(FOLDER / "preprocess_1024_sample.safetensors")
    for pixels, name in ((picture, "original"), (resized(picture, high, wide), "smart_resized")):
        assert torch.equal(sam_picture(pixels, 1024)[..., ::16, ::16], stored[f"sam_1024_from_{name}_every16"])


EIGHT_B: dict[str, Any] = {
    "hidden_size": 3584, "num_hidden_layers": 28, "num_attention_heads": 28, "num_key_value_heads": 4,
    "intermediate_size": 18944, "vocab_size": 152064, "rms_norm_eps": 1e-6, "rope_theta": 1e6,
    "max_position_embeddings": 128000, "tie_word_embeddings": False, "use_sliding_window": False,
    "image_token_id": 151655, "video_token_id": 151656, "seg_token_idx": 151665, "model_type": "citrus_v",
    "rope_scaling": {"type": "mrope", "mrope_section": [16, 24, 24]},
    "vision_config": {
        "depth": 32, "hidden_size": 1280, "intermediate_size": 3420, "num_heads": 16, "patch_size": 14,
        "spatial_merge_size": 2, "temporal_patch_size": 2, "window_size": 112, "tokens_per_second": 2,
        "fullatt_block_indexes": [7, 15, 23, 31], "out_hidden_size": 3584,
    },
}  # fmt: skip


def test_all_1633_tensors_of_the_8b_have_a_home_of_their_shape() -> None:
    with torch.device("meta"):
        whole = build_citrus(EIGHT_B, SegSettings(151665, False, SAM2_BY_FILE["sam2_hiera_l.yaml"]))
        shapes: dict[str, list[int]] = json.loads((FOLDER / "statedict_8b_shapes.json").read_text(encoding="utf-8"))
        published = OurTensors({name: torch.empty(shape) for name, shape in shapes.items()})
    ours = {name: tuple(value.shape) for name, value in whole.state_dict().items()}
    assert {name: tuple(published[name].shape) for name in published} == ours
    assert (len(shapes), len(published.unused)) == (1633, 157)
    assert sum(parameter.numel() for parameter in whole.mllm.parameters()) == 8_292_166_656


def test_the_published_layout_comes_back_tensor_for_tensor(citrus: Any) -> None:
    published = load_file(FOLDER / "citrusv_tiny" / "model.safetensors")
    back = to_published(citrus.family.model.state_dict(), published)
    assert back.keys() == published.keys()
    assert all(torch.equal(back[name], value) for name, value in published.items())


# --- prompts ----------------------------------------------------------------------------------------------------------


def test_pictures_stand_where_the_text_says_image(citrus: Any) -> None:
    parts = [
        {"type": "image", "image": PICTURE},
        {"type": "image", "image": PICTURE},
        {"type": "text", "text": "First <image> then <image>."},
    ]
    text = citrus.prepare([{"role": "user", "content": parts}]).text
    pad = "<|vision_start|><|image_pad|><|vision_end|>"
    assert f"First {pad} then {pad}." in text
    with pytest.raises(InputError, match="1 <image> and 2 pictures"):
        citrus.prepare([{"role": "user", "content": [*parts[:2], {"type": "text", "text": "<image>?"}]}])


def test_seg_typed_in_a_question_counts_unless_quirks_are_off(citrus: Any) -> None:
    asked = talk("Is [SEG] a token?", "No.")
    assert len(citrus.trace(citrus.prepare(asked))["seg_positions"]) == 1
    plain: Any = vesalius.load(str(FOLDER / "citrusv_tiny"), device="cpu", quirks="off")
    assert len(plain.trace(plain.prepare(asked))["seg_positions"]) == 0
    said = talk("Where?", "It is [SEG].")
    assert len(plain.trace(plain.prepare(said))["seg_positions"]) == 1
    assert not any(vars(CitrusQuirks.chosen("off")).values())


def test_a_control_token_in_text_stays_text(citrus: Any) -> None:
    ids = citrus.prepare(talk("<|im_end|><|endoftext|>"))["input_ids"][0].tolist()
    assert ids.count(citrus.family.tokens.id("<|im_end|>")) == 2
    assert citrus.family.tokens.id("<|endoftext|>") not in ids


# --- masks and boxes --------------------------------------------------------------------------------------------------


def test_no_seg_is_no_mask_and_no_answer_is_forced(citrus: Any) -> None:
    batch = citrus.prepare(talk("What organ is shown?"))
    assert citrus.family.findings(batch, "A heart.") == []
    assert batch.told["num_seg"] == 0


SAID = "Please help segment the left lung in this scan."


def with_passes(monkeypatch: pytest.MonkeyPatch, family: Any) -> dict[str, list[int]]:
    """How often SAM2's encoder and mask decoder run, and for how many prompts."""
    passes: dict[str, list[int]] = {"features": [], "decode": []}
    features, decode = family.whole.features, family.whole.decode

    def counted_features(picture: Tensor) -> Any:
        passes["features"].append(len(picture))
        return features(picture)

    def counted_decode(seen: Any, prompts: Tensor) -> Any:
        passes["decode"].append(len(prompts))
        return decode(seen, prompts)

    monkeypatch.setattr(family.whole, "features", counted_features)
    monkeypatch.setattr(family.whole, "decode", counted_decode)
    return passes


def test_every_seg_of_an_answer_is_drawn_in_one_pass_at_full_size(citrus: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    passes = with_passes(monkeypatch, citrus.family)
    picture = np.asarray(Image.open(PICTURE).convert("RGB").resize((333, 217)))
    answer = citrus.ask(talk(f"Show [SEG], [SEG] and [SEG]. {SAID}", picture=picture), max_new_tokens=30)
    masks = [finding for finding in answer.findings if isinstance(finding, Mask)]
    said = answer.trace["new_tokens"].count(citrus.family.settings.seg_id)
    assert len(masks) == answer.trace["num_seg"] >= 3
    assert len(masks) in (3 + said, 2 + said)  # a [SEG] that is the very last token was never read
    assert passes == {"features": [1], "decode": [len(masks)]}
    assert {mask.mask.shape for mask in masks} == {(217, 333)}
    assert [mask.group for mask in masks] == list(range(1, len(masks) + 1))
    for mask, logits in zip(masks, answer.trace["low_res_masks"], strict=True):
        assert np.array_equal(mask.mask, full_size(logits, 333, 217, nearest=False))


def test_the_published_stretch_can_be_had(citrus: Any) -> None:
    answer = citrus.ask(talk("Show [SEG]."), max_new_tokens=1, mask_resize="nearest_256")
    (mask,) = (finding for finding in answer.findings if isinstance(finding, Mask))
    assert np.array_equal(mask.mask, full_size(answer.trace["low_res_masks"][0], 140, 100, nearest=True))


def test_an_empty_mask_is_told_from_no_mask(citrus: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    decode = citrus.family.whole.decode
    emptied = lambda seen, prompts: replace(decode(seen, prompts), masks=torch.full((len(prompts), 32, 32), -5.0))  # noqa: E731
    monkeypatch.setattr(citrus.family.whole, "decode", emptied)
    empty = citrus.ask(talk("Show [SEG]."), max_new_tokens=1)
    (mask,) = (finding for finding in empty.findings if isinstance(finding, Mask))
    assert not mask.mask.any()
    assert (empty.trace["num_seg"], len(empty.trace["seg_masks_rle"])) == (1, 1)
    monkeypatch.setattr(type(citrus.family), "keep", lambda *_: False)
    none = citrus.ask(talk("What is it?"), max_new_tokens=1)
    assert not any(isinstance(finding, Mask) for finding in none.findings)
    assert none.trace["num_seg"] == 0
    assert "seg_masks_rle" not in none.trace


def test_slices_of_a_volume_are_drawn_each_on_its_own_picture(citrus: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    passes = with_passes(monkeypatch, citrus.family)
    values = np.random.default_rng(0).integers(0, 200, (60, 44, 9)).astype(np.int16)
    study = vesalius.read(values, affine=np.diag([0.8, 0.8, 5.0, 1.0]))
    volume = {"type": "volume", "volume": study, "num_slices": 4, "axis": "axial"}
    asked = [{"role": "user", "content": [volume, {"type": "text", "text": "Mask the [SEG] and the [SEG]"}]}]
    answer = citrus.ask(asked, max_new_tokens=1)
    masks = [finding for finding in answer.findings if isinstance(finding, Mask)]
    assert passes == {"features": [1] * 4, "decode": [2] * 4}
    assert [(mask.where.slice_index, mask.group) for mask in masks] == [(k, g) for k in (0, 3, 5, 8) for g in (1, 2)]
    assert {mask.mask.shape for mask in masks} == {(44, 60)}
    assert masks[0].area_mm2 == pytest.approx(float(masks[0].mask.sum()) * 0.64)


def test_hidden_colours_show_only_as_published(citrus: Any, tmp_path: Path) -> None:
    path = str(tmp_path / "clear.png")
    Image.fromarray(np.full((100, 140, 4), (200, 100, 50, 0), np.uint8)).save(path)
    plain = loaded(FOLDER / "citrusv_tiny", "off")
    shown = [model.prepare(talk("?", picture=path)).sights[0].original[0, 0].tolist() for model in (citrus, plain)]
    assert shown == [[200, 100, 50], [0, 0, 0]]


def test_a_report_is_thought_and_answered(citrus: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    box = '<bbox>{"Part":"left_lung","bbox":[56,42,112,84]}</bbox>'
    said = f"<think> Step 1: {box} </think> <answer> FINDINGS: clear. IMPRESSION: normal. </answer>"
    monkeypatch.setattr(type(citrus.family), "say", lambda *_, **__: iter([(said, "stop")]))
    answer = citrus.ask(talk("Report."))
    assert answer.thinking.startswith("Step 1")
    assert answer.text == "FINDINGS: clear. IMPRESSION: normal."
    assert [finding.label for finding in answer.findings if isinstance(finding, Box)] == ["left lung"]


def test_a_batch_draws_as_one_by_one(citrus: Any) -> None:
    asked = [talk("Please help segment the left lung in this scan."), talk("What?", picture=PICTURE)]
    together = citrus.ask_batch([(one, None) for one in asked], max_new_tokens=40)
    for one, answer in zip(asked, together, strict=True):
        alone = citrus.ask(one, max_new_tokens=40)
        assert answer.trace["new_tokens"] == alone.trace["new_tokens"]
        assert len(answer.findings) == len(alone.findings)
        for ours, theirs in zip(answer.findings, alone.findings, strict=True):
            assert isinstance(ours, Mask)
            assert isinstance(theirs, Mask)
            assert (ours.mask != theirs.mask).mean() < 1e-3


def test_every_shown_slice_of_a_volume_gets_its_masks(citrus: Any) -> None:
    study = vesalius.read(np.random.default_rng(0).integers(0, 200, (60, 64, 9)).astype(np.int16), affine=np.eye(4))
    volume = {"type": "volume", "volume": study, "num_slices": 3, "axis": "axial"}
    asked = [{"role": "user", "content": [volume, {"type": "text", "text": "Mask the [SEG], please"}]}]
    answer = citrus.ask(asked, max_new_tokens=2)
    assert [mask.where.slice_index for mask in answer.findings if isinstance(mask, Mask)] == [0, 4, 8]


def test_the_mask_of_another_picture_can_be_asked_for(citrus: Any) -> None:
    second = {"type": "image", "image": str(FOLDER / "inputs" / "img1.png")}
    asked = [{"role": "user", "content": [{"type": "image", "image": PICTURE}, second, {"type": "text", "text": "?"}]}]
    first, other = citrus.prepare(asked), citrus.prepare(asked, seg_image=1)
    assert not torch.equal(first["sam_pixel_values"], other["sam_pixel_values"])
    with pytest.raises(OptionError, match="there are 2 pictures"):
        citrus.prepare(asked, seg_image=2)


def test_masks_are_enlarged_before_the_threshold_unless_asked_otherwise() -> None:
    logits = torch.tensor([[-1.0, 3.0], [-1.0, 3.0]])
    assert full_size(logits, 4, 2, nearest=True)[0].tolist() == [False, False, True, True]
    assert full_size(logits, 4, 2, nearest=False)[0].tolist() == [False, False, True, True]
    assert full_size(logits, 8, 2, nearest=False)[0].tolist() == [False, False, False, True, True, True, True, True]


def test_boxes_of_every_form_come_back_in_original_pixels(citrus: Any) -> None:
    batch = citrus.prepare(talk("Where?"))
    assert batch.sights[0].fitted == (112, 84)
    for said in (
        '```json\n[{"bbox_2d": [56, 42, 112, 84], "label": "heart"}]\n```',
        "<|object_ref_start|>heart<|object_ref_end|><|box_start|>(56,42),(112,84)<|box_end|>",
        'Seen <bbox>{"Part":"heart","bbox":[56,42,112,84]}</bbox>.',
    ):
        (box,) = citrus.family.findings(batch, said)
        assert isinstance(box, Box)
        assert (box.label, box.x0, box.y0, box.x1, box.y1) == pytest.approx(("heart", 70, 50, 140, 100))


def test_labels_are_what_the_sentence_says() -> None:
    assert names_of_tokens("Sure. The heart is [SEG] and the liver is [SEG].", 2) == ["heart", "liver"]
    assert names_of_tokens("Sure, it is [SEG].", 1) == ["segment"]


def test_thinking_is_kept_apart(citrus: Any) -> None:
    split = citrus.family.split_thinking("<think> Step 1. </think> <answer> FINDINGS: none. </answer>")
    assert split == ("Step 1.", "FINDINGS: none.")


# --- training ---------------------------------------------------------------------------------------------------------


def test_a_sample_without_masks_learns_words_alone(citrus: Any) -> None:
    batch = citrus.prepare(talk("Where?", "It is [SEG]."))
    assert list(citrus.family.loss_terms(batch)) == ["ce"]
    two = citrus.prepare(talk("Where?", "It is [SEG]."), masks=[np.zeros((8, 8), np.uint8)] * 2)
    with pytest.raises(InputError, match=r"2 masks for 1 \[SEG\]"):
        citrus.loss(two)
    with pytest.raises(OptionError, match="seg_grad_hook"):
        citrus.loss(batch, seg_grad_hook="small")


def test_a_row_of_samples_with_and_without_masks_equals_its_samples(citrus: Any) -> None:
    family = citrus.family
    other = str(FOLDER / "inputs" / "img1.png")
    samples = [talk("Where?", "It is [SEG]."), talk("What?", "A heart."), talk("Where?", "Here [SEG] [SEG].", other)]
    mask = str(FOLDER / "inputs" / "mask0.png")
    masks = [[mask], None, [mask, str(FOLDER / "inputs" / "mask1.png")]]
    row = family.loss_terms(citrus.prepare(samples, masks=masks))
    alone = [citrus.prepare(one, masks=some) for one, some in zip(samples, masks, strict=True)]
    parts = [family.loss_terms(batch) for batch in alone]
    counts = [int((batch["labels"] != -100).sum()) for batch in alone]
    ce = sum(part["ce"].item() * count for part, count in zip(parts, counts, strict=True)) / sum(counts)
    dice = (parts[0]["dice"].item() + 2 * parts[2]["dice"].item()) / 3
    assert row["ce"].item() == pytest.approx(ce, rel=1e-5)
    assert row["dice"].item() == pytest.approx(dice, rel=1e-5)


# --- bad checkpoints --------------------------------------------------------------------------------------------------


def copied(tmp_path: Path) -> Path:
    folder = tmp_path / "citrus"
    shutil.copytree(FOLDER / "citrusv_tiny", folder, ignore=shutil.ignore_patterns("cases"))
    return folder


def changed(folder: Path, **values: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), **values}), encoding="utf-8")


def test_a_wrong_seg_id_is_refused(tmp_path: Path) -> None:
    folder = copied(tmp_path)
    changed(folder, seg_token_idx=323)
    with pytest.raises(CheckpointError, match=r"\[SEG\]"):
        vesalius.load(str(folder))


def test_unknown_sam2_settings_are_refused(tmp_path: Path) -> None:
    folder = copied(tmp_path)
    (folder / "sam2_config.json").unlink()
    with pytest.raises(CheckpointError, match=r"sam2_config\.json"):
        vesalius.load(str(folder))


def test_a_missing_or_unknown_tensor_is_named(tmp_path: Path) -> None:
    folder = copied(tmp_path)
    tensors = load_file(folder / "model.safetensors")
    name = "grounding_encoder.sam2_model.sam_mask_decoder.iou_token.weight"
    save_file({k: v for k, v in tensors.items() if k != name}, folder / "model.safetensors")
    with pytest.raises(CheckpointError, match="iou_token"):
        vesalius.load(str(folder))
    save_file({**tensors, "seg_projector.9.weight": torch.zeros(2)}, folder / "model.safetensors")
    with pytest.raises(CheckpointError, match=r"seg_projector\.9"):
        vesalius.load(str(folder))


def test_a_residual_projector_and_a_resaved_config_load(tmp_path: Path) -> None:
    folder = copied(tmp_path)
    tensors = load_file(folder / "model.safetensors")
    kept = {k: v for k, v in tensors.items() if not k.startswith("seg_projector.")}
    projector = ResidualProjector(64, 32)
    more = {f"seg_projector.{k}": v.clone() for k, v in projector.state_dict().items()}
    save_file({**kept, **more}, folder / "model.safetensors")
    scaling = {"type": "default", "rope_type": "default", "mrope_section": [2, 3, 3]}
    changed(folder, use_res_seg_projector=True, rope_scaling=scaling)
    model: Any = vesalius.load(str(folder), device="cpu")
    batch = model.prepare(talk("Where?", "It is [SEG]."))
    traced = model.trace(batch)
    torch.testing.assert_close(traced["seg_projected"], projector(traced["seg_hidden"]).detach())
    base = loaded(FOLDER / "citrusv_tiny").logits(batch)
    torch.testing.assert_close(model.logits(batch), base)
