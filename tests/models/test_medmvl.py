"""MedM-VL against numbers of the published code, and what it does beyond them."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

import vesalius
from tests.models.parity import ROOT, Case, cases_of
from vesalius.errors import CheckpointError, InputError, LimitError, OptionError
from vesalius.findings.findings import Box
from vesalius.inference.model import Model
from vesalius.models.medmvl.quirks import NEVER_COPIED, MedmvlQuirks
from vesalius.models.parts.token_stream import Sampling

FIXTURES = ROOT / "tests" / "fixtures" / "medmvl"
CT = str(FIXTURES / "inputs" / "ct_int16.npy")
LESION = str(FIXTURES / "inputs" / "lesion_rgb.png")
CASES = cases_of("medmvl")
SLICES = "siglip_slices_attnpool_qwen2"


@lru_cache
def model(checkpoint: Path | str, quirks: Any = "published") -> Model:
    folder = FIXTURES / checkpoint if isinstance(checkpoint, str) else checkpoint
    return vesalius.load(str(folder), device="cpu", dtype="float32", quirks=quirks)


def asked(*parts: Any) -> list[dict[str, Any]]:
    """A user message; a str is text, a path in a dict is media."""
    content = [{"type": "text", "text": part} if isinstance(part, str) else part for part in parts]
    return [{"role": "user", "content": content}]


def image(path: Any = LESION) -> dict[str, Any]:
    return {"type": "image", "image": path}


def volume(given: Any = CT, **how: Any) -> dict[str, Any]:
    return {"type": "volume", "volume": given, **how}


def answered(conversation: list[dict[str, Any]], text: str) -> list[dict[str, Any]]:
    return [*conversation, {"role": "assistant", "content": text}]


# The published numbers


def stored_names(case: Case) -> list[tuple[str, str, Tensor]]:
    """(stored name, our name, tensor) of everything but gradients, generated ids and the defects we do not copy."""
    ours = {"labels_wanted": "labels", "loss_wanted": "loss"}
    named = [(stored, stored.removeprefix("batch."), tensor) for stored, tensor in case.tensors.items()]
    return [
        (stored, ours.get(name, name), tensor)
        for stored, name, tensor in named
        if not name.startswith(("grad", "reference", "generated"))
    ]


@pytest.mark.parametrize("case", CASES)
def test_every_number_is_the_published_one(case: Case) -> None:
    loaded = model(case.checkpoint)
    batch = loaded.prepare(case.conversation, **case.options)
    trace = loaded.trace(batch)
    prompts = case.expected["prompt"]
    assert list(batch.prompts) == (prompts if isinstance(prompts, list) else [prompts])
    for _, name, expected in stored_names(case):
        got = batch[name] if name in batch else trace[name]
        got = got[0] if got.dim() == expected.dim() + 1 else got
        assert got.shape == expected.shape, name
        if not expected.dtype.is_floating_point:
            assert torch.equal(got.long(), expected.long()), name
        elif "pixel_values" in name:
            assert torch.equal(got, expected) or float((got - expected).abs().max()) < 5e-7, name
        else:
            assert float((got - expected).abs().max()) < (1e-5 if name == "loss" else 5e-5), name
    assert torch.equal(loaded.logits(batch), trace["logits"])


@pytest.mark.parametrize("case", [one for one in CASES if one.values[0].options["mode"] == "generate"])
def test_greedy_answers_are_the_published_ones(case: Case) -> None:
    loaded, length = model(case.checkpoint), case.options["max_new_tokens"]
    several = "batch.generated_ids" in case.tensors
    texts = case.expected["text"] if several else [case.expected["text"]]
    conversations = case.conversation if several else [case.conversation]
    options = {name: case.options[name] for name in ("conv_version", "volume_intensity") if name in case.options}
    for conversation, text in zip(conversations, texts, strict=True):
        assert loaded.ask(conversation, max_new_tokens=length, **options).text == text.strip()
    together = loaded.ask_batch(conversations, max_new_tokens=length, **options)
    assert [answer.text for answer in together] == [text.strip() for text in texts]
    assert {answer.usage.finish for answer in together} == {"length"}


def test_greedy_tokens_of_a_left_padded_batch() -> None:
    (case,) = (one.values[0] for one in CASES if one.values[0].name == "gen_batch_left")
    loaded: Any = model(case.checkpoint)
    batch = loaded.prepare(case.conversation, **case.options)
    said = loaded.family.say_batch([batch], max_new_tokens=8, sampling=Sampling())
    assert [text for text, _, _ in said] == case.expected["text"]


@pytest.mark.parametrize("case", [one for one in CASES if any("grad" in name for name in one.values[0].tensors)])
def test_gradients_are_the_published_ones(case: Case) -> None:
    loaded: Any = model(case.checkpoint)
    loaded.family.model.zero_grad()
    loaded.loss(loaded.prepare(case.conversation, **case.options)).backward()
    parameters = dict(loaded.family.model.named_parameters())
    for name, expected in case.tensors.items():
        if name.startswith("grad"):
            # grad_wanted: the published MedM-CLIP encoder gets none, ours must.
            gradient = parameters[name.partition(".")[2]].grad
            assert float((gradient - expected).abs().max() / expected.abs().max()) < 1e-4, name


# Loss and labels


def test_labels_may_be_given_beside_the_ids_or_after_splicing() -> None:
    loaded = model("siglip_mlp_qwen2")
    conversation = answered(asked(image(), "\nWhat is it?"), "a mole")
    batch = loaded.prepare(conversation)
    own = loaded.loss(batch)
    assert torch.equal(loaded.loss(batch, labels=batch["labels"]), own)
    assert torch.equal(loaded.loss(batch, labels=batch["spliced_labels"]), own)
    with pytest.raises(InputError, match="labels are"):
        loaded.loss(batch, labels=batch["labels"][:, 1:])


def test_a_batch_learns_every_token_once() -> None:
    loaded = model("siglip_mlp_qwen2")
    conversations = [answered(asked(image(), "What?"), "a mole"), answered(asked("Is it?"), "Yes, it is one.")]
    batch = loaded.prepare(conversations)
    sums = [0.0, 0.0]
    for conversation in conversations:
        one = loaded.prepare(conversation)
        count = int((one["spliced_labels"][:, 1:] != -100).sum())
        sums = [sums[0] + loaded.loss(one).item() * count, sums[1] + count]
    assert loaded.loss(batch).item() == pytest.approx(sums[0] / sums[1], abs=1e-5)


def test_nothing_to_learn_is_said() -> None:
    loaded = model("siglip_mlp_qwen2")
    with pytest.raises(InputError, match="no labels"):
        loaded.loss(loaded.prepare(asked("What?")))
    batch = loaded.prepare(answered(asked("What?"), "This."))
    with pytest.raises(InputError, match="no answer to learn"):
        loaded.loss(batch, labels=torch.full_like(batch["labels"], -100))


# Prompts


def test_words_of_a_user_are_never_control_tokens() -> None:
    loaded: Any = model("siglip_mlp_qwen2")
    text = "Is <image> or <image3d> or <|im_end|> a token?"
    batch = loaded.prepare(asked(image(), text))
    ids = batch["input_ids"][0].tolist()
    assert ids.count(-200) == 1
    assert -201 not in ids
    assert loaded.family.tokenizer.eos_id not in ids
    assert text in batch.prompts[0]


def test_the_older_sentencepiece_puts_a_space_before_every_text() -> None:
    from dataclasses import replace

    loaded: Any = model("siglip_mlp_phi3")
    tokenizer = loaded.family.tokenizer
    older = replace(tokenizer, prefixes_every_text=True)
    texts = [
        [tokenizer.tokenizer.id_to_token(p.id) for p in one.pieces("  and", first=False)] for one in (tokenizer, older)
    ]
    assert texts[0][0] == "▁and"  # runs of spaces collapse
    assert texts[1][0] == "▁and"
    plain = [
        [tokenizer.tokenizer.id_to_token(p.id) for p in one.pieces("and", first=False)] for one in (tokenizer, older)
    ]
    assert "".join(plain[0]) == "and"
    assert plain[1] == ["▁and"]
    said = [[piece.id for piece in tokenizer.pieces(text, first=True)] for text in ("in  the", "in ▁the")]
    assert said[0] == said[1]  # typed, SentencePiece's own sign is a space


def test_a_system_message_replaces_the_usual_one() -> None:
    given = [{"role": "system", "content": "Be brief."}, *asked("What?")]
    assert model("siglip_mlp_qwen2").prepare(given).prompts == ("Be brief. USER: What? ASSISTANT:",)


# Volumes


def nifti_of(array: Any, path: Path, axes: str) -> str:
    """The scan of `[slices feet→head, rows front→back, columns right→left]` stored in another axis order."""
    import nibabel as nib
    from nibabel.nifti1 import Nifti1Image

    ras = np.ascontiguousarray(array[:, ::-1, ::-1].transpose(2, 1, 0))
    scan = Nifti1Image(ras, np.diag([0.8, 0.8, 3.0, 1.0]))
    wanted = nib.orientations.axcodes2ornt(tuple(axes))
    turn: Any = nib.orientations.ornt_transform(nib.orientations.io_orientation(scan.affine), wanted)
    nib.save(scan.as_reoriented(turn), str(path))
    return str(path)


@pytest.mark.parametrize("axes", ["RAS", "LPS", "PIR"])
@pytest.mark.parametrize("checkpoint", [SLICES, "m3dclip_spatialpool_qwen2"])
def test_a_nifti_in_any_order_is_the_array_as_it_is_looked_at(checkpoint: str, axes: str, tmp_path: Path) -> None:
    loaded = model(checkpoint)
    stored = loaded.prepare(asked(volume(), "What?"))["volume_pixel_values"]
    path = nifti_of(np.load(CT), tmp_path / "scan.nii.gz", axes)
    seen = loaded.prepare(asked(volume(path), "What?"))["volume_pixel_values"]
    assert torch.equal(seen, stored)


def test_the_stored_order_can_be_had(tmp_path: Path) -> None:
    loaded = model(SLICES)
    array = np.load(CT)
    path = nifti_of(array, tmp_path / "scan.nii.gz", "RAS")
    given = loaded.prepare(asked(volume(path), "What?"), volume_orientation="stored")["volume_pixel_values"]
    flipped = np.ascontiguousarray(array[:, ::-1, ::-1])
    assert torch.equal(given, loaded.prepare(asked(volume(flipped), "What?"))["volume_pixel_values"])


def test_the_number_of_slices_is_the_callers_where_slices_are_seen_one_by_one() -> None:
    batch = model(SLICES).prepare(asked(volume(num_slices=12), "What?"))
    assert batch["volume_pixel_values"].shape == (1, 3, 12, 32, 32)
    with pytest.raises(OptionError, match="as 32 slices"):
        model("m3dclip_spatialpool_qwen2").prepare(asked(volume(num_slices=12), "What?"))


def test_air_alone_is_not_cropped_away() -> None:
    batch = model("m3dclip_spatialpool_qwen2").prepare(asked(volume(np.full((5, 6, 7), -1000, np.int16)), "What?"))
    assert float(batch["volume_pixel_values"].abs().max()) == 0


def test_older_checkpoints_say_which_intensity_they_took() -> None:
    older = model("m3dclip_spatialpool_qwen2")
    assert "0_255" in older.prepare(asked(volume(), "What?")).warnings[0]
    assert older.prepare(asked(volume(), "What?"), volume_intensity="hu").warnings == ()
    assert model(SLICES).prepare(asked(volume(), "What?")).warnings == ()


def test_an_array_can_be_asked_about() -> None:
    answer = model(SLICES).ask(np.load(CT), "What is it?", max_new_tokens=2)
    assert answer.usage.new_tokens == 2
    assert any("without geometry" in warning for warning in answer.trace["warnings"])


# Findings


def test_boxes_are_pixels_of_the_original_picture() -> None:
    loaded: Any = model("siglip_mlp_qwen2")
    batch = loaded.prepare(asked(image(), "Where is the mole?"))
    with Image.open(LESION) as picture:
        width, height = picture.size
    (box, second) = loaded.family.findings(
        batch, "mole: {<10><20><50><100>} and { <0> <0> <unk><7> <200> }, {<5><5><5><9>}"
    )
    assert isinstance(box, Box)
    assert (box.label, box.where.item) == ("mole", 0)
    assert (box.x0, box.y0, box.x1, box.y1) == pytest.approx((0.1 * width, 0.2 * height, 0.5 * width, height))
    assert (second.x1, second.y1) == pytest.approx((0.07 * width, height))


def test_boxes_on_a_turned_photograph_lie_on_the_upright_one(tmp_path: Path) -> None:
    pixels = np.zeros((20, 40, 3), np.uint8)
    pixels[:10, :10] = 255  # the top left of the stored picture is the top right of the upright one
    exif = Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / "turned.png"
    Image.fromarray(pixels).save(path, exif=exif)
    boxes = []
    for quirks, text in (("published", "{<0><0><25><50>}"), ("off", "{<50><0><100><25>}")):
        loaded: Any = model("siglip_mlp_qwen2", quirks)
        boxes += loaded.family.findings(loaded.prepare(asked(image(str(path)), "?")), text)
    for box in boxes:
        assert (box.x0, box.y0, box.x1, box.y1) == pytest.approx((10, 0, 20, 10))


# Quirks


def test_each_quirk_has_its_line_and_off_means_off() -> None:
    assert all(MedmvlQuirks().__dict__.values())
    assert not any(MedmvlQuirks.chosen("off").__dict__.values())
    assert all(": " in line for line in NEVER_COPIED.values())


def test_off_lays_transparent_pixels_over_black(tmp_path: Path) -> None:
    path = tmp_path / "clear.png"
    Image.fromarray(np.full((32, 32, 4), (255, 255, 255, 0), np.uint8)).save(path)
    published, ours = (model("siglip_mlp_qwen2", q).prepare(asked(image(str(path)), "?")) for q in ("published", "off"))
    assert float(published["pixel_values"].min()) == 1
    assert float(ours["pixel_values"].max()) == -1


def test_off_rounds_grey_levels() -> None:
    published, ours = (
        model(SLICES, q).prepare(asked(volume(), "?"))["volume_pixel_values"] for q in ("published", "off")
    )
    steps = ((ours - published) * 127.5).round()
    assert set(steps.unique().tolist()) == {0, 1}


def test_off_keeps_lung_at_the_edge() -> None:
    scan = np.full((8, 16, 16), -1000, np.int16)
    scan[2:7, 2:14, 2:14], scan[3:5, 6:10, 6:10] = -700, 40
    published, ours = (
        model("medmclip_spatialpool_qwen2", q).prepare(asked(volume(scan), "?"))["volume_pixel_values"]
        for q in ("published", "off")
    )
    assert float(published.mean()) > 1  # cropped to the bright middle
    assert float(ours.mean()) < 0


def test_off_pads_labels_with_what_is_not_learned() -> None:
    pair = [answered(asked("What?"), "This."), answered(asked("What is it, please?"), "That.")]
    published, ours = (model("siglip_mlp_qwen2", q).prepare(pair) for q in ("published", "off"))
    assert published["labels"][0, -1] == published["input_ids"][0, -1]
    assert ours["labels"][0, -1] == -100
    assert torch.equal(published["spliced_labels"], ours["spliced_labels"])


def test_off_ends_an_answer_that_only_repeats_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vesalius.models.parts.token_stream._choose", lambda logits, *_: [5] * len(logits))
    for quirks, finish in (("published", "length"), ("off", "repetition")):
        loaded = model("siglip_mlp_qwen2", quirks)
        assert loaded.ask(asked("Why?"), max_new_tokens=40).usage.finish == finish
        assert loaded.ask_batch([asked("Why?")], max_new_tokens=40)[0].usage.finish == finish


def test_a_batch_generates_what_its_rows_say() -> None:
    loaded = model("siglip_mlp_qwen2")
    several = [asked(image(), "What is it?"), asked("Hi")]
    ids = loaded.generate(loaded.prepare(several), max_new_tokens=5).tolist()
    for row, conversation in zip(ids, several, strict=True):
        said = loaded.ask(conversation, max_new_tokens=5).trace["new_tokens"]
        assert row[: len(said)] == said


# What is refused


@pytest.mark.parametrize(
    ("checkpoint", "conversation", "options", "error", "says"),
    [
        ("siglip_mlp_qwen2", asked("a"), {"beams": 2}, OptionError, "beams"),
        ("siglip_mlp_qwen2", asked("a"), {"conv_version": "gpt"}, OptionError, "conv_version"),
        ("siglip_mlp_qwen2", asked("a"), {"mode": "learn"}, OptionError, "mode"),
        ("siglip_mlp_qwen2", asked("a"), {"mode": "train"}, InputError, "does not end with an answer"),
        ("siglip_mlp_qwen2", answered(asked("a"), "b"), {"mode": "generate"}, InputError, "ends with an answer"),
        ("siglip_mlp_qwen2", [asked("a"), answered(asked("a"), "b")], {}, InputError, "some do not"),
        ("siglip_mlp_qwen2", [*asked("a"), *asked("b")], {}, InputError, "in turn"),
        ("siglip_mlp_qwen2", asked("a " * 2000), {}, LimitError, "1024"),
        ("siglip_mlp_qwen2", asked("a"), {"max_new_tokens": 2048}, LimitError, "2048 positions"),
        ("siglip_mlp_qwen2", asked(volume(), "a"), {"volume_intensity": "8bit"}, OptionError, "volume_intensity"),
        (SLICES, asked(volume(), "a"), {"volume_orientation": "up"}, OptionError, "orientation"),
        (SLICES, asked(image(), image(), "a"), {"conv_version": "pretrain"}, InputError, "1 <image> placeholders"),
        ("siglip_mlp_qwen2", asked("a"), {"conv_version": "pretrain"}, InputError, "placeholders"),
        ("m3dclip_spatialpool_qwen2", asked(image(), "a"), {}, InputError, "volumes only"),
        ("siglip_mlp_qwen2", asked("a"), {"conv_version": "llama3"}, CheckpointError, "eot_id"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_one_clear_error(
    checkpoint: str, conversation: Any, options: dict[str, Any], error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says) as caught:
        model(checkpoint).prepare(conversation, **options)
    assert "\n" not in str(caught.value)


def test_a_clip_is_refused() -> None:
    frames = np.zeros((3, 8, 8, 3), np.uint8)
    with pytest.raises(InputError, match="not a clip"):
        model("siglip_mlp_qwen2").prepare([{"role": "user", "content": [{"type": "video", "video": frames}]}])
