"""The starter learns from packed rows: loss and gradients of its samples, and answers that follow what was learned."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import vesalius
from tests.models.parity import user
from tests.models.test_packed_rows import close, gradients
from vesalius.errors import InputError
from vesalius.models.starter.starter import Starter

pytestmark = pytest.mark.needs_starter


@pytest.fixture(scope="module")
def starter(starter_base_folder: Path) -> Any:
    return vesalius.load("starter", device="cpu")


def samples(model: Any) -> list[Any]:
    rng = np.random.default_rng(0)
    picture = {"type": "image", "image": rng.integers(0, 255, (80, 90), dtype=np.uint8)}
    asked = [user(picture, "What is shown?"), user("Where is the liver?"), user(picture, picture, "Any change?")]
    said = ("A square.", "On the right, under the ribs.", "No.")
    return [model.prepare([*q, {"role": "assistant", "content": text}]) for q, text in zip(asked, said, strict=True)]


def test_a_packed_row_costs_what_its_samples_cost(starter: Any) -> None:
    family: Starter = starter.family
    alone = samples(starter)
    row = family.pack(alone)
    assert family.length(row) == sum(family.length(one) for one in alone)
    packed, parts = family.row_loss(row), [family.row_loss(one) for one in alone]
    torch.testing.assert_close(packed.per_sample, torch.cat([one.per_sample for one in parts]), rtol=1e-5, atol=1e-4)
    # Thirty layers in float32 round a little more than the tiny checkpoints do (1.1e-5 was seen).
    close(gradients(starter, [packed.summed]), gradients(starter, [one.summed for one in parts]), near=3e-5)
    family.model.zero_grad(set_to_none=True)


def test_answers_follow_what_was_learned(starter: Any) -> None:
    family: Starter = starter.family
    question = user("Where is the liver?")
    before = starter.ask(question, max_new_tokens=8).text
    assert before == vesalius.load("starter").ask(question, max_new_tokens=8).text
    head = family.model.language.lm_head.weight
    with torch.no_grad():
        kept = head.clone()
        head.mul_(-1)
    try:
        assert starter.ask(question, max_new_tokens=8).text != before
    finally:
        with torch.no_grad():
            head.copy_(kept)


def test_a_question_without_an_answer_teaches_nothing(starter: Any) -> None:
    with pytest.raises(InputError, match="no answer"):
        starter.family.row_loss(starter.prepare(user("Where is the liver?")))
