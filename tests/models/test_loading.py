"""Loading: straight to device and dtype, what contradicts itself refused, too large refused before anything is read."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

import vesalius
from benchmarks.loading import measured
from benchmarks.wide_checkpoint import write_wide
from tests.models.sharded import TINY, copied, question, stored, tiny
from vesalius import limits
from vesalius.errors import CheckpointError, LimitError, OptionError
from vesalius.models.memory import _room_of_cgroup, free_bytes
from vesalius.models.shards import read_header, read_tensor, staging_buffer

FAMILIES = list(TINY)
CPU = torch.device("cpu")


def load(folder: Path, **options: Any) -> Any:
    told: dict[str, Any] = options if "device_map" in options else {"device": "cpu"} | options
    return vesalius.load(str(folder), **told)


# Straight to device and dtype


@pytest.mark.parametrize("family", FAMILIES)
def test_several_files_and_an_index_load_as_one_file(family: str, tmp_path: Path) -> None:
    whole = load(tiny(family)).family.model.state_dict()
    parts = load(copied(family, tmp_path / "c")).family.model.state_dict()
    assert whole.keys() == parts.keys()
    assert all(torch.equal(whole[name], parts[name]) for name in whole)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_answers_in_every_dtype(family: str, dtype: str) -> None:
    model = load(tiny(family), dtype=dtype)
    assert {str(p.dtype) for p in model.family.model.parameters()} == {f"torch.{dtype}"}
    assert not [name for name, value in model.family.model.state_dict().items() if value.device.type != "cpu"]
    logits = model.logits(model.prepare(question(family)))
    exact = load(tiny(family), dtype="float32")
    near = exact.logits(exact.prepare(question(family)))
    assert (logits - near).norm() / near.norm() < {"float32": 1e-6, "bfloat16": 0.06, "float16": 0.01}[dtype]
    assert model.ask(question(family), max_new_tokens=2).usage.new_tokens <= 2


def test_auto_is_the_dtype_the_checkpoint_says(tmp_path: Path) -> None:
    folder = copied("hulumed", tmp_path / "c")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "torch_dtype": "bfloat16"}))
    assert load(folder).family.model.lm_head.weight.dtype == torch.bfloat16
    with pytest.raises(OptionError, match="int8"):
        load(folder, dtype="int8")


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's high-water mark")
@pytest.mark.parametrize(("held", "asked"), [(torch.float32, "float32"), (torch.bfloat16, "float32")])
def test_loading_takes_no_second_copy(held: torch.dtype, asked: str, tmp_path: Path) -> None:
    folder = tmp_path / "wide"
    size = write_wide(tiny("medmo"), folder, width=14, layers=6, dtype=held, shard_bytes=20 << 20)
    assert len(list(folder.glob("*.safetensors"))) > 2
    taken = measured(tiny("medmo"), folder, dtype=asked, device="cpu")
    assert taken.kept == size * 4 // held.itemsize > 60e6
    assert taken.peak < 1.15 * taken.kept


def test_a_file_gives_each_tensor_in_any_dtype_without_being_mapped(tmp_path: Path) -> None:
    torch.manual_seed(0)
    tensors = {
        "big": torch.randn(3, 700_001),
        "half": torch.randn(1_500_000).bfloat16(),
        "one": torch.tensor(2.5),
        "none": torch.zeros(0, 4),
        "flags": torch.tensor([True, False, True]),
        "ids": torch.arange(5),
    }
    save_file(tensors, tmp_path / "a.safetensors")
    header, buffer = read_header(tmp_path / "a.safetensors"), staging_buffer()
    assert set(header) == set(tensors)
    for name, value in tensors.items():
        assert torch.equal(read_tensor(header[name], value.dtype, CPU, buffer), value)
        assert torch.equal(read_tensor(header[name], torch.float64, CPU, buffer), value.double())
    assert str(tmp_path) not in Path("/proc/self/maps").read_text() if sys.platform == "linux" else True


# Files that contradict themselves or their config


def of_text(tensors: dict[str, torch.Tensor]) -> str:
    """A tensor of the language model that every family has."""
    return next(name for name in tensors if name.endswith("layers.0.mlp.down_proj.weight"))


@pytest.mark.parametrize("family", FAMILIES)
def test_tensors_that_are_missing_left_over_or_of_another_shape_are_named(family: str, tmp_path: Path) -> None:
    tensors = stored(family)
    name = of_text(tensors)
    changes: dict[str, dict[str, torch.Tensor]] = {
        "missing tensors": {key: value for key, value in tensors.items() if key != name},
        "unknown tensors": {**tensors, name.replace("layers.0", "layers.90"): tensors[name].clone()},
        "has shape": {**tensors, name: tensors[name][:-1].clone()},
    }
    for number, (said, changed) in enumerate(changes.items()):
        folder = copied(family, tmp_path / str(number), changed, files=1 + 2 * (number % 2))
        with pytest.raises(CheckpointError, match=said) as caught:
            load(folder)
        assert "mlp.down_proj.weight" in str(caught.value)
        assert "\n" not in str(caught.value)


def _cut(folder: Path) -> None:
    path = folder / "model-00002-of-00003.safetensors"
    path.write_bytes(path.read_bytes()[:-7])


def _no_header(folder: Path) -> None:
    (folder / "model-00002-of-00003.safetensors").write_bytes(b"\x10")


def _lost(folder: Path) -> None:
    (folder / "model-00002-of-00003.safetensors").unlink()


def _promised(folder: Path) -> None:
    edit_index(folder, lambda shards: shards.update({"more.weight": "model-00002-of-00003.safetensors"}))


def _unannounced(folder: Path) -> None:
    edit_index(folder, lambda shards: shards.pop(next(iter(shards))))


def _twice(folder: Path) -> None:
    path = folder / "model-00002-of-00003.safetensors"
    first = load_file(folder / "model-00001-of-00003.safetensors")
    name = next(iter(first))
    save_file({**load_file(path), name: first[name]}, path)


def _outside(folder: Path) -> None:
    edit_index(folder, lambda shards: shards.update({next(iter(shards)): "../model.safetensors"}))


def _pickled(folder: Path) -> None:
    for path in folder.glob("model*.safetensors*"):
        path.unlink()
    (folder / "pytorch_model.bin").write_bytes(b"\x80\x02.")


def edit_index(folder: Path, change: Callable[[dict[str, str]], Any]) -> None:
    path = folder / "model.safetensors.index.json"
    index = json.loads(path.read_text())
    change(index["weight_map"])
    path.write_text(json.dumps(index))


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (_cut, "00002-of-00003.*cut off or damaged"),
        (_no_header, "cut off or damaged"),
        (_lost, r"1 of 3 files .* missing \(model-00002-of-00003"),
        (_promised, r"not in it \(more\.weight\)"),
        (_unannounced, "not in the index"),
        (_twice, "is in two files|not in the index"),
        (_outside, "outside the folder"),
        (_pickled, r"pickle.*vesalius convert FOLDER NEW --from-pickle"),
    ],
)
@pytest.mark.parametrize("family", ["medmo", "citrusv", "hulumed", "medmvl"])
def test_damaged_files_are_one_clear_error(family: str, damage: Any, said: str, tmp_path: Path) -> None:
    folder = copied(family, tmp_path / "c")
    damage(folder)
    with pytest.raises(CheckpointError, match=said) as caught:
        load(folder)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("family", "key"),
    [("medmo", "image_token_id"), ("citrusv", "seg_token_idx"), ("hulumed", "image_token_index")],
)
def test_an_id_of_a_special_token_that_is_not_the_tokenizers_is_refused(family: str, key: str, tmp_path: Path) -> None:
    folder = copied(family, tmp_path / "c")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, key: 7}))
    with pytest.raises(CheckpointError, match=key):
        load(folder)


def test_numbers_of_an_unknown_kind_are_refused(tmp_path: Path) -> None:
    header = json.dumps({"x": {"dtype": "F8_E8M0", "shape": [1], "data_offsets": [0, 1]}}).encode()
    path = tmp_path / "a.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + b"\0")
    with pytest.raises(CheckpointError, match="F8_E8M0"):
        read_header(path)


# Memory


@pytest.mark.parametrize("family", FAMILIES)
def test_weights_that_do_not_fit_are_refused_with_both_numbers(family: str) -> None:
    own = load(tiny(family), dtype="float32").family.model.state_dict(keep_vars=True).values()
    weights = sum(value.nbytes for value in {id(value): value for value in own}.values())
    with limits.using(replace(limits.current(), max_model_bytes=weights - 1)):
        with pytest.raises(LimitError, match=r"need \d.* MB of memory, \d.* MB are available\. Use dtype") as caught:
            load(tiny(family), dtype="float32")
        assert f"{weights / 1e6:.2f} MB" in str(caught.value)
        assert all(word in str(caught.value) for word in ("bfloat16", "8bit", "device_map"))
        load(tiny(family), dtype="bfloat16")
    with limits.using(replace(limits.current(), max_model_bytes=weights)):
        load(tiny(family), dtype="float32")


def test_the_refusal_comes_before_a_byte_is_read(tmp_path: Path) -> None:
    """8.6 GB that take no room on disk."""
    tensors = stored("medmo")
    rows = 1 << 24
    config = json.loads((tiny("medmo") / "config.json").read_text())
    config["text_config"]["vocab_size"] = rows
    folder = copied("medmo", tmp_path / "c")
    for path in folder.glob("model*"):
        path.unlink()
    (folder / "config.json").write_text(json.dumps(config))
    header: dict[str, Any] = {}
    at = 0
    for name, value in tensors.items():
        shape = [rows, *value.shape[1:]] if name.endswith(("embed_tokens.weight", "lm_head.weight")) else value.shape
        size = 4 * torch.Size(shape).numel()
        header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header).encode()
    with (folder / "model.safetensors").open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + at)
    with (
        limits.using(replace(limits.current(), max_model_bytes=4 * 10**9)),
        pytest.raises(LimitError, match=r"need 8\.59 GB of memory, 4\.00 GB are available"),
    ):
        load(folder)


@pytest.mark.skipif(sys.platform != "linux", reason="limits of a Linux process")
def test_a_limit_of_the_process_counts() -> None:
    import resource

    import psutil

    before = resource.getrlimit(resource.RLIMIT_AS)
    try:
        resource.setrlimit(resource.RLIMIT_AS, (psutil.Process().memory_info().vms + (64 << 20), before[1]))
        assert free_bytes(CPU) <= 64 << 20
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def test_the_tightest_control_group_counts_and_droppable_pages_do_not(tmp_path: Path) -> None:
    def group(folder: Path, **values: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for name, value in values.items():
            (folder / name.replace("_", ".", 1)).write_text(value)

    proc = tmp_path / "cgroup"
    proc.write_text("0::/job/inner\n")
    root = tmp_path / "fs"
    group(root / "job", memory_max="1000\n", memory_current="700\n", memory_stat="anon 400\ninactive_file 200\n")
    group(root / "job" / "inner", memory_max="max\n", memory_current="700\n")
    assert _room_of_cgroup(proc, root) == 500
    group(root / "job" / "inner", memory_max="800\n")
    assert _room_of_cgroup(proc, root) == 100
    proc.write_text("4:cpu,memory:/job\n0::/\n")
    old = root / "memory" / "job"
    old.mkdir(parents=True)
    (old / "memory.limit_in_bytes").write_text("900")
    (old / "memory.usage_in_bytes").write_text("600")
    assert _room_of_cgroup(proc, root) == 300
    (old / "memory.limit_in_bytes").write_text(str(2**63 - 4096))
    assert _room_of_cgroup(proc, root) is None
    assert _room_of_cgroup(tmp_path / "nowhere", root) is None
