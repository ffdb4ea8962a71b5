"""A run does what its recipe says: accumulation, frozen parts, adapters that load and merge, checkpoints that go on."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import TrainingArguments

import vesalius
from tests.training import tiny
from vesalius.errors import CheckpointError, OptionError
from vesalius.models.convert import convert
from vesalius.training.learned_rows import Learned, Row, RowStream, packed_row
from vesalius.training.meters import Meters
from vesalius.training.parts import learning_parts, parameter_groups
from vesalius.training.recipe_reading import filled
from vesalius.training.recipe_sft import SftRecipe
from vesalius.training.save_trained import save_trained
from vesalius.training.sft import train_sft
from vesalius.training.trainer import RowTrainer


class PlainSteps(RowTrainer):
    """Steps against the gradient itself: AdamW's first step is its sign, which turns where it is near nothing."""

    def create_optimizer(self, model: Any = None) -> torch.optim.Optimizer:
        self.optimizer = torch.optim.SGD(parameter_groups(self.learning, self.recipe), lr=1.0)
        return self.optimizer


def trained(
    model: Any, rows: Sequence[Row], recipe: SftRecipe, folder: Path, kind: type[RowTrainer] = RowTrainer
) -> tuple[RowTrainer, Meters]:
    """Train on these rows in this order."""

    def again() -> Iterator[Row]:
        while True:
            yield from rows

    learning = learning_parts(model.family, recipe)
    arguments = TrainingArguments(
        str(folder), max_steps=recipe.steps, gradient_accumulation_steps=recipe.accumulate, use_cpu=True, report_to=[],
        save_strategy="no", logging_steps=1, disable_tqdm=True, max_grad_norm=recipe.max_grad_norm,
        remove_unused_columns=False, bf16=recipe.precision == "bfloat16",
    )  # fmt: skip
    meters = Meters(recipe.max_length)
    trainer = kind(model.family, learning, recipe, arguments, RowStream(again), meters=meters)
    trainer.train()
    return trainer, meters


def weights(model: Any) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in model.family.model.state_dict().items()}


@pytest.mark.parametrize(("name", "masked"), [("medmo", False), ("citrusv", True)])
def test_two_layouts_of_accumulation_give_one_update(name: str, masked: bool, tmp_path: Path) -> None:
    parts = {"vision": "train", "projector": "train", "language": "train"} | ({"mask_head": "train"} if masked else {})
    recipe = tiny.recipe(parts, steps=1, learning_rate=0.1, warmup=0, schedule="constant")
    made: list[dict[str, Tensor]] = []
    losses: list[float] = []
    for layout in ([[0, 1, 2]], [[0], [1, 2]], [[0], [1], [2]]):
        model = tiny.load(name)
        several = [
            tiny.learned(model, name, "a cyst" + " or two" * (2 * k), k, masked=masked and k != 1) for k in range(3)
        ]
        rows = [packed_row(model.family, [several[k] for k in row]) for row in layout]
        trainer, _ = trained(model, rows, replace(recipe, accumulate=len(rows)), tmp_path, kind=PlainSteps)
        made.append(weights(model))
        losses.append(trainer.state.log_history[0]["loss"])
    assert losses == pytest.approx([losses[0]] * 3, rel=1e-5)
    for other in made[1:]:
        assert max(float((made[0][key] - other[key]).abs().max()) for key in other) < 1e-6


def test_frozen_parts_stay_bit_identical_and_the_log_shows_parts_and_tasks(tmp_path: Path) -> None:
    model = tiny.load("hulumed")
    before = weights(model)
    recipe = tiny.recipe({"projector": "train"}, steps=3, learning_rate=1e-2, warmup=0, weight_decay=0.1)
    trainer, _ = trained(model, [tiny.row(model, "hulumed")], recipe, tmp_path)
    after = weights(model)
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed
    assert all("mm_projector" in name for name in changed)
    entry = trainer.state.log_history[-2]
    assert entry["grad_norm/projector"] > 0
    assert entry["loss/task/qa"] == pytest.approx(entry["loss/cross_entropy"])
    assert {"tokens_per_s", "filled", "memory_gb", "learning_rate/projector"} <= set(entry)
    losses = [one["loss"] for one in trainer.state.log_history if "loss" in one]
    assert losses[-1] < losses[0]


def test_a_part_that_no_gradient_reaches_ends_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny.load("m3dclip")
    see = model.family.model.see_volumes
    monkeypatch.setattr(model.family.model, "see_volumes", lambda *given: see(*given).detach())
    recipe = tiny.recipe({"vision": "train", "language": "train"}, steps=2)
    with pytest.raises(OptionError, match="no gradient reaches vision"):
        trained(model, [tiny.row(model, "m3dclip")], recipe, tmp_path)


def test_mask_gradients_are_scaled_before_they_reach_the_language_model() -> None:
    norms: dict[float | None, dict[str, float]] = {}
    for factor in (None, 0.001):
        model = tiny.load("citrusv")
        learning_parts(model.family, tiny.recipe({"language": "train", "mask_head": "train"}))
        options = {} if factor is None else {"seg_grad_hook": factor}
        made = model.family.row_loss(tiny.row(model, "citrusv", masked=True).batch, **options)
        torch.stack([total for total, _ in made.others.values()]).sum().backward()
        parts = model.family.parts()
        norms[factor] = {
            part: float(sum(v.grad.norm() ** 2 for v in parts[part].parameters() if v.grad is not None)) ** 0.5
            for part in ("language", "mask_head")
        }
    assert norms[0.001]["language"] == pytest.approx(norms[None]["language"] * 0.001, rel=1e-3)
    assert norms[0.001]["mask_head"] > 0.01 * norms[None]["mask_head"]


@pytest.mark.parametrize("name", ["hulumed", "medmo", "citrusv", "slices"])
def test_adapters_are_loaded_and_merged_to_the_same_logits(name: str, tmp_path: Path) -> None:
    model = tiny.load(name)
    plans = {"language": {"mode": "lora", "rank": 4, "alpha": 16.0}, "projector": "train"}
    recipe = tiny.recipe(plans, steps=2, learning_rate=1e-2, warmup=0)
    trainer, _ = trained(model, [tiny.row(model, name)], recipe, tmp_path / "run")
    base = tiny.FIXTURES / tiny.EVERY[name]
    save_trained(model.family, trainer.learning, base, tmp_path / "adapter", str(base))
    model.family.model.eval()
    asked = tiny.conversation(name, "a cyst")
    options = {"volume_intensity": "0_255"} if name == "slices" else {}
    there = model.logits(model.prepare(asked, **options))
    loaded = tiny.load(name, adapter=tmp_path / "adapter")
    untouched = tiny.load(name)
    close = 1e-5 * max(1.0, float(there.abs().max()))
    assert float((loaded.logits(loaded.prepare(asked, **options)) - there).abs().max()) < close
    assert float((untouched.logits(untouched.prepare(asked, **options)) - there).abs().max()) > 1e-3
    convert(base, tmp_path / "merged", to="same", adapter=tmp_path / "adapter")
    merged = vesalius.load(str(tmp_path / "merged"), device="cpu", dtype="float32")
    assert float((merged.logits(merged.prepare(asked, **options)) - there).abs().max()) < close


def test_peft_reads_the_adapter_too(tmp_path: Path) -> None:
    from peft import PeftModel

    model = tiny.load("medmo")
    recipe = tiny.recipe({"language": {"mode": "lora", "rank": 4}}, steps=2, learning_rate=1e-2, warmup=0)
    trainer, _ = trained(model, [tiny.row(model, "medmo")], recipe, tmp_path / "run")
    save_trained(model.family, trainer.learning, tiny.FIXTURES / tiny.EVERY["medmo"], tmp_path / "adapter", "base")
    model.family.model.eval()
    asked = tiny.conversation("medmo", "a cyst")
    there = model.logits(model.prepare(asked))
    other = tiny.load("medmo")
    PeftModel.from_pretrained(other.family.model, str(tmp_path / "adapter"))
    assert float((other.logits(other.prepare(asked)) - there).abs().max()) < 1e-5


def test_an_adapter_of_another_base_is_refused(tmp_path: Path) -> None:
    model = tiny.load("medmo")
    recipe = tiny.recipe({"language": {"mode": "lora", "rank": 4}}, steps=1)
    trainer, _ = trained(model, [tiny.row(model, "medmo")], recipe, tmp_path / "run")
    base = tiny.FIXTURES / tiny.EVERY["medmo"]
    save_trained(model.family, trainer.learning, base, tmp_path / "adapter", "base")
    with pytest.raises(CheckpointError, match="another base"):
        tiny.load("qwen2_5_vl", adapter=tmp_path / "adapter")
    (tmp_path / "adapter" / "vesalius.json").unlink()
    with pytest.raises(CheckpointError, match=r"does not have|the weight"):
        tiny.load("hulumed", adapter=tmp_path / "adapter")
    with pytest.raises(CheckpointError, match=r"no adapter_config\.json"):
        tiny.load("medmo", adapter=tmp_path)
    with pytest.raises(OptionError, match="quantize"):
        tiny.load("medmo", adapter=tmp_path / "adapter", quantize="8bit")
    convert(base, tmp_path / "clean", to="clean")
    vesalius.load(str(tmp_path / "clean"), device="cpu", adapter=tmp_path / "adapter")


def run(folder: Path, data: Path, **keys: Any) -> Any:
    given = {
        "model": str(tiny.FIXTURES / "hulumed" / "qwen2_hf"), "out": str(folder), "data": [{"path": str(data)}],
        "parts": {"projector": "train", "language": "train"}, "prepare": {"max_tokens": 16}, "max_length": 160,
        "steps": 4, "learning_rate": 1e-2, "warmup": 0, "precision": "float32", "device": "cpu", "log_every": 1,
        "look_ahead": 4, "report_to": [],
    }  # fmt: skip
    lines: list[str] = []
    made = train_sft(filled(SftRecipe, {**given, **keys}, "recipe"), lines.append)
    return made, lines


def test_a_whole_checkpoint_is_written_and_a_stage_starts_from_it(tmp_path: Path) -> None:
    data = tiny.write_samples(tmp_path / "data")
    first, lines = run(tmp_path / "one", data, eval={"data": [{"path": str(data)}], "every": 2, "rows": 3})
    losses = [entry["loss"] for entry in first.log if "loss" in entry]
    assert losses[-1] < losses[0]
    assert any("eval_loss" in entry for entry in first.log)
    assert any("tokens/s" in line and "shade" in line for line in lines)
    card = (tmp_path / "one" / "card.html").read_text()
    assert "polyline" in card
    assert str(data) in card
    assert json.loads((tmp_path / "one" / "log.json").read_text())["data_sha256"]
    answered = vesalius.load(str(first.folder), device="cpu")
    assert answered.ask(tmp_path / "data" / "images" / "0.png", "What is it?", max_new_tokens=2).text is not None
    second, _ = run(tmp_path / "two", data, **{"from": str(tmp_path / "one")})
    again = [entry["loss"] for entry in second.log if "loss" in entry]
    assert again[0] < losses[0]
    with pytest.raises(OptionError, match="another recipe"):
        run(tmp_path / "two", data, steps=5)


def test_a_stage_starts_from_an_adapter(tmp_path: Path) -> None:
    data = tiny.write_samples(tmp_path / "data")
    lora = {"projector": "freeze", "language": {"mode": "lora", "rank": 4}}
    first, _ = run(tmp_path / "one", data, parts=lora)
    second, _ = run(tmp_path / "two", data, parts=lora, **{"from": str(tmp_path / "one")})
    losses = [[entry["loss"] for entry in one.log if "loss" in entry] for one in (first, second)]
    assert losses[1][0] < losses[0][0]
    (base,) = (tmp_path / "two").glob("base-*")
    vesalius.load(str(base), device="cpu", adapter=second.folder)


def test_a_run_goes_on_where_it_stopped(tmp_path: Path) -> None:
    import shutil

    data = tiny.write_samples(tmp_path / "data")
    run(tmp_path / "straight", data, save_every=2)
    shutil.copytree(tmp_path / "straight", tmp_path / "resumed")
    shutil.rmtree(tmp_path / "resumed" / "checkpoint-4")
    run(tmp_path / "resumed", data, save_every=2)
    one, two = (vesalius.load(str(tmp_path / name / "final"), device="cpu") for name in ("straight", "resumed"))
    for (name, value), (_, other) in zip(weights(one).items(), weights(two).items(), strict=True):
        assert torch.equal(value, other), name


def test_what_learns_is_counted_before_anything_is_computed() -> None:
    model = tiny.load("medmo")
    several: list[Learned] = [tiny.learned(model, "medmo", "a cyst" + " or" * k, k) for k in range(3)]
    row = packed_row(model.family, several)
    made = model.family.row_loss(row.batch)
    assert made.tokens == row.tokens
    assert made.tokens_per_sample == tuple(one.tokens for one in several)
    assert model.family.length(row.batch) == row.length


@pytest.mark.parametrize("name", ["hulumed", "slices", "medmclip", "citrusv", "medmo"])
def test_half_precision_freezes_in_half_and_learns_in_whole(name: str, tmp_path: Path) -> None:
    model = tiny.load(name)
    plans = {"projector": "train", "language": {"mode": "lora", "rank": 4}}
    plans |= {"mask_head": "train"} if name == "citrusv" else {}
    recipe = tiny.recipe(plans, steps=3, learning_rate=1e-2, warmup=0, precision="bfloat16")
    trainer, _ = trained(model, [tiny.row(model, name, masked=name == "citrusv")], recipe, tmp_path)
    kinds = {(value.requires_grad, value.dtype) for value in model.family.model.parameters()}
    assert kinds == {(True, torch.float32), (False, torch.bfloat16)}
    losses = [one["loss"] for one in trainer.state.log_history if "loss" in one]
    assert losses[-1] < losses[0]
