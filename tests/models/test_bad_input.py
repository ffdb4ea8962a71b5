"""What every published family refuses, and that it says why in one line."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import vesalius
from tests.models.parity import ROOT, loaded, user
from vesalius.errors import CheckpointError, InputError, LimitError, OptionError, VesaliusError, WeightsMissingError

FIXTURES = ROOT / "tests" / "fixtures"
IMAGE = {"type": "image", "image": np.zeros((40, 60, 3), np.uint8)}


@dataclass(frozen=True)
class Sample:
    """`context`: tokens it reads. `tensor`: one of its weights. `special`: the key of config.json with the id of a
    special token, and what the error names."""

    folder: Path
    context: int
    tensor: str
    special: tuple[str, str]


SAMPLES = {
    "medmo": Sample(FIXTURES / "medmo/qwen3vl_tiny", 4096, "lm_head.weight", ("image_token_id", "image_token_id")),
    "qwen2_5_vl": Sample(
        FIXTURES / "medmo/qwen25vl_tiny", 4096, "lm_head.weight", ("video_token_id", "video_token_id")
    ),
    "citrusv": Sample(FIXTURES / "citrusv/citrusv_tiny", 4096, "seg_projector.0.weight", ("seg_token_idx", r"\[SEG\]")),
    "hulumed": Sample(
        FIXTURES / "hulumed/qwen2_hf", 32768, "model.norm.weight", ("image_token_index", "image_token_index")
    ),
    "medmvl": Sample(
        FIXTURES / "medmvl/siglip_mlp_qwen2", 1024, "connector_image.connector.0.weight", ("eos_token_id", "ends")
    ),
}
EVERY = pytest.mark.parametrize("name", SAMPLES)


def refused(kind: type[VesaliusError], says: str, act: Callable[[], Any]) -> None:
    with pytest.raises(kind, match=says) as caught:
        act()
    assert "\n" not in str(caught.value)


def copied(tmp_path: Path, name: str) -> Path:
    folder = tmp_path / name
    shutil.copytree(SAMPLES[name].folder, folder, ignore=shutil.ignore_patterns("cases"))
    return folder


# Conversations


@EVERY
def test_an_empty_conversation_is_refused(name: str) -> None:
    model = loaded(SAMPLES[name].folder)
    refused(InputError, "empty", lambda: model.prepare([]))
    refused(InputError, "empty", lambda: model.family.prepare([]))
    refused(InputError, "no content", lambda: model.ask([{"role": "user", "content": []}]))
    refused(InputError, "ends with an answer", lambda: model.ask([*user("Hi"), {"role": "assistant", "content": "a"}]))


@EVERY
@pytest.mark.parametrize(
    ("part", "says"),
    [
        ({"type": "images", "images": ["a.png"]}, "unknown type 'images'. Did you mean image?"),
        ({"type": "audio", "audio": "a.wav"}, "unknown type 'audio'. Known: text, image"),
        ({"type": "image", "image": "a.png", "max_pixels": 5}, "unknown key 'max_pixels'"),
        ({"type": "video", "video": "a.mp4", "timestamp": [0]}, "Did you mean timestamps?"),
        ({"type": "image", "path": "a.png"}, "unknown key 'path'"),
    ],
)
def test_an_unknown_part_names_the_nearest_known(name: str, part: dict[str, Any], says: str) -> None:
    model = loaded(SAMPLES[name].folder)
    refused(InputError, says.replace("?", r"\?"), lambda: model.prepare(user(part, "What?")))


@EVERY
def test_an_unknown_option_is_named(name: str) -> None:
    model = loaded(SAMPLES[name].folder)
    refused(OptionError, "beam_size", lambda: model.prepare(user("What?"), beam_size=3))
    refused(OptionError, "beam_size", lambda: model.ask(user("What?"), beam_size=3))


@EVERY
def test_too_long_a_conversation_is_counted(name: str) -> None:
    model, most = loaded(SAMPLES[name].folder), SAMPLES[name].context
    long = "é" * (2 * most)
    length = f"[0-9]{{{len(str(most))},}} (tokens|positions).*{most}"
    refused(LimitError, length, lambda: model.prepare(user(IMAGE, long)))
    refused(LimitError, length, lambda: model.ask_batch([(user("Hi"), None), (user(long), None)], max_new_tokens=1))
    near = "é" * ((most - 250) // 2)
    room = r"\d+ tokens.*" + str(most) if name != "medmvl" else r"\d+ tokens.*2048"
    refused(LimitError, room, lambda: model.ask(user(near), max_new_tokens=8000))


@EVERY
def test_a_stream_is_only_for_who_knows_it(name: str) -> None:
    model = loaded(SAMPLES[name].folder)
    stream = [{"role": "stream", "content": [{**IMAGE, "timestamp": 1.0}]}, *user("What?")]
    if name == "hulumed":
        assert model.prepare(stream).prompts[0].startswith("<|stream_start|>stream\nTime 1.0s: <image>\n<|stream_end|>")
    else:
        refused(InputError, "no messages of role stream", lambda: model.prepare(stream))


# Pictures and placeholders


@EVERY
def test_more_pictures_than_placeholders_and_the_reverse(name: str) -> None:
    model = loaded(SAMPLES[name].folder)
    one, two = (model.prepare(user(*[IMAGE] * count, "What?")) for count in (1, 2))
    pixels = [key for key in two if key.startswith(("pixel", "image_grid", "grid", "merge", "image_f", "kept"))]
    more, fewer = dict(one.tensors), dict(two.tensors)
    for key in pixels:
        more[key], fewer[key] = two[key], one[key]
    none = {key: value for key, value in one.tensors.items() if key not in pixels}
    for tensors in (more, fewer, none):
        refused(
            InputError, r"\d+ .*(visual tokens|placeholders|features)", lambda tensors=tensors: model.logits(tensors)
        )


# Checkpoints


@EVERY
@pytest.mark.parametrize("change", ["missing", "extra", "shape"])
def test_tensors_that_do_not_fit_are_named(name: str, change: str, tmp_path: Path) -> None:
    folder, tensor = copied(tmp_path, name), SAMPLES[name].tensor
    file = folder / "model.safetensors"
    tensors = load_file(file)
    if change == "missing":
        del tensors[tensor]
    elif change == "extra":
        tensors["other.weight"] = torch.zeros(2)
    else:
        tensors[tensor] = torch.zeros(3, 5)
    save_file(tensors, file)
    says = {"missing": f"missing tensors.*{tensor}", "extra": r"other\.weight", "shape": f"{tensor}.*shape"}[change]
    refused(CheckpointError, says, lambda: vesalius.load(str(folder), device="cpu"))


@EVERY
def test_cut_off_and_pickled_weights_are_refused(name: str, tmp_path: Path) -> None:
    folder = copied(tmp_path, name)
    weights = folder / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[: len(whole) // 2])
    refused(CheckpointError, "cut off", lambda: vesalius.load(str(folder)))
    weights.unlink()
    refused(WeightsMissingError, "no safetensors", lambda: vesalius.load(str(folder)))
    (folder / "pytorch_model.bin").write_bytes(b"x")
    refused(CheckpointError, "pickle.*convert FOLDER NEW --from-pickle", lambda: vesalius.load(str(folder)))


@EVERY
def test_a_tokenizer_of_another_model_is_refused(name: str, tmp_path: Path) -> None:
    folder = copied(tmp_path, name)
    key, says = SAMPLES[name].special
    path = folder / ("llm_config.json" if name == "medmvl" else "config.json")
    config = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**config, key: (config.get(key) or 8) - 1}), encoding="utf-8")
    refused(CheckpointError, says, lambda: vesalius.load(str(folder)))
    shutil.copy(SAMPLES[name].folder / path.name, path)
    for file in (*folder.glob("*tok*"), *folder.glob("vocab*"), *folder.glob("merges*")):
        file.unlink()
    other = FIXTURES / "medmvl" / ("clip_mlp_llama3" if name == "medmvl" else "siglip_mlp_qwen2")
    for file in (*other.glob("*tok*"), *other.glob("vocab*"), *other.glob("merges*")):
        shutil.copy(file, folder)
    refused(CheckpointError, "token", lambda: vesalius.load(str(folder)))


def test_a_family_nobody_knows_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "gpt2"}', encoding="utf-8")
    refused(CheckpointError, "no family knows.*gpt2.*Known", lambda: vesalius.load(str(tmp_path)))
    (tmp_path / "config.json").write_text("[", encoding="utf-8")
    refused(CheckpointError, "JSON", lambda: vesalius.load(str(tmp_path)))
    (tmp_path / "config.json").unlink()
    refused(CheckpointError, r"no config\.json", lambda: vesalius.load(str(tmp_path)))


@pytest.mark.parametrize(
    ("name", "option", "value"),
    [
        ("medmo", "max_pixels", "large"),
        ("medmo", "min_pixels", 0),
        ("medmo", "do_sample_frames", "no"),
        ("medmo", "packed", 1),
        ("citrusv", "seg_image", "first"),
        ("citrusv", "max_pixels", True),
        ("hulumed", "reduction_threshold", "low"),
        ("hulumed", "reduction_threshold", -1),
    ],
)
def test_an_option_of_another_kind_is_named(name: str, option: str, value: Any) -> None:
    model = loaded(SAMPLES[name].folder)
    refused(OptionError, f"^{option} is {value!r}; it ", lambda: model.prepare(user(IMAGE, "?"), **{option: value}))
