"""Conversion: every published layout to the clean one and back, without losing a tensor, a bit or a setting."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

import vesalius
from tests.models.parity import ROOT, Case
from vesalius.cli.main import main
from vesalius.errors import CheckpointError, InputError, LimitError, OptionError, VesaliusError, WeightsMissingError
from vesalius.models.checkpoint_files import TensorNames, clean_config
from vesalius.models.convert import convert
from vesalius.models.registry import FAMILIES

SHARED = ROOT.parent / "shared" / "fixtures"
PLACES = (SHARED, ROOT / "tests" / "fixtures")
CHECKPOINTS = sorted(path.parent for path in next(one for one in PLACES if one.is_dir()).glob("*/*/config.json"))
QWEN3, LLAMA = "medmo/qwen3vl_tiny", "medmvl/clip_mlp_llama3"
PARTS = {"vision", "vision_3d", "connector", "connector_3d", "language", "mask_connector", "mask_head", "unused"}


def checkpoint(name: str) -> Path:
    return ROOT / "tests" / "fixtures" / name


def copied(tmp_path: Path, name: str) -> Path:
    folder = tmp_path / "source"
    shutil.copytree(checkpoint(name), folder, ignore=shutil.ignore_patterns("cases"))
    return folder


def tensors(folder: Path) -> dict[str, tuple[str, list[int], bytes]]:
    """Of every safetensors file of a folder: (dtype, shape, bytes) by name."""
    made: dict[str, tuple[str, list[int], bytes]] = {}
    for path in folder.glob("*.safetensors"):
        with safe_open(path, framework="pt") as file:
            for name in file.keys():  # noqa: SIM118  (no dict)
                part = file.get_slice(name)
                values = file.get_tensor(name).contiguous().flatten().view(torch.uint8)
                made[name] = (part.get_dtype(), part.get_shape(), values.numpy().tobytes())
    return made


def files(folder: Path) -> dict[str, Any]:
    """Everything else: JSON settings as values, other files as bytes."""
    made: dict[str, Any] = {}
    for path in folder.rglob("*"):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and not name.startswith("cases/") and ".safetensors" not in name:
            settings = name.endswith("config.json") and "tokenizer" not in name
            made[name] = json.loads(path.read_text(encoding="utf-8")) if settings else path.read_bytes()
    return made


def same(one: Path, other: Path) -> None:
    for place in ("", "encoder"):
        assert tensors(one / place) == tensors(other / place)
    assert files(one) == files(other)


# --- there and back ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("source", CHECKPOINTS, ids=lambda path: path.name)
def test_there_and_back_nothing_is_lost(source: Path, tmp_path: Path) -> None:
    clean = convert(source, tmp_path / "clean")
    assert clean.layout == "clean"
    assert clean.lossless
    back = convert(tmp_path / "clean", tmp_path / "back")
    assert back.family == clean.family
    same(source, tmp_path / "back")


@pytest.mark.parametrize("source", CHECKPOINTS, ids=lambda path: path.name)
def test_the_clean_layout_computes_the_same(source: Path, tmp_path: Path) -> None:
    convert(source, tmp_path / "clean")
    path = min((source / "cases").glob("*.json"), key=lambda one: (one.stem.startswith("train"), one.stat().st_size))
    case = Case(source, path.stem)
    several = isinstance(case.conversation[0], list)
    asked = case.conversation[0] if several else case.conversation
    options = {} if several else case.options
    given: list[Any] = []
    for folder in (source, tmp_path / "clean"):
        model: Any = vesalius.load(str(folder), device="cpu", dtype="float32")
        given.append(model.logits(model.prepare(asked, **options)))
    assert torch.equal(*given)


@pytest.mark.parametrize("source", CHECKPOINTS, ids=lambda path: path.name)
def test_clean_names_begin_with_the_part_they_belong_to(source: Path, tmp_path: Path) -> None:
    convert(source, tmp_path / "clean")
    found = tensors(tmp_path / "clean")
    config = clean_config(tmp_path / "clean")
    assert config is not None
    assert {name.split(".")[0] for name in found} == set(config["parameters"]) <= PARTS
    assert "language.embed_tokens.weight" in found
    counted = sum(len(data) for _, _, data in found.values()) // 4
    assert sum(config["parameters"].values()) == counted
    assert config["quirks"].keys() == FAMILIES[config["family"]].quirks().explained().keys()


def test_a_clean_folder_holds_one_config_and_the_tokenizer(tmp_path: Path) -> None:
    convert(checkpoint("citrusv/citrusv_tiny"), tmp_path / "clean")
    names = {path.name for path in (tmp_path / "clean").iterdir()}
    tokenizer = {"added_tokens.json", "merges.txt", "tokenizer.json", "tokenizer_config.json", "vocab.json"}
    assert names == tokenizer | {"config.json", "model.safetensors"}
    with safe_open(tmp_path / "clean" / "model.safetensors", framework="pt") as file:
        assert file.metadata()["source_layout"] == "late"


@pytest.mark.parametrize("name", [QWEN3, LLAMA])
def test_weights_are_cut_into_files_with_an_index(name: str, tmp_path: Path) -> None:
    convert(checkpoint(name), tmp_path / "clean", max_shard_bytes=40_000)
    paths = sorted((tmp_path / "clean").glob("*.safetensors"))
    assert len(paths) > 3
    for path in paths:
        held = load_file(path)
        assert len(held) == 1 or sum(one.nbytes for one in held.values()) <= 40_000
    vesalius.load(str(tmp_path / "clean"), device="cpu")
    convert(tmp_path / "clean", tmp_path / "back")
    same(checkpoint(name), tmp_path / "back")


def test_a_head_stored_twice_is_kept_once_and_comes_back_twice(tmp_path: Path) -> None:
    source = copied(tmp_path, LLAMA)
    head = load_file(source / "model-00001-of-00003.safetensors")["llm.model.embed_tokens.weight"]
    save_file({"llm.lm_head.weight": head}, source / "model-00004.safetensors")
    index = json.loads((source / "model.safetensors.index.json").read_text())
    index["weight_map"]["llm.lm_head.weight"] = "model-00004.safetensors"
    (source / "model.safetensors.index.json").write_text(json.dumps(index))
    made = convert(source, tmp_path / "clean")
    assert made.shared == ("language.lm_head.weight",)
    assert "language.lm_head.weight" not in tensors(tmp_path / "clean")
    model: Any = vesalius.load(str(tmp_path / "clean"), device="cpu")
    assert torch.equal(model.family.model.llm.lm_head.weight, head)
    again = convert(tmp_path / "clean", tmp_path / "again", to="clean")
    assert again.shared == made.shared
    convert(tmp_path / "again", tmp_path / "back")
    assert tensors(tmp_path / "back") == tensors(source)


def test_tensors_of_every_type_keep_their_bytes(tmp_path: Path) -> None:
    source = copied(tmp_path, QWEN3)
    held = load_file(source / "model.safetensors")
    types = [torch.bfloat16, torch.float16, torch.float8_e4m3fn, torch.float64, torch.bool, torch.int64]
    for number, (name, tensor) in enumerate(sorted(held.items())):
        held[name] = tensor.to(types[number % len(types)])
    held["model.language_model.scalar"], held["model.language_model.none"] = torch.tensor(3.0), torch.zeros(0, 4)
    save_file(held, source / "model.safetensors")
    convert(source, tmp_path / "clean")
    convert(tmp_path / "clean", tmp_path / "back")
    assert tensors(tmp_path / "back") == tensors(source)


def test_files_beside_the_weights_come_along_and_others_are_named(tmp_path: Path) -> None:
    source = copied(tmp_path, QWEN3)
    (source / "LICENSE").write_text("terms")
    (source / "modeling_own.py").write_text("raise SystemExit")
    (source / "optimizer.pt").write_bytes(b"x")
    (source / "consolidated.safetensors").write_bytes(b"x")
    (source / "model.safetensors.index.json").write_text(
        json.dumps({"weight_map": dict.fromkeys(tensors_of(source), "model.safetensors")})
    )
    made = convert(source, tmp_path / "clean")
    assert set(made.left) == {"optimizer.pt", "consolidated.safetensors"}
    convert(tmp_path / "clean", tmp_path / "back")
    assert (tmp_path / "back" / "LICENSE").read_text() == "terms"
    assert (tmp_path / "back" / "modeling_own.py").is_file()


def tensors_of(folder: Path) -> list[str]:
    with safe_open(folder / "model.safetensors", framework="pt") as file:
        return list(file.keys())


# --- settings from elsewhere ------------------------------------------------------------------------------------------


def test_sizes_the_published_folder_leaves_out_are_written_into_the_clean_one(tmp_path: Path) -> None:
    source = copied(tmp_path, "medmvl/siglip_mlp_qwen2")
    elsewhere = tmp_path / "llm"
    elsewhere.mkdir()
    shutil.move(source / "llm_config.json", elsewhere / "config.json")
    config = json.loads((source / "config.json").read_text())
    (source / "config.json").write_text(json.dumps({**config, "lvlm_llm_name_or_path": str(elsewhere)}))
    convert(source, tmp_path / "clean")
    shutil.rmtree(elsewhere)
    vesalius.load(str(tmp_path / "clean"), device="cpu")
    convert(tmp_path / "clean", tmp_path / "back")
    same(source, tmp_path / "back")


def test_an_encoder_outside_the_checkpoint_is_written_into_the_clean_one(tmp_path: Path) -> None:
    source = copied(tmp_path, "hulumed/qwen2_original")
    shutil.move(source / "encoder", tmp_path / "navit")
    config = json.loads((source / "config.json").read_text())
    (source / "config.json").write_text(json.dumps({**config, "vision_encoder": str(tmp_path / "navit")}))
    convert(source, tmp_path / "clean")
    convert(source, tmp_path / "hf", to="hf")
    shutil.rmtree(tmp_path / "navit")
    vesalius.load(str(tmp_path / "clean"), device="cpu")
    assert files(tmp_path / "hf")["config.json"] == files(checkpoint("hulumed/qwen2_hf"))["config.json"]


# --- Hulu-Med's two layouts -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("through_clean", [False, True])
def test_hulumed_goes_from_one_published_layout_to_the_other(through_clean: bool, tmp_path: Path) -> None:
    original, hf = checkpoint("hulumed/qwen2_original"), checkpoint("hulumed/qwen2_hf")
    for source, to, expected in ((original, "hf", hf), (hf, "original", original)):
        start = source
        if through_clean:
            start = tmp_path / f"clean_{to}"
            convert(source, start)
        convert(start, tmp_path / to, to=to)
        assert tensors(tmp_path / to) == tensors(expected)
        assert files(tmp_path / to) == files(expected)
        vesalius.load(str(tmp_path / to), device="cpu")


def test_qwen3_in_the_original_layout_keeps_the_name_the_package_gave(tmp_path: Path) -> None:
    convert(checkpoint("hulumed/qwen3_hf"), tmp_path / "original", to="original")
    assert files(tmp_path / "original")["config.json"]["model_type"] == "hulumed_qwen2"
    convert(tmp_path / "original", tmp_path / "hf", to="hf")
    same(checkpoint("hulumed/qwen3_hf"), tmp_path / "hf")


def test_other_families_have_no_original_layout(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="no original layout"):
        convert(checkpoint(QWEN3), tmp_path / "new", to="original")
    convert(checkpoint(QWEN3), tmp_path / "clean")
    convert(tmp_path / "clean", tmp_path / "hf", to="hf")
    same(checkpoint(QWEN3), tmp_path / "hf")


# --- dtypes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32"])
def test_floats_are_cast_where_it_is_asked_for(dtype: str, tmp_path: Path) -> None:
    made = convert(checkpoint(QWEN3), tmp_path / "clean", dtype=dtype)
    assert made.lossless == (dtype == "float32")
    model: Any = vesalius.load(str(tmp_path / "clean"), device="cpu")
    assert {one.dtype for one in model.family.model.parameters()} == {getattr(torch, dtype)}
    before = load_file(checkpoint(QWEN3) / "model.safetensors")
    convert(tmp_path / "clean", tmp_path / "back")
    after = load_file(tmp_path / "back" / "model.safetensors")
    assert all(torch.equal(after[name], before[name].to(getattr(torch, dtype))) for name in before)


def test_a_value_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    source = copied(tmp_path, QWEN3)
    held = load_file(source / "model.safetensors")
    held["lm_head.weight"][3, 5] = 1e6
    save_file(held, source / "model.safetensors")
    with pytest.raises(OptionError, match=r"lm_head\.weight.*1e\+06, more than float16"):
        convert(source, tmp_path / "clean", dtype="float16")
    assert not (tmp_path / "clean").exists()


# --- pickles ----------------------------------------------------------------------------------------------------------


def pickled(tmp_path: Path, save: Callable[[dict[str, torch.Tensor], Path], None]) -> Path:
    source = copied(tmp_path, QWEN3)
    save(load_file(source / "model.safetensors"), source)
    (source / "model.safetensors").unlink()
    return source


def save_shards(held: dict[str, torch.Tensor], folder: Path) -> None:
    names = sorted(held)
    where = {name: f"pytorch_model-0000{1 + number % 2}-of-00002.bin" for number, name in enumerate(names)}
    for file in set(where.values()):
        torch.save({name: held[name] for name in names if where[name] == file}, folder / file)
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps({"weight_map": where}))
    torch.save({"step": 3}, folder / "optimizer.pt")


@pytest.mark.parametrize(
    "save",
    [
        save_shards,
        lambda held, folder: torch.save({"state_dict": held}, folder / "model.pt"),
        lambda held, folder: torch.save(held, folder / "old.bin", _use_new_zipfile_serialization=False),
    ],
    ids=["shards", "wrapped", "before 1.6"],
)
def test_pickled_tensors_are_taken_only_where_it_is_asked_for(save: Any, tmp_path: Path) -> None:
    source = pickled(tmp_path, save)
    for attempt in (lambda: convert(source, tmp_path / "clean"), lambda: vesalius.load(str(source))):
        with pytest.raises(CheckpointError, match="--from-pickle"):
            attempt()
    convert(source, tmp_path / "clean", from_pickle=True)
    convert(tmp_path / "clean", tmp_path / "back")
    assert tensors(tmp_path / "back") == tensors(checkpoint(QWEN3))


class Opened:
    """A pickle of this writes a file when it is opened by a reader that trusts it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return (Path.touch, (self.path,))


@pytest.mark.parametrize("content", ["code", "text", "cut", "number", "nothing"])
def test_pickles_that_hold_more_than_tensors_are_refused(content: str, tmp_path: Path) -> None:
    def save(held: dict[str, torch.Tensor], folder: Path) -> None:
        path = folder / "pytorch_model.bin"
        made: Any = {"code": {**held, "x": Opened(tmp_path / "ran")}, "number": {"x": 3}, "nothing": {}}
        torch.save(made.get(content, held), path)
        if content in ("text", "cut"):
            path.write_bytes(b"hello" if content == "text" else path.read_bytes()[:5000])

    source = pickled(tmp_path, save)
    with pytest.raises(CheckpointError):
        convert(source, tmp_path / "clean", from_pickle=True)
    assert not (tmp_path / "ran").exists()
    assert not (tmp_path / "clean").exists()


def test_a_folder_without_weights_is_named(tmp_path: Path) -> None:
    source = copied(tmp_path, QWEN3)
    (source / "model.safetensors").unlink()
    for asked in (False, True):
        with pytest.raises(WeightsMissingError):
            convert(source, tmp_path / "clean", from_pickle=asked)


# --- refusals ---------------------------------------------------------------------------------------------------------


def test_a_destination_that_is_taken_is_left_alone(tmp_path: Path) -> None:
    source = copied(tmp_path, QWEN3)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").write_text("mine")
    (tmp_path / "file").write_text("mine")
    (tmp_path / "link").symlink_to(source)
    for destination, said in (
        ("full", "not an empty folder"),
        ("file", "not an empty folder"),
        ("source", "same folder"),
        ("link", "same folder"),
        ("source/inside", "one another"),
    ):
        with pytest.raises(OptionError, match=said):
            convert(source, tmp_path / destination)
    assert (tmp_path / "full" / "mine").read_text() == (tmp_path / "file").read_text() == "mine"
    (tmp_path / "empty").mkdir()
    convert(source, tmp_path / "empty")
    assert clean_config(tmp_path / "empty")


def broken(folder: Path, way: str) -> None:
    path = folder / "model.safetensors"
    config = json.loads((folder / "config.json").read_text())
    if way == "cut off":
        path.write_bytes(path.read_bytes()[:-100])
    elif way == "unknown family":
        (folder / "config.json").write_text(json.dumps({**config, "model_type": "other"}))
    elif way == "no config":
        (folder / "config.json").unlink()
    elif way == "unknown tensor":
        save_file({**load_file(path), "elsewhere.weight": torch.zeros(2)}, path)
    else:
        (folder / "config.json").write_text("{")


@pytest.mark.parametrize("way", ["cut off", "unknown family", "no config", "unknown tensor", "no JSON"])
def test_a_damaged_source_is_refused_and_leaves_nothing(way: str, tmp_path: Path) -> None:
    source = copied(tmp_path, QWEN3)
    broken(source, way)
    with pytest.raises(CheckpointError):
        convert(source, tmp_path / "new" / "clean")
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


def change_clean(folder: Path, **values: Any) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **values}))


@pytest.mark.parametrize(
    "values",
    [{"format_version": 2}, {"settings": {}}, {"tensor_names": [1]}, {"same_tensor": {"a": 1}}, {"tensor_names": {}}],
)
def test_a_damaged_clean_folder_is_refused(values: dict[str, Any], tmp_path: Path) -> None:
    convert(checkpoint(QWEN3), tmp_path / "clean")
    change_clean(tmp_path / "clean", **values)
    for attempt in (
        lambda: vesalius.load(str(tmp_path / "clean"), device="cpu"),
        lambda: convert(tmp_path / "clean", tmp_path / "back"),
    ):
        with pytest.raises(CheckpointError):
            attempt()


@pytest.mark.parametrize("trick", ["../out/config.json", "/out.json", "tensor"])
def test_a_clean_folder_writes_nothing_outside_the_new_one(trick: str, tmp_path: Path) -> None:
    convert(checkpoint(QWEN3), tmp_path / "clean")
    if trick == "tensor":
        held = load_file(tmp_path / "clean" / "model.safetensors")
        save_file({**held, "unused.../out/weight": torch.zeros(2)}, tmp_path / "clean" / "model.safetensors")
    else:
        name = str(tmp_path / "out.json") if trick.startswith("/") else trick
        config = clean_config(tmp_path / "clean")
        assert config is not None
        change_clean(tmp_path / "clean", settings={**config["settings"], name: {}})
    with pytest.raises(CheckpointError, match="outside its folder"):
        convert(tmp_path / "clean", tmp_path / "back")
    assert [path.name for path in tmp_path.iterdir()] == ["clean"]


def test_the_starter_has_one_layout(tmp_path: Path) -> None:
    folder = Path(vesalius.__file__).parent / "models" / "starter_weights"
    if not (folder / "config.json").is_file():
        pytest.skip("no trained starter here")
    with pytest.raises(OptionError, match="one layout only"):
        convert(folder, tmp_path / "clean")


def test_a_disk_that_is_too_full_is_named_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = copied(tmp_path, QWEN3)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=10**6))
    with pytest.raises(LimitError, match=r"0\.00 GB are free"):
        convert(source, tmp_path / "new" / "clean")
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


def test_a_write_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = copied(tmp_path, QWEN3)

    def failing(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copyfile", failing)
    with pytest.raises(InputError, match="No space left"):
        convert(source, tmp_path / "new" / "clean")
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


def test_options_out_of_range_are_named(tmp_path: Path) -> None:
    options: list[dict[str, Any]] = [{"to": "gguf"}, {"dtype": "int8"}, {"max_shard_bytes": 0}]
    for option in options:
        with pytest.raises(OptionError):
            convert(checkpoint(QWEN3), tmp_path / "clean", **option)
    with pytest.raises(OptionError, match="no checkpoint folder"):
        convert(tmp_path / "nowhere", tmp_path / "clean")


# --- size -------------------------------------------------------------------------------------------------------------


def large(folder: Path, num_megabytes: int) -> Path:
    """A Qwen3-VL folder whose language model holds that much."""
    source = copied(folder, QWEN3)
    held = load_file(source / "model.safetensors")
    for number in range(num_megabytes // 64):
        held[f"model.language_model.extra.{number}.weight"] = torch.full((16, 1 << 20), float(number))
    save_file(held, source / "model.safetensors")
    return source


_MEASURED = """
import resource, sys
from vesalius.models.convert import convert
from vesalius.models.convert_source import open_checkpoint
import torch, safetensors.torch
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
convert(sys.argv[1], sys.argv[2], dtype=sys.argv[3] or None)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.parametrize("dtype", ["", "bfloat16"])
def test_memory_does_not_grow_with_the_checkpoint(dtype: str, tmp_path: Path) -> None:
    source = large(tmp_path, 320)
    run = [sys.executable, "-c", _MEASURED, str(source), str(tmp_path / "clean"), dtype]
    done = subprocess.run(run, capture_output=True, text=True, check=True)
    assert int(done.stdout) < 96 * 1024  # KiB; the checkpoint holds 320 MiB


def test_an_interrupted_conversion_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source = copied(tmp_path, QWEN3)

    @contextmanager
    def interrupting() -> Iterator[Any]:
        """Ctrl-C when half is written."""
        yield lambda done, total: signal.raise_signal(signal.SIGINT) if done > total / 2 else None

    monkeypatch.setattr("vesalius.cli.convert._progress", interrupting)
    assert main(["convert", str(source), str(tmp_path / "new" / "clean")]) == 130
    assert capsys.readouterr().err == "vesalius: interrupted.\n"
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


# --- names ------------------------------------------------------------------------------------------------------------


def test_every_published_name_of_the_full_models_has_a_clean_one_of_its_own() -> None:
    shapes = json.loads((checkpoint("citrusv") / "statedict_8b_shapes.json").read_text())
    names = [name for name in (shapes.get("shapes") or shapes) if "." in name]
    assert len(names) == 1633
    layout: Any = FAMILIES["citrusv"].layout
    laid = layout(checkpoint("citrusv/citrusv_tiny"), files(checkpoint("citrusv/citrusv_tiny"))["config.json"], names)
    table = TensorNames(laid.prefixes)
    clean = [table.clean(name) for name in names]
    assert len(set(clean)) == len(names)
    assert [table.published(str(name)) for name in clean] == names


def test_progress_counts_every_byte(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    made = convert(checkpoint(QWEN3), tmp_path / "clean", on_progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (made.num_bytes, made.num_bytes)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


def test_errors_are_one_line_without_a_traceback(tmp_path: Path) -> None:
    with pytest.raises(VesaliusError) as caught:
        convert(checkpoint(QWEN3), tmp_path / "clean", to="hub")
    assert "\n" not in str(caught.value)
