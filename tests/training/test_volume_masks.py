"""Masks on the slices of a volume are learnt: a NIfTI mask on every shown slice, a picture on the one it names."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.training import tiny
from vesalius.dialogue.samples import read_samples
from vesalius.errors import InputError
from vesalius.models.contract import SliceMask, VolumeMask
from vesalius.phantoms.write import write_phantoms
from vesalius.study.read import read
from vesalius.training.recipe_reading import filled
from vesalius.training.recipe_sft import SftRecipe, check_recipe
from vesalius.training.sft import train_sft

PARTS = {"mask_head": "train", "projector": "train", "language": "train"}


@pytest.fixture(scope="module")
def volumes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Samples that ask for masks in phantom volumes, four slices of which are shown."""
    folder = tmp_path_factory.mktemp("volumes") / "drawn"
    write_phantoms(folder, count=2, kind="volume", size=32)
    rows: list[str] = []
    for sample in read_samples(folder / "samples.jsonl"):
        if sample.tags.task == "mask":
            told = json.loads(sample.model_dump_json())
            told["media"][0]["meta"] = {"num_slices": 4}
            rows.append(json.dumps(told))
    (folder / "masks.jsonl").write_text("\n".join(rows) + "\n")
    assert len(rows) >= 2
    return folder


def train(data: Path, out: Path, steps: int = 6) -> list[dict[str, float]]:
    given = {
        "model": str(tiny.FIXTURES / "citrusv" / "citrusv_tiny"), "out": str(out), "data": [{"path": str(data)}],
        "parts": PARTS, "steps": steps, "max_length": 1024, "precision": "float32", "device": "cpu", "report_to": [],
        "learning_rate": 1e-3, "warmup": 0, "log_every": 1, "look_ahead": 2, "bad_samples": 0,
    }  # fmt: skip
    return list(train_sft(check_recipe(filled(SftRecipe, given, "recipe"), "recipe"), lambda line: None).log)


def test_a_nifti_mask_is_learnt_on_every_shown_slice(volumes: Path, tmp_path: Path) -> None:
    log = [entry for entry in train(volumes / "masks.jsonl", tmp_path / "run") if "loss" in entry]
    assert log[-1]["loss"] < log[0]["loss"] - 0.05
    assert log[-1]["loss/dice"] + log[-1]["loss/bce_times_2"] < log[0]["loss/dice"] + log[0]["loss/bce_times_2"]


def asked(model: Any, volume: np.ndarray[Any, Any], masks: list[Any], said: str) -> Any:
    item = read(volume, affine=np.eye(4)).volumes[0]
    shown = {"type": "volume", "volume": item, "num_slices": 3, "axis": "axial"}
    turns = [{"role": "user", "content": [shown, {"type": "text", "text": "Outline it."}]}]
    return model.prepare([*turns, {"role": "assistant", "content": said}], masks=masks)


def test_a_mask_lies_on_the_slices_that_show_it() -> None:
    model = tiny.load("citrusv")
    values = np.random.default_rng(0).integers(0, 255, (24, 20, 6)).astype(np.int16)
    inside = np.zeros((24, 20, 6), np.uint8)
    inside[4:9, 5:15, 3:] = 2
    whole = VolumeMask(read(inside, affine=np.eye(4)).volumes[0], 2)
    one = np.full((20, 24), 255, np.uint8)
    batch = asked(model, values, [whole, SliceMask(one, 5)], "Here [SEG] and [SEG]")
    shown = [sight.where.slice_index for sight in batch.plan.segmented]
    assert shown[-1] == 5
    assert batch.plan.samples[0].drawn == ((0, 0), (1, 0), (2, 0), (2, 1))
    areas = [int(mask.sum()) for mask in batch["gt_masks"]]
    assert [area > 0 for area in areas[:3]] == [index >= 3 for index in shown]
    assert areas[3] == batch["gt_masks"][3].numel()
    alone = asked(model, values, [SliceMask(one, 5)], "Here [SEG]")
    row = model.family.row_loss(model.family.pack([batch, alone]))
    assert [count for _, count in row.others.values()] == [5, 5]
    separate = [model.family.row_loss(each).others for each in (batch, alone)]
    for name, (total, _) in row.others.items():
        assert float(total.detach()) == pytest.approx(sum(float(each[name][0].detach()) for each in separate), abs=1e-4)
    with pytest.raises(InputError, match="slice 4, which is not shown"):
        asked(model, values, [SliceMask(one, 4)], "Here [SEG]")
    with pytest.raises(InputError, match=r"a mask is \(24, 20, 5\)"):
        asked(model, values, [VolumeMask(read(inside[..., :5], affine=np.eye(4)).volumes[0])], "Here [SEG]")


def test_mask_pictures_name_their_slice_in_the_samples(volumes: Path, tmp_path: Path) -> None:
    rows = [json.loads(line) for line in (volumes / "masks.jsonl").read_text().splitlines()]
    for number, told in enumerate(rows):
        told["media"][0] |= {"path": str(volumes / told["media"][0]["path"]), "meta": {"num_slices": 48}}
        Image.fromarray(np.full((32, 32), 255, np.uint8)).save(tmp_path / f"{number}.png")
        mask = {"label": "cyst", "path": f"{number}.png", "axis": "axial", "slice": 20}
        told["turns"][-1] |= {"text": "", "targets": {"masks": [mask]}}
    data = tmp_path / "samples.jsonl"
    data.write_text("\n".join(map(json.dumps, rows)) + "\n")
    assert len([entry for entry in train(data, tmp_path / "run", 1) if "loss/dice" in entry]) == 1
    for told in rows:
        told["media"][0]["meta"] = {"num_slices": 2}
    data.write_text("\n".join(map(json.dumps, rows)) + "\n")
    with pytest.raises(InputError, match=r"row 1: .*axial slice 20, which is not shown"):
        train(data, tmp_path / "other", 1)
