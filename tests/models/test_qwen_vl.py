"""Qwen2.5-VL and Qwen3-VL (MedMO): equal to the published code, number for number, and clear about bad input."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

import vesalius
from tests.models.parity import ROOT, Case, cases_of, largest, loaded, user
from vesalius.errors import CheckpointError, InputError, LimitError, OptionError, VesaliusError, WeightsMissingError
from vesalius.models.qwen_vl.qwen_vl import QwenVlQuirks

CASES = cases_of("medmo")
PACKED = [case for case in CASES if case.values[0].name == "packed_row"]
SPOKEN = [case for case in CASES if "generated" in case.values[0].tensors]
ALONE = [case for case in CASES if case.values[0].name != "packed_row"]
FOLDER = ROOT / "tests" / "fixtures" / "medmo"
PICTURE = str(FOLDER / "inputs" / "img0.png")
VIDEO = str(FOLDER / "inputs" / "video0.npy")


@pytest.fixture
def qwen3() -> Any:
    return loaded(FOLDER / "qwen3vl_tiny")


@pytest.fixture
def qwen25() -> Any:
    return loaded(FOLDER / "qwen25vl_tiny")


# --- parity -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", ALONE)
def test_what_the_network_reads_and_computes_equals_the_published_code(case: Case) -> None:
    model = loaded(case.checkpoint)
    batch = model.prepare(case.conversation, **case.options)
    found = {**model.trace(batch), **batch, "logits_last16": model.logits(batch)[0, -16:]}
    for name, expected in case.tensors.items():
        if name.startswith("alt_transformers") or name == "generated":
            continue
        exact = expected.dtype == torch.int64 or name.startswith("pixel_values")
        limit = 0.0 if exact else 1e-4 if name.startswith("logits") else 2e-5
        assert largest(found[name], expected) <= limit, name


@pytest.mark.parametrize("case", SPOKEN)
def test_greedy_tokens_are_identical(case: Case) -> None:
    answer = loaded(case.checkpoint).ask(case.conversation, max_new_tokens=case.options["max_new_tokens"])
    assert answer.trace["new_tokens"] == case.expected["new_tokens"]
    assert answer.usage.prompt_tokens + len(answer.trace["new_tokens"]) == case.tensors["generated"].shape[1]


@pytest.mark.parametrize("case", PACKED)
def test_a_packed_row_equals_its_samples_one_by_one(case: Case) -> None:
    model = loaded(case.checkpoint)
    model.family.model.zero_grad()
    batch = model.prepare(case.conversation, **case.options)
    samples = case.expected["samples"]
    assert model.loss(batch, reduction="per_sample").tolist() == pytest.approx(
        [sample["loss_sum"] for sample in samples], rel=1e-5
    )
    mean = model.loss(batch)
    assert mean.item() == pytest.approx(case.expected["loss_token_mean"], rel=1e-5)
    mean.backward()
    parameters = dict(model.family.model.named_parameters())
    for name, expected in case.tensors.items():
        if name.startswith("grad."):
            gradient = parameters[name.removeprefix("grad.")].grad
            assert gradient is not None
            torch.testing.assert_close(gradient, expected, atol=2e-5, rtol=1e-4)
    traced = model.trace(batch)
    for name, expected in case.tensors.items():
        if not name.startswith("grad."):
            assert largest(traced[name], expected) <= (1e-4 if "logits" in name else 0), name


@pytest.mark.parametrize("case", PACKED)
def test_a_sample_alone_is_prepared_as_in_the_row(case: Case) -> None:
    model = loaded(case.checkpoint)
    for number, conversation in enumerate(case.conversation):
        batch = model.prepare(conversation)
        for name in ("input_ids", "labels", "position_ids", "mm_token_type_ids"):
            assert torch.equal(batch[name], case.tensors[f"{number}.{name}"])
        expected = case.expected["samples"][number]["loss_sum"]
        assert model.loss(batch, reduction="sum").item() == pytest.approx(expected, rel=1e-5)


# --- one interface ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["qwen3vl_tiny", "qwen25vl_tiny"])
def test_a_batch_answers_as_one_by_one(name: str) -> None:
    model = loaded(FOLDER / name)
    asked = [
        user({"type": "image", "image": PICTURE}, "What is shown?"),
        user("What is the normal size of the liver?"),
        user({"type": "video", "video": VIDEO, "fps": 2.0}, "What moves?", {"type": "image", "image": PICTURE}),
    ]
    together = model.ask_batch([(one, None) for one in asked], max_new_tokens=8)
    for one, answer in zip(asked, together, strict=True):
        alone = model.ask(one, max_new_tokens=8)
        assert (answer.text, answer.trace["new_tokens"]) == (alone.text, alone.trace["new_tokens"])


def test_a_stream_adds_up_to_the_answer(qwen3: Any) -> None:
    *pieces, answer = qwen3.stream(PICTURE, "What is shown?", max_new_tokens=12)
    assert "".join(str(piece) for piece in pieces).strip() == answer.text


def test_pictures_and_clips_share_one_prompt(qwen3: Any) -> None:
    parts = [{"type": "video", "video": VIDEO, "fps": 2.0}, {"type": "image", "image": PICTURE}]
    batch = qwen3.prepare(user(*parts, "Compare."))
    types = batch["mm_token_type_ids"][0].tolist()
    assert sorted(set(types)) == [0, 1, 2]
    assert types.index(2) < types.index(1)
    assert torch.isfinite(qwen3.logits(batch)).all()


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16"])
@pytest.mark.parametrize("size", [(17, 29), (333, 99), (96, 64), (8, 3), (5, 900)])
def test_pictures_are_read_as_transformers_reads_them(
    qwen3: Any, tmp_path: Path, mode: str, size: tuple[int, int]
) -> None:
    from transformers import Qwen2VLImageProcessorPil

    rng = np.random.default_rng(3)
    channels = {"LA": 2, "RGB": 3, "RGBA": 4, "CMYK": 4}.get(mode)
    shape = (size[1], size[0], *([channels] if channels else []))
    picture = Image.fromarray(rng.integers(0, 256, shape).astype(np.uint16 if mode == "I;16" else np.uint8))
    if mode == "CMYK":
        picture = Image.frombytes("CMYK", size, rng.bytes(size[0] * size[1] * 4))
    path = tmp_path / ("picture.jpg" if mode == "CMYK" else "picture.png")
    if mode == "P":
        picture = picture.convert("P")
        picture.save(path, transparency=7)
    else:
        picture.save(path)
    rules = qwen3.family.config.media
    least, most = rules.picture_px
    theirs = Qwen2VLImageProcessorPil(
        size={"shortest_edge": least, "longest_edge": most}, patch_size=16, merge_size=2, temporal_patch_size=2,
        image_mean=list(rules.patches.mean), image_std=list(rules.patches.std),
    )([Image.open(path)], return_tensors="pt")  # fmt: skip
    batch = qwen3.prepare(user({"type": "image", "image": str(path)}, "What is it?"))
    assert torch.equal(batch["image_grid_thw"], theirs["image_grid_thw"])
    assert torch.equal(batch["pixel_values"], theirs["pixel_values"])


def test_a_volume_is_shown_as_slices(qwen3: Any) -> None:
    study = vesalius.read(np.random.default_rng(0).integers(0, 200, (20, 24, 9)).astype(np.int16), affine=np.eye(4))
    batch = qwen3.prepare(user({"type": "volume", "volume": study, "num_slices": 3, "axis": "axial"}, "What is it?"))
    assert [sight.where.slice_index for sight in batch.sights] == [0, 4, 8]
    assert len(batch["image_grid_thw"]) == 3


def test_text_never_becomes_a_control_token(qwen3: Any) -> None:
    text = "<|im_end|> <|image_pad|> <|vision_start|>"
    ids = qwen3.prepare(user(text))["input_ids"][0].tolist()
    assert ids.count(qwen3.family.tokens.id("<|im_end|>")) == 1
    assert qwen3.family.tokens.id("<|image_pad|>") not in ids
    assert text in qwen3.family.tokens.decode(ids, skip_special=False)


def test_boxes_come_back_in_original_pixels(qwen3: Any, qwen25: Any) -> None:
    batch = qwen3.prepare(user({"type": "image", "image": PICTURE}, "Where?"))
    (box,) = qwen3.family.findings(batch, "Fractures <box>[[100, 200, 500, 600]]</box>")
    assert (box.label, box.x0, box.y0, box.x1, box.y1) == pytest.approx(("Fractures", 10, 14, 50, 42))
    batch = qwen25.prepare(user({"type": "image", "image": PICTURE}, "Where?"))
    width, height = batch.sights[0].fitted
    said = json.dumps([{"bbox_2d": [0, 0, width / 2, height / 2], "label": "lung"}])
    (box,) = qwen25.family.findings(batch, f"```json\n{said}\n```")
    assert (box.label, box.x0, box.y0, box.x1, box.y1) == pytest.approx(("lung", 0, 0, 50, 35))


# --- positions and times ----------------------------------------------------------------------------------------------


def test_timestamps_win_over_the_rate_and_round_as_python_does(qwen3: Any) -> None:
    times = [0.0, 0.5, 1.0, 1.5]
    batch = qwen3.prepare(user({"type": "video", "video": VIDEO, "timestamps": times, "fps": 9.0}, "What?"))
    assert "<0.2 seconds>" in batch.text
    assert "<1.2 seconds>" in batch.text


def test_frames_without_times_run_at_24_a_second_unless_quirks_are_off(qwen3: Any) -> None:
    clip = user({"type": "video", "video": VIDEO}, "What?")
    assert "<0.1 seconds>" in qwen3.prepare(clip).text
    plain: Any = vesalius.load(str(FOLDER / "qwen3vl_tiny"), device="cpu", quirks="off")
    assert "<2.5 seconds>" in plain.prepare(clip).text


def test_an_answer_that_repeats_itself_ends_only_with_quirks_off(qwen3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    plain: Any = vesalius.load(str(FOLDER / "qwen3vl_tiny"), device="cpu", quirks="off")
    for model, finish in ((qwen3, "length"), (plain, "repetition")):
        monkeypatch.setattr("vesalius.models.parts.token_stream._choose", lambda logits, *_: [5] * len(logits))
        assert model.ask(None, "Why?", max_new_tokens=40).usage.finish == finish


def test_transparent_pictures_and_deep_greys_are_shown_as_published(qwen3: Any, tmp_path: Path) -> None:
    clear, deep = str(tmp_path / "clear.png"), str(tmp_path / "deep.png")
    Image.fromarray(np.full((64, 96, 4), (200, 100, 50, 0), np.uint8)).save(clear)
    Image.fromarray(np.tile(np.linspace(0, 4000, 96).astype(np.uint16), (64, 1))).save(deep)
    plain = loaded(FOLDER / "qwen3vl_tiny", "off")
    shown = [
        [model.prepare(user({"type": "image", "image": path}, "?")).sights[0].original for path in (clear, deep)]
        for model in (qwen3, plain)
    ]
    assert shown[0][0][0, 0].tolist() == [255, 255, 255]
    assert shown[1][0][0, 0].tolist() == [0, 0, 0]
    assert shown[0][1].mean() > 230 > 140 > shown[1][1].mean()
    assert qwen3.ask(clear, "?", max_new_tokens=1).trace["processed_sizes_wh"] == [[96, 64]]
    asked = qwen3.family.prepare(qwen3._spoken(clear, "?")[0])
    assert np.array_equal(asked.sights[0].original, shown[0][0])  # the short way sees what the long way sees


def test_times_of_pictures_are_for_models_that_are_told_them(qwen3: Any) -> None:
    answer = qwen3.ask(user({"type": "image", "image": PICTURE, "timestamp": 2.0}, "?"), max_new_tokens=1)
    assert any("not told the times of pictures" in warning for warning in answer.trace["warnings"])


def test_a_list_of_pictures_is_a_clip(qwen3: Any) -> None:
    frames = [np.full((64, 64, 3), 50 * k, np.uint8) for k in range(4)]
    listed = qwen3.prepare(user({"type": "video", "video": frames, "timestamps": [0, 1, 4, 9]}, "?"))
    stacked = qwen3.prepare(user({"type": "video", "video": np.stack(frames), "timestamps": [0, 1, 4, 9]}, "?"))
    assert torch.equal(listed["pixel_values_videos"], stacked["pixel_values_videos"])
    assert listed.text == stacked.text
    assert "<0.5 seconds>" in listed.text
    assert "<6.5 seconds>" in listed.text


def test_every_quirk_says_what_it_does() -> None:
    assert all("off: " in does for does in QwenVlQuirks.explained().values())
    assert not any(vars(QwenVlQuirks.chosen("off")).values())


def test_one_quirk_is_switched_and_the_others_stay(qwen3: Any) -> None:
    del qwen3
    model: Any = vesalius.load(str(FOLDER / "qwen3vl_tiny"), device="cpu", quirks={"assumed_fps": False})
    assert (model.family.quirks.assumed_fps, model.family.quirks.endless) == (False, True)
    with pytest.raises(OptionError, match="Did you mean assumed_fps"):
        vesalius.load(str(FOLDER / "qwen3vl_tiny"), device="cpu", quirks={"assume_fps": False})


# --- bad input --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"max_pixel": 100}, "Did you mean max_pixels"),
        ({"template": "qwen2_5_vl"}, "not this checkpoint's"),
        ({"crop_frames_to": [4]}, "Give [height, width]"),
        ({"min_pixels": 5000, "max_pixels": 4000}, "leave no size"),
    ],
)
def test_an_option_that_cannot_be_is_named(qwen3: Any, options: dict[str, Any], said: str) -> None:
    parts = [{"type": "image", "image": PICTURE}, {"type": "video", "video": VIDEO}]
    with pytest.raises(OptionError, match=said.replace("[", r"\[")):
        qwen3.prepare(user(*parts, "What?"), **options)


def test_a_prompt_too_long_is_refused_with_its_count(qwen3: Any) -> None:
    with pytest.raises(LimitError, match="at most 4096"):
        qwen3.prepare(user("word " * 4000))


def test_bad_conversations_are_refused(qwen3: Any) -> None:
    with pytest.raises(InputError, match="3 timestamps for 4 frames"):
        qwen3.prepare(user({"type": "video", "video": VIDEO, "timestamps": [0, 1, 2]}, "What?"))
    with pytest.raises(InputError, match="empty"):
        qwen3.prepare([])
    with pytest.raises(InputError, match="no answer to learn"):
        qwen3.loss(qwen3.prepare(user("Hello?")))
    with pytest.raises(InputError, match="longer than 200"):
        qwen3.prepare(user({"type": "image", "image": np.zeros((2, 500), np.uint8)}, "What?"))


def test_placeholders_and_features_must_match(qwen3: Any) -> None:
    batch = qwen3.prepare(user({"type": "image", "image": PICTURE}, "What?"))
    del batch.tensors["pixel_values"]
    with pytest.raises(InputError, match="visual tokens"):
        qwen3.logits(batch)


def copied(tmp_path: Path, name: str = "qwen3vl_tiny") -> Path:
    folder = tmp_path / name
    shutil.copytree(FOLDER / name, folder, ignore=shutil.ignore_patterns("cases"))
    return folder


def test_damaged_checkpoints_are_refused_with_the_tensor_named(tmp_path: Path) -> None:
    folder = copied(tmp_path)
    tensors = load_file(folder / "model.safetensors")
    save_file({k: v for k, v in tensors.items() if k != "lm_head.weight"}, folder / "model.safetensors")
    with pytest.raises(CheckpointError, match=r"lm_head\.weight"):
        vesalius.load(str(folder))
    save_file({**tensors, "extra.weight": torch.zeros(2)}, folder / "model.safetensors")
    with pytest.raises(CheckpointError, match=r"extra\.weight"):
        vesalius.load(str(folder))
    save_file({**tensors, "lm_head.weight": torch.zeros(3, 64)}, folder / "model.safetensors")
    with pytest.raises(CheckpointError, match="has shape"):
        vesalius.load(str(folder))


def changed(folder: Path, **values: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), **values}), encoding="utf-8")


def test_a_config_that_contradicts_the_files_is_refused(tmp_path: Path) -> None:
    folder = copied(tmp_path)
    changed(folder, image_token_id=7)
    with pytest.raises(CheckpointError, match="image_token_id"):
        vesalius.load(str(folder))
    changed(folder, image_token_id=312, vision_config={})
    with pytest.raises(VesaliusError):
        vesalius.load(str(folder))
    with pytest.raises(WeightsMissingError, match="checkpoint's folder"):
        vesalius.load("medmo")


def test_a_tied_head_needs_no_tensor_of_its_own(tmp_path: Path) -> None:
    folder = copied(tmp_path, "qwen25vl_tiny")
    tensors = load_file(folder / "model.safetensors")
    save_file({k: v for k, v in tensors.items() if k != "lm_head.weight"}, folder / "model.safetensors")
    changed(folder, tie_word_embeddings=True)
    model: Any = vesalius.load(str(folder), device="cpu")
    assert torch.equal(model.family.model.lm_head.weight, tensors["model.embed_tokens.weight"])


@pytest.mark.parametrize("name", ["qwen3vl_tiny", "qwen25vl_tiny"])
def test_the_dtype_asked_for_overrules_the_one_stored(name: str) -> None:
    half: Any = vesalius.load(str(FOLDER / name), device="cpu", dtype="bfloat16")
    assert {parameter.dtype for parameter in half.family.model.parameters()} == {torch.bfloat16}
    batch = half.prepare(user({"type": "image", "image": PICTURE}, "What?"))
    assert largest(half.logits(batch), loaded(FOLDER / name).logits(batch)) < 0.3


def test_a_picture_is_seen_alike_from_file_bytes_and_array(qwen25: Any) -> None:
    array = np.asarray(Image.open(PICTURE).convert("RGB"))
    ways: list[Any] = [PICTURE, Path(PICTURE).read_bytes(), array]
    seen = [qwen25.prepare(user({"type": "image", "image": way}, "What?"))["pixel_values"] for way in ways]
    assert torch.equal(seen[0], seen[1])
    assert torch.equal(seen[0], seen[2])
