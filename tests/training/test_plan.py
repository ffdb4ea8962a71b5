"""Plans count what training holds, and published sizes are those of the published shapes."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.training import tiny
from vesalius.cli.main import main
from vesalius.errors import OptionError
from vesalius.training.parts import learning_parts, parameter_groups
from vesalius.training.plan import GPUS, PUBLISHED, plan_of, size_of

HULUMED = tiny.FIXTURES / "hulumed"
WHOLE = {"vision": "train", "projector": "train", "language": "train"}


@pytest.mark.parametrize("name", ["4B", "7B", "14B", "32B"])
def test_published_hulumed_sizes_are_those_of_their_shapes(name: str) -> None:
    noted = json.loads((HULUMED / "tables" / "published_key_shapes.json").read_text())[name]
    size = PUBLISHED[f"ZJU-AI4H/Hulu-Med-{name}"]
    assert size.parameters == noted["params_total"]
    shapes = noted["hf_layout"]
    layer = [
        shape
        for key, (shape, count) in shapes.items()
        if key.startswith("model.layers.") and len(shape) == 2 and count == size.layers
    ]
    assert sum(math.prod(shape) for shape in layer) == size.layer
    assert shapes["model.embed_tokens.weight"][0] == [size.vocabulary, size.hidden]


def test_published_citrusv_sizes_are_those_of_its_shapes() -> None:
    shapes = json.loads((tiny.FIXTURES / "citrusv" / "statedict_8b_shapes.json").read_text())
    assert PUBLISHED["jdh-algo/Citrus-V-8B-v1.0"].parameters == sum(math.prod(shape) for shape in shapes.values())


@pytest.mark.parametrize("name", ["hulumed", "medmo", "citrusv"])
def test_the_parts_of_a_checkpoint_are_counted_without_loading_it(name: str) -> None:
    size = size_of(str(tiny.FIXTURES / tiny.EVERY[name]))
    parts = tiny.load(name).family.parts()
    for part, modules in parts.items():
        held = {id(value): value.numel() for module in modules for value in module.parameters()}
        if part == "mask_head":  # the file also holds SAM2's memory of earlier frames, which is not built
            assert size.parts[part] > sum(held.values())
        else:
            assert size.parts[part] == sum(held.values()), part


@pytest.mark.parametrize("parts", [WHOLE, {"projector": "train", "language": {"mode": "lora", "rank": 4}}])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_weights_gradients_and_moments_are_the_bytes_that_training_holds(parts: Any, precision: str) -> None:
    model = tiny.load("hulumed")
    recipe = tiny.recipe(parts, precision=precision, learning_rate=1e-3)
    learning = learning_parts(model.family, recipe)
    values: list[torch.Tensor] = list(model.family.model.parameters())
    optimizer = torch.optim.AdamW(parameter_groups(learning, recipe))
    for value in values:
        if value.requires_grad:
            value.grad = torch.zeros_like(value)
    optimizer.step()
    plan = plan_of(recipe, size_of(str(tiny.FIXTURES / tiny.EVERY["hulumed"])), GPUS["a100-80gb"], 1)
    held = sum(value.nbytes for value in values)
    moments = sum(one.nbytes for state in optimizer.state.values() for one in state.values() if one.dim())
    assert plan.memory["weights"] == held
    assert plan.memory["gradients"] == sum(value.grad.nbytes for value in values if value.grad is not None)
    assert plan.memory["AdamW"] == moments


def test_more_gpus_share_memory_and_time() -> None:
    size = PUBLISHED["ZJU-AI4H/Hulu-Med-7B"]
    recipe = tiny.recipe(WHOLE, precision="bfloat16", max_length=16384, accumulate=64, activation_checkpointing=True)
    one, eight = (plan_of(recipe, size, GPUS["h100-80gb"], count) for count in (1, 8))
    assert not one.fits
    assert eight.fits
    assert eight.memory["AdamW"] == one.memory["AdamW"] / 8
    assert eight.step_s == pytest.approx(one.step_s / 8)
    with pytest.raises(OptionError, match="64 rows a step, which 7 GPUs cannot share"):
        plan_of(recipe, size, GPUS["h100-80gb"], 7)


def test_published_gpu_hours_grow_as_the_plan_says() -> None:
    """4 k hours for 7B and 8 k for 14B on the same samples; for 32B the authors needed 10 times, we say less."""
    recipe = tiny.recipe(WHOLE, precision="bfloat16", max_length=16384, activation_checkpointing=True)
    hours = {
        name: plan_of(recipe, PUBLISHED[f"ZJU-AI4H/Hulu-Med-{name}"], GPUS["a100-80gb"], 1).million_s / 3600
        for name in ("7B", "14B", "32B")
    }
    assert hours["14B"] / hours["7B"] == pytest.approx(8 / 4, rel=0.2)
    assert 3 < hours["32B"] / hours["7B"] < 10
    positions = 4000 / hours["7B"] * 1e6 / 16.7e6  # a sample has so many, if these hours were on such GPUs
    assert 500 < positions < 3000


def test_the_command_says_it_and_refuses_what_it_does_not_know(capsys: Any, tmp_path: Path) -> None:
    recipe = str(tiny.ROOT / "recipes" / "finetune-lora.yaml")
    assert main(["train", recipe, "--plan", "--gpus", "8", "--gpu", "H100-80GB"]) == 0
    said = capsys.readouterr().out
    assert "8,044,744,944 parameters" in said
    assert "of 80 (fits)" in said
    assert main(["train", recipe, "--plan", "--gpu", "abacus"]) == 2
    assert main(["train", recipe, "--plan", "model=nobody/nothing"]) == 2
    assert "Hulu-Med-7B" in capsys.readouterr().err


def _row(name: str, words: int, answer: int) -> tuple[Any, Any]:
    model = tiny.load(name)
    asked = [{"role": "user", "content": "What is it? " * words}, {"role": "assistant", "content": "a cyst " * answer}]
    return model.family, model.prepare(asked)


@pytest.mark.parametrize("name", ["hulumed", "medmo"])
@pytest.mark.parametrize("language", ["train", {"mode": "lora", "rank": 1}])
@pytest.mark.parametrize("again", [False, True])
def test_the_operations_are_those_that_a_row_of_text_takes(name: str, language: Any, again: bool) -> None:
    """Counted by torch, with an attention that it counts; the plan spares half of it and the head of the question."""
    from dataclasses import replace

    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    from vesalius.training.plan import flops_per_position
    from vesalius.training.sft import checkpoint_activations

    family, batch = _row(name, 4, 5)
    length = family.length(batch)
    recipe = tiny.recipe({"language": language}, max_length=length, activation_checkpointing=again)
    learning_parts(family, recipe)
    if again:
        family.model.train()
        checkpoint_activations(family.model)
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counted:
        family.row_loss(batch).summed.backward()
    size = size_of(str(tiny.FIXTURES / tiny.EVERY[name]))
    text = replace(size, parts={"language": size.parts["language"]})
    assert 0.7 < length * flops_per_position(recipe, text) / counted.get_total_flops() < 1.1


@pytest.mark.parametrize("name", ["hulumed", "medmo"])
def test_the_activations_are_those_that_wait_for_the_way_back(name: str) -> None:
    family, batch = _row(name, 90, 50)
    recipe = tiny.recipe({"language": "train"}, max_length=family.length(batch))
    learning_parts(family, recipe)
    own = {value.untyped_storage().data_ptr() for value in family.model.parameters()}
    held: dict[int, int] = {}

    def keep(value: torch.Tensor) -> torch.Tensor:
        storage = value.untyped_storage()
        if storage.data_ptr() not in own:
            held[storage.data_ptr()] = storage.nbytes()
        return value

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda value: value):
        loss = family.row_loss(batch).summed
    assert loss.requires_grad
    plan = plan_of(recipe, size_of(str(tiny.FIXTURES / tiny.EVERY[name])), GPUS["a100-80gb"], 1)
    assert 0.7 < plan.memory["activations"] / sum(held.values()) < 1.4


def test_the_table_beside_published_hours_is_what_the_script_prints() -> None:
    from benchmarks.plan_hours import rows

    page = (tiny.ROOT / "docs" / "long-training.md").read_text(encoding="utf-8")
    for row in rows():
        assert f"| {' | '.join(row)} |" in page
