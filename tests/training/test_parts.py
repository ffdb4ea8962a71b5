"""Freezing freezes, training reaches: counted by gradient, part by part, for every family."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from tests.training import tiny
from vesalius.errors import OptionError
from vesalius.training.parts import check_parts, gradient_norms, learning_parts, parameter_groups, schedule, unreached
from vesalius.training.recipe_sft import PartPlan

CASES = [(name, part) for name in tiny.EVERY for part in ("vision", "projector", "language")]
CASES.append(("citrusv", "mask_head"))


@pytest.mark.parametrize("name", tiny.EVERY)
def test_every_parameter_is_in_exactly_one_part(name: str) -> None:
    family = tiny.load(name).family
    held = [id(value) for part in family.parts().values() for value in part.parameters()]
    assert len(held) == len(set(held))
    assert set(held) == {id(value) for value in family.model.parameters()}


@pytest.mark.parametrize(("name", "part"), CASES)
def test_the_gradient_reaches_the_part_that_learns_and_no_other(name: str, part: str) -> None:
    model = tiny.load(name)
    learning = learning_parts(model.family, tiny.recipe({part: "train"}))
    made = model.family.row_loss(tiny.row(model, name, masked=part == "mask_head").batch)
    (made.summed + sum(total for total, _ in made.others.values())).backward()
    parts = model.family.parts()
    for other, modules in parts.items():
        with_gradient = [value for value in modules.parameters() if value.grad is not None]
        assert bool(with_gradient) == (other == part), other
    assert gradient_norms(learning)[part] > 0
    missed = unreached(learning)[part]
    # What no gradient reaches is known: layers behind the state that is read, SAM2's prompts that are not given, and
    # features that join the last layer, where only text positions are learnt.
    known = ("layers.1.", "layers.2.", "cls_token", "class_embedding", "prompt_encoder", "deepstack_merger_list",
             "mask_decoder", "no_memory", "k_proj.bias", "post_layernorm", "patch_embedding.bias",
             "transformer_layers.1", "blocks.1.", "embed_tokens", "key", "in_proj_bias", "qkv")  # fmt: skip
    assert all(any(piece in one for piece in known) for one in missed), missed
    assert len(missed) < len(learning.parameters[part]) / 2


@pytest.mark.parametrize("name", tiny.EVERY)
def test_adapters_learn_and_their_base_does_not(name: str) -> None:
    model = tiny.load(name)
    before = {key: value.clone() for key, value in model.family.model.state_dict().items()}
    learning = learning_parts(model.family, tiny.recipe({"language": {"mode": "lora", "rank": 2}}))
    names = [one for one, _ in learning.parameters["language"]]
    assert names
    assert all("lora_" in one and "lm_head" not in one for one in names)
    optimiser = torch.optim.SGD(parameter_groups(learning, tiny.recipe({"language": "lora"})), lr=1.0)
    for _ in range(2):
        model.family.row_loss(tiny.row(model, name).batch).summed.backward()
        optimiser.step()
    after = {key.replace(".base_layer", ""): value for key, value in model.family.model.state_dict().items()}
    assert all(torch.equal(before[key], after[key]) for key in before)


def test_a_part_the_family_lacks_is_named_with_those_it_has() -> None:
    family = tiny.load("hulumed").family
    with pytest.raises(OptionError, match=r"no part 'mask_head'.* It has vision, projector, language"):
        check_parts(family, tiny.recipe({"mask_head": "train"}))
    with pytest.raises(OptionError, match="Did you mean vision"):
        check_parts(family, tiny.recipe({"vison": "train"}))
    with pytest.raises(OptionError, match=r"no linear layer 'q_pro' for LoRA.*q_proj"):
        learning_parts(family, tiny.recipe({"language": {"mode": "lora", "targets": ["q_pro"]}}))


def test_fused_layers_carry_no_adapter() -> None:
    model = tiny.load("medmclip")
    with pytest.raises(OptionError, match="vision has no layer|vision has no linear|carries"):
        learning_parts(model.family, tiny.recipe({"vision": {"mode": "lora", "targets": ["linear1"]}}))


def test_groups_have_their_own_rates_and_norms_do_not_decay() -> None:
    family = tiny.load("medmo").family
    plans = {"vision": {"mode": "train", "learning_rate": 1e-6, "weight_decay": 0.2}, "language": "train"}
    given = tiny.recipe(plans, learning_rate=1e-4, weight_decay=0.1)
    groups = parameter_groups(learning_parts(family, given), given)
    found = {(one["part"], one["weight_decay"]): one["lr"] for one in groups}
    assert found == {
        ("vision", 0.2): 1e-6, ("vision", 0.0): 1e-6, ("language", 0.1): 1e-4, ("language", 0.0): 1e-4,
    }  # fmt: skip
    spared = {id(value) for one in groups if not one["weight_decay"] for value in one["params"]}
    for module in family.model.modules():
        if isinstance(module, nn.LayerNorm) and module.weight.requires_grad:
            assert {id(module.weight), id(module.bias)} <= spared
    counted = [id(value) for one in groups for value in one["params"]]
    assert len(counted) == len(set(counted))


@pytest.mark.parametrize(("shape", "end"), [("cosine", 0.0), ("linear", 0.0), ("constant", 1.0)])
def test_rates_rise_then_fall(shape: str, end: float) -> None:
    factor = schedule(shape, 0.1, 100)
    rises: list[Any] = [factor(step) for step in range(10)]
    assert rises == sorted(rises)
    assert 0 < rises[0] < 0.2
    assert factor(10) == pytest.approx(1.0)
    assert factor(100) == pytest.approx(end)
    assert schedule(shape, 5, 100)(5) == pytest.approx(1.0)


def test_frozen_is_the_default() -> None:
    learning = learning_parts(tiny.load("medmvl").family, tiny.recipe({"projector": "train"}))
    assert learning.plans["vision"] == PartPlan("freeze")
    assert list(learning.parameters) == ["projector"]
