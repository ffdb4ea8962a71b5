"""Hulu-Med against the numbers its published code gave, and what this family does beyond them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor

import vesalius
from tests.models.parity import ROOT, Case, cases_of, loaded, user
from vesalius.errors import CheckpointError, InputError, LimitError, OptionError, WeightsMissingError
from vesalius.models.hulumed import HuluMed, HuluMedQuirks
from vesalius.models.parts.token_stream import Sampling, stream_tokens
from vesalius.phantoms.volumes import draw_volume

FIXTURES = ROOT / "tests" / "fixtures" / "hulumed"
PICTURE = str(FIXTURES / "inputs" / "colour_145x100.png")
VIDEO = str(FIXTURES / "inputs" / "video_5x98x140.npy")
VOLUME = str(FIXTURES / "inputs" / "volume_44x60x10.nii.gz")


def family(quirks: Any = "published") -> HuluMed:
    return loaded(FIXTURES / "qwen2_hf", quirks).family


def image(source: Any = PICTURE) -> dict[str, Any]:
    return {"type": "image", "image": source}


def video(**more: Any) -> dict[str, Any]:
    return {"type": "video", "video": VIDEO, **more}


def volume(**more: Any) -> dict[str, Any]:
    return {"type": "volume", "volume": VOLUME, **more}


# Parity


@pytest.mark.parametrize("case", cases_of("hulumed"))
def test_numbers_are_those_of_the_published_code(case: Case) -> None:
    model = loaded(case.checkpoint)
    batch = model.prepare(case.conversation, **case.options)
    trace = model.trace(batch)
    expected = dict(case.tensors)
    rows = expected.pop("pixel_rows", None)
    for name, wanted in expected.items():
        if name.startswith("grad.") or name in ("loss", "generated_ids"):
            continue
        found = _named(name, model, batch, trace, rows)
        assert found.shape == wanted.shape, name
        if wanted.dtype.is_floating_point:
            assert float((found.double() - wanted.double()).abs().max()) <= _tolerance(name, case), name
        else:
            assert torch.equal(found, wanted), name
    facts = case.expected
    assert list(batch.prompts) == (facts.get("prompts") or [facts["prompt"]])
    if "kept_per_frame" in facts:
        assert [list(frames) for frames in batch.kept_per_frame] == facts["kept_per_frame"]
        assert batch.visual_tokens == (facts["kept_tokens"], facts["total_tokens"])
    if "modals" in facts:
        assert list(batch.modals) == facts["modals"]
    if "sample_starts" in facts:
        assert list(batch.sample_starts) == facts["sample_starts"]
    if "generated_ids" in case.tolerance:
        assert _greedy(model.family, batch) == case.tensors["generated_ids"][0].tolist()
    if "loss" in expected:
        _check_training(model, batch, case)


def _named(name: str, model: Any, batch: Any, trace: dict[str, Tensor], rows: Tensor | None) -> Tensor:
    if name == "logits":
        return model.logits(batch)
    if name == "logits_last16":
        return model.logits(batch)[:, -16:]
    if name == "pixel_row_mean":
        return batch["pixel_values"].double().mean(-1)
    if name == "pixel_values_at_rows":
        assert rows is not None
        return batch["pixel_values"][rows]
    return batch[name] if name in batch else trace[name]


def _tolerance(name: str, case: Case) -> float:
    for ending in ("_last16", "_at_rows", "_per_sample"):
        name = name.removesuffix(ending)
    return 1e-6 if name == "pixel_row_mean" else float(case.tolerance.get(name, 1e-4))


def _greedy(family: HuluMed, batch: Any) -> list[int | None]:
    steps = stream_tokens(
        family.decoder(), family.embedded(batch), max_new_tokens=12, stop_ids=family.stop_ids, sampling=Sampling()
    )
    return [step.ids[0] for step in steps]


def _check_training(model: Any, batch: Any, case: Case) -> None:
    network = model.family.model
    network.zero_grad()
    loss = model.loss(batch)
    assert abs(float(loss.detach()) - float(case.tensors["loss"])) <= case.tolerance["loss"]
    if "num_items_in_batch" in case.expected:
        again = model.loss(batch, num_items_in_batch=case.expected["num_items_in_batch"], labels=batch["labels"])
        assert abs(float(again.detach() - loss.detach())) <= 1e-6
    loss.backward()
    gradients = {name: weight.grad for name, weight in network.named_parameters()}
    for name, wanted in case.tensors.items():
        if name.startswith("grad."):
            found = gradients[name.removeprefix("grad.")]
            assert found is not None, name
            largest = float(wanted.abs().max())
            assert float((found - wanted).abs().max()) <= case.tolerance["grad_relative"] * largest, name
    for name, norm in case.expected["grad_norms"].items():
        found = gradients[name]
        assert (found is None) == (norm is None), name
        assert found is None or float(found.norm()) == pytest.approx(norm, rel=1e-4, abs=1e-9), name


# Asking


def test_answers_are_the_same_alone_together_and_in_pieces() -> None:
    model = loaded(FIXTURES / "qwen2_hf")
    asked = [(user(image(), "Describe."), None), (user("Hi"), None), (user(video(), "What moves?"), None)]
    alone = [model.ask(source, max_new_tokens=8) for source, _ in asked]
    together = model.ask_batch(asked, max_new_tokens=8)
    assert [a.text for a in alone] == [a.text for a in together]
    *pieces, last = model.stream(asked[0][0], max_new_tokens=8)
    assert "".join(pieces).strip() == last.text == alone[0].text
    assert (alone[0].usage.visual_tokens, alone[0].usage.visual_tokens_kept) == (70, 70)
    assert (alone[2].usage.visual_tokens, alone[2].usage.visual_tokens_kept) == (100, 33)
    assert alone[1].usage.visual_tokens == 0
    assert alone[0].findings == ()


def test_thoughts_are_kept_apart_from_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    model = loaded(FIXTURES / "qwen3_hf")
    monkeypatch.setattr(type(model.family), "say", lambda *_, **__: iter([("<think>a</think>\n\n\nB.", "stop")]))
    answer = model.ask(user("Hi"))
    assert (answer.thinking, answer.text) == ("a", "B.")


def test_a_packed_row_is_its_samples_one_by_one() -> None:
    model = loaded(FIXTURES / "qwen3_hf")
    samples = [
        [*user(video(timestamps=[0, 1, 2, 3, 4]), "What?"), {"role": "assistant", "content": "A square."}],
        [*user(image(), image(), "Which?"), {"role": "assistant", "content": "Both."}],
        [*user("Hi"), {"role": "assistant", "content": "<think>Well.</think>Hello."}],
    ]
    row = model.prepare(samples, packing=True)
    alone = [model.prepare(sample) for sample in samples]
    assert torch.equal(row["input_ids"], torch.cat([one["input_ids"] for one in alone], 1))
    apart = torch.cat([model.logits(one) for one in alone], 1)
    assert float((model.logits(row) - apart).abs().max()) < 1e-4
    counts = torch.tensor([int((one["labels"] != -100).sum()) for one in alone], dtype=torch.float32)
    losses = torch.stack([model.loss(one).detach() for one in alone])
    assert float(model.loss(row).detach()) == pytest.approx(float((losses * counts).sum() / counts.sum()), abs=1e-5)


# Prompts and text


@pytest.mark.parametrize("trained", [True, False])
def test_what_a_model_thought_is_between_its_own_tokens(trained: bool) -> None:
    model = loaded(FIXTURES / "qwen3_hf")
    special = model.family.tokenizer.special
    said = [*user("Hi"), {"role": "assistant", "content": "<think>Well.</think>Yes. <|im_end|>"}]
    ids = model.prepare(said if trained else [*said, *user("Why?")])["input_ids"][0].tolist()
    start, end = ids.index(special["<think>"]), ids.index(special["</think>"])
    assert model.family.tokenizer.decode(ids[start + 1 : end]) == "Well."
    assert ids.count(special["<|im_end|>"]) == (2 if trained else 3)  # what is typed is none


def test_text_of_a_user_never_becomes_a_special_token() -> None:
    model = loaded(FIXTURES / "qwen3_hf")
    special = model.family.tokenizer.special
    batch = model.prepare(user(image(), "<image> <|im_end|> <think>", image()))
    ids = batch["input_ids"][0].tolist()
    assert ids.count(special["<image>"]) == 140
    assert ids.count(special["<|im_end|>"]) == 1
    assert special["<think>"] not in ids
    assert "<image> <|im_end|> <think>" in batch.prompts[0]


def test_an_answer_that_begins_with_a_newline_is_learnt_whole() -> None:
    model = loaded(FIXTURES / "qwen2_hf")
    plain = model.prepare([*user("Hi"), {"role": "assistant", "content": "Yes"}])
    broken = model.prepare([*user("Hi"), {"role": "assistant", "content": "\nYes"}])
    learnt = [int((one["labels"] != -100).sum()) for one in (plain, broken)]
    assert learnt[1] > learnt[0]
    first = int((plain["labels"][0] != -100).nonzero()[0])
    assert torch.equal(plain["input_ids"][0, :first], broken["input_ids"][0, :first])


def test_times_enter_the_prompt_as_asked() -> None:
    prepare = loaded(FIXTURES / "qwen2_hf").prepare
    assert "Time" not in prepare(user(video(), "?")).prompts[0]
    assert "Time 4.0s:<image>\n" in prepare(user(video(), "?"), timestamps=True).prompts[0]
    assert "Time" not in prepare(user(video(timestamps=[0, 1, 2, 3, 4]), "?"), timestamps=False).prompts[0]


def test_a_tokenizer_in_its_old_files_gives_the_same_ids(tmp_path: Path) -> None:
    folder = _copy(tmp_path, "qwen2_hf")
    (folder / "tokenizer.json").unlink()
    conversation = user(image(), "And 肺部?\n\nAnswer with one word.")
    found = vesalius.load(str(folder), device="cpu").prepare(conversation)
    assert torch.equal(found["input_ids"], loaded(FIXTURES / "qwen2_hf").prepare(conversation)["input_ids"])


# Quirks


def test_every_quirk_has_its_line_and_its_switch() -> None:
    assert all(len(does) > 20 for does in HuluMedQuirks.explained().values())
    assert not any(vars(HuluMedQuirks.chosen("off")).values())
    assert all(vars(HuluMedQuirks.chosen("published")).values())


def grids(quirks: Any, conversation: Any, **options: Any) -> list[list[int]]:
    return loaded(FIXTURES / "qwen2_hf", quirks).prepare(conversation, **options)["grid_sizes"].tolist()


def test_width_and_height_are_exchanged_only_as_published() -> None:
    picture = np.zeros((100, 200, 3), np.uint8)
    asked = user(image(picture), "?")
    assert grids("published", asked, image_from="pil") == [[1, 14, 7]]
    assert grids("off", asked, image_from="pil") == [[1, 7, 14]]
    assert grids("published", asked) == grids("off", asked) == [[1, 7, 14]]


def test_the_first_frame_is_whole_without_the_quirk() -> None:
    asked = user(video(), "?")
    assert loaded(FIXTURES / "qwen2_hf").prepare(asked).kept_per_frame == ((1, 4, 1, 7, 20),)
    assert loaded(FIXTURES / "qwen2_hf", "off").prepare(asked).kept_per_frame == ((20, 4, 1, 7, 20),)


def test_pictures_beside_a_video_are_pooled_only_as_published() -> None:
    asked = user(image(), video(), "?")
    assert loaded(FIXTURES / "qwen2_hf").prepare(asked)["merge_sizes"].tolist() == [2, 2]
    assert loaded(FIXTURES / "qwen2_hf", "off").prepare(asked)["merge_sizes"].tolist() == [1, 2]
    assert loaded(FIXTURES / "qwen2_original").prepare(asked)["merge_sizes"].tolist() == [1, 2]


def test_sizes_of_a_mixed_call_have_a_minimum_only_without_the_quirk() -> None:
    asked = user(image(np.zeros((30, 30, 3), np.uint8)), video(), "?")
    assert grids("published", asked, layout="original")[0] == [1, 2, 2]
    high, wide = grids("off", asked, layout="original")[0][1:]
    assert high * wide >= 16


def test_slices_repeat_and_a_constant_slice_wraps_only_as_published() -> None:
    asked = user(volume(num_slices=16), "?")
    published = family().preparer
    assert grids("published", asked, volume_loader="original")[0][0] == 16
    assert published.quirks.slice_repeat
    model = loaded(FIXTURES / "qwen2_hf", "off")
    assert model.prepare(asked, volume_loader="original")["grid_sizes"][0, 0] == 10
    one = user(volume(num_slices=1), "?")
    first = loaded(FIXTURES / "qwen2_hf").prepare(one, volume_loader="original")["pixel_values"]
    assert float(first.min()) == float(first.max()) == pytest.approx((24 / 255 - 0.5) / 0.5)
    black = loaded(FIXTURES / "qwen2_hf").prepare(one, volume_loader="hf")["pixel_values"]
    assert float(black.max()) == -1.0


def test_a_volume_is_seen_as_a_radiologist_does_without_the_quirk() -> None:
    asked = user(volume(num_slices=2, window=[40, 400]), "?")
    off = loaded(FIXTURES / "qwen2_hf", "off").prepare(asked)
    assert off["grid_sizes"].tolist() == [[2, 12, 8]] or off["grid_sizes"].tolist() == [[2, 10, 8]]
    item = off.media[0].item
    (view, *_) = item.slices([off.places[0][1].slice_index], "axial", off.media[0].window)
    shown = torch.from_numpy(view.view().astype(np.float32)).mean()
    rows = off["pixel_values"].view(2, -1)[1]
    assert float((rows.mean() * 0.5 + 0.5) * 255) == pytest.approx(float(shown), abs=3)
    coronal = loaded(FIXTURES / "qwen2_hf", "off").prepare(user(volume(axis="coronal"), "?"))
    # 10 slices 2.5 mm apart are as high as 31 pixels of 0.8 mm: the picture is not squashed.
    assert coronal["grid_sizes"][0, 1] / coronal["grid_sizes"][0, 2] == pytest.approx(31 / 44, abs=0.3)


def test_slices_say_which_canonical_slice_they_are() -> None:
    batch = loaded(FIXTURES / "qwen2_hf").prepare(user(volume(axis="sagittal", num_slices=3), "?"))
    # The file runs from right to left, so its first stored slice is the last canonical one.
    assert [place.slice_index for place in batch.places[0]] == [43, 22, 0]


def saved(path: Path, picture: Any, **how: Any) -> str:
    picture.save(path, **how)
    return str(path)


def means(quirks: Any, source: Any) -> list[float]:
    """Mean of each channel, 0…255."""
    pixels = loaded(FIXTURES / "qwen2_hf", quirks).prepare(user(image(source), "?"))["pixel_values"]
    return ((pixels.view(-1, 3, 196).mean((0, 2)) * 0.5 + 0.5) * 255).tolist()


def test_pictures_are_opened_by_pillow_only_as_published(tmp_path: Path) -> None:
    clear = Image.fromarray(np.full((60, 90, 4), (200, 100, 50, 0), np.uint8))
    for source in (saved(tmp_path / "clear.png", clear), clear):
        assert means("published", source) == pytest.approx([200, 100, 50], abs=0.1)  # hidden colours show
        assert means("off", source) == pytest.approx([0, 0, 0], abs=0.1)
    deep = np.tile(np.linspace(0, 4000, 90).astype(np.uint16), (60, 1))
    path = saved(tmp_path / "deep.png", Image.fromarray(deep))
    assert means("published", path)[0] > 230  # everything above 255 is white
    assert means("off", path)[0] == pytest.approx(127, abs=6)
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = np.zeros((56, 112, 3), np.uint8)
    turned[:, :56] = 255
    path = saved(tmp_path / "turned.jpg", Image.fromarray(turned), exif=exif, quality=95)
    asked = user(image(path), "?")
    # As stored 4 x 8 patches, exchanged by Pillow's size; upright 8 x 4.
    assert grids("published", asked, min_tokens=1) == [[1, 8, 4]]
    first = [
        loaded(FIXTURES / "qwen2_hf", q).prepare(asked, min_tokens=1)["pixel_values"] for q in ("published", "off")
    ]
    assert first[0].shape == first[1].shape
    assert grids("off", asked, min_tokens=1) == [[1, 8, 4]]
    assert float((first[0] - first[1]).abs().mean()) > 0.5  # left half white against top half white


def test_an_answer_that_repeats_itself_ends_only_with_quirks_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vesalius.models.parts.token_stream._choose", lambda logits, *_: [5] * len(logits))
    for quirks, finish in (("published", "length"), ("off", "repetition")):
        model = loaded(FIXTURES / "qwen2_hf", quirks)
        assert model.ask(user("Why?"), max_new_tokens=40).usage.finish == finish
        assert model.ask_batch([user("Why?")], max_new_tokens=40)[0].usage.finish == finish


# Streams, times and frames


def test_a_stream_of_pictures_with_times_has_its_own_tokens() -> None:
    stream = [
        {"role": "stream", "content": [{**image(), "timestamp": 0.05}, {**image(), "timestamp": 3.25}]},
        *user("What changed?"),
    ]
    pictures = "Time 0.1s: <image>\nTime 3.2s: <image>\n"
    rest = "<|im_start|>user\nWhat changed?<|im_end|>\n<|im_start|>assistant\n"
    model = loaded(FIXTURES / "qwen2_hf")
    assert model.prepare(stream).prompts[0] == f"<|stream_start|>stream\n{pictures}<|stream_end|>{rest}"
    older = model.prepare(stream, layout="original").prompts[0]
    assert older == f"<|stream_start|>stream\n{pictures}<|stream_end|>\n{rest}"
    assert torch.isfinite(model.logits(model.prepare(stream))).all()


def frames_of(folder: Path, count: int = 7) -> list[str]:
    folder.mkdir()
    shades = [Image.fromarray(np.full((40, 70, 3), 30 * k, np.uint8)) for k in range(count)]
    return [saved(folder / f"frame_{k}.png", shade) for k, shade in enumerate(shades)]


def test_a_list_of_pictures_is_a_clip_whose_frames_are_all_taken(tmp_path: Path) -> None:
    files = frames_of(tmp_path / "frames")
    model = loaded(FIXTURES / "qwen2_hf")
    listed = {"type": "video", "video": files, "timestamps": [0, 1, 2, 4, 8, 16, 32]}
    batch = model.prepare(user(listed, "?"))
    assert batch["grid_sizes"].tolist()[0][0] == 7
    assert "Time 32.0s:<image>\n" in batch.prompts[0]
    stacked = np.stack([np.asarray(Image.open(file)) for file in files])
    array = model.prepare(user({"type": "video", "video": stacked}, "?"))
    assert torch.equal(batch["pixel_values"], array["pixel_values"])
    images = model.prepare(user({"type": "video", "video": [Image.open(file) for file in files]}, "?"))
    assert torch.equal(images["pixel_values"], array["pixel_values"])
    with pytest.raises(InputError, match="2 timestamps and 7 frames"):
        model.prepare(user({**listed, "timestamps": [0, 1]}, "?"))
    odd = saved(tmp_path / "odd.png", Image.fromarray(np.zeros((41, 70, 3), np.uint8)))
    with pytest.raises(InputError, match="differ in size"):
        model.prepare(user({"type": "video", "video": [*files, odd]}, "?"))


def test_a_folder_of_pictures_is_read_at_each_readers_own_rate(tmp_path: Path) -> None:
    frames_of(tmp_path / "frames")
    clip = user({"type": "video", "video": str(tmp_path / "frames")}, "?")
    model = loaded(FIXTURES / "qwen2_hf")
    batch = model.prepare(clip)  # 3 frames a second, the last of each second
    assert [place.frame for place in batch.places[0]] == [2, 5]
    assert "Time 1.0s:<image>" in batch.prompts[0]
    older = model.prepare(clip, layout="original")  # 1 frame a second: all of them
    assert [place.frame for place in older.places[0]] == list(range(7))
    rows, columns = older["grid_sizes"][0, 1:].tolist()
    assert rows > columns  # opened by Pillow, so height and width are exchanged
    off = loaded(FIXTURES / "qwen2_hf", "off").prepare(clip, layout="original")
    assert off["grid_sizes"][0, 1:].tolist() == [columns, rows]


def test_what_is_generated_is_told_as_ids() -> None:
    model = loaded(FIXTURES / "qwen2_hf")
    batch = model.prepare(user(image(), "Describe."))
    ids = model.generate(batch, max_new_tokens=6)
    assert ids.tolist() == [model.ask(user(image(), "Describe."), max_new_tokens=6).trace["new_tokens"]]


# Token reduction


def test_reduction_strategies_of_one_video() -> None:
    prepare = loaded(FIXTURES / "qwen2_hf").prepare
    counts: dict[str, tuple[int, ...]] = {}
    for rule in ("none", "hulumed", "videollama3", "vesalius"):
        (counts[rule],) = prepare(user(video(), "?"), reduction_rule=rule).kept_per_frame
    assert counts["none"] == (20,) * 5
    assert counts["videollama3"] == (20, 4, 1, 8, 20)
    assert counts["vesalius"][0] == 20
    assert min(counts["vesalius"]) >= 1
    assert sum(counts["vesalius"]) < 60
    fixed = [
        sum(prepare(user(video(), "?"), reduction_rule="vesalius", reduction_threshold=grey).kept_per_frame[0])
        for grey in (1, 250)
    ]
    assert fixed[1] < fixed[0]


SMALL, WHOLE = (96, 96, 24), (160, 160, 48)


@pytest.mark.parametrize(
    ("modality", "region", "shape", "seeds"),
    [
        ("ct", "chest", SMALL, (300, 301, 302, 303)),
        ("ct", "abdomen", SMALL, (300, 301, 302, 303)),
        ("mr", "head", SMALL, (300, 301, 302, 303)),
        ("mr", "head", WHOLE, (300, 302)),  # textured all over: spots are everywhere
    ],
)
def test_saving_tokens_never_loses_a_lesion(
    modality: str, region: str, shape: tuple[int, int, int], seeds: tuple[int, ...]
) -> None:
    shares: list[float] = []
    for seed in seeds:
        truth = draw_volume(seed, modality, shape, region=region)
        study = vesalius.read(truth.values, affine=truth.affine_ras, modality=modality.upper())
        batch = loaded(FIXTURES / "qwen2_hf").prepare(
            user({"type": "volume", "volume": study}, "?"), reduction_rule="vesalius"
        )
        frames, rows, columns = (batch["grid_sizes"][0] // torch.tensor([1, 2, 2])).tolist()
        kept = batch["kept_mask"].view(frames, rows, columns).numpy()
        shares.append(float(kept.mean()))
        assert kept[0].all()
        for number, size_mm in enumerate(truth.instance_sizes_mm, 1):
            x, y, z = np.nonzero(truth.instances == number)  # rows run along x as published
            assert size_mm < 6 or kept[z, x * rows // shape[0], y * columns // shape[1]].any(), (seed, number)
    assert np.mean(shares) <= 0.35


# Bad input


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"merge_sizes": 2}, "Did you mean merge_size"),
        ({"layout": "old"}, "layout is 'old'"),
        ({"merge_size": 0}, "merge_size is 0"),
        ({"merge_size": [1, 2]}, "merge_size names 2 items"),
        ({"reduction_rule": "hulu"}, "no token reduction"),
        ({"max_tokens": -1}, "max_tokens is -1"),
        ({"token_reduction": "yes"}, "token_reduction is 'yes'"),
        ({"add_system_prompt": True}, "no system sentence"),
    ],
)
def test_options_that_are_not_there_are_named(options: dict[str, Any], said: str) -> None:
    with pytest.raises(OptionError, match=said):
        loaded(FIXTURES / "qwen2_hf").prepare(user(image(), "?"), **options)


def test_conversations_that_cannot_be_used_say_why() -> None:
    model = loaded(FIXTURES / "qwen2_hf")
    with pytest.raises(InputError, match="empty"):
        model.family.prepare([])
    with pytest.raises(InputError, match="3 timestamps and 5 frames"):
        model.prepare(user(video(timestamps=[0, 1, 2]), "?"))
    with pytest.raises(InputError, match="no answer to learn"):
        model.loss(model.prepare(user("Hi")))
    with pytest.raises(OptionError, match="no option 'mask'"):
        model.loss(model.prepare(user("Hi")), mask=1)
    with pytest.raises(OptionError, match="labels are"):
        model.loss(model.prepare(user("Hi")), labels=torch.zeros(1, 3))
    with pytest.raises(InputError, match="0 pictures"):
        model.family.tokenizer.encode(_pieces("<image>"), [], training=False)


def _pieces(name: str) -> list[Any]:
    from vesalius.models.hulumed.prompt import Piece

    return [Piece(name, special=True)]


def test_too_long_a_conversation_is_counted_and_refused() -> None:
    with pytest.raises(LimitError, match=r"tokens; the model reads at most 32768"):
        loaded(FIXTURES / "qwen2_hf").prepare(user("a b c d " * 9000))


def _copy(folder: Path, name: str) -> Path:
    target = folder / name
    shutil.copytree(FIXTURES / name, target, ignore=shutil.ignore_patterns("cases"))
    return target


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda tensors: tensors.pop("model.norm.weight"), "missing tensors .model.norm.weight"),
        (lambda tensors: tensors.update(extra=torch.zeros(1)), "unknown tensors .extra"),
        (lambda tensors: tensors.update({"model.norm.weight": torch.zeros(3)}), r"shape \(3,\)"),
    ],
)
def test_tensors_that_do_not_fit_are_named(tmp_path: Path, change: Any, said: str) -> None:
    folder = _copy(tmp_path, "qwen2_hf")
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises(CheckpointError, match=said):
        vesalius.load(str(folder))


def test_damaged_checkpoints_are_refused(tmp_path: Path) -> None:
    folder = _copy(tmp_path, "qwen2_hf")
    weights = folder / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CheckpointError, match="cut off"):
        vesalius.load(str(folder))
    weights.unlink()
    (folder / "pytorch_model.bin").write_bytes(b"x")
    with pytest.raises(CheckpointError, match="pickle"):
        vesalius.load(str(folder))
    (folder / "pytorch_model.bin").unlink()
    with pytest.raises(WeightsMissingError):
        vesalius.load(str(folder))


def test_a_tokenizer_of_another_model_is_refused(tmp_path: Path) -> None:
    folder = _copy(tmp_path, "qwen2_hf")
    shutil.copy(FIXTURES / "qwen3_hf" / "tokenizer.json", folder / "tokenizer.json")
    with pytest.raises(CheckpointError, match="image_token_index is 295"):
        vesalius.load(str(folder))


def test_weights_of_the_encoder_repository_never_win(tmp_path: Path) -> None:
    folder = _copy(tmp_path, "qwen2_original")
    own = load_file(folder / "model.safetensors")
    name = "model.vision_encoder.vision_encoder.post_layernorm.weight"
    save_file({"post_layernorm.weight": own[name] + 1}, folder / "encoder" / "model.safetensors")
    found = vesalius.load(str(folder), device="cpu").family
    assert isinstance(found, HuluMed)
    assert torch.equal(found.model.state_dict()["model.vision_encoder.post_layernorm.weight"], own[name])
    shutil.rmtree(folder / "encoder")
    with pytest.raises(CheckpointError, match="SigLip-NaViT"):
        vesalius.load(str(folder))


def test_frames_in_portions_are_frames_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from vesalius.models.hulumed import vision

    model = loaded(FIXTURES / "qwen2_hf")
    batch = model.prepare(user(video(), "?"))
    at_once = model.trace(batch)["vision_features"]
    monkeypatch.setattr(vision, "_PATCHES_AT_ONCE", 100)
    assert float((model.trace(batch)["vision_features"] - at_once).abs().max()) < 1e-5


def test_half_precision_loads_and_answers() -> None:
    model = vesalius.load(str(FIXTURES / "qwen2_hf"), device="cpu", dtype="bfloat16")
    batch = model.prepare(user(image(), "Describe."))
    assert model.logits(batch).dtype == torch.float32
    assert model.ask(user(image(), "Describe."), max_new_tokens=2).usage.new_tokens == 2
    wide: NDArray[np.float32] = loaded(FIXTURES / "qwen2_hf").logits(batch).numpy()
    assert np.abs(model.logits(batch).numpy() - wide).max() < 0.2


def test_the_config_says_when_reduction_is_off(tmp_path: Path) -> None:
    folder = _copy(tmp_path, "qwen2_hf")
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    (folder / "config.json").write_text(json.dumps({**config, "use_token_compression": False}), encoding="utf-8")
    model = vesalius.load(str(folder), device="cpu")
    assert model.prepare(user(video(), "?"))["kept_mask"].all()
    assert not model.prepare(user(video(), "?"), token_reduction=True)["kept_mask"].all()
