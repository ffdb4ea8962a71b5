"""Answers held to a form: JSON schema, regular expression, choices; alone, streamed and in a batch."""

from __future__ import annotations

import json
import re
import sys
from functools import cache
from typing import Any

import numpy as np
import pytest
from jsonschema import validate

import vesalius
from tests.models.parity import ROOT
from vesalius.errors import OptionError, UnsupportedError
from vesalius.inference.model import Model

SCHEMA = {
    "type": "object",
    "properties": {
        "finding": {"type": "string", "enum": ["nodule", "mass", "none"]},
        "count": {"type": "integer", "minimum": 0, "maximum": 9},
        "boxes": {
            "type": "array",
            "maxItems": 1,
            "items": {"type": "array", "minItems": 4, "maxItems": 4, "items": {"type": "integer", "enum": [0, 9, 99]}},
        },
    },
    "required": ["finding", "count", "boxes"],
    "additionalProperties": False,
}  # fmt: skip
WORD = r"(yes|no), [a-z]{3,8}\."
CHOICES = ["A", "B", "pleural effusion", "胸腔积液"]


@cache
def tiny(name: str) -> Model:
    return vesalius.load(str(ROOT / "tests" / "fixtures" / name), device="cpu", dtype="float32")


def check(model: Model, media: Any) -> None:
    said = model.ask(media, "What is shown?", schema=SCHEMA, max_new_tokens=160)
    assert said.usage.finish == "stop"
    validate(json.loads(said.text), SCHEMA)
    assert re.fullmatch(WORD, model.ask(media, "Is there a mass?", schema=WORD, max_new_tokens=40).text)
    pieces = list(model.stream(media, "Which?", schema=CHOICES, temperature=1.5, seed=3, max_new_tokens=40))
    assert pieces[-1].text == "".join(str(piece) for piece in pieces[:-1])  # pyright: ignore[reportAttributeAccessIssue]
    assert pieces[-1].text in CHOICES  # pyright: ignore[reportAttributeAccessIssue]
    batch = model.ask_batch(
        [(media, "Is there a nodule?"), (None, "How many nodules are there on the left side?")],
        schema=SCHEMA,
        max_new_tokens=160,
    )
    for one in batch:
        validate(json.loads(one.text), SCHEMA)


def test_a_tiny_model_of_random_weights_always_keeps_to_the_form() -> None:
    check(tiny("medmo/qwen3vl_tiny"), None)


def test_the_starter_keeps_to_the_form(starter: Model) -> None:
    check(starter, np.zeros((96, 96), dtype=np.uint8))


def test_forms_that_cannot_be_met_are_errors() -> None:
    model = tiny("medmo/qwen3vl_tiny")
    with pytest.raises(OptionError, match="schema is a int"):
        model.ask(None, "?", schema=3)
    with pytest.raises(OptionError, match="schema cannot be used"):
        model.ask(None, "?", schema="(unclosed")
    with pytest.raises(OptionError, match="schema cannot be used"):
        model.ask(None, "?", schema={"type": "nonsense"})


def test_the_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "llguidance", None)
    with pytest.raises(UnsupportedError, match=r"vesalius\[schema\]"):
        tiny("medmo/qwen3vl_tiny").ask(None, "?", schema=["a"])
