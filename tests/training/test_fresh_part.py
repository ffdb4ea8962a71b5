"""A part that begins afresh has new weights, the same for the same seed; nothing else of the network has."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from tests.training import tiny
from vesalius.errors import OptionError
from vesalius.training.fresh_part import begin_afresh
from vesalius.training.parts import learning_parts

FRESH = {"mode": "train", "fresh": True}


def weights(family: Any) -> dict[str, dict[str, torch.Tensor]]:
    """Part → its tensors."""
    return {
        part: {f"{k}.{name}": value.clone() for k, one in enumerate(modules) for name, value in one.named_parameters()}
        for part, modules in family.parts().items()
    }


@pytest.mark.parametrize("name", tiny.EVERY)
def test_a_projector_begins_anew_and_the_other_parts_as_they_are(name: str) -> None:
    family, again, other = (tiny.load(name).family for _ in range(3))
    before = weights(family)
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    learning_parts(family, tiny.recipe({"projector": FRESH}))
    assert torch.equal(torch.rand(3), expected), "the run's own random numbers are not touched"
    after = weights(family)
    matrices = [key for key, value in before["projector"].items() if value.ndim > 1]
    assert matrices
    assert not any(torch.equal(before["projector"][key], after["projector"][key]) for key in matrices)
    assert all(bool(value.isfinite().all()) for value in after["projector"].values())
    for part in before.keys() - {"projector"}:
        assert all(torch.equal(value, after[part][key]) for key, value in before[part].items()), part

    learning_parts(again, tiny.recipe({"projector": FRESH}))
    assert all(torch.equal(value, weights(again)["projector"][key]) for key, value in after["projector"].items())
    learning_parts(other, tiny.recipe({"projector": FRESH}, seed=9))
    assert not any(torch.equal(after["projector"][key], weights(other)["projector"][key]) for key in matrices)


@pytest.mark.parametrize("mode", ["freeze", "lora"])
def test_what_begins_afresh_must_be_trained(mode: str) -> None:
    family = tiny.load("hulumed").family
    with pytest.raises(OptionError, match=rf"parts\.projector is to begin afresh, and its mode is {mode}.*train"):
        learning_parts(family, tiny.recipe({"projector": {"mode": mode, "fresh": True}}))


class _Scaled(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(2))


def test_weights_that_no_layer_can_start_are_refused_before_anything_changes() -> None:
    linear, odd = nn.Linear(2, 2), _Scaled()
    before = linear.weight.clone()
    with pytest.raises(OptionError, match=r"vision cannot begin afresh: _Scaled\.scale has no start of its own"):
        begin_afresh("vision", [linear, odd], 0)
    assert torch.equal(linear.weight, before)
